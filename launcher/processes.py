"""Processes by pid: whether one still lives, and how to end several in an orderly way.

Covers: a pid that the system has given to another process meanwhile (each pid travels with a token of its
start).
Does not cover: processes that a child moved into a session of its own; their parent ends them.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from launcher.private_files import read_json, write_json

TERM_LADDER = (signal.SIGTERM, signal.SIGKILL)
# PostgreSQL: "fast" shutdown, then "immediate" (recovers at the next start), and only then the axe.
POSTGRES_LADDER = (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL)
LATER_RUNG_PATIENCE_S = 3.0


@dataclass(frozen=True)
class Process:
    """One process to end: signals of its ladder in turn; lower stages end first."""

    name: str
    pid: int
    token: str
    stage: int = 0
    ladder: tuple[int, ...] = TERM_LADDER

    def is_alive(self) -> bool:
        return start_token(self.pid) == self.token


def start_token(pid: int) -> str | None:
    """A text that differs between two processes that got the same pid one after the other; None when it has
    ended.
    """
    if sys.platform == "linux":
        try:
            # the name before it may hold anything
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        # clock ticks since boot: a corrected clock does not matter
        return None if fields[0] in "ZX" else fields[19]
    state, _, started = _ask_ps(pid, "state=,lstart=").partition(" ")
    return None if not state or state.startswith("Z") else started.strip()


def command_line(pid: int) -> str:
    """The command line, as far as the system tells; empty when the process has ended."""
    if sys.platform == "linux":
        try:
            return (
                Path(f"/proc/{pid}/cmdline")
                .read_bytes()
                .replace(b"\0", b" ")
                .decode(errors="replace")
                .strip()
            )
        except OSError:
            return ""
    return _ask_ps(pid, "command=")


def _ask_ps(pid: int, columns: str) -> str:
    answer = subprocess.run(
        ["/bin/ps", "-ww", "-o", columns, "-p", str(pid)],
        capture_output=True,
        text=True,
        env={"LC_ALL": "C"},
        check=False,
    )
    return answer.stdout.strip()


def describe(name: str, pid: int, *, stage: int = 0, ladder: tuple[int, ...] = TERM_LADDER) -> Process:
    """The living process as a value; a token that matches nothing when it has ended already."""
    return Process(name, pid, start_token(pid) or "ended", stage, ladder)


def send(process: Process, signal_number: int) -> None:
    """Signal a process; SIGKILL goes to its whole group, so that its own children end too."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if signal_number == signal.SIGKILL:
            os.killpg(process.pid, signal_number)
        else:
            os.kill(process.pid, signal_number)


def end_processes(processes: Iterable[Process], *, patience_s: float) -> None:
    """End them stage by stage: gently, then after `patience_s` by force. Safe to call twice and for
    processes that are not our children.
    """
    living = [process for process in processes if process.is_alive()]
    for stage in sorted({process.stage for process in living}):
        rung, patience = 0, patience_s
        group = [process for process in living if process.stage == stage]
        while rest := [process for process in group if process.is_alive() and rung < len(process.ladder)]:
            for process in rest:
                send(process, process.ladder[rung])
            wait_until(lambda: not any(process.is_alive() for process in rest), patience)
            rung, patience = rung + 1, LATER_RUNG_PATIENCE_S
        for process in group:
            # what an obedient process forgot to end: its group keeps the number while it has members
            send(process, signal.SIGKILL)


def wait_until(condition: Callable[[], bool], timeout_s: float, *, interval_s: float = 0.02) -> bool:
    """Whether the condition came true in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(interval_s)
    return True


def pid_file(data: Path) -> Path:
    return data / "pids.json"


def write_pids(data: Path, processes: Iterable[Process]) -> None:
    """Note who runs below this data directory, for the guardian and for the next start."""
    write_json(pid_file(data), {process.name: asdict(process) for process in processes})


def read_pids(data: Path) -> list[Process]:
    """The noted processes; none when nothing (whole) is noted."""
    try:
        return [
            Process(**{**row, "ladder": tuple(row["ladder"])}) for row in read_json(pid_file(data)).values()
        ]
    except (TypeError, KeyError):
        return []
