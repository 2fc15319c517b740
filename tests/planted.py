"""Web processes with a planted bug, forked from a process in which Django stands: a start of its own would
take each a second of CPU more. The bug is planted before the gateway is imported, as in a start of its own.
"""

import multiprocessing
import os
import socket
import subprocess
import sys

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.planted_ground"])


class PlantedProcess:
    """What tests need of a `subprocess.Popen`."""

    def __init__(self, listener: socket.socket, bug: str) -> None:
        self._process = _context.Process(target=_serve, args=(listener, bug), daemon=True)
        self._process.start()
        self.pid = self._process.pid
        self.terminate, self.kill = self._process.terminate, self._process.kill

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout_s: float | None = None) -> None:
        self._process.join(timeout_s)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("the planted process", timeout_s or 0)


def _serve(listener: socket.socket, bug: str) -> None:
    os.setsid()
    exec(bug, {})
    from manage import main

    sys.argv = ["manage.py", "serve", "web", "--fd", str(listener.fileno())]
    main()
