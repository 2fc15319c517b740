"""Who is asked for rights and money where a model reads what somebody brought."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple
from uuid import UUID

from accounts.selectors import find_first_active, find_key_name, find_owner_id
from foundation.errors import NotAllowed
from gateway.vectors import Payer
from rag.models import Collection
from tenants.context import current_tenant


class Bringer(NamedTuple):
    """Who brought a document, by which key and for which project."""

    user_id: UUID | None
    key_id: UUID | None = None
    project_id: UUID | None = None


def find_payer(
    collection: Collection, bringer: Bringer, *, others: Sequence[UUID | None] = (), message: str
) -> Payer:
    """That person by that key, or whoever stands for one who has left: one of the others, the collection's
    owner, the organisation's. Raises NotAllowed, with `message`, where nobody does.
    """
    known = find_first_active([bringer.user_id, *others, collection.owner_id])
    if known is None and collection.owner_id is None:
        known = find_owner_id()
    if known is None:
        raise NotAllowed(message, code="no_payer")
    # as it stands now: a worker holds its collection for a while
    policy = Collection.objects.filter(pk=collection.pk).values_list("data_policy", flat=True).first()
    payer = Payer(current_tenant(), known, data_policy=collection.data_policy if policy is None else policy)
    if known != bringer.user_id:
        return payer
    key_name = find_key_name(bringer.key_id) if bringer.key_id else ""
    return replace(payer, project_id=bringer.project_id, key_name=key_name)
