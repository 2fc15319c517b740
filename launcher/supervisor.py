"""The supervisor: one thread, one selector; it starts children, listens to them, starts the dead again, and
ends them in order.
"""

import contextlib
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

from launcher.children import Child, ChildSpec, Run
from launcher.errors import ServiceError
from launcher.output import ChildLog, Terminal
from launcher.processes import LATER_RUNG_PATIENCE_S, pid_file, send, write_pids

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SIGNAL_NAMES = {number.value: number.name for number in signal.Signals}
STOP_PATIENCE_S = 10.0
AFTER_DRAIN_S = 3.0  # for bookings and connections
IDLE_S = 30.0  # a child's end and a signal wake us at once


class StopRequested(Exception):
    """A signal asked us to stop; raised out of every wait, so that it works at any moment of the start."""


class Supervisor:
    """Keeps children running below one data directory. `with Supervisor(…)` ends them all on the way out,
    whatever happened.
    """

    def __init__(self, data: Path, terminal: Terminal) -> None:
        self.data = data
        self.terminal = terminal
        self.children: dict[str, Child] = {}
        self.selector = selectors.DefaultSelector()
        self._stop_signals = 0
        self._is_stopping = False

    def __enter__(self) -> "Supervisor":
        wake_end, signal_end = socket.socketpair()
        for end in (wake_end, signal_end):
            end.setblocking(False)
        self._wake_end = wake_end
        self._signal_end = signal_end
        self._old_wakeup = signal.set_wakeup_fd(self._signal_end.fileno(), warn_on_full_buffer=False)
        # Under nohup a closed terminal is meant to be survived. SIGINT counts even
        # where a shell's `&` made us ignore it.
        is_nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        numbers = {*STOP_SIGNALS, signal.SIGCHLD} - ({signal.SIGHUP} if is_nohup else set())
        self._old_handlers = {number: signal.signal(number, self._on_signal) for number in numbers}
        self.selector.register(self._wake_end, selectors.EVENT_READ, self._on_wake)
        return self

    def __exit__(self, *exc_info) -> None:
        try:
            self.stop()
        finally:
            for number, handler in self._old_handlers.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(self._old_wakeup)
            self.selector.close()
            self._wake_end.close()
            self._signal_end.close()

    def start(self, spec: ChildSpec) -> Child:
        """Start a child and keep it running from now on (a job: once). Raises ServiceError when not even the
        first start succeeds.
        """
        child = Child(spec, ChildLog(spec.name, self.data / "logs", self.terminal, spec.loud))
        self.children[spec.name] = child
        self._launch(child)
        return child

    def run_job(self, spec: ChildSpec, *, timeout_s: float) -> str:
        """Run a child to its end; the last line it said (jobs are loud: a person has seen the others). Raises
        ServiceError when it fails or takes too long.
        """
        child = self.start(spec)
        is_done = self.wait_until(lambda: child.run is None, timeout_s)
        if child.returncode != 0:
            reason = (
                f"ended {_reason(child.returncode)}"
                if is_done
                else f"did not finish within {timeout_s:.0f} s"
            )
            raise ServiceError(f"`{spec.name}` {reason}. Its log: {self.data / 'logs' / spec.name}.log")
        self.children.pop(spec.name).log.close()
        return child.log.last_lines[-1] if child.log.last_lines else ""

    def wait_until(
        self, condition: Callable[[], bool], timeout_s: float, *, interval_s: float = 0.03
    ) -> bool:
        """Whether the condition came true in time; children are served meanwhile. Raises StopRequested."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                return False
            self.step(interval_s)
            if self._stop_signals and not self._is_stopping:
                raise StopRequested
        return True

    def run_until_stopped(self) -> None:
        """Serve the children until a signal asks us to stop."""
        with contextlib.suppress(StopRequested):
            self.wait_until(lambda: False, float("inf"), interval_s=IDLE_S)

    def step(self, longest_s: float) -> None:
        """One turn: wait for output or a signal, reap the dead, start what is due."""
        due = [
            child.restart_at - time.monotonic()
            for child in self.children.values()
            if child.restart_at is not None
        ]
        for key, _ in self.selector.select(max(0.0, min([longest_s, *due]))):
            key.data()
        for child in list(self.children.values()):
            if child.run is not None and child.has_ended():
                self._reap(child, child.run)
            elif child.restart_at is not None and child.restart_at <= time.monotonic():
                self._restart(child)

    def stop(self) -> None:
        """End all children, stage by stage: signals of their ladders, SIGKILL at last. A second signal to us
        skips the patience.
        """
        self._is_stopping = True
        self._stop_signals = 0
        for child in self.children.values():
            child.log.mute()
            child.restart_at = None
        for stage in sorted({child.spec.stage for child in self.children.values()}):
            group = [child for child in self.children.values() if child.spec.stage == stage]
            self._stop_group(group, may_hurry=stage == 0)  # the servers below need their moment
        for child in self.children.values():
            child.log.close()
        self.children.clear()
        pid_file(self.data).unlink(missing_ok=True)

    def _stop_group(self, group: list[Child], *, may_hurry: bool) -> None:
        drain_s = max(child.spec.drain_s for child in group)
        rung, patience = 0, max(STOP_PATIENCE_S, drain_s + AFTER_DRAIN_S)
        while running := [
            child.run.identity for child in group if child.run is not None and rung < len(child.spec.ladder)
        ]:
            for process in running:
                send(process, process.ladder[rung])
            self.wait_until(
                lambda: all(child.run is None for child in group) or (may_hurry and self._stop_signals > 0),
                patience,
            )
            rung, patience = rung + 1, LATER_RUNG_PATIENCE_S

    def _launch(self, child: Child) -> None:
        try:
            run = child.start()
        except OSError as exc:
            raise ServiceError(f"{child.spec.name} cannot be started: {exc}") from exc
        self.selector.register(run.output, selectors.EVENT_READ, lambda: self._listen(child, run))
        self._note()

    def _restart(self, child: Child) -> None:
        try:
            self._launch(child)
        except ServiceError as exc:
            child.deaths += 1
            delay = child.plan_restart()
            self.terminal.warn(f"{exc} Next attempt in {delay:.1f} s.")

    def _listen(self, child: Child, run: Run) -> None:
        if not child.read(run):
            self.selector.unregister(run.output)

    def _reap(self, child: Child, run: Run) -> None:
        with contextlib.suppress(KeyError):  # it closed its output before it ended
            self.selector.unregister(run.output)
        child.reap(run)
        self._note()
        if not child.spec.is_job and not self._is_stopping:
            delay = child.plan_restart()
            self.terminal.warn(
                f"{child.spec.name} ended {_reason(child.returncode)}; it starts again in {delay:.1f} s"
            )

    def _note(self) -> None:
        try:
            write_pids(
                self.data, [child.run.identity for child in self.children.values() if child.run is not None]
            )
        except OSError as exc:
            # a full disk: the platform goes on, only a kill -9 of ours would leave children until the next
            # start
            self.terminal.warn(f"cannot write {pid_file(self.data)}: {exc.strerror}")

    def _on_signal(self, number: int, frame) -> None:
        if number in STOP_SIGNALS:
            self._stop_signals += 1

    def _on_wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self._wake_end.fileno(), 512):
                pass


def _reason(returncode: int | None) -> str:
    if returncode is None or returncode >= 0:
        return f"with code {returncode}"
    return f"by signal {SIGNAL_NAMES.get(-returncode, -returncode)}"
