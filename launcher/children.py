"""One supervised process: what to start, and how it is doing."""

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

from launcher.output import TROUBLE, ChildLog
from launcher.processes import TERM_LADDER, Process, describe, send

FIRST_DELAY_S, LONGEST_DELAY_S, HEALTHY_AFTER_S = 0.2, 5.0, 30.0


def do_nothing() -> None:
    """The default of `ChildSpec.before`."""


@dataclass(frozen=True)
class ChildSpec:
    """A process to keep running. Stages stop in order: 0 the platform's own, 1 Valkey, 2 PostgreSQL, 3 the
    guardian.
    """

    name: str
    command: list[str]
    environment: Mapping[str, str] | None = None  # None: ours
    folder: Path | str = "/"
    stage: int = 0
    ladder: tuple[int, ...] = TERM_LADDER
    drain_s: float = 0.0  # for which it goes on by itself after the first signal
    # runs before every start; a ServiceError counts as a failed start
    before: Callable[[], None] = do_nothing
    inherited: tuple[int, ...] = ()  # descriptors it gets
    niceness: int = 0
    popen_arguments: Mapping[str, Any] = field(default_factory=dict)
    loud: re.Pattern[str] = TROUBLE  # which of its lines also go to the terminal
    is_job: bool = False  # ends by itself, and is not started again


@dataclass(frozen=True)
class Run:
    """One life of a child."""

    popen: subprocess.Popen[bytes]
    output: IO[bytes]
    identity: Process
    started_at: float


class Child:
    """A ChildSpec with its present life, its log and its restarts. Only the supervisor's loop calls it."""

    def __init__(self, spec: ChildSpec, log: ChildLog) -> None:
        self.spec = spec
        self.log = log
        self.run: Run | None = None
        self.returncode: int | None = None
        self.deaths = 0
        self.restart_at: float | None = None
        self._delay_s = FIRST_DELAY_S

    def start(self) -> Run:
        """Start the process in a session of its own. Raises ServiceError or OSError when it cannot be
        started.
        """
        self.restart_at = None
        self.returncode = None
        self.spec.before()
        popen = subprocess.Popen(
            self.spec.command,
            env=self.spec.environment,
            cwd=self.spec.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=self.spec.inherited,
            **self.spec.popen_arguments,
        )
        identity = describe(self.spec.name, popen.pid, stage=self.spec.stage, ladder=self.spec.ladder)
        self.run = Run(popen, cast(IO[bytes], popen.stdout), identity, time.monotonic())
        os.set_blocking(self.run.output.fileno(), False)
        if self.spec.niceness:
            with contextlib.suppress(ProcessLookupError):
                os.setpriority(os.PRIO_PROCESS, popen.pid, self.spec.niceness)
        return self.run

    def has_ended(self) -> bool:
        """Whether its process is dead and not yet reaped."""
        return self.run is not None and self.run.popen.poll() is not None

    def read(self, run: Run) -> bool:
        """Take what the child has said; False at the end of its output."""
        try:
            piece = os.read(run.output.fileno(), 65_536)
        except BlockingIOError:
            return True
        if piece:
            self.log.feed(piece)
        return bool(piece)

    def reap(self, run: Run) -> None:
        """Note the end of the process: end the rest of its group, read its output to the end."""
        send(run.identity, signal.SIGKILL)  # grandchildren would keep sockets and the pipe open
        for _ in range(64):  # 4 MB at most: a surviving writer must not hold us
            if not self.read(run):
                break
        self.log.end_line()
        run.output.close()
        self.returncode = run.popen.wait()
        self.run = None
        self.deaths += 1
        if time.monotonic() - run.started_at >= HEALTHY_AFTER_S:
            self._delay_s = FIRST_DELAY_S

    def plan_restart(self) -> float:
        """Set the time of the next start: 0.2 s after the first death, doubling to 5 s; a healthy half minute
        forgives. The delay.
        """
        delay = self._delay_s
        self._delay_s = min(delay * 2, LONGEST_DELAY_S)
        self.restart_at = time.monotonic() + delay
        return delay
