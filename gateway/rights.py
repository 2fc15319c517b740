"""What stays open after a right has ended: a call in work asks every two seconds whether its caller may still
call.

Covers: revoked and expired keys, people who are kept out, suspended tenants, rights of use of the model that
were taken back, lists of models and data policies that were narrowed, connections of which another place, or
that they store, is entered; at `/v1`, streamed or not, and for answers of the chat. A model or a connection
that was switched off or renamed, an alias that leads elsewhere now, take nothing from an answer that has
begun. Does not cover: a person's log-out, which ends what they look at (`prompts.streaming`), not the answer
that is being written for them; another place of a connection that no model leads to any more.
"""

from dataclasses import replace

from foundation.errors import Unavailable
from gateway.calls import Call
from gateway.state.snapshot import Snapshots
from gateway.steps.lookup import may_call
from models_registry.routes import is_allowed
from tenants.doors.hosts import DoorState


async def may_still_call(call: Call, snapshots: Snapshots) -> bool:
    """Whether the call's tenant is not suspended, its key usable, its person not kept out, the model that
    answers still theirs to call, and its endpoint where their data may go. While the database is away: yes.
    """
    principal = call.principal
    try:
        snapshot = await snapshots.find(principal.tenant)
        if snapshot is None or snapshot.door == DoorState.SUSPENDED:
            return False
        if principal.key_id is None:
            person = await snapshots.find_person(snapshot, principal.user_id)
            is_let_in = person is not None and person.is_active
            now = person.act_on(principal.project_id) if person is not None else principal
        else:
            key = await snapshots.find_key(snapshot, principal.key_name)
            is_let_in = key is not None and key.is_usable
            now = key.principal if key is not None else principal
    except Unavailable:
        return True
    candidate = call.candidate
    now = replace(now, data_policy=principal.data_policy)
    return (
        is_let_in
        and may_call(candidate.route, candidate.asked_name, now, snapshot)
        and is_allowed(snapshot.newest(candidate.endpoint), snapshot.policy_of(now))
    )
