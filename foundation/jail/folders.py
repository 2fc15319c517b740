"""The folder that a jailed process is given, and what becomes of it."""

import contextlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

PREFIX = "atrium-jail-"
FORGOTTEN_AFTER_S = 3_600.0
PAUSES_S = (0.0, 0.01, 0.1, 0.5)  # the kernel ends all of a namespace soon, but not at once
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


@contextlib.contextmanager
def open_folder() -> Iterator[Path]:
    """A folder with `in` and `out`, removed at the end; with it those that killed processes left."""
    _remove_forgotten()
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
    try:
        (folder / "in").mkdir()
        (folder / "out").mkdir()
        yield folder
    finally:
        remove(folder)


def bring_in(folder: Path, files: Mapping[str, Path | bytes]) -> dict[str, Path]:
    """The files' paths in there, by name."""
    paths = {}
    for name, source in files.items():
        if not NAME.fullmatch(name):
            raise ValueError("Files get plain names in the jail.")
        paths[name] = path = folder / name
        if isinstance(source, bytes):
            path.write_bytes(source)
        else:
            shutil.copyfile(source, path)
    return paths


def remove(folder: Path) -> None:
    """Also where it has locked itself, or where a process whose end is not over still writes to it."""

    def open_and_retry(function, path, _error) -> None:
        with contextlib.suppress(OSError):
            for part in (Path(path).parent, Path(path)):
                # never what lies above the folder, or where a link leads
                if part.is_relative_to(folder) and part.is_dir() and not part.is_symlink():
                    part.chmod(0o700)
            function(path)

    shutil.rmtree(folder, onerror=open_and_retry)
    for pause_s in PAUSES_S:
        if not folder.exists():
            return
        time.sleep(pause_s)
        shutil.rmtree(folder, ignore_errors=True)  # folders that it had locked are open now


def _remove_forgotten() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError, ValueError):
            pid = int(folder.name.removeprefix(PREFIX).partition("-")[0])
            is_old = time.time() - folder.stat().st_mtime > FORGOTTEN_AFTER_S
            if is_old and not Path(f"/proc/{pid}").exists():
                remove(folder)
