"""Step 1: the API key into a Principal, from memory."""

from accounts import keys
from accounts.models import ApiKey
from foundation.errors import NotAllowed, Unavailable
from foundation.told import gettext as _
from gateway.calls import Principal
from gateway.errors import InvalidKey
from gateway.state.snapshot import Snapshots, TenantSnapshot
from tenants.doors.hosts import DoorState


async def authenticate(
    text: str, snapshots: Snapshots, *, host_tenant: str | None, scope: str = ApiKey.Scope.INFERENCE
) -> tuple[Principal, TenantSnapshot]:
    """The principal behind a key. `host_tenant`: the tenant whose host was called, None on the platform's
    hosts.

    Raises InvalidKey (whatever is wrong with the key), NotAllowed (suspended tenant, missing scope),
    Unavailable (tenant being upgraded).
    """
    parsed = keys.parse_key(text)
    snapshot = await snapshots.find(parsed.slug) if parsed else None
    key = await snapshots.find_key(snapshot, parsed.key_id) if parsed and snapshot else None
    is_same = keys.is_same(key.digest if key else None, parsed or _NOBODY)
    if (
        not is_same
        or key is None
        or snapshot is None
        or (host_tenant is not None and snapshot.slug != host_tenant)
        or not key.is_usable
    ):
        raise InvalidKey
    check_door(snapshot)
    if scope not in key.scopes:
        raise NotAllowed(
            _("This API key lacks the scope “%(scope)s”.") % {"scope": scope}, code="missing_scope"
        )
    return key.principal, snapshot


_NOBODY = keys.ParsedKey("", "", b"\0" * 32)


def check_door(snapshot: TenantSnapshot) -> None:
    """Raise unless the tenant is open."""
    if snapshot.door == DoorState.SUSPENDED:
        raise NotAllowed(
            _("This organisation's access is suspended. Its data is kept."), code="tenant_suspended"
        )
    if snapshot.door == DoorState.BEHIND:
        raise Unavailable(
            _("This organisation is being upgraded. Try again in a moment."),
            code="tenant_upgrading",
            retry_after_s=5,
        )
