"""Which tenant a host or a key's slug leads to, and whether its door is open: kept in memory for a moment.

Guards against: a dropped, renamed or half-migrated schema being served from `public`, and a
suspended tenant being served at all.
"""

import re
import time
from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum

from django.conf import settings
from django.db import DatabaseError
from django.db.utils import OperationalError

from tenants.context import platform, tenant
from tenants.slugs import is_slug

TIME_TO_LIVE_S = 1.0
MAX_ENTRIES = 4_096
HOST = re.compile(r"[a-z0-9._-]{1,253}|\[[0-9a-f:.]{2,45}\]")


class DoorState(StrEnum):
    OPEN = "open"
    SUSPENDED = "suspended"
    BEHIND = "behind"  # its schema lacks migrations of the running code


@dataclass(frozen=True, slots=True)
class KnownTenant:
    """What every request needs to know of its tenant."""

    slug: str
    name: str
    state: DoorState
    language: str
    currency: str
    plan_id: str
    data_policy: str = ""


_entries: OrderedDict[str, tuple[float, KnownTenant | None]] = OrderedDict()
_origins: OrderedDict[str, tuple[float, frozenset[str]]] = OrderedDict()  # by slug


def name_of(host_header: str) -> str:
    """The host in a `Host` header, as domains are kept: in lower case, without port and final dot."""
    name, _colon, port = host_header.strip().rpartition(":")
    if not name or (port and not (port.isascii() and port.isdigit())):
        name = host_header.strip()  # a name alone, or an address such as [::1]
    return name.lower().rstrip(".")


def is_platform_host(host: str) -> bool:
    return host in settings.PLATFORM_HOSTS


def forget(slug: str | None = None) -> None:
    """Drop what is remembered of one tenant (by host and by slug), or of all."""
    for key, (_, entry) in list(_entries.items()):
        if slug is None or entry is None or entry.slug == slug:
            _entries.pop(key, None)
    for known in [slug] if slug is not None else list(_origins):
        _origins.pop(known, None)


def recall(key: str) -> tuple[bool, KnownTenant | None]:
    """(whether it is remembered, the tenant or None), without touching the database. Keys: `host:…` and
    `slug:…`.
    """
    found = _entries.get(key)
    if found is None or time.monotonic() - found[0] > TIME_TO_LIVE_S:
        return False, None
    return True, found[1]


def find_tenant_by_host(host: str) -> KnownTenant | None:
    """The tenant behind a host name, or None. Reads the database if not remembered."""
    return _look_up(f"host:{host}", domains__domain=host) if HOST.fullmatch(host) else None


def find_tenant_by_slug(slug: str) -> KnownTenant | None:
    """The tenant with this slug, or None. Reads the database if not remembered."""
    return _look_up(f"slug:{slug}", slug=slug) if is_slug(slug) else None


def _look_up(key: str, **condition: str) -> KnownTenant | None:
    known, entry = recall(key)
    if not known:
        entry = _load(**condition)
        _entries[key] = (time.monotonic(), entry)
        while len(_entries) > MAX_ENTRIES:
            _entries.popitem(last=False)
    return entry


def _load(**condition: str) -> KnownTenant | None:
    from tenants.models import Tenant

    with platform():
        row = Tenant.objects.filter(**condition).exclude(status__in=Tenant.UNREADY).first()
    if row is None:
        return None
    state = DoorState.SUSPENDED if row.status == Tenant.Status.SUSPENDED else _door_of_schema(row.slug)
    if state is None:
        return None
    return KnownTenant(
        row.slug, row.name, state, row.language, row.currency, str(row.plan_id), row.data_policy
    )


def _door_of_schema(slug: str) -> DoorState | None:
    """None if schema or role are gone: such a tenant is as unknown as one that never was."""
    from tenants.database.schemas import count_missing_migrations

    try:
        with tenant(slug):
            return DoorState.BEHIND if count_missing_migrations() else DoorState.OPEN
    except OperationalError:
        raise  # the database is down: not an answer about the tenant
    except DatabaseError:
        return None


def recall_web_origins(slug: str) -> frozenset[str] | None:
    """None: not remembered. Asked only where a web page calls."""
    found = _origins.get(slug)
    return found[1] if found is not None and time.monotonic() - found[0] <= TIME_TO_LIVE_S else None


def find_web_origins(slug: str) -> frozenset[str]:
    """The origins whose pages may read this tenant's answers. Reads the database if not remembered."""
    found = recall_web_origins(slug)
    if found is None:
        found = _load_web_origins(slug)
        _origins[slug] = (time.monotonic(), found)
        while len(_origins) > MAX_ENTRIES:
            _origins.popitem(last=False)
    return found


def _load_web_origins(slug: str) -> frozenset[str]:
    from tenants.local.models import WebOrigin

    try:
        with tenant(slug):
            return frozenset(WebOrigin.objects.values_list("origin", flat=True))
    except OperationalError:
        raise
    except DatabaseError:
        return frozenset()  # its schema is gone, or is older than this table
