"""What the pages list: collections with their figures, and the documents of one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Count, F, Q, QuerySet

from accounts.models import Grant, User
from rag.models import Collection, Document
from rag.reach import list_reachable_collections
from rag.selectors import COLLECTION

State = Document.State
UNFINISHED = (State.WAITING, State.READING)
SORTS = {
    "title": ("title", "pk"),
    "state": ("state", "title", "pk"),
    "pages": (F("page_count").asc(nulls_last=True), "pk"),
    "size": (F("file__size_bytes").asc(nulls_last=True), "pk"),
    "added": ("created_at", "pk"),
}


@dataclass(frozen=True, slots=True)
class Shelf:
    """A collection of the list, with its documents by state."""

    collection: Collection
    counts: dict[str, int]
    is_restricted: bool

    @property
    def document_count(self) -> int:
        return sum(self.counts.values())

    @property
    def working_count(self) -> int:
        return sum(self.counts.get(state, 0) for state in UNFINISHED)

    @property
    def failed_count(self) -> int:
        return self.counts.get(State.FAILED, 0)


def list_shelves(user: User, words: str = "") -> dict[str, list[Collection]]:
    """A person's own collections with those that they share, and those that others share, by name."""
    rows = list_reachable_collections(user).filter(conversation_id=None)
    for word in words.split():
        rows = rows.filter(name__icontains=word)
    found: dict[str, list[Collection]] = {"own": [], "shared": []}
    for row in rows:
        found["own" if user.pk in (row.owner_id, row.keeper_id) else "shared"].append(row)
    return found


def with_figures(rows: Sequence[Collection]) -> list[Shelf]:
    counts: dict[UUID, dict[str, int]] = {row.pk: {} for row in rows}
    found = Document.objects.filter(collection__in=rows).order_by().values_list("collection", "state")
    for collection_id, state, count in found.annotate(count=Count("pk")):
        counts[collection_id][state] = count
    named = Grant.objects.filter(kind=COLLECTION, object_id__in=counts, effect=Grant.Effect.ALLOW)
    restricted = set(named.values_list("object_id", flat=True))
    return [Shelf(row, counts[row.pk], row.pk in restricted) for row in rows]


def count_states(collection: Collection) -> dict[str, int]:
    rows = collection.documents.order_by().values_list("state").annotate(count=Count("pk"))
    return dict(rows)


def list_documents(collection: Collection, *, words: str, state: str, source: str, sort: str) -> QuerySet:
    """Those that fit, in the order that a column names; the newest first where none does."""
    rows = collection.documents.select_related("file", "parent")
    for word in words.split():
        rows = rows.filter(Q(title__icontains=word) | Q(address__icontains=word))
    if state:
        rows = rows.filter(state=state)
    if source:
        rows = rows.filter(source=source)
    order = SORTS.get(sort.removeprefix("-"))
    if order is None:
        return rows.order_by("-created_at", "-pk")
    return rows.order_by(*(_downwards(one) for one in order) if sort.startswith("-") else order)


def _downwards(column):
    if isinstance(column, str):
        return f"-{column}"
    return column.expression.desc(nulls_last=True)


def pick_documents(collection: Collection, ids: Iterable[UUID]) -> list[Document]:
    """Those of these that the collection holds."""
    return list(collection.documents.select_related("collection", "file").filter(pk__in=list(ids)))
