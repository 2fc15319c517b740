"""`$ATRIUM_DATA/run.json`: where the services that run on this data
directory are reached. Imports no Django.
"""

import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from launcher.private_files import read_json, write_json
from launcher.processes import start_token


@dataclass(frozen=True)
class RunningServices:
    """Addresses, and the process whose life stands for theirs: `up`, or PostgreSQL itself when a command
    started them.
    """

    database_url: str
    owner_database_url: str
    redis_url: str
    runtime_url: str = ""  # empty: no embedded runtime
    port: int = 0  # of the web pages; 0: none are served
    pid: int = 0
    token: str = ""  # tells this process from a later one with the same pid

    def is_alive(self) -> bool:
        return bool(self.pid) and start_token(self.pid) == self.token


def services_path(data: Path) -> Path:
    return data / "run.json"


def write_services(data: Path, *, pid: int | None = None, **addresses) -> RunningServices:
    """Replace the file, mode 0600, for the services that live as long as `pid` (default: this process)."""
    pid = pid or os.getpid()
    services = RunningServices(pid=pid, token=start_token(pid) or "", **addresses)
    write_json(services_path(data), asdict(services))
    return services


def find_services(data: Path) -> RunningServices | None:
    """The living services of this data directory; None when none run, also after a kill -9 that left the
    file.
    """
    content = read_json(services_path(data))
    known = {field.name for field in fields(RunningServices)}
    try:
        services = RunningServices(**{name: value for name, value in content.items() if name in known})
    except TypeError:  # no file, or not a whole one
        return None
    return services if services.is_alive() else None


def remove_services(data: Path) -> None:
    services_path(data).unlink(missing_ok=True)
