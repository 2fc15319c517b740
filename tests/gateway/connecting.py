"""A connection of the running house to a server of the test, for as long as that runs."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal

from asgiref.sync import sync_to_async

from models_registry import services
from models_registry.models import Connection
from tenants.context import platform


@sync_to_async
def _add(kind: str, base_url: str, models: Mapping[str, str], price: Mapping[str, Decimal]) -> Connection:
    with platform():
        row = services.add_connection(
            actor=None, name="Vendor", kind=kind, base_url=base_url, allow_private=True, secret="sk-1"
        )
        for name, model_kind in models.items():
            model = services.add_model(actor=None, connection=row, name=name, kind=model_kind)
            if price:
                services.set_model_price(actor=None, model=model, **price)
        return row


@sync_to_async
def _remove(row: Connection) -> None:
    with platform():
        services.remove_connection(actor=None, connection=row, force=True)


@contextlib.asynccontextmanager
async def connected(
    kind: str, base_url: str, models: Mapping[str, str], **price: Decimal
) -> AsyncIterator[None]:
    """`models`: the kind of each, by its name. Every tenant may call them."""
    row = await _add(kind, base_url, models, price)
    try:
        yield
    finally:
        await _remove(row)
