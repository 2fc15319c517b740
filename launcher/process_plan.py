"""What `up` runs: which children, with which command line and which part of the environment each."""

import importlib.util
import os
import re
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from launcher.children import ChildSpec
from launcher.data_folders import SERVER_ENVIRONMENT, DataFolders
from launcher.errors import ServiceError
from launcher.guardian import ROOT, guardian_command
from launcher.output import FATAL, NOTHING
from launcher.postgres import Postgres
from launcher.private_files import read_json
from launcher.processes import POSTGRES_LADDER
from launcher.valkey import Valkey
from launcher.values import read_value

# What may open the database, the tenants' secrets or a provider's account:
# each child gets only those it needs.
OWN_SECRETS = (
    "DATABASE_URL",
    "ATRIUM_OWNER_DATABASE_URL",
    "REDIS_URL",
    "ATRIUM_SECRET_KEY",
    "ATRIUM_MASTER_KEYS",
    "ATRIUM_EMAIL_URL",
    "ATRIUM_RUNTIME_TOKEN",
)
PROGRESS = re.compile(r"^(?!\{)")  # all that `prepare` says except its closing JSON line
RUNTIME_NICENESS = 5  # it loads its model while the web process starts, which should win
PROVISIONING_NICENESS = 10  # it waits for orders, mostly
MODELS = ROOT / "runtimes" / "models"
RECIPES = ROOT / "runtimes" / "recipes"
MODEL_FILES = ROOT / ".models"  # what requirements/fetch_models.py has fetched
DRAIN_S = 7  # who presses Ctrl-C waits for it
MOST_RUNTIME_THREADS = 4  # half of the cores, but no more: beyond, small models gain little


@dataclass(frozen=True)
class Options:
    """What the person asked for; `listeners` are the bound sockets, on one port, that the web
    processes share.
    """

    data: Path
    listeners: list[socket.socket]
    host: str = "127.0.0.1"
    workers: int = 1
    has_demo: bool = True

    @property
    def port(self) -> int:
        return self.listeners[0].getsockname()[1]


@dataclass(frozen=True)
class Addresses:
    """Where the services are, for the environment of the children and for run.json."""

    database_url: str
    owner_database_url: str
    redis_url: str
    runtime_url: str = ""
    secrets: Mapping[str, str] = field(default_factory=dict)  # environment variables
    runtime_token: str = ""  # for the runtime and who seals it into the runtime's connection: `prepare`


@dataclass(frozen=True)
class ProcessPlan:
    """`early` starts beside the database, `prepare` runs once it is there, `late` after that. A web process
    starts early and waits for `prepared_file`.
    """

    early: list[ChildSpec]
    prepare: ChildSpec | None
    late: list[ChildSpec]


def read_environment(name: str) -> str:
    """The variable, or what the file in NAME_FILE holds. Raises ServiceError when that cannot be read."""
    path = os.environ.get(f"{name}_FILE")
    try:
        return read_value(Path(path)) if path else os.environ.get(name, "").strip()
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or "it is not text"
        raise ServiceError(f"{name}_FILE names {path}, which cannot be read: {reason}.") from exc


def read_drain_s() -> int:
    """How long a web process lets answers under way go on. What is no such number, it says itself."""
    text = read_environment("ATRIUM_DRAIN_S")
    return int(text) if text.isascii() and text.isdigit() else DRAIN_S


def make_plan(options: Options, addresses: Addresses) -> ProcessPlan:
    """The platform's own processes. Only `prepare` and the worker that sets tenants up get the owner's
    log-in.
    """
    common = _common_environment(options, addresses)
    owner = common | {"ATRIUM_OWNER_DATABASE_URL": addresses.owner_database_url}
    manage = [sys.executable, str(ROOT / "manage.py")]
    prepare = ChildSpec(
        "prepare",
        [*manage, "prepare", *["--demo"] * options.has_demo],
        owner | ({"ATRIUM_RUNTIME_TOKEN": addresses.runtime_token} if addresses.runtime_url else {}),
        ROOT,
        loud=PROGRESS,
        is_job=True,
    )
    names = ["web"] if options.workers == 1 else [f"web-{number}" for number in range(1, options.workers + 1)]
    descriptors = tuple(listener.fileno() for listener in options.listeners)
    after = str(prepared_file(options.data))
    serve_web = [*manage, "serve", "web", "--fd", *map(str, descriptors), "--after", after]
    early = [
        ChildSpec(name, serve_web, common, ROOT, inherited=descriptors, drain_s=read_drain_s())
        for name in names
    ]
    if addresses.runtime_url:
        early.append(_runtime(options.data, addresses))
    serve_worker = [*manage, "serve", "worker"]
    late = [
        ChildSpec("worker", [*serve_worker, "--scheduler"], common, ROOT),
        ChildSpec(
            "worker-provisioning",
            [*serve_worker, "--queues", "provisioning", "--concurrency", "1"],
            owner,
            ROOT,
            niceness=PROVISIONING_NICENESS,
        ),
    ]
    return ProcessPlan(early, prepare, late)


def prepared_file(data: Path) -> Path:
    """Exists while the database is prepared for the running code: web processes load their code meanwhile,
    and open their doors when it comes.
    """
    return data / "run" / "prepared"


def _common_environment(options: Options, addresses: Addresses) -> dict[str, str]:
    environment = _without_secrets(keep=("ATRIUM_EMAIL_URL",)) | dict(addresses.secrets)
    environment |= {
        "DATABASE_URL": addresses.database_url,
        "REDIS_URL": addresses.redis_url,
        "ATRIUM_DATA": str(options.data),
        "ATRIUM_PORT": str(options.port),
        "ATRIUM_ENV": os.environ.get("ATRIUM_ENV") or "development",
        "ATRIUM_DRAIN_S": str(read_drain_s()),
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "PYTHONUNBUFFERED": "1",
    }
    if addresses.runtime_url:
        environment["ATRIUM_RUNTIME_URL"] = addresses.runtime_url
    return environment


def _without_secrets(keep: tuple[str, ...] = ()) -> dict[str, str]:
    dropped = {form for name in OWN_SECRETS if name not in keep for form in (name, f"{name}_FILE")}
    return {name: value for name, value in os.environ.items() if name not in dropped}


def _runtime(data: Path, addresses: Addresses) -> ChildSpec:
    """It makes the first models below the data directory, of the files that were fetched."""
    host, _, port = addresses.runtime_url.removeprefix("http://").rpartition(":")
    made = str(made_models(data))
    command = [sys.executable, "-m", "runtimes.ml.server", "--models", str(MODELS), "--models", made]
    command += ["--sources", str(MODEL_FILES), "--make-in", made, "--port", port, "--host", host]
    command += ["--threads", str(max(1, min(MOST_RUNTIME_THREADS, (os.cpu_count() or 1) // 2)))]
    environment = _without_secrets() | {
        "PYTHONUNBUFFERED": "1",
        "ATRIUM_RUNTIME_TOKEN": addresses.runtime_token,
    }
    return ChildSpec("runtime", command, environment, ROOT, niceness=RUNTIME_NICENESS)


def made_models(data: Path) -> Path:
    return data / "models"


def find_runtime_url() -> str:
    """An address for the embedded runtime on a port that is free now; empty when PyTorch is not installed."""
    if importlib.util.find_spec("torch") is None:
        return ""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


@dataclass(frozen=True)
class RuntimeModels:
    """The models that the embedded runtime serves, will serve, and would serve if their files were here."""

    demo: str
    to_be_made: list[str]
    missing: list[str]


def find_models(data: Path, recipes: Path = RECIPES, files: Path = MODEL_FILES) -> RuntimeModels:
    demo = next((folder.name for folder in sorted(MODELS.glob("*")) if (folder / "config.json").exists()), "")
    unmade = [path for path in sorted(recipes.glob("*")) if not (made_models(data) / path.name).is_dir()]
    sources = {path.name: files / read_json(path / "manifest.json")["origin"]["file"] for path in unmade}
    return RuntimeModels(
        demo,
        to_be_made=[name for name, source in sources.items() if source.is_file()],
        missing=[name for name, source in sources.items() if not source.is_file()],
    )


def guardian(data: Path) -> ChildSpec:
    return ChildSpec("guardian", guardian_command(data), folder=ROOT, stage=3)


def embedded_servers(
    folders: DataFolders, external: Mapping[str, str]
) -> dict[str, tuple[ChildSpec, Postgres | Valkey]]:
    """The servers that the environment does not name, by name, with how to run them."""
    postgres, valkey = Postgres(folders), Valkey(folders)
    servers: dict[str, tuple[ChildSpec, Postgres | Valkey]] = {}
    if "REDIS_URL" not in external:
        servers["valkey"] = (_valkey_child(valkey), valkey)
    if "DATABASE_URL" not in external:
        servers["postgres"] = (_postgres_child(postgres), postgres)
    return servers


def _valkey_child(server: Valkey) -> ChildSpec:
    account = server.folders.account.popen_arguments()
    return ChildSpec(
        "valkey",
        server.command(),
        SERVER_ENVIRONMENT,
        stage=1,
        before=server.prepare,
        popen_arguments=account,
        loud=NOTHING,
    )


def _postgres_child(server: Postgres) -> ChildSpec:
    """Stopped last of all servers. Its ERROR lines are the answers to its clients, who report them
    themselves.
    """
    account = server.folders.account.popen_arguments()
    return ChildSpec(
        "postgres",
        server.command(),
        SERVER_ENVIRONMENT,
        stage=2,
        ladder=POSTGRES_LADDER,
        before=server.prepare,
        popen_arguments=account,
        loud=FATAL,
    )
