"""The guardian: a small process that ends what its master left running, however the master ended.

`python -m launcher.guardian DATA`. It sleeps in flock(2) until every holder of the data directory's lock is
gone (the kernel drops a dead process's locks, on Linux and macOS alike), then ends the processes noted in
`pids.json`. After an orderly stop nothing is noted.
Does not cover: both killed at once; then the next start finds the note and clears up.
"""

import fcntl
import os
import signal
import sys
from pathlib import Path

from launcher.processes import end_processes, pid_file, read_pids

PATIENCE_S = 4.0  # nobody waits for an answer any more, so less than in an orderly stop
ROOT = Path(__file__).resolve().parent.parent


def guardian_command(data: Path) -> list[str]:
    """The command line; to be started in ROOT. -S and -E: no site-packages and no PYTHON* variables, so it
    starts in 20 ms.
    """
    return [sys.executable, "-S", "-E", "-m", "launcher.guardian", str(data)]


def clear_up(data: Path, *, patience_s: float = PATIENCE_S) -> list[str]:
    """End all that is noted and remove the notes; the names of those found alive. The caller holds the data
    directory alone.
    """
    leftovers = [process for process in read_pids(data) if process.pid != os.getpid() and process.is_alive()]
    # first: nobody shall be sent to servers that are about to end
    (data / "run.json").unlink(missing_ok=True)
    end_processes(leftovers, patience_s=patience_s)
    pid_file(data).unlink(missing_ok=True)
    return [process.name for process in leftovers]


def main(data: Path) -> None:
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # meant for the master, who tells us by ending
    descriptor = os.open(data / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    clear_up(data)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
