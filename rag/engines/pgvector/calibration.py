"""How much the words should count in a generation, for each language: tried on its own passages.

A sentence of a passage is asked as if it were a question. Words find such a sentence nearly always; whether
the vectors do tells whether their model knows the language. Does not cover: a model that is good at sentences
of the collection and bad at people's questions.
"""

from collections.abc import Callable, Sequence

from django.db import connection, transaction
from psycopg import sql

from rag.chunking import split_sentences
from rag.engines.pgvector import generations
from rag.engines.pgvector.fusion import weigh
from rag.engines.pgvector.vectors import COLUMN, write_vector
from rag.models import Chunk, Generation

SAMPLE = 50  # passages of each language
LEAST = 10  # below so many, nothing is known
DEPTH = 10
Embed = Callable[[list[str]], Sequence[Sequence[float]]]  # texts as questions
NEAREST = """
SELECT array_agg(chunk_id) FROM (
  SELECT v.chunk_id, -(v.{} <#> %s::halfvec) AS similarity FROM rag_vector v WHERE v.generation_id = %s
  ORDER BY similarity DESC, v.chunk_id LIMIT %s
) AS nearest
"""


def calibrate(generation: Generation, embed: Embed) -> dict[str, float]:
    """Try the vectors of a generation and keep what the words count from now on, by language. `embed` is
    called outside any transaction of ours.
    """
    weights: dict[str, float] = {}
    if generation.dimensions is None:
        return weights
    column = COLUMN[generation.dimensions]
    for language in generation.collection.languages:
        questions = _draw_questions(generation, language)
        if len(questions) >= LEAST:
            vectors = embed([question for _chunk, question in questions])
            ranks = [
                _rank(column, generation, chunk, vector)
                for (chunk, _question), vector in zip(questions, vectors, strict=True)
            ]
            weights[language] = weigh(ranks, DEPTH, language)
    with transaction.atomic():
        for row in generations.lock(pk=generation.pk):
            row.weights = weights
            row.save(update_fields=["weights"])
    return weights


def _draw_questions(generation: Generation, language: str) -> list[tuple[int, str]]:
    """Passages spread over the whole collection, always the same ones, each with its longest sentence."""
    ids = list(
        Chunk.objects.filter(generation=generation, language=language)
        .order_by("pk")
        .values_list("pk", flat=True)
    )
    step = max(1, len(ids) // SAMPLE)
    chunks = Chunk.objects.filter(pk__in=ids[::step][:SAMPLE]).order_by("pk")
    return [(chunk.pk, max(split_sentences(chunk.text), key=len)[:200]) for chunk in chunks]


def _rank(column: str, generation: Generation, chunk_id: int, vector: Sequence[float]) -> int | None:
    statement = sql.SQL(NEAREST).format(sql.Identifier(column))
    with connection.cursor() as cursor:
        cursor.execute(statement, [write_vector(vector), generation.pk, DEPTH])
        (found,) = cursor.fetchone()
    return found.index(chunk_id) if found and chunk_id in found else None
