"""`python -m bench.rag_speed [--chunks N] --json FILE`: how long a search of a large collection takes, with a
PostgreSQL of its own, and what the graph and a filter to 2 % find of what comparing every vector finds.

What is searched is made of what is real: a passage is six sentences of the stored sample's in one language, a
vector is one of the sample's with noise. The questions and their vectors are the sample's own.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, quantiles
from typing import Any

SETS = ("xquad-en", "xquad-de", "xquad-zh")
CHUNKS, CHUNKS_OF_A_DOCUMENT, DOCUMENTS_AT_ONCE = 100_000, 10, 100
SENTENCES = 6
NOISE = 0.03  # of each of the 384 numbers of a vector of length 1: its cosine to the real one is some .86
FEW = {"access": "few"}  # the property of one document in fifty
SHARE_OF_FEW = 50
COUNT, WARM, ASKED = 10, 30, 180


def measure(chunks: int) -> dict[str, float]:
    from rag.engines import Question
    from rag.engines.pgvector import PgvectorEngine
    from rag.models import Collection
    from tests.rag.measure import DIMENSIONS, MODEL, read_set
    from tests.rag.sample_of_sets import FOLDER, StoredVectors

    chance = random.Random(27)
    sets = [read_set(FOLDER / name) for name in SETS]
    stored = [StoredVectors(FOLDER / one.name / "vectors.bin") for one in sets]
    begun = time.monotonic()
    collection = _fill(sets, stored, chunks, chance, DIMENSIONS, MODEL)
    filled_s = time.monotonic() - begun
    questions = [
        (text, {MODEL: vector})
        for one, embed in zip(sets, stored, strict=True)
        for text, vector in zip(
            one.questions.values(), embed(list(one.questions.values()), "query"), strict=True
        )
    ]
    chance.shuffle(questions)
    here, engine = Collection.objects.filter(pk=collection.pk), PgvectorEngine()

    def ask(number: int, **more: Any) -> list[Any]:
        text, vectors = questions[number % len(questions)]
        return engine.search(Question(text, here, vectors, count=COUNT, **more))

    figures = {"chunks": float(chunks), "filled_s": filled_s}
    for name, more in {
        "hybrid": {},
        "words": {"leg": "words"},
        "vectors": {"leg": "vectors"},
        "filtered": {"metadata": FEW},
    }.items():
        figures |= _time(name, lambda number, more=more: ask(number, **more))
    for name, metadata in {"recall": {}, "filtered_recall": FEW}.items():
        alone = {"leg": "vectors", "follows_names": False}  # names take places of the ranking
        found = [ask(number, metadata=metadata, **alone) for number in range(ASKED)]
        figures[name] = fmean(
            len({hit.chunk_id for hit in hits} & _exact(questions[number][1][MODEL], metadata)) / COUNT
            for number, hits in enumerate(found)
        )
    return figures


def _time(name: str, ask: Callable[[int], object]) -> dict[str, float]:
    """In milliseconds."""
    for number in range(WARM):
        ask(number)
    times = []
    for number in range(ASKED):
        begun = time.perf_counter()
        ask(number)
        times.append(1000 * (time.perf_counter() - begun))
    cuts = quantiles(times, n=20)
    return {f"{name}_p50_ms": cuts[9], f"{name}_p95_ms": cuts[18]}


def _fill(
    sets: Sequence[Any],
    stored: Sequence[Any],
    chunks: int,
    chance: random.Random,
    dimensions: int,
    model: str,
) -> Any:
    """A collection of so many passages, indexed as documents that come, its graph built in bulk."""
    from rag.engines.pgvector.generations import keep_vectors, list_wanting
    from rag.models import Document, Generation
    from rag.services import create_collection, index_documents

    collection = create_collection(actor=None, name="Large", embedding_model=model, dimensions=dimensions)
    known = [
        [vector for key, vector in embed.by_key.items()]  # of passages and questions alike
        for embed in stored
    ]
    sentences = [_list_sentences(one) for one in sets]
    for begin in range(0, chunks // CHUNKS_OF_A_DOCUMENT, DOCUMENTS_AT_ONCE):
        documents = Document.objects.bulk_create(
            Document(
                collection=collection,
                title=f"Document {number}",
                content_hash=f"{number:064x}",
                metadata=FEW if number % SHARE_OF_FEW == 0 else {},
            )
            for number in range(begin, min(begin + DOCUMENTS_AT_ONCE, chunks // CHUNKS_OF_A_DOCUMENT))
        )
        parsed = {
            document: _make_blocks(sentences[(begin + place) % len(sets)], chance)
            for place, document in enumerate(documents)
        }
        index_documents(collection=collection, parsed=parsed)
    generation = Generation.objects.get(collection=collection)
    while wanting := list_wanting(generation, 2_000):
        rows = [(chunk, _with_noise(chance.choice(chance.choice(known)), chance)) for chunk, _text in wanting]
        keep_vectors(generation.pk, rows)
    generation.refresh_from_db()
    generation.weights = dict.fromkeys(collection.languages, 0.5)
    generation.save(update_fields=["weights"])
    _build_graph(generation)
    return collection


def _list_sentences(one: Any) -> list[str]:
    from rag.chunking import split_sentences

    return [sentence for _title, text in one.passages.values() for sentence in split_sentences(text)]


def _make_blocks(sentences: Sequence[str], chance: random.Random) -> list[Any]:
    """One block a passage, each under a heading of its own, so that no two are packed into one."""
    from rag.parsed import ParsedBlock

    blocks, at = [], 0
    for number in range(CHUNKS_OF_A_DOCUMENT):
        text = " ".join(chance.choices(sentences, k=SENTENCES))[:400]
        blocks.append(
            ParsedBlock(text, headings=(f"Section {number}",), char_from=at, char_to=at + len(text))
        )
        at += len(text) + 2
    return blocks


def _with_noise(vector: Sequence[float], chance: random.Random) -> list[float]:
    return [number + chance.gauss(0, NOISE) for number in vector]


def _build_graph(generation: Any) -> None:
    """As its tables' owner, in a tenth of the time of row by row; then what autovacuum would do in time."""
    from django.db import connections

    from rag.engines.pgvector.vectors import EXACT_ROWS, GRAPH_INDEX
    from tenants.context import owner

    index = GRAPH_INDEX[generation.dimensions]
    with owner("bench"), connections["owner"].cursor() as cursor:
        if generation.vector_count > EXACT_ROWS:
            cursor.execute("SELECT pg_get_indexdef(%s::regclass)", [index])
            (definition,) = cursor.fetchone()
            cursor.execute(f"DROP INDEX {index}")
            cursor.execute("UPDATE rag_vector SET is_indexed = true")
            cursor.execute("SET maintenance_work_mem = '1GB'")
            cursor.execute(definition)
        tables = ("rag_posting", "rag_termcount", "rag_chunk", "rag_document", "rag_mention", "rag_entity")
        for one in ("rag_vector", *tables):
            cursor.execute(f"VACUUM ANALYZE {one}")


def _exact(vector: Sequence[float], metadata: dict[str, str]) -> set[int]:
    """The nearest of all that may be found, by comparing every vector."""
    from django.db import connection
    from psycopg.types.json import Jsonb

    from rag.engines.pgvector.vectors import write_vector

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT v.chunk_id FROM rag_vector v JOIN rag_chunk c ON c.id = v.chunk_id "
            "JOIN rag_document d ON d.id = c.document_id WHERE d.metadata @> %s "
            "ORDER BY -(v.embedding384 <#> %s::halfvec) DESC, v.chunk_id LIMIT %s",
            [Jsonb(metadata), write_vector(vector), COUNT],
        )
        return {chunk for (chunk,) in cursor.fetchall()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=CHUNKS)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    import tests.services  # noqa: F401  (starts PostgreSQL and Valkey for this process)

    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    import django

    django.setup()
    from tenants.context import platform, tenant
    from tenants.database.schemas import migrate_public, migrate_template
    from tenants.provisioning.services import create_tenant, ensure_default_plans

    migrate_public()
    migrate_template()
    with platform():
        ensure_default_plans()
    create_tenant(slug="bench", name="Bench", host="bench.localhost", plan="unlimited")
    with tenant("bench"):
        figures = measure(options.chunks)
    print(json.dumps(figures))
    if options.json:
        options.json.write_text(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
