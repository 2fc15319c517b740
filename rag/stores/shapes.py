"""Stores, their files, batches and finds in OpenAI's shape."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from django.db.models import Count, Sum

from rag.engines import Hit
from rag.models import Collection, Document
from rag.progress import describe_documents
from rag.stores.bodies import MOST_PAIRS, MOST_VALUE, Attributes, tokens_of
from rag.stores.ids import batch_id, file_id, store_id
from rag.work_names import READ
from tenants.local.models import Work
from tenants.work.selectors import find_newest_work

State = Document.State
STATUS = {
    State.WAITING: "in_progress",
    State.READING: "in_progress",
    State.READY: "completed",
    State.FAILED: "failed",
    State.STOPPED: "cancelled",
}
STATES = {status: [state for state, shown in STATUS.items() if shown == status] for status in STATUS.values()}
NO_FILES = {"in_progress": 0, "completed": 0, "failed": 0, "cancelled": 0, "total": 0}
# of reasons that lie in the file; all others may pass
UNSUPPORTED, INVALID = {"document_type"}, {"invalid_input"}


def count_states(states: Iterable[tuple[str, int]]) -> dict[str, int]:
    counts = dict(NO_FILES)
    for state, count in states:
        counts[STATUS[State(state)]] += count
        counts["total"] += count
    return counts


def show_stores(rows: Sequence[Collection]) -> list[dict[str, Any]]:
    """In a fixed number of queries."""
    files: dict[UUID, list[tuple[str, int]]] = {row.pk: [] for row in rows}
    sizes: dict[UUID, int] = dict.fromkeys(files, 0)
    documents = Document.objects.filter(collection__in=rows, parent=None).order_by()
    found: Any = documents.values_list("collection", "state")
    for pk, state, count, size in found.annotate(count=Count("pk"), size=Sum("file__size_bytes")):
        files[pk].append((state, count))
        sizes[pk] += size or 0
    return [_show_store(row, count_states(files[row.pk]), sizes[row.pk]) for row in rows]


def _show_store(row: Collection, counts: dict[str, int], size_bytes: int) -> dict[str, Any]:
    """OpenAI's fields, and ours that clients skip."""
    return {
        "id": store_id(row.pk),
        "object": "vector_store",
        "created_at": int(row.created_at.timestamp()),
        "name": row.name,
        "description": row.description,
        "usage_bytes": size_bytes,
        "file_counts": counts,
        "status": "in_progress" if counts["in_progress"] else "completed",
        "expires_at": None,
        "last_active_at": int(row.updated_at.timestamp()),
        "metadata": row.metadata,
        "embedding_model": row.embedding_model,
        "languages": row.languages,
    }


def show_files(rows: Sequence[Document], called: str = "") -> list[dict[str, Any]]:
    """In a fixed number of queries. `called`: the id by which the one was asked for."""
    progress = describe_documents(rows)
    work = find_newest_work(READ, [row.pk for row in rows if row.state == State.FAILED])
    return [
        {
            "id": called or file_id(row),
            "object": "vector_store.file",
            "usage_bytes": row.file.size_bytes if row.file is not None else 0,
            "created_at": int(row.created_at.timestamp()),
            "vector_store_id": store_id(row.collection_id),
            "status": STATUS[State(row.state)],
            "last_error": _show_error(row, progress[row.pk].why, work.get(str(row.pk))),
            "chunking_strategy": {
                "type": "static",
                "static": {"max_chunk_size_tokens": tokens_of(row.collection), "chunk_overlap_tokens": 0},
            },
            "attributes": show_attributes(row),
        }
        for row in rows
    ]


def _show_error(row: Document, why: str, work: Work | None) -> dict[str, str] | None:
    if row.state != State.FAILED:
        return None
    code = work.error_code if work is not None else ""
    kind = "unsupported_file" if code in UNSUPPORTED else "server_error"
    if code in INVALID or (code.startswith("document_") and code not in UNSUPPORTED):
        kind = "invalid_file"
    return {"code": kind, "message": why}


def show_attributes(row: Document) -> Attributes:
    """What the form of OpenAI's attributes has room for; others may have noted more."""
    fitting = {
        key: value[:MOST_VALUE] if isinstance(value, str) else value
        for key, value in row.metadata.items()
        if isinstance(value, (str, bool, int, float))
    }
    return dict(list(fitting.items())[:MOST_PAIRS])


def show_batch(row: Work) -> dict[str, Any]:
    """Of those of its files that are still documents, and of those that were refused."""
    store_pk, refused = UUID(row.object_id), row.arguments["refused"]
    documents = Document.objects.filter(collection=store_pk, pk__in=row.arguments["documents"]).order_by()
    counts = count_states(documents.values_list("state").annotate(count=Count("pk")))
    counts["failed"] += refused
    counts["total"] += refused
    status = "completed"
    if counts["in_progress"]:
        status = "in_progress"
    elif counts["cancelled"]:
        status = "cancelled"
    elif counts["total"] and counts["failed"] == counts["total"]:
        status = "failed"
    return {
        "id": batch_id(row.pk),
        "object": "vector_store.files_batch",
        "created_at": int(row.created_at.timestamp()),
        "vector_store_id": store_id(store_pk),
        "status": status,
        "file_counts": counts,
    }


def show_hit(hit: Hit, file: Document, title: str) -> dict[str, Any]:
    """`file`: as the store counts it, for a passage of an attachment the mail that brought it."""
    return {
        "file_id": file_id(file),
        "filename": title,
        "score": min(max(hit.score, 0.0), 1.0),
        "attributes": show_attributes(file),
        "content": [{"type": "text", "text": hit.text}],
    }


def show_list(data: list[dict[str, Any]], has_more: bool) -> dict[str, Any]:
    first, last = (data[0]["id"], data[-1]["id"]) if data else ("", "")
    return {"object": "list", "data": data, "first_id": first, "last_id": last, "has_more": has_more}
