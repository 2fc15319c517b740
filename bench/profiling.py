"""`--profile`: where the CPU time of a server process goes while it is measured, without a line in the
product.

The server starts with `bench/profile_hook` on its path; its `sitecustomize` waits for signals. SIGUSR1 starts
a sampler driven by CPU time (ITIMER_PROF), SIGUSR2 writes the profile. Only Python frames of the main thread
are seen: C code counts for the function that called it.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

folder: Path | None = None  # set by --profile
HOOK = Path(__file__).parent / "profile_hook"


def environment(name: str) -> dict[str, str]:
    """What a server process needs in its environment to be profiled; nothing without --profile."""
    if folder is None:
        return {}
    path = os.pathsep.join(filter(None, [str(HOOK), os.environ.get("PYTHONPATH", "")]))
    return {"ATRIUM_PROFILE": str(folder / name), "PYTHONPATH": path}


@contextmanager
def recording(pids: list[int], name: str) -> Iterator[None]:
    """Profile these processes for the length of the block, where they are ready for it:
    `<folder>/<name>-<pid>.txt` and `.folded`.
    """
    ready = [pid for pid in pids if folder is not None and list(folder.glob(f"*.{pid}.ready"))]
    for pid in ready:
        os.kill(pid, signal.SIGUSR1)
    try:
        yield
    finally:
        for pid in ready:
            os.kill(pid, signal.SIGUSR2)
            _rename(pid, name)


def _rename(pid: int, name: str) -> None:
    """Give the profile the run's name once the process has written it."""
    assert folder is not None
    done = folder / f"{pid}.done"
    for _ in range(100):
        if done.exists():
            break
        time.sleep(0.05)
    done.unlink(missing_ok=True)
    slug = "".join(letter if letter.isalnum() else "-" for letter in name)
    for kind in ("txt", "folded"):
        written = folder / f"{pid}.{kind}"
        if written.exists():
            written.rename(folder / f"{slug}-{pid}.{kind}")
