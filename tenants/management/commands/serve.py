"""`manage.py serve web | gateway | worker | runtime | scheduler`: each kind of process."""

import logging
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils.module_loading import import_string

from foundation import draining
from launcher.sockets import listen

logger = logging.getLogger(__name__)

LOOPBACK = ("127.0.0.1", "::1", "localhost")
PREPARED_TIMEOUT_S, LOOK_EVERY_S = 900, 0.02
PROVISIONING = "provisioning"  # the queue of what needs the owner's log-in


class Command(BaseCommand):
    help = (
        "Run one kind of process: web (pages and /v1), gateway (/v1), worker, scheduler, or the embedded "
        "runtime."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser) -> None:
        parser.add_argument("kind", choices=["web", "gateway", "worker", "scheduler", "runtime"])
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument(
            "--fd", type=int, nargs="+", help="inherited listening sockets, instead of host and port"
        )
        parser.add_argument(
            "--after",
            type=Path,
            metavar="FILE",
            help="with web and gateway: load the code, then wait until this file exists",
        )
        parser.add_argument(
            "--scheduler", action="store_true", help="with worker: run the scheduler in the same process"
        )
        parser.add_argument(
            "--queues",
            help="with worker: all, but provisioning only where the process has the owner's log-in",
        )
        parser.add_argument(
            "--concurrency",
            type=int,
            default=4,
            help="with worker: how many tasks at once, and pieces of work of each queue",
        )
        parser.add_argument("--models", action="append", help="with runtime: folders of models")

    def handle(self, *args, **options) -> None:
        getattr(self, f"serve_{options['kind']}")(options)

    def _check_start(self) -> None:
        """Refuse what would serve without keeping its promises. A database that is away is waited for
        elsewhere.
        """
        import psycopg
        from django.core.exceptions import ImproperlyConfigured
        from django.db import DatabaseError, connections

        from tenants.start import check_start

        try:
            check_start()
        except ImproperlyConfigured as exc:
            raise CommandError(str(exc)) from exc
        except (psycopg.OperationalError, DatabaseError):
            logger.warning(
                "the database does not answer, or is not set up: it could not be checked at the start"
            )
        finally:
            connections.close_all()  # back to the pool: this thread asks the database nothing more

    def serve_web(self, options) -> None:
        self._serve_asgi("config.asgi:application", options)

    def serve_gateway(self, options) -> None:
        self._serve_asgi("config.asgi:gateway_only", options)

    def _serve_asgi(self, target: str, options) -> None:
        from django.core.management import call_command

        from foundation.http_server import raise_descriptor_limit

        try:
            call_command("check", fail_level="ERROR", verbosity=0)
        except CommandError as exc:
            raise CommandError(f"The configuration is not sound: {exc}") from exc
        if options["after"]:
            import_string(target.replace(":", "."))
            wait_for_file(options["after"])
        self._check_start()
        raise_descriptor_limit()
        # Sockets are handed over whole: uvicorn's own `fd` takes one for a Unix socket and leaves TCP_NODELAY
        # off, 40 ms per answer.
        config = server_config(target, options["host"], options["port"])
        make_server(config).run(sockets=self._sockets(options))

    @staticmethod
    def _sockets(options) -> list[socket.socket]:
        if options["fd"] is not None:
            return [socket.socket(fileno=descriptor) for descriptor in options["fd"]]
        try:
            return listen(options["host"], options["port"])
        except OSError as exc:
            where = f"{options['host']}, port {options['port']}"
            raise CommandError(f"Cannot listen on {where}: {exc.strerror}.") from exc

    def serve_worker(self, options) -> None:
        from tenants.work.crew import start_crews, stop_crews
        from tenants.work.kinds import list_queues

        app = import_string("config.celery.app")
        self._check_start()
        queues = (options["queues"] or default_queues()).split(",")
        if options["scheduler"]:
            threading.Thread(
                target=self._schedule_beside, args=(options,), daemon=True, name="scheduler"
            ).start()
        worker = app.Worker(
            pool="threads",
            concurrency=options["concurrency"],
            queues=queues,
            loglevel="WARNING",
            quiet=True,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
            hostname=f"atrium-{os.getpid()}@{socket.gethostname()}",
        )
        start_crews([queue for queue in queues if queue in list_queues()], options["concurrency"])
        worker.start()
        stop_crews()
        sys.exit(worker.exitcode)

    def _schedule_beside(self, options) -> None:
        """A worker without its scheduler would look healthy: the death of one is the death of both,
        and whoever watches restarts them.
        """
        try:
            self.serve_scheduler(options)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    def serve_scheduler(self, options) -> None:
        self._check_start()
        import_string("config.scheduler.run_scheduler")()

    def serve_runtime(self, options) -> None:
        command = runtime_command(options["models"], options["host"], options["port"])
        os.execv(command[0], command)


def runtime_command(models: list[str] | None, host: str, port: int) -> list[str]:
    """How the embedded runtime is run. Without folders named, it serves those of the installation and makes
    the first models. Raises CommandError where strangers could use it.
    """
    if not settings.RUNTIME_TOKEN and host not in LOOPBACK:
        raise CommandError(
            "Set ATRIUM_RUNTIME_TOKEN: without it, everybody who reaches the port could use the models."
        )
    command = [sys.executable, "-m", "runtimes.ml.server", "--port", str(port), "--host", host]
    for folder in models or settings.RUNTIME_MODELS:
        command += ["--models", str(folder)]
    if not models:
        made = str(settings.RUNTIME_MODELS[-1])
        command += ["--sources", str(settings.MODEL_FILES), "--make-in", made]
    return command


def wait_for_file(path: Path) -> None:
    """Raises CommandError after a quarter of an hour: upgrades of many tenants take minutes."""
    for _attempt in range(int(PREPARED_TIMEOUT_S / LOOK_EVERY_S)):
        if path.exists():
            return
        time.sleep(LOOK_EVERY_S)
    raise CommandError(f"{path} did not come to be within {PREPARED_TIMEOUT_S} s.")


def default_queues() -> str:
    """What a worker listens on. Only one with the owner's log-in may take the set-up of a tenant:
    without it, the task could but fail.
    """
    from tenants.work.kinds import list_queues

    queues = ["default", *(queue for queue in list_queues() if queue not in ("default", PROVISIONING))]
    return ",".join([*queues, PROVISIONING] if settings.HAS_OWNER_LOGIN else queues)


def make_server(config):
    """One that notes when it was told to end."""
    import uvicorn

    class Server(uvicorn.Server):
        def handle_exit(self, sig, frame) -> None:
            draining.begin()
            super().handle_exit(sig, frame)

    return Server(config)


def server_config(target: str, host: str, port: int):
    """How uvicorn serves. With TLS there is a proxy in front, whose word on the client's address
    counts if it is one of TRUSTED_PROXIES.
    """
    import uvicorn

    from foundation.http_server import MAX_CONNECTIONS, BoundedHttpProtocol

    return uvicorn.Config(
        target,
        loop="uvloop",
        http=BoundedHttpProtocol,
        limit_concurrency=MAX_CONNECTIONS,
        ws="none",
        lifespan="on",
        access_log=False,
        log_level="warning",
        log_config=None,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=settings.DRAIN_S,
        timeout_keep_alive=75,
        backlog=2048,
        h11_max_incomplete_event_size=65_536,
        proxy_headers=settings.USES_TLS,
        forwarded_allow_ips=settings.TRUSTED_PROXIES,
        host=host,
        port=port,
    )
