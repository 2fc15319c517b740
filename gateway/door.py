"""Who comes in at `/v1`: the host and the key of a request, before anything of it is read.

Guards against: keys of one tenant on another's host, a cookie doing a key's work, a second header
contradicting the first.
"""

from functools import lru_cache

from django.conf import settings
from django.http.request import validate_host
from django.utils.translation import gettext as _

from accounts.keys import read_key
from foundation.errors import NotFound, Unavailable
from gateway.calls import Principal
from gateway.errors import InvalidKey
from gateway.http import AsgiScope, find_header
from gateway.state.snapshot import Snapshots, TenantSnapshot
from gateway.steps.authenticate import authenticate
from tenants.context import in_platform
from tenants.doors import hosts


async def enter(scope: AsgiScope, snapshots: Snapshots) -> tuple[Principal, TenantSnapshot]:
    """Who calls, by host and key. Raises InvalidKey, NotFound for a host nobody has, and what `authenticate`
    raises.
    """
    host_tenant = await find_tenant_of_host(scope)
    key = read_key(scope["headers"])
    if key is None:
        raise InvalidKey
    return await authenticate(key, snapshots, host_tenant=host_tenant)


async def find_tenant_of_host(scope: AsgiScope) -> str | None:
    """None on the platform's hosts, where every tenant's key works; else the host's tenant.
    Raises NotFound for a host nobody has.
    """
    name = find_header(scope, b"host").decode("latin-1").rsplit(":", 1)[0].lower().rstrip(".")
    if not is_served(name):
        raise _unknown_host()
    if hosts.is_platform_host(name):
        return None
    is_known, door = hosts.recall(f"host:{name}")
    if not is_known:
        from django.db import OperationalError

        try:
            door = await in_platform(hosts.find_tenant_by_host, name)
        except OperationalError as exc:
            raise Unavailable(
                _("The database does not answer. Try again in a moment."), retry_after_s=2
            ) from exc
    if door is None:
        raise _unknown_host()
    return door.slug


@lru_cache(maxsize=1024)
def is_served(host: str) -> bool:
    return validate_host(host, settings.ALLOWED_HOSTS)


def _unknown_host() -> NotFound:
    return NotFound(
        _(
            "No organisation is set up at this address. Use the platform's address, for instance "
            "http://localhost:8000/v1."
        ),
        code="unknown_host",
    )
