"""Web processes forked from one in which the whole house is loaded: a start of its own takes two seconds of
CPU, a fork a tenth of that. Bugs are planted before the application is made, into modules that stand.
"""

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
from multiprocessing.process import BaseProcess

# What a forked process takes up although it was loaded without it: all of it is asked of the settings when it
# is needed, and kept nowhere else.
SOFT_VARIABLES = {
    "ATRIUM_DRAIN_S",
    "ATRIUM_LOG_LEVEL",
    "ATRIUM_MASTER_KEYS",
    "ATRIUM_SECRET_KEY",
    "PYTHONUNBUFFERED",
}
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.planted_ground"])
_environment = dict(os.environ)


def find_variables(environment: dict[str, str]) -> dict[str, str] | None:
    """What a forked process must take up to have this environment; None: it needs a start of its own."""
    changed = {name for name, _value in environment.items() ^ _environment.items()} - {"PYTEST_CURRENT_TEST"}
    if not changed <= SOFT_VARIABLES:
        return None
    return {name: environment[name] for name in changed if name in environment}


class PlantedProcess:
    """What tests need of a `subprocess.Popen`. `log`: the path of a file for what it says."""

    def __init__(self, listener: socket.socket, bug: str, variables: dict[str, str], log: str = "") -> None:
        self._process = _context.Process(target=_serve, args=(listener, bug, variables, log), daemon=True)
        self._process.start()
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self._process.is_alive():
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout_s: float | None = None) -> None:
        self._process.join(timeout_s)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("the planted process", timeout_s or 0)


def start_program(source: str, line: socket.socket) -> BaseProcess:
    """A process that runs Python text, whose standard input and output are a socket."""
    process = _context.Process(target=_run_program, args=(source, line), daemon=True)
    process.start()
    return process


def _run_program(source: str, line: socket.socket) -> None:
    sys.stdin, sys.stdout = line.makefile("r"), line.makefile("w")
    exec(source, {})


def _serve(listener: socket.socket, bug: str, variables: dict[str, str], log: str) -> None:
    os.setsid()
    if log:
        _write_to(log)
    if variables:
        _read_settings_anew(variables)
    _share_connections()
    exec(bug, {})
    from manage import main

    sys.argv = ["manage.py", "serve", "web", "--fd", str(listener.fileno())]
    main()


def _write_to(log: str) -> None:
    file = os.open(log, os.O_WRONLY | os.O_APPEND)
    for standard in (1, 2):
        os.dup2(file, standard)
    sys.stdout.reconfigure(line_buffering=True)


def _share_connections() -> None:
    """As outside of tests. A connection for each request costs more than a third of what a page does."""
    from django.conf import settings

    settings.DATABASES["default"]["OPTIONS"]["pool"] = settings.DATABASE_POOL


def _read_settings_anew(variables: dict[str, str]) -> None:
    from django.conf import Settings, settings

    os.environ.update(variables)
    for name in [name for name in sys.modules if name.startswith("config.settings")]:
        del sys.modules[name]
    stands = settings._wrapped  # also with what applications have added
    vars(stands).update(vars(Settings("config.settings")))
    vars(settings).clear()
    settings._wrapped = stands
