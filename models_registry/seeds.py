"""What this room puts into an installation at each start: the embedded runtime with its demo model, and the
providers found.
"""

from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import transaction

from models_registry.addresses import read_base_url
from models_registry.discovery import offer_providers
from models_registry.providers.embedded import Embedded
from models_registry.services import add_connection, add_model, set_model_price, update_connection
from models_registry.worlds import Connection, active_world
from tenants.models import Tenant
from tenants.occasions import platform_start
from tenants.sealing import make_data_key

RUNTIME_NAME = "Embedded runtime"
DEMO_MODEL = "atrium-tiny"
DEMO_LIMITS: dict[str, Any] = {"context_window": 512, "default_max_output_tokens": 128}
# so that costs show; the same number in each currency
DEMO_INPUT_PRICE, DEMO_OUTPUT_PRICE = Decimal("0.10"), Decimal("0.40")


@platform_start.register
def prepare_platform() -> None:
    """Seed the platform and offer the providers that answer. Tests look for no
    providers: what runs on the machine must not change them.
    """
    seed_platform(getattr(settings, "RUNTIME_URL", ""))
    if settings.ATRIUM_ENV != "test":
        offer_providers()


@transaction.atomic
def seed_platform(runtime_url: str) -> None:
    """Make the platform's data key, and with a runtime its connection and demo model. Safe to call at
    each start, inside `with platform():`.

    The runtime's port differs from start to start, so its address follows; what an operator changed on the
    model stays.
    """
    make_data_key()
    if not runtime_url:
        return
    world = active_world()
    connection = _ensure_runtime(runtime_url)
    if world.models.objects.filter(name=DEMO_MODEL).exists():
        return
    model = add_model(
        actor=None,
        connection=connection,
        name=DEMO_MODEL,
        label="Atrium Tiny",
        is_demo=True,
        licence="Apache-2.0",
        notes="A very small model for demonstrations, made with Atrium itself.",
        **DEMO_LIMITS,
    )
    for currency in Tenant.Currency.values:
        set_model_price(
            actor=None, model=model, input=DEMO_INPUT_PRICE, output=DEMO_OUTPUT_PRICE, currency=currency
        )


def _ensure_runtime(runtime_url: str) -> Connection:
    address = read_base_url(runtime_url, allow_private=True).url
    row = active_world().connections.objects.filter(kind=Embedded.kind).order_by("created_at").first()
    if row is None:
        return add_connection(
            actor=None,
            name=RUNTIME_NAME,
            kind=Embedded.kind,
            base_url=address,
            allow_private=True,
            no_storage=True,
            location="local",
        )
    if row.base_url != address:
        row = update_connection(actor=None, connection=row, base_url=address, allow_private=True)
    return row
