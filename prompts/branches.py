"""Reading a conversation's tree: the branch that ends with a message, the leaf below one, its siblings.

A branch is read upwards from its end, only as far as is asked for, so the length of a conversation and the
number of its branches cost nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet
from django.db.models.expressions import RawSQL

from prompts.models import Message, Part

UPWARDS = """
WITH RECURSIVE branch AS (
  SELECT id, parent_id, 1 AS place FROM prompts_message WHERE id = %s
  UNION ALL
  SELECT above.id, above.parent_id, branch.place + 1
  FROM branch JOIN prompts_message above ON above.id = branch.parent_id
  WHERE branch.place < %s
)
SELECT id FROM branch
"""
# Ids are made in the order of time; clocks of two machines may differ, so a leaf is also looked for as one.
DOWNWARDS = """
WITH RECURSIVE below AS (
  SELECT %s::uuid AS id
  UNION ALL
  SELECT child.id FROM below JOIN prompts_message child ON child.parent_id = below.id
)
SELECT id FROM below WHERE NOT EXISTS (SELECT 1 FROM prompts_message child WHERE child.parent_id = below.id)
ORDER BY id DESC LIMIT 1
"""
WHOLE = 2**31 - 1
FIRST_STRETCH, LONGEST_STRETCH = 40, 320  # messages that are read at once; each time twice as many


@dataclass(frozen=True, slots=True)
class Siblings:
    """Where a message stands among those that follow the same one, from 1, and who stands beside it."""

    number: int
    count: int
    previous_id: UUID | None
    next_id: UUID | None


def list_branch(last_id: UUID | None, most: int = WHOLE) -> QuerySet[Message]:
    """A message and those before it on its branch, at most so many in all, with their parts; in order."""
    ids = RawSQL(UPWARDS, (last_id, most))  # noqa: S611  of this file alone
    return Message.objects.filter(pk__in=ids).prefetch_related("parts").order_by("position")


def list_parts(last_id: UUID, kinds: Iterable[str]) -> QuerySet[Part]:
    """The parts of these kinds of a message and of those before it on its branch, the newest message's
    first.
    """
    ids = RawSQL(UPWARDS, (last_id, WHOLE))  # noqa: S611  of this file alone
    rows = Part.objects.filter(message_id__in=ids, kind__in=list(kinds))
    return rows.order_by("-message__position", "ordinal")


def read_upwards(message: Message) -> Iterator[Message]:
    """What comes before a message on its branch, the nearest first; read as it is taken."""
    parent_id, size = message.parent_id, FIRST_STRETCH
    while parent_id is not None:
        stretch = list(list_branch(parent_id, size))
        yield from reversed(stretch)
        parent_id = stretch[0].parent_id if stretch else None
        size = min(2 * size, LONGEST_STRETCH)


def find_leaf_below(message: Message) -> UUID:
    """The leaf that was written last of all below a message; its own id where nothing follows it."""
    with connection.cursor() as cursor:
        cursor.execute(DOWNWARDS, [message.pk])
        return cursor.fetchone()[0]


def find_siblings(messages: Iterable[Message]) -> dict[UUID, Siblings]:
    """Of messages of one conversation, by their ids: only those that are not alone."""
    messages = list(messages)
    if not messages:
        return {}
    places = Q(parent_id__in=[message.parent_id for message in messages if message.parent_id])
    if any(message.parent_id is None for message in messages):
        places |= Q(position=1, parent_id=None)
    rows = Message.objects.filter(places, conversation_id=messages[0].conversation_id)
    families: dict[UUID | None, list[UUID]] = {}
    for pk, parent_id in rows.order_by("pk").values_list("pk", "parent_id"):
        families.setdefault(parent_id, []).append(pk)
    return {
        message.pk: _place(message.pk, family)
        for message in messages
        if len(family := families.get(message.parent_id, [])) > 1
    }


def _place(pk: UUID, family: list[UUID]) -> Siblings:
    at = family.index(pk)
    return Siblings(
        number=at + 1,
        count=len(family),
        previous_id=family[at - 1] if at else None,
        next_id=family[at + 1] if at + 1 < len(family) else None,
    )
