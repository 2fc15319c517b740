"""The engine's verbs. Each is one transaction: a crash at any point leaves the old index or the new one."""

from collections.abc import Mapping, Sequence

from django.db import transaction

from rag.engines import Hit, IndexStatus, Question
from rag.engines.pgvector import generations
from rag.engines.pgvector.search import search
from rag.models import Collection, Document, Generation
from rag.parsed import ParsedBlock


class PgvectorEngine:
    """Keeps its index in the tenant's schema. `engine`: whose indexes; another one keeps a copy here."""

    takes_files = False

    def __init__(self, engine: str = Collection.Engine.PGVECTOR) -> None:
        self._engine = engine

    @transaction.atomic
    def create(self, collection: Collection) -> None:
        locked = Collection.objects.select_for_update(of=("self",)).get(pk=collection.pk)
        if locked.active_generation_id is None:
            locked.active_generation = generations.make(locked)
            locked.save(update_fields=["active_generation", "updated_at"])
        collection.active_generation_id = locked.active_generation_id

    @transaction.atomic
    def ingest(self, collection: Collection, parsed: Mapping[Document, Sequence[ParsedBlock]]) -> int:
        """Into each generation of the collection, also one that is being made."""
        self.delete(list(parsed))
        count = 0
        for generation in generations.lock(collection_id=collection.pk, engine=self._engine):
            added = generations.add(generation, collection, parsed)
            if generation.pk == collection.active_generation_id:
                count = added
        return count

    def status(self, collection: Collection) -> IndexStatus:
        if collection.active_generation_id is None:
            return IndexStatus(0, 0, wants_vectors=False)
        row = Generation.objects.defer("lexicon").get(pk=collection.active_generation_id)
        return IndexStatus(row.chunk_count, row.vector_count, row.dimensions is not None)

    def search(self, question: Question) -> list[Hit]:
        return search(question)

    @transaction.atomic
    def delete(self, documents: Sequence[Document]) -> None:
        collections = {document.collection_id for document in documents}
        for generation in generations.lock(collection_id__in=collections, engine=self._engine):
            generations.remove(generation, documents)

    @transaction.atomic
    def drop(self, collection: Collection) -> None:
        for generation in generations.lock(collection_id=collection.pk, engine=self._engine):
            generations.drop(generation)
        collection.active_generation_id = None
