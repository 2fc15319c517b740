"""Providers found at start: model servers on this machine, and keys that the environment holds."""

import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction

from foundation import egress
from foundation.errors import AtriumError
from models_registry.providers.table import find_provider, list_by_key, list_local
from models_registry.services import add_connection, sync_catalogue
from models_registry.worlds import Connection, active_world
from tenants.sealing import Secret

logger = logging.getLogger(__name__)

_GLANCE = egress.EgressPolicy(
    allow_private=True, timeout_connect_s=0.3, timeout_read_s=1.0, timeout_total_s=1.5, max_bytes=1_000_000
)


@dataclass(frozen=True, slots=True)
class FoundProvider:
    kind: str
    base_url: str
    secret: Secret | None = None

    @property
    def is_local(self) -> bool:
        return self.secret is None


def find_providers(
    environment: Mapping[str, str] | None = None, addresses: Mapping[str, str] | None = None
) -> list[FoundProvider]:
    """Look for local servers (a short glance at loopback only) and for keys. `addresses`: where the local
    kinds are looked for.
    """
    environment = os.environ if environment is None else environment
    local = (
        {provider.kind: provider.base_url for provider in list_local()} if addresses is None else addresses
    )
    found = [FoundProvider(kind, url) for kind, url in local.items() if _answers(kind, url)]
    for provider in list_by_key():
        key = environment.get(provider.key_variable, "").strip()
        if key:
            found.append(FoundProvider(provider.kind, provider.base_url, Secret(key)))
    return found


def _answers(kind: str, base_url: str) -> bool:
    try:
        with egress.client(_GLANCE) as http:
            response = http.get(f"{base_url}/models")
            body = egress.read_json(response) if response.status_code == 200 else None
            return find_provider(kind).is_listed_by(body)
    except AtriumError:
        return False


def offer_providers(found: Iterable[FoundProvider] | None = None) -> list[str]:
    """Offer what was found as connections of the platform; returns the names of new ones. Safe to call at
    each start.

    A local server is switched on at once (not in production) and its models follow at each start. A cloud
    provider is only offered: its connection holds the key but stays switched off until an operator switches
    it on. Call inside `with platform():` and outside a transaction: it waits for the network.
    """
    added = []
    for provider in find_providers() if found is None else found:
        try:
            row, is_new = _ensure_connection(provider)
        except Exception:  # whatever one provider does, the platform starts
            logger.warning("the provider found at %s could not be offered", provider.base_url, exc_info=True)
            continue
        if is_new:
            added.append(row.name)
        if provider.is_local and row.is_enabled:
            _follow_catalogue(row)
    return added


@transaction.atomic
def _ensure_connection(provider: FoundProvider) -> tuple[Connection, bool]:
    """The provider's connection, and whether it is new."""
    connections = active_world().connections.objects
    row = connections.filter(kind=provider.kind, base_url=provider.base_url).first()
    if row is not None:
        return row, False
    label = str(find_provider(provider.kind).label)
    name = f"{label} ({provider.base_url})" if connections.filter(name=label).exists() else label
    row = add_connection(
        actor=None,
        name=name,
        kind=provider.kind,
        base_url=provider.base_url,
        secret=provider.secret or "",
        is_enabled=provider.is_local and settings.ATRIUM_ENV != "production",
        location=find_provider(provider.kind).location,
    )
    return row, True


def _follow_catalogue(connection: Connection) -> None:
    try:
        sync_catalogue(actor=None, connection=connection)
    except AtriumError as exc:
        logger.warning("the models of %s could not be read: %s", connection.name, exc)
    except Exception:  # whatever one provider does, the platform starts
        logger.warning("the models of %s could not be read", connection.name, exc_info=True)
