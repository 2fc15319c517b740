"""PostgreSQL and Valkey out of wheels, below one data directory: for `manage.py` commands, tests and benches.
Imports no Django.

`up` runs the same servers itself (launcher.up), since it also restarts them. Whoever starts them here also
starts a guardian, so that nothing stays behind after a kill -9.
"""

import atexit
import base64
import contextlib
import functools
import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from launcher import locks, services_file
from launcher.data_folders import SERVER_ENVIRONMENT, prepare_data, prepare_folders
from launcher.errors import ServiceError
from launcher.guardian import ROOT, clear_up, guardian_command
from launcher.output import open_log
from launcher.postgres import APP, OWNER, Postgres
from launcher.private_files import write_json_once
from launcher.processes import POSTGRES_LADDER, TERM_LADDER, describe, read_pids, wait_until, write_pids
from launcher.valkey import Valkey

__all__ = [
    "ServiceError",
    "Services",
    "embedded_services",
    "is_healthy",
    "load_secrets",
    "services_for_command",
    "start_services",
    "stop_services",
]

READY_TIMEOUT_S = 60.0
STOP_PATIENCE_S = 10.0
REAP_TIMEOUT_S = 5.0
# backends of a killed PostgreSQL need a moment to notice; until then it refuses to start
START_DELAYS_S = (0.0, 0.2, 0.5, 1.0, 2.0, 4.0)
_children: dict[Path, list[subprocess.Popen]] = {}  # by data directory, so that they can be reaped


@dataclass(frozen=True)
class Services:
    """Addresses of the two servers: libpq URLs of both log-ins, and `unix://` with the socket's path."""

    database_url: str
    owner_database_url: str
    redis_url: str


@contextlib.contextmanager
def embedded_services(data: Path | str, *, test: bool = False) -> Iterator[Services]:
    """Both servers, running while the block runs, for this process alone. `test=True` gives up durability for
    speed.

    Raises ServiceError when the data directory is in use or cannot be written. Further instances on
    other directories may run beside it.
    """
    data = prepare_data(Path(data))
    descriptor = locks.take_alone(data)
    try:
        clear_up(data)
        services = start_services(data, test=test)
        services_file.write_services(data, **vars(services))
        try:
            yield services
        finally:
            stop_services(data)
    finally:
        os.close(descriptor)


@functools.cache
def services_for_command(data: Path) -> Services:
    """The services of a living `up` on this data directory; else those that commands share: started by
    the first, stopped after the last.

    Raises ServiceError. Calling it again in the same process gives the same answer.
    """
    data = prepare_data(Path(data))
    with locks.starting(data):
        deadline = time.monotonic() + READY_TIMEOUT_S
        while (descriptor := locks.try_share(data)) is None:  # an `up` runs, or is starting or stopping
            running = services_file.find_services(data)
            if running is not None:
                return _addresses(running)
            if time.monotonic() > deadline:
                raise ServiceError(
                    f"An Atrium has held {data} for {READY_TIMEOUT_S:.0f} s without being ready. Look at its "
                    f"window, or into {data / 'logs'}."
                )
            time.sleep(0.1)
        atexit.register(_leave, data, descriptor, os.getpid())
        running = services_file.find_services(data)
        if running is not None and is_healthy(data):
            return _addresses(running)
        clear_up(data)
        services = start_services(data)
        server = next(process for process in read_pids(data) if process.name == "postgres")
        services_file.write_services(data, pid=server.pid, **vars(services))
        return services


def load_secrets(data: Path) -> dict[str, str]:
    """`secret_key` and `master_keys` (a comma-separated list of Fernet keys) of this data directory,
    made at the first call, mode 0600.
    """
    data = prepare_data(Path(data))
    return write_json_once(
        data / "secrets.json", {"secret_key": secrets.token_urlsafe(48), "master_keys": _new_fernet_key()}
    )


def _new_fernet_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def start_services(data: Path, *, test: bool = False) -> Services:
    """Start both servers and their guardian, and wait until they answer. The caller holds the data
    directory's lock and calls stop_services.

    Raises ServiceError with the last lines of the logs; then nothing is left running.
    """
    folders = prepare_folders(data)
    postgres, valkey = Postgres(folders, test), Valkey(folders)
    try:
        _start(data, "guardian", guardian_command(data), stage=2, folder=ROOT)
        for delay_s in START_DELAYS_S:
            time.sleep(delay_s)
            if not valkey.is_ready():
                _start_server(data, "valkey", valkey, stage=0)
            _start_server(data, "postgres", postgres, stage=1, ladder=POSTGRES_LADDER)
            if wait_until(
                lambda: is_healthy(data) or _has_ended(data, "postgres"), READY_TIMEOUT_S
            ) and is_healthy(data):
                break
        else:
            raise ServiceError(f"The embedded services did not start. {_last_words(data)}")
        postgres.set_up()
    except BaseException:
        stop_services(data)
        raise
    return Services(postgres.url(APP), postgres.url(OWNER), valkey.url())


def stop_services(data: Path) -> None:
    """Stop the servers, PostgreSQL last, and their guardian. Safe to call twice."""
    clear_up(data, patience_s=STOP_PATIENCE_S)
    for child in _children.pop(data, []):
        child.wait(REAP_TIMEOUT_S)


def is_healthy(data: Path) -> bool:
    """Whether both servers of this data directory answer. Logs in nowhere, so it costs well below a
    millisecond.
    """
    folders = prepare_folders(data)
    return Postgres(folders).is_ready() and Valkey(folders).is_ready()


def _leave(data: Path, descriptor: int, starter: int) -> None:
    """At the end of a command: stop the services unless another command still uses them."""
    if os.getpid() != starter:  # a forked child, whose parent still works
        return
    with locks.starting(data):
        if locks.try_become_last(descriptor):
            stop_services(data)
        os.close(descriptor)


def _addresses(running: services_file.RunningServices) -> Services:
    return Services(running.database_url, running.owner_database_url, running.redis_url)


def _start_server(data: Path, name: str, server: Postgres | Valkey, **details) -> None:
    server.prepare()
    _start(
        data,
        name,
        server.command(),
        options={"env": SERVER_ENVIRONMENT, **server.folders.account.popen_arguments()},
        **details,
    )


def _start(
    data: Path,
    name: str,
    command: list[str],
    *,
    stage: int,
    ladder=TERM_LADDER,
    folder: Path | str = "/",
    options: dict | None = None,
) -> None:
    """Start a process in a session of its own, so that Ctrl-C reaches only us, with its log; note it for the
    guardian.
    """
    log = open_log(data / "logs" / f"{name}.log")
    try:
        child = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            **(options or {}),
        )
    finally:
        os.close(log)
    _children.setdefault(data, []).append(child)
    write_pids(
        data,
        [
            *(process for process in read_pids(data) if process.name != name),
            describe(name, child.pid, stage=stage, ladder=ladder),
        ],
    )


def _has_ended(data: Path, name: str) -> bool:
    return not any(process.name == name and process.is_alive() for process in read_pids(data))


def _last_words(data: Path) -> str:
    """The last lines of both servers' logs."""
    words = []
    for name in ("postgres", "valkey"):
        lines = (data / "logs" / f"{name}.log").read_text(errors="replace").splitlines()
        words += [f"{name}: {line}" for line in lines[-2:]]
    return " / ".join(words) or f"See {data / 'logs'}."
