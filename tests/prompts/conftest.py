"""Visitors of the living house, and further web processes on the same database and Valkey."""

import contextlib
import os
from decimal import Decimal

import pytest

from tests.live import TENANTS, listen, running_web
from tests.prompts.visitor import Visitor, make_person

MODELS: dict[str, dict] = {
    "chat-3-s": {"upstream_name": "mock-tokens-60-50"},
    "chat-10-s": {"upstream_name": "mock-tokens-200-50"},
    "short-memory": {"upstream_name": "mock-echo", "context_window": 10},
    "provider-with-short-memory": {"upstream_name": "fault-context-40"},
    "reads-160": {
        "upstream_name": "fault-context-160",
        "context_window": 200,
        "default_max_output_tokens": 40,
    },
    "reads-160-unknown": {"upstream_name": "fault-context-160"},
    "short-answers": {"upstream_name": "mock", "default_max_output_tokens": 3},
    "empty-answers": {"upstream_name": "mock-usage-3-0-0-0"},
    "holds-all-back": {"upstream_name": "fault-held-back-0"},
    "thinks-6-s": {"upstream_name": "fault-thinks-6"},
    "falls-over": {"upstream_name": "fault-500", "fallbacks": ["short-answers"]},
    "retired-model": {"upstream_name": "mock", "is_enabled": False, "successor": "mock-echo"},
}


@pytest.fixture
def process_id(db):
    """A process that answers may be written in."""
    from tests.prompts.chats import make_process

    return make_process()


@pytest.fixture(scope="session")
def chat_models(house):
    """Models of our own: an answer takes 3 s, or 10 s, or what it may read is little. One token read costs 1,
    one written 2 millionths of a euro.
    """
    from models_registry.platform.models import Connection, Model
    from models_registry.services import add_model, set_model_price
    from tenants.context import platform

    with platform():
        connection = Connection.objects.get(name="mock")
        for name, fields in MODELS.items():
            if not Model.objects.filter(name=name).exists():
                model = add_model(actor=None, connection=connection, name=name, **fields)
                set_model_price(actor=None, model=model, input=Decimal(1), output=Decimal(2))
    return list(MODELS)


@pytest.fixture
def visit(house, chat_models):
    """visit(port=…, slug=…, user=…): a visitor, closed with the test."""
    with contextlib.ExitStack() as stack:

        def arrive(port: int = 0, slug: str = TENANTS[0], user=None) -> Visitor:
            return stack.enter_context(Visitor(port or house.port, slug, user or make_person(slug)))

        yield arrive


@contextlib.contextmanager
def another_web(**environment: str):
    """A further web process: (its port, the process)."""
    with (
        listen() as listener,
        running_web(listener, {**os.environ, "PYTHONUNBUFFERED": "1", **environment}) as process,
    ):
        yield listener.getsockname()[1], process


@pytest.fixture(scope="module")
def second_port(house, chat_models):
    """The port of a second web process."""
    with another_web() as (port, _process):
        yield port


@pytest.fixture
def as_bob(acme, bob):
    return acme.login_as(bob)


@pytest.fixture
def offer(db):
    """offer(name, (input, output) per million or None, **fields): a model of Acme's own."""

    from models_registry.models import Connection
    from models_registry.services import add_connection, add_model, set_model_price

    def make(name: str, price: tuple[str, str] | None = None, **fields):
        connection = Connection.objects.first() or add_connection(
            actor=None, name="own", kind="openai_compatible", base_url="https://api.example.com/v1"
        )
        model = add_model(actor=None, connection=connection, name=name, **fields)
        if price:
            set_model_price(actor=None, model=model, input=Decimal(price[0]), output=Decimal(price[1]))
        return model

    return make
