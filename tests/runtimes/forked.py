"""Runtime servers forked from a process in which torch is loaded: importing it takes four seconds of CPU, a
fork a hundredth of that. What the server does with its threads, its memory and signals is the fork's own.

`python -m tests.runtimes.forked` is that process: it reads one line of JSON for each server to be and writes
one as it begins, with its process id, and one as it ends, with its exit code.
"""

import atexit
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STARTS_S = 120


class Ground:
    """The process that servers are forked from, as the tests see it; started with the first of them."""

    def __init__(self) -> None:
        self._process: subprocess.Popen | None = None
        self._rest = b""
        self._codes: dict[int, int] = {}
        self._begun: list[int] = []

    def fork(self, program: str, arguments: list[str], environment: dict[str, str]) -> int:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.runtimes.forked"],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            atexit.register(self._close)
        order = {"program": program, "arguments": arguments, "environment": environment}
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        while not self._begun:
            assert self._hear(STARTS_S), f"no server within {STARTS_S} s"
        return self._begun.pop()

    def find_code(self, pid: int, timeout_s: float) -> int | None:
        """The exit code of a server, as `subprocess` gives it; None: it still runs."""
        end_s = time.monotonic() + timeout_s
        while pid not in self._codes and self._hear(max(0.0, end_s - time.monotonic())):
            pass
        return self._codes.get(pid)

    def _hear(self, timeout_s: float) -> bool:
        """Whether there was something to be heard."""
        line = self._process.stdout.fileno()
        if not select.select([line], [], [], timeout_s)[0]:
            return False
        text = os.read(line, 65_536)
        assert text, "the process that servers are forked from has ended"
        *whole, self._rest = (self._rest + text).split(b"\n")
        for told in map(json.loads, whole):
            if "code" in told:
                self._codes[told["pid"]] = told["code"]
            else:
                self._begun.append(told["pid"])
        return True

    def _close(self) -> None:
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


ground = Ground()


class ForkedServer:
    """What tests need of a `subprocess.Popen`."""

    def __init__(self, program: str, arguments: list[str], environment: dict[str, str]) -> None:
        self.pid = ground.fork(program, arguments, environment)

    def poll(self) -> int | None:
        return ground.find_code(self.pid, 0)

    def wait(self, timeout: float) -> int:
        if (code := ground.find_code(self.pid, timeout)) is None:
            raise subprocess.TimeoutExpired("the forked server", timeout)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _tell(**what: int) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")  # past Python's buffer: a signal may come in its midst


def _tell_of_the_ended(_number, _frame) -> None:
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG)) != (0, 0):
            _tell(pid=found[0], code=os.waitstatus_to_exitcode(found[1]))


def _become(order: dict) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    os.environ.clear()
    os.environ.update(order["environment"])
    sys.argv = ["runtimes.ml.server", *order["arguments"]]
    try:
        exec(order["program"], {"__name__": "__main__"})
    except BaseException:
        traceback.print_exc()
        raise


def _serve() -> None:
    from runtimes.ml import server, shelf

    server.prepare_environment(1)
    shelf._import_engines(1)
    signal.signal(signal.SIGCHLD, _tell_of_the_ended)
    orders = os.fdopen(0, "rb", closefd=False)
    while line := orders.readline():
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
        if not (pid := os.fork()):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
            try:
                _become(json.loads(line))
            finally:
                os._exit(1)
        _tell(pid=pid)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])


if __name__ == "__main__":
    _serve()
