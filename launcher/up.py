"""`manage.py up`: everything Atrium needs on one machine, in one terminal. `manage.py` calls it before it
imports Django.

Starts the embedded PostgreSQL and Valkey (unless the environment names others), prepares the database, starts
web, worker and the embedded runtime, says when they are ready, keeps them running, and ends all of them on
Ctrl-C. A guardian does that if we are killed ourselves.
"""

import argparse
import contextlib
import errno
import json
import os
import secrets
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from launcher import embedded, locks, process_plan, services_file, sockets
from launcher.banner import ready_banner
from launcher.data_folders import DataFolders, prepare_data, prepare_folders
from launcher.errors import ServiceError
from launcher.guardian import clear_up
from launcher.output import Terminal
from launcher.postgres import APP, OWNER, Postgres
from launcher.probe import ReadinessProbe
from launcher.process_plan import Addresses, Options, ProcessPlan
from launcher.supervisor import StopRequested, Supervisor
from launcher.valkey import Valkey

SERVICES_TIMEOUT_S = 60.0
PREPARE_TIMEOUT_S = 900.0  # an upgrade of many tenants takes minutes
READY_TIMEOUT_S = 90.0
DEATHS_BEFORE_READY = 4  # then it is no accident any more
SUCCESS, FAILURE, WRONG_USAGE = 0, 1, 2

MakePlan = Callable[[Options, Addresses], ProcessPlan]


class Refused(Exception):
    """We cannot start here, and the person can do something about it."""


def main(argv: Sequence[str] | None = None, *, make_plan: MakePlan = process_plan.make_plan) -> int:
    """Run until stopped; the exit code: 0 stopped as asked, 1 something failed, 2 wrong usage. Tests hand in
    their own children.
    """
    began = time.monotonic()
    arguments = _parse(argv)
    terminal = Terminal(is_verbose=arguments.verbose)
    try:
        data = prepare_data(arguments.data)
        lock = locks.take_alone(data)
        try:
            clear_up(data)
            with contextlib.ExitStack() as stack:
                listeners = [stack.enter_context(one) for one in _listen(arguments.host, arguments.port)]
                options = Options(data, listeners, arguments.host, arguments.workers, not arguments.no_demo)
                return _run(options, terminal, make_plan, began)
        finally:
            os.close(lock)
    except (Refused, ServiceError) as exc:
        terminal.warn(str(exc))
        return WRONG_USAGE


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="manage.py up", description="Start Atrium on this machine. Ctrl-C stops everything."
    )
    parser.add_argument(
        "--port", type=int, default=8000, help="of the web pages and the API (0: any free one)"
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; 0.0.0.0 for all of IPv4, :: for all there are",
    )
    parser.add_argument(
        "--data", type=Path, default=_default_data(), help="folder for databases, files, mails and logs"
    )
    parser.add_argument("--workers", type=int, default=1, help="number of web processes")
    parser.add_argument("--no-demo", action="store_true", help="make no demonstration tenants")
    parser.add_argument("--verbose", action="store_true", help="show all that the processes say")
    arguments = parser.parse_args(argv)
    if not 0 <= arguments.port <= 65_535:
        parser.error("--port must be between 0 and 65535.")
    if not 1 <= arguments.workers <= 64:
        parser.error("--workers must be between 1 and 64.")
    return arguments


def _default_data() -> Path:
    return Path(os.environ.get("ATRIUM_DATA") or process_plan.ROOT / "var")


def _listen(host: str, port: int) -> list[socket.socket]:
    """The bound sockets that the web processes inherit, so that none of them ever finds its port taken."""
    try:
        return sockets.listen(host, port)
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE:
            raise Refused(
                f"Port {port} is in use by another program. Choose another one: make run PORT={port + 1}"
            ) from exc
        raise Refused(
            f"Cannot listen on {host}, port {port}: {exc.strerror}. Choose others: manage.py up --host "
            "127.0.0.1 --port 8000"
        ) from exc


def _run(options: Options, terminal: Terminal, make_plan: MakePlan, began: float) -> int:
    terminal.say(f"Atrium starts on http://localhost:{options.port}/ (data in {options.data}) …")
    try:
        with Supervisor(options.data, terminal) as supervisor:
            try:
                addresses = _start_all(supervisor, options, make_plan)
                seconds = time.monotonic() - began
                models = process_plan.find_models(options.data) if addresses.runtime_url else None
                terminal.say(ready_banner(options.data, options.port, seconds=seconds, models=models))
                supervisor.run_until_stopped()
            except StopRequested:
                pass
            services_file.remove_services(options.data)
            terminal.say("Atrium stops …")
    except ServiceError as exc:
        terminal.warn(str(exc))
        return FAILURE
    finally:
        services_file.remove_services(options.data)
    return SUCCESS


def _start_all(supervisor: Supervisor, options: Options, make_plan: MakePlan) -> Addresses:
    """Everything up to the first 200 of /healthz/ready. Raises ServiceError that says what is missing, or
    StopRequested.
    """
    supervisor.start(process_plan.guardian(options.data))
    external = _external_services()
    folders = prepare_folders(options.data)
    addresses = _addresses(folders, external)
    children = make_plan(options, addresses)
    prepared = process_plan.prepared_file(options.data)
    prepared.unlink(missing_ok=True)
    servers = process_plan.embedded_servers(folders, external)
    for spec in [*children.early, *(spec for spec, _ in servers.values())]:
        supervisor.start(spec)
    _wait_for_servers(supervisor, {name: server for name, (_, server) in servers.items()})
    if children.prepare is not None:
        _warn_of_failures(supervisor, supervisor.run_job(children.prepare, timeout_s=PREPARE_TIMEOUT_S))
    prepared.touch()
    services_file.write_services(
        options.data,
        database_url=addresses.database_url,
        owner_database_url=addresses.owner_database_url,
        redis_url=addresses.redis_url,
        runtime_url=addresses.runtime_url,
        port=options.port,
    )
    for spec in children.late:
        supervisor.start(spec)
    _wait_until_ready(
        supervisor,
        options,
        [spec.name for spec in (*children.early, *children.late) if spec.name != "runtime"],
    )
    return addresses


def _warn_of_failures(supervisor: Supervisor, report: str) -> None:
    """Name the tenants whose upgrade failed; `report` is the JSON line that `prepare` ends with."""
    with contextlib.suppress(ValueError, AttributeError):
        if failed := json.loads(report).get("failed"):
            supervisor.terminal.warn(
                f"These tenants could not be upgraded: {', '.join(failed)}. Why: "
                f"{supervisor.data / 'logs' / 'prepare.log'}"
            )


def _external_services() -> dict[str, str]:
    """Addresses that the environment names; those missing are embedded.
    Raises ServiceError for half a database.
    """
    names = ("DATABASE_URL", "ATRIUM_OWNER_DATABASE_URL", "REDIS_URL")
    found = {name: value for name in names if (value := process_plan.read_environment(name))}
    if ("DATABASE_URL" in found) != ("ATRIUM_OWNER_DATABASE_URL" in found):
        raise ServiceError(
            "DATABASE_URL and ATRIUM_OWNER_DATABASE_URL belong together: set both, or neither for the "
            "embedded PostgreSQL."
        )
    return found


def _addresses(folders: DataFolders, external: dict[str, str]) -> Addresses:
    """The environment's own services and keys, else the embedded ones and the keys kept in the data
    directory.
    """
    postgres = Postgres(folders)
    given = {
        name: process_plan.read_environment(name) for name in ("ATRIUM_SECRET_KEY", "ATRIUM_MASTER_KEYS")
    }
    if not all(given.values()):
        kept = embedded.load_secrets(folders.data)
        given = {name: value or kept[name.removeprefix("ATRIUM_").lower()] for name, value in given.items()}
    return Addresses(
        external.get("DATABASE_URL") or postgres.url(APP),
        external.get("ATRIUM_OWNER_DATABASE_URL") or postgres.url(OWNER),
        external.get("REDIS_URL") or Valkey(folders).url(),
        process_plan.find_runtime_url(),
        given,
        process_plan.read_environment("ATRIUM_RUNTIME_TOKEN") or secrets.token_urlsafe(32),
    )


def _wait_for_servers(supervisor: Supervisor, servers: dict[str, Postgres | Valkey]) -> None:
    """Wait until the embedded servers answer, and create what PostgreSQL lacks. Raises ServiceError with the
    last words of the one that does not.
    """
    children = {name: supervisor.children[name] for name in servers}

    def are_settled() -> bool:
        return all(
            servers[name].is_ready() or children[name].deaths >= DEATHS_BEFORE_READY for name in servers
        )

    supervisor.wait_until(are_settled, SERVICES_TIMEOUT_S)
    for name, server in servers.items():
        if not server.is_ready():
            words = "\n".join(children[name].log.last_lines[-6:])
            raise ServiceError(
                f"The embedded {name} did not start. Its log: {supervisor.data / 'logs' / name}.log\n{words}"
            )
        if isinstance(server, Postgres):
            server.set_up()


def _wait_until_ready(supervisor: Supervisor, options: Options, names: list[str]) -> None:
    """Wait for the web process's 200. Raises ServiceError with what is missing and the last words of who
    keeps ending.
    """
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(options.host, options.host)  # noqa: S104
    probe = ReadinessProbe(supervisor.selector, (host, options.port), "/healthz/ready")

    def broken() -> list[str]:
        return [name for name in names if supervisor.children[name].deaths >= DEATHS_BEFORE_READY]

    try:
        if (
            supervisor.wait_until(lambda: probe.check() or bool(broken()), READY_TIMEOUT_S)
            and probe.status == 200
        ):
            return
    finally:
        probe.close()
    words = [
        f"--- {name}: {supervisor.data / 'logs' / name}.log\n"
        + "\n".join(supervisor.children[name].log.last_lines[-12:])
        for name in broken() or names
    ]
    raise ServiceError(f"Atrium did not become ready; /healthz/ready: {probe.explain()}\n" + "\n".join(words))
