"""The engine's verbs. What is local is one transaction; what must be done at RAGFlow is ordered in it as work
(rag.work.handing), so that a crash at any point leaves nothing undone.
"""

from collections.abc import Mapping, Sequence

from django.db import transaction

from rag import work_names as names
from rag.engines import Hit, IndexStatus, Question
from rag.engines.pgvector import PgvectorEngine, generations
from rag.engines.ragflow.account import check_engine
from rag.engines.ragflow.search import search
from rag.models import Collection, Document, RagflowDocument
from rag.parsed import ParsedBlock
from tenants.work.services import order

State = RagflowDocument.State


class RagflowEngine:
    takes_files = True

    def __init__(self) -> None:
        self._copy = PgvectorEngine(Collection.Engine.RAGFLOW)

    def create(self, collection: Collection) -> None:
        """Raises InvalidInput where the tenant has no account, or the data may not go there."""
        check_engine(collection)
        self._copy.create(collection)

    @transaction.atomic
    def ingest(self, collection: Collection, parsed: Mapping[Document, Sequence[ParsedBlock]]) -> int:
        """They are handed over; until RAGFlow has read them, what it had of them answers."""
        for generation in generations.lock(collection_id=collection.pk, engine=Collection.Engine.RAGFLOW):
            for document in parsed:
                want(generation.pk, document)
        return 0

    def status(self, collection: Collection) -> IndexStatus:
        return self._copy.status(collection)

    def search(self, question: Question) -> list[Hit]:
        return search(question, self._copy)

    @transaction.atomic
    def delete(self, documents: Sequence[Document]) -> None:
        self._copy.delete(documents)
        rows = RagflowDocument.objects.filter(document__in=documents).select_related("generation")
        for row in rows:
            forget_remote(row.generation.remote_id, row.remote_id, row.earlier_id)
        rows.delete()

    def drop(self, collection: Collection) -> None:
        self._copy.drop(collection)


def want(generation_id: int, document: Document) -> None:
    """Have this document in that index, as it is now. What failed is tried again."""
    row = RagflowDocument.objects.select_for_update(of=("self",)).filter(
        generation=generation_id, document=document
    ).select_related("generation").first()  # fmt: skip
    if row is None:
        row = RagflowDocument(generation_id=generation_id, document=document)
    elif row.content_hash != document.content_hash and row.remote_id:
        if row.state == State.DONE:
            forget_remote(row.generation.remote_id, row.earlier_id)
            row.earlier_id = row.remote_id
        else:
            forget_remote(row.generation.remote_id, row.remote_id)
        row.remote_id = ""
    row.content_hash, row.state = document.content_hash, State.WAITING
    row.started_at, row.poll_count = None, 0
    row.save()
    order(names.HAND_OVER, document.pk, ordered_by=document.created_by)


def forget_remote(dataset: str, *documents: str) -> None:
    for document in documents:
        if dataset and document:
            order(names.FORGET, document, arguments={"dataset": dataset, "document": document})
