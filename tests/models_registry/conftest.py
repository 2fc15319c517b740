"""What the tests of this room share."""

from decimal import Decimal
from types import SimpleNamespace

import pytest

from models_registry import services
from models_registry.worlds import PLATFORM, active_world
from tests.models_registry.provider import running_provider

CANARY = "sk-canary-0123456789"


@pytest.fixture
def provider():
    with running_provider() as running:
        yield running


@pytest.fixture
def make(db):
    """Makers of connections and models in the active scope, as the command line would. The platform's own
    connection costs it nothing, so that models there need no price.
    """

    def connection(name: str = "Provider", **options):
        usual = {"name": name, "kind": "openai_compatible", "base_url": "https://api.example.com/v1"}
        if active_world() is PLATFORM:
            usual["location"] = "local"
        return services.add_connection(actor=None, **usual | options)

    def model(name: str = "small", connection_row=None, **fields):
        row = connection_row or active_world().connections.objects.first() or connection()
        return services.add_model(actor=None, connection=row, name=name, **fields)

    def price(row, **amounts):
        return services.set_model_price(
            actor=None, model=row, **{"input": Decimal(1), "output": Decimal(2)} | amounts
        )

    return SimpleNamespace(connection=connection, model=model, price=price)


@pytest.fixture
def linked(make, provider):
    """A connection of Acme to the provider."""
    return make.connection(name="My vLLM", base_url=provider.base_url, allow_private=True)
