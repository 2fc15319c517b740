"""Generations of an index: one is made beside the one that answers, and takes its place at once.

`make`, then `fill` until no document is missing, then vectors (`list_wanting`, `keep_vectors`) until none is,
then `switch`. Documents that come meanwhile go into both.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Exists, OuterRef
from django.utils.translation import gettext as _

from foundation.errors import Conflict
from rag import chunking
from rag.analysis import VERSION
from rag.copying import copy_rows
from rag.engines.pgvector import vectors, words
from rag.graph import Graph, relations
from rag.graph.postgres import PostgresGraph
from rag.models import Block, Chunk, Collection, Document, Generation
from rag.parsed import ParsedBlock
from rag.work_names import FORGET
from tenants.work.services import order

graph: Graph = PostgresGraph()
COUNTS = ["chunk_count", "term_count", "vector_count", "lexicon_chunks"]
CHUNK_COLUMNS = (
    *("id", "generation_id", "document_id", "position", "page_from", "page_to"),
    *("char_from", "char_to", "headings", "text", "language", "remote_id"),
)
NEXT_IDS = "SELECT nextval(pg_get_serial_sequence('rag_chunk', 'id')) FROM generate_series(1, %s)"
LIST_WANTING = """
SELECT c.id FROM rag_chunk c WHERE c.generation_id = %s
AND c.document_id <> ALL(%s) AND NOT EXISTS (SELECT FROM rag_vector v WHERE v.chunk_id = c.id)
ORDER BY c.id LIMIT %s
"""


def make(collection: Collection) -> Generation:
    """An empty index, made as the collection says now."""
    embedding_model, dimensions = _find_model(collection)
    return Generation.objects.create(
        collection=collection,
        engine=collection.engine,
        analyzer_version=VERSION,
        chunk_characters=collection.chunk_characters,
        embedding_model=embedding_model,
        dimensions=dimensions,
    )


def _find_model(collection: Collection) -> tuple[str, int | None]:
    """Other engines embed by themselves."""
    if collection.engine != Collection.Engine.PGVECTOR:
        return "", None
    return collection.embedding_model, collection.dimensions


def is_made_as(generation: Generation, collection: Collection) -> bool:
    """Whether `make` would make the same today."""
    return (
        generation.engine == collection.engine
        and generation.analyzer_version == VERSION
        and generation.chunk_characters == collection.chunk_characters
        and (generation.embedding_model, generation.dimensions) == _find_model(collection)
    )


def lock(**which: object) -> list[Generation]:
    """In one order, so that nobody waits in a circle; without their lexicons, which may be large."""
    rows = Generation.objects.select_for_update(of=("self",)).defer("lexicon")
    return list(rows.filter(**which).order_by("pk"))


def add(
    generation: Generation, collection: Collection, parsed: Mapping[Document, Sequence[ParsedBlock]]
) -> int:
    chunks = [
        Chunk(
            generation=generation,
            document=document,
            position=position,
            page_from=passage.page_from,
            page_to=passage.page_to,
            char_from=passage.char_from,
            char_to=passage.char_to,
            headings=list(passage.headings),
            text=passage.text,
            language=passage.language,
        )
        for document, blocks in parsed.items()
        for position, passage in enumerate(
            chunking.cut(blocks, limit=generation.chunk_characters, languages=collection.languages)
        )
    ]
    _give_keys(chunks)
    titles = {document.pk: document.title for document in parsed}
    writer = words.Writer(generation)
    writer.add(chunks, titles)
    rows = ([*(getattr(chunk, name) for name in CHUNK_COLUMNS), writer.terms[chunk.pk]] for chunk in chunks)
    copy_rows(Chunk, (*CHUNK_COLUMNS, "terms"), rows)
    graph.add(generation.pk, chunks, titles)
    generation.save(update_fields=[*COUNTS, *(["lexicon"] if writer.has_learnt else [])])
    return len(chunks)


def _give_keys(chunks: Sequence[Chunk]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(NEXT_IDS, [len(chunks)])
        ids = [chunk_id for (chunk_id,) in cursor.fetchall()]
    for chunk, chunk_id in zip(chunks, ids, strict=True):
        chunk.pk = chunk_id


def remove(generation: Generation, documents: Sequence[Document]) -> None:
    """All that a locked index holds of these documents."""
    chunks = Chunk.objects.filter(generation=generation, document__in=documents)
    if not (ids := list(chunks.values_list("pk", flat=True))):
        return
    graph.remove(ids)
    generation.term_count -= words.remove(ids).get(generation.pk, 0)
    generation.vector_count -= vectors.remove(generation, ids)
    generation.chunk_count -= len(ids)
    chunks.delete()
    generation.save(update_fields=COUNTS)


def drop(generation: Generation) -> None:
    if generation.remote_id:
        order(FORGET, generation.remote_id, arguments={"dataset": generation.remote_id})
    words.forget_generation(generation.pk)
    graph.forget(generation.pk)
    vectors.forget_generation(generation)
    Chunk.objects.filter(generation=generation).delete()
    generation.delete()


@transaction.atomic
def fill(generation_id: int, limit: int = 50) -> int:
    """Index the next documents that this generation lacks, from their blocks. Gives how many: 0 when none is
    left. Safe to call again.
    """
    (generation,) = lock(pk=generation_id)
    documents = list(list_missing(generation)[:limit])
    blocks = Block.objects.filter(document__in=documents).order_by("document_id", "position")
    parsed: dict[Document, list[ParsedBlock]] = {document: [] for document in documents}
    by_id = {document.pk: document for document in documents}
    for block in blocks:
        parsed[by_id[block.document_id]].append(read_block(block))
    add(generation, generation.collection, parsed)
    return len(documents)


def list_missing(generation: Generation):
    """The documents that it must hold before it can answer."""
    has_chunks = Chunk.objects.filter(generation=generation, document=OuterRef("pk"))
    has_blocks = Block.objects.filter(document=OuterRef("pk"))
    ready = Document.objects.filter(collection=generation.collection_id, state=Document.State.READY)
    return ready.filter(~Exists(has_chunks), Exists(has_blocks)).order_by("pk")


def read_block(row: Block) -> ParsedBlock:
    kind: Any = row.kind  # the column's choices are those of the type
    box: Any = tuple(row.box) if row.box else None
    return ParsedBlock(row.text, kind, row.page, tuple(row.headings), row.char_from, row.char_to, box)


def list_wanting(
    generation: Generation, limit: int = 200, *, without: Sequence[UUID] = ()
) -> list[tuple[int, str]]:
    """The next chunks without a vector, with the text that is embedded, but for those of `without`."""
    if generation.dimensions is None:
        return []
    with connection.cursor() as cursor:
        cursor.execute(LIST_WANTING, [generation.pk, list(without), limit])
        ids = [chunk_id for (chunk_id,) in cursor.fetchall()]
    chunks = Chunk.objects.filter(pk__in=ids).select_related("document").order_by("pk")
    return [(chunk.pk, words.indexed_text(chunk.document.title, chunk)) for chunk in chunks]


@transaction.atomic
def keep_vectors(generation_id: int, rows: Iterable[tuple[int, Sequence[float]]]) -> int:
    """Keep the vectors of chunks. Gives how many were new; safe to call again. Raises InvalidInput."""
    (generation,) = lock(pk=generation_id)
    kept = vectors.add(generation, rows)
    generation.save(update_fields=["vector_count"])
    return kept


@transaction.atomic
def switch(generation_id: int) -> None:
    """From now on this generation answers, and the others of its collection are gone. Raises Conflict while
    documents or vectors are missing.
    """
    here = Generation.objects.filter(pk=generation_id).values_list("collection_id", flat=True).get()
    rows = lock(collection_id=here)
    (generation,) = [row for row in rows if row.pk == generation_id]
    wants = generation.dimensions is not None and generation.vector_count < generation.chunk_count
    if wants or list_missing(generation).exists():
        raise Conflict(_("This index is not complete yet."))
    earlier = generation.collection.active_generation_id
    if earlier is not None and earlier != generation_id:
        relations.carry(earlier, generation_id)
    Collection.objects.filter(pk=generation.collection_id).update(active_generation=generation)
    for row in rows:
        if row.pk != generation_id:
            drop(row)
