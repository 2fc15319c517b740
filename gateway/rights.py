"""What stays open after a right has ended: a stream that is being passed on asks every two seconds
whether its caller may still call.

Covers: revoked and expired keys, people who are kept out, suspended tenants; at `/v1` and for answers of
the chat. Does not cover: a person's log-out, which ends what they look at (`prompts.streaming`), not the
answer that is being written for them.
"""

from django.utils.translation import gettext as _

from accounts.selectors import is_active_user
from foundation.errors import NotAllowed, Unavailable
from gateway.calls import Principal
from gateway.state.snapshot import Snapshots
from tenants.context import in_tenant
from tenants.doors.hosts import DoorState


class AccessEnded(NotAllowed):
    """The caller may call no longer; the answer that was being passed on ends."""

    code = "access_ended"

    def __init__(self) -> None:
        super().__init__(_("Your access ended while this answer was being written. What arrived is kept."))


async def may_still_call(principal: Principal, snapshots: Snapshots) -> bool:
    """Whether the principal's tenant is not suspended, its key usable and its person not kept out. While the
    database is away: yes.
    """
    try:
        snapshot = await snapshots.find(principal.tenant)
        if snapshot is None or snapshot.door == DoorState.SUSPENDED:
            return False
        if principal.key_id is None:
            return await in_tenant(principal.tenant, is_active_user, principal.user_id)
        key = await snapshots.find_key(snapshot, principal.key_name)
    except Unavailable:
        return True
    return key is not None and key.is_usable
