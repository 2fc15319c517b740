"""The house alive: a web process on a real port, a mock upstream behind it, and two tenants of its own,
`live-one` and `live-two`.

Black-box tests use the fixture `house`; it is started once, and what it writes is committed.
"""

import contextlib
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import openai
import pytest

from tests.doubles import MockLLM, running_mockllm
from tests.planted import PlantedProcess, find_variables

ROOT = Path(__file__).resolve().parent.parent
TENANTS = ("live-one", "live-two")
READY_S = 30
MODELS_WITH_PRICE = ["mock"]
MORE_MODELS = [
    "mock-tokens-100-20",
    "mock-tokens-200-20",
    "mock-tokens-60-50",
    "mock-tokens-300-20",
    "mock-slow-3000",
    "fault-reset-mid-stream-5",
]  # what the mock can do beyond its catalogue


@dataclass
class House:
    port: int
    mock: MockLLM
    keys: dict[str, str] = field(default_factory=dict)
    web: subprocess.Popen | PlantedProcess | None = None
    stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @property
    def base_url(self) -> str:
        return f"http://localhost:{self.port}/v1"

    def client(self, slug: str = TENANTS[0], key: str = "") -> openai.OpenAI:
        """The official client with a tenant's key; closed with the house."""
        return self.stack.enter_context(
            openai.OpenAI(base_url=self.base_url, api_key=key or self.keys[slug], max_retries=0, timeout=30)
        )

    def async_client(self, slug: str = TENANTS[0], **options) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(
            base_url=self.base_url, api_key=self.keys[slug], max_retries=0, timeout=60, **options
        )

    def post(self, body, slug: str = TENANTS[0], path: str = "chat/completions", **options) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.keys[slug]}"} | options.pop("headers", {})
        kind = {"content": body} if isinstance(body, bytes) else {"json": body}
        return httpx.post(f"{self.base_url}/{path}", headers=headers, timeout=60, **kind, **options)


PLANTED = """
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
import django
django.setup()
{bug}
from manage import main
main()
"""


@contextlib.contextmanager
def running_web(port_socket: socket.socket, environment: dict[str, str], bug: str = "", log=None):
    """`manage.py serve web` on an inherited socket, ready; `bug` is Python that breaks something
    first, to see whether a proof notices; `log`: an open file, which has a name, for what it says.
    """
    process = _start_web(port_socket, environment, bug, log)
    try:
        wait_until_ready(process, port_socket.getsockname()[1])
        yield process
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _start_web(port_socket: socket.socket, environment: dict[str, str], bug: str, log):
    if (variables := find_variables(environment)) is not None:
        return PlantedProcess(port_socket, bug, variables, log.name if log else "")
    port_socket.set_inheritable(True)
    program = ["-c", PLANTED.format(bug=bug)] if bug else ["manage.py"]
    return subprocess.Popen(
        [sys.executable, *program, "serve", "web", "--fd", str(port_socket.fileno())],
        cwd=ROOT,
        env=environment,
        pass_fds=[port_socket.fileno()],
        start_new_session=True,
        stdout=log,
        stderr=log,
    )


def wait_until_ready(process: subprocess.Popen | PlantedProcess, port: int) -> None:
    end = time.monotonic() + READY_S
    while time.monotonic() < end:
        assert process.poll() is None, f"the web process ended with code {process.returncode}"
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"http://127.0.0.1:{port}/healthz/ready", timeout=5).status_code == 200:
                return
        time.sleep(0.05)
    raise AssertionError("the web process did not become ready")


def listen() -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen(2048)
    return listener


def make_tenant_with_key(slug: str) -> str:
    from accounts.services import create_api_key, create_user
    from tenants.context import tenant
    from tenants.provisioning.services import create_tenant

    create_tenant(slug=slug, name=slug, host=f"{slug}.localhost", plan="unlimited")
    with tenant(slug):
        user = create_user(
            actor=None,
            email=f"erin@{slug}.example",
            name="Erin",
            password="correct horse battery staple",
            roles=["owner"],
        )
        return create_api_key(actor=None, user=user, name="live", scopes=["inference", "read", "manage"])[1]


def add_mock_connection(base_url: str) -> None:
    """The mock's whole catalogue as the platform's models; `mock` costs 1 and 2 EUR per million tokens."""
    from decimal import Decimal

    from models_registry.platform.models import Model
    from models_registry.services import add_connection, add_model, set_model_price, sync_catalogue
    from tenants.context import platform

    with platform():
        connection = add_connection(
            actor=None, name="mock", kind="openai_compatible", base_url=base_url, allow_private=True
        )
        sync_catalogue(actor=None, connection=connection)
        for name in MORE_MODELS:
            if not Model.objects.filter(name=name).exists():
                add_model(actor=None, connection=connection, name=name)
        for name in MODELS_WITH_PRICE:
            set_model_price(
                actor=None, model=Model.objects.get(name=name), input=Decimal(1), output=Decimal(2)
            )


@contextlib.contextmanager
def house_with_bug(house: House, bug: str, log=None, **variables: str):
    """The same house behind another web process that has a planted bug, a log or other variables."""
    with listen() as listener, contextlib.ExitStack() as stack:
        environment = os.environ | variables
        web = stack.enter_context(running_web(listener, environment, bug, log))
        yield House(listener.getsockname()[1], house.mock, house.keys, web, stack)


@pytest.fixture(scope="session")
def house(django_db_setup, django_db_blocker):
    """A running platform; see the module."""
    with contextlib.ExitStack() as stack, django_db_blocker.unblock():
        mock = stack.enter_context(running_mockllm())
        listener = stack.enter_context(listen())
        house = House(listener.getsockname()[1], mock)
        stack.enter_context(house.stack)
        for slug in TENANTS:
            house.keys[slug] = make_tenant_with_key(slug)
        add_mock_connection(mock.base_url)
        house.web = stack.enter_context(running_web(listener, dict(os.environ)))
        yield house
