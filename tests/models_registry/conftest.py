"""What the tests of this room share."""

from decimal import Decimal
from types import SimpleNamespace

import pytest

from models_registry import services
from models_registry.worlds import active_world
from tests.models_registry.provider import running_provider

CANARY = "sk-canary-0123456789"


@pytest.fixture
def provider():
    with running_provider() as running:
        yield running


@pytest.fixture
def make(db):
    """Makers of connections and models in the active scope, as the command line would."""

    def connection(name: str = "Provider", **options):
        return services.add_connection(
            actor=None,
            **{"name": name, "kind": "openai_compatible", "base_url": "https://api.example.com/v1"} | options,
        )

    def model(name: str = "small", connection_row=None, **fields):
        row = connection_row or active_world().connections.objects.first() or connection()
        return services.add_model(actor=None, connection=row, name=name, **fields)

    def price(row, **amounts):
        return services.set_model_price(
            actor=None, model=row, **{"input": Decimal(1), "output": Decimal(2)} | amounts
        )

    return SimpleNamespace(connection=connection, model=model, price=price)
