"""The guide's collection: made empty at the first start, filled on the queue, so that no start waits for it.

The demonstration's file keeps which pages were ordered last. A collection that it knows and that is gone was
deleted by somebody, and stays gone. Pages that somebody deleted come back with a release that changes some.
"""

import logging
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from accounts.models import User
from models_registry.first_models import find_first_model
from models_registry.selectors import list_routes
from rag.guide.texts import hash_pages, read_pages
from rag.intake import rebuild_collection
from rag.models import Collection, Document
from rag.selectors import list_visible_collections
from rag.services import add_document, create_collection, index_documents, remove_documents
from rag.work.patience import write_alone
from rag.work.reading import order_vectors
from rag.work_names import GUIDE
from tenants.occasions import demo_tenant
from tenants.work.runs import Run
from tenants.work.services import order

logger = logging.getLogger(__name__)

GUIDE_ID = UUID("a7121000-0000-8000-8000-6775696465aa")  # the same in each tenant's schema
NAME = "Atrium guide · Handbuch · 指南"  # its pages are in the three languages
EMBEDDER, DIMENSIONS = "multilingual-e5-small", 384
# the runtime makes its models while the platform serves already
LOOK_AGAIN_AFTER, MOST_LOOKS = timedelta(seconds=10), 12  # each time so much later than the time before
KEPT = "guide"  # of the demonstration's file: which pages were ordered last


@demo_tenant.register
def prepare_guide(slug: str, entry: dict[str, Any]) -> None:
    """Order what the guide lacks: its pages, those of another release, or its vectors."""
    collection = Collection.objects.filter(pk=GUIDE_ID).first()
    if collection is None and KEPT in entry:
        return
    pages = hash_pages(read_pages())
    if collection is None:
        try:
            with transaction.atomic():
                collection = create_collection(actor=None, name=NAME, id=GUIDE_ID)
        except ValidationError as exc:  # somebody's own has that name
            logger.info("there will be no guide in %s: %s", slug, exc)
            return
    if entry.get(KEPT) != pages or not collection.embedding_model:
        order(GUIDE, GUIDE_ID)
    entry[KEPT] = pages


def fill_guide(run: Run) -> None:
    """The work: its pages, found by words at once, then the model by which they are found by meaning."""
    write_alone(run, GUIDE_ID, _write_pages, run.step)
    write_alone(run, GUIDE_ID, lambda: _add_meaning(run), run.conclusion)


def _write_pages() -> None:
    collection = Collection.objects.filter(pk=GUIDE_ID).get()
    pages = {page.content_hash: page for page in read_pages()}
    ours = Document.objects.filter(collection=collection, address__startswith="guide/", file=None)
    known = dict(ours.values_list("content_hash", "pk"))
    remove_documents(collection, [pk for content_hash, pk in known.items() if content_hash not in pages])
    parsed = {}
    for content_hash, page in pages.items():
        if content_hash in known:
            continue
        document, _is_new = add_document(
            actor=None,
            collection=collection,
            title=page.title,
            content_hash=content_hash,
            source=Document.Source.TEXT,
            address=page.address,
        )
        parsed[document] = page.list_blocks()
    if parsed:
        index_documents(collection=collection, parsed=parsed)
        order_vectors(collection)


def _add_meaning(run: Run) -> None:
    """Another index, with the embedded runtime's model; while that is being made, look again later, as a
    piece of work of its own.
    """
    collection = Collection.objects.filter(pk=GUIDE_ID).get()
    if collection.embedding_model:
        return
    route = list_routes().get(EMBEDDER)
    if route is not None and find_first_model(route) is not None:
        collection.embedding_model, collection.dimensions = EMBEDDER, DIMENSIONS
        collection.save(update_fields=["embedding_model", "dimensions", "updated_at"])
        rebuild_collection(actor=None, collection=collection)
        return
    looks = int(run.arguments.get("looks", 0)) + 1
    if looks < MOST_LOOKS:
        due_at = timezone.now() + looks * LOOK_AGAIN_AFTER
        order(GUIDE, f"{GUIDE_ID} {looks}", arguments={"looks": looks}, at=due_at)


def find_guide(user: User, project_id: UUID | None = None) -> Collection | None:
    """The guide, where there is one with something in it that the person may read."""
    rows = list_visible_collections(user, project_id).filter(pk=GUIDE_ID)
    return rows.filter(active_generation__chunk_count__gt=0).only("pk", "name").first()
