"""What this room puts into an installation at each start: the embedded runtime with its models, and the
providers found.
"""

from django.conf import settings
from django.db import transaction

from models_registry.addresses import read_base_url
from models_registry.discovery import offer_providers
from models_registry.embedded import DUTY, add_first_model, find_runtime, follow_runtime
from models_registry.first_models import FIRST_MODELS
from models_registry.kinds import ModelKind
from models_registry.providers.embedded import Embedded
from models_registry.services import add_connection, update_connection
from models_registry.worlds import Connection, active_world
from tenants.occasions import platform_start
from tenants.sealing import BrokenSeal, NoDataKey, make_data_key
from tenants.work.duties import note_duty

RUNTIME_NAME = "Embedded runtime"
# Shipped with Atrium, so that it is offered before the runtime answers.
DEMO_MODEL = {
    "id": "atrium-tiny",
    "kind": ModelKind.CHAT,
    "display_name": "Atrium Tiny",
    "licence": "Apache-2.0",
    "context_window": 512,
    "default_max_output_tokens": 128,
    "demo": True,
}


@platform_start.register
def prepare_platform() -> None:
    """Seed the platform and offer the providers that answer. Tests look for no
    providers: what runs on the machine must not change them.
    """
    seed_platform(settings.RUNTIME_URL, settings.RUNTIME_TOKEN)
    if settings.ATRIUM_ENV != "test":
        follow_runtime()
        offer_providers()


@transaction.atomic
def seed_platform(runtime_url: str, token: str) -> None:
    """Make the platform's data key, and with a runtime its connection and demo model. Safe to call at
    each start, inside `with platform():`.

    The runtime's port and token differ from start to start, so those follow; what an operator changed on the
    model stays. Its further models follow when it has them (models_registry.embedded).
    """
    make_data_key()
    if not runtime_url:
        return
    connection = _ensure_runtime(runtime_url, token)
    if not active_world().models.objects.filter(name=DEMO_MODEL["id"]).exists():
        add_first_model(connection, DEMO_MODEL, FIRST_MODELS["atrium-tiny"])
    note_duty(DUTY)


def _ensure_runtime(runtime_url: str, token: str) -> Connection:
    """Without a token, the one that is stored stays: somebody runs the runtime by other means."""
    address = read_base_url(runtime_url, allow_private=True).url
    row = find_runtime()
    if row is None:
        return add_connection(
            actor=None,
            name=RUNTIME_NAME,
            kind=Embedded.kind,
            base_url=address,
            secret=token,
            allow_private=True,
            no_storage=True,
            location="local",
        )
    secret = token or _stored_token(row)
    if row.base_url != address or secret != _stored_token(row):
        row = update_connection(
            actor=None, connection=row, base_url=address, allow_private=True, secret=secret
        )
    return row


def _stored_token(row: Connection) -> str:
    try:
        secret = row.open_secret()
    except (BrokenSeal, NoDataKey):
        return ""
    return secret.reveal() if secret else ""
