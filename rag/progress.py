"""How far documents and collections are, and why not further. Who may see them is asked before."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db import connection
from django.db.models import Count
from django.utils.translation import gettext as _

from rag.engines import IndexStatus
from rag.engines.ragflow.account import say_away
from rag.models import Chunk, Collection, Document, Generation
from rag.work_names import EMBED, READING, REBUILD
from tenants.local.models import Work
from tenants.work.selectors import find_newest_work, label_stages

COUNT_VECTORS = """
SELECT c.document_id, count(*) FROM rag_chunk c JOIN rag_vector v ON v.chunk_id = c.id
WHERE c.generation_id = ANY(%s) AND c.document_id = ANY(%s) GROUP BY 1
"""


@dataclass(frozen=True, slots=True)
class Stage:
    """`name` is stable, `label` what people call it."""

    name: str
    label: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class DocumentProgress:
    """`why`: the reason of a failure, of an attempt that is followed by another, or what was left out."""

    state: str
    stages: Sequence[Stage] = ()
    why: str = ""
    can_retry: bool = False
    can_cancel: bool = False
    is_again: bool = False  # what stands there is found while it is read once more


@dataclass(frozen=True, slots=True)
class CollectionProgress:
    """`document_counts` by state. `problem`: why there are no vectors, or no further index, for now; it is
    tried again at `next_at`.
    """

    document_counts: dict[str, int] = field(default_factory=dict)
    chunk_count: int = 0
    vector_count: int = 0
    is_complete: bool = True
    is_rebuilding: bool = False
    problem: str = ""
    next_at: datetime | None = None


def describe_document(document: Document) -> DocumentProgress:
    return describe_documents([document])[document.pk]


def describe_documents(documents: Sequence[Document]) -> dict[UUID, DocumentProgress]:
    """By document; in a fixed number of queries."""
    work = find_newest_work(READING, [document.pk for document in documents])
    chunks, vectors = _count_chunks(documents), _count_vectors(documents)
    return {
        document.pk: _describe(
            document, work.get(str(document.pk)), chunks.get(document.pk, 0), vectors.get(document.pk)
        )
        for document in documents
    }


def _describe(document: Document, row: Work | None, chunks: int, vectors: int | None) -> DocumentProgress:
    is_active = row is not None and row.state in Work.ACTIVE
    stages = _stages_of(row) if is_active and row is not None else []
    if chunks and vectors is not None:
        stages.append(Stage("embed", _("vectors"), vectors, chunks))
    why = document.why
    if is_active and row is not None and row.failure:
        why = row.failure
    return DocumentProgress(
        state=document.state,
        stages=stages,
        why=why,
        can_retry=not is_active,
        can_cancel=is_active and row is not None and row.cancel_wanted_at is None,
        is_again=is_active and document.state == Document.State.READY,
    )


def _stages_of(row: Work) -> list[Stage]:
    names = [name for name, _done, _total in row.stages]
    return [
        Stage(name, label, done, total)
        for name, (label, done, total) in zip(names, label_stages(row), strict=True)
    ]


def _count_chunks(documents: Iterable[Document]) -> dict[UUID, int]:
    """In the indexes that answer."""
    rows = Chunk.objects.filter(
        document__in=[document.pk for document in documents],
        generation__in=_active_generations(documents),
    )
    return dict(rows.order_by().values_list("document").annotate(count=Count("pk")))


def _active_generations(documents: Iterable[Document]) -> list[int]:
    here = {document.collection_id for document in documents}
    rows = Collection.objects.filter(pk__in=here, active_generation__isnull=False).order_by()
    return list(rows.values_list("active_generation", flat=True))


def _count_vectors(documents: Sequence[Document]) -> dict[UUID, int]:
    """Of documents whose index wants vectors."""
    here = {document.collection_id for document in documents}
    rows = Collection.objects.filter(pk__in=here, active_generation__dimensions__isnull=False).order_by()
    wanting = dict(rows.values_list("pk", "active_generation"))
    found = {document.pk: 0 for document in documents if document.collection_id in wanting}
    if found:
        with connection.cursor() as cursor:
            cursor.execute(COUNT_VECTORS, [list(wanting.values()), list(found)])
            found |= dict(cursor.fetchall())
    return found


def describe_collection(collection: Collection) -> CollectionProgress:
    return describe_collections([collection])[collection.pk]


def describe_collections(collections: Sequence[Collection]) -> dict[UUID, CollectionProgress]:
    """By collection; in a fixed number of queries."""
    here = [collection.pk for collection in collections]
    counts: dict[UUID, dict[str, int]] = {}
    rows = Document.objects.filter(collection__in=here).order_by().values_list("collection", "state")
    for pk, state, count in rows.annotate(count=Count("pk")):
        counts.setdefault(pk, {})[state] = count
    indexes: dict[UUID, list[Generation]] = {}
    for index in Generation.objects.filter(collection__in=here).defer("lexicon"):
        indexes.setdefault(index.collection_id, []).append(index)
    embedding = find_newest_work(EMBED, [str(index.pk) for rows in indexes.values() for index in rows])
    rebuilding = find_newest_work(REBUILD, here)
    return {
        collection.pk: _describe_collection(
            collection,
            counts.get(collection.pk, {}),
            indexes.get(collection.pk, []),
            embedding | rebuilding,
        )
        for collection in collections
    }


def _describe_collection(
    collection: Collection, counts: dict[str, int], indexes: Sequence[Generation], work: dict[str, Work]
) -> CollectionProgress:
    active = next((index for index in indexes if index.pk == collection.active_generation_id), None)
    keys = [str(collection.pk), *(str(index.pk) for index in indexes)]
    rows = [work[key] for key in keys if key in work]
    away = say_away() if any(index.engine == Collection.Engine.RAGFLOW for index in indexes) else ""
    stuck = next((row for row in rows if row.failure and row.state != Work.State.DONE), None)
    wants = active is not None and active.dimensions is not None
    status = (
        IndexStatus(active.chunk_count, active.vector_count, wants) if active else IndexStatus(0, 0, False)
    )
    return CollectionProgress(
        document_counts=counts,
        chunk_count=status.chunk_count,
        vector_count=status.vector_count,
        is_complete=status.is_complete,
        is_rebuilding=len(indexes) > 1,
        problem=stuck.failure if stuck is not None else away,
        next_at=stuck.due_at if stuck is not None and stuck.state == Work.State.QUEUED else None,
    )
