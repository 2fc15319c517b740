"""Collections that a conversation was answered from and that its person may not read any more: told before
the next question goes without them. Their names only where another of the person's projects still opens them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from accounts.models import User
from foundation.errors import NotFound
from foundation.told import gettext as _
from foundation.told import ngettext
from rag.reach import list_reachable_collections
from rag.selectors import list_visible_collections


@dataclass(frozen=True, slots=True)
class Gone:
    """`names`: of those that are open to the person, but not in the project of the question."""

    ids: tuple[UUID, ...]
    names: tuple[str, ...]

    @property
    def told(self) -> str:
        """What happened, and what it means."""
        if len(self.names) == len(self.ids):
            message = ngettext(
                "You may not use the collection %(names)s in this project.",
                "You may not use the collections %(names)s in this project.",
                len(self.ids),
            )
            return message % {"names": ", ".join(f"“{name}”" for name in self.names)}
        message = ngettext(
            "A collection that you want to ask was deleted, or you may no longer read it.",
            "%(count)d collections that you want to ask were deleted, or you may no longer read them.",
            len(self.ids),
        )
        return message % {"count": len(self.ids)}


class CollectionsGone(NotFound):
    def __init__(self, gone: Gone) -> None:
        way = _("Nothing was sent. Take it out with #, or choose another.")
        super().__init__(gone.told + " " + way, param="collections")
        self.gone = gone


def find_gone(user: User, project_id: UUID, wanted: Sequence[UUID]) -> Gone | None:
    """Of these collections those that a question on this project may not be answered from."""
    if not wanted:
        return None
    open_here = list_visible_collections(user, project_id).filter(conversation_id=None, pk__in=wanted)
    known = set(open_here.values_list("pk", flat=True))
    ids = tuple(pk for pk in wanted if pk not in known)
    if not ids:
        return None
    elsewhere = list_reachable_collections(user).filter(conversation_id=None, pk__in=ids)
    return Gone(ids, tuple(elsewhere.order_by("name").values_list("name", flat=True)))
