"""The statements of a search. Each begins with the collections that the caller may read, as a query of its
own: what may not be read is not ranked, and counts in no statistic.
"""

from dataclasses import dataclass, replace
from typing import Any

from django.db import connection
from django.db.models import QuerySet
from psycopg import sql
from psycopg.sql import Composable
from psycopg.types.json import Jsonb

from rag.copying import write_array
from rag.engines import Question
from rag.engines.pgvector.vectors import COLUMN, EXACT_ROWS

K1, B = 1.2, 0.75
CANDIDATES = 100  # of each leg
# Chunks that a filter leaves are found once, and named to each statement; of more, each finds its own. Named,
# a quarter of 10,000 is searched in a third of the time; nine tenths take a quarter longer
MOST_LISTED = EXACT_ROWS
# Over so many chunks the words that most of them contain are asked last, of the best alone
PRUNED_CHUNKS, RARE_SHARE, RESCORED = 50_000, 0.05, 200

READABLE = """
WITH readable (id, generation_id) AS MATERIALIZED ({collections}),
allowed AS MATERIALIZED (
  SELECT d.id FROM rag_document d JOIN readable r ON r.id = d.collection_id
  WHERE %s AND d.metadata @> %s AND (%s::uuid[] IS NULL OR d.id = ANY(%s))
)
"""
# BM25 (Robertson and Zaragoza 2009, equation 3.15) with one weight a term over all collections together:
# each by itself would let rare words of small collections win. Rare terms first; the others are looked up for
# the best of these only.
WORDS = """
, totals AS (
  SELECT sum(g.chunk_count)::float AS chunks,
    sum(g.term_count)::float / greatest(sum(g.chunk_count), 1) AS mean
  FROM rag_generation g WHERE g.id IN (SELECT generation_id FROM readable)
), asked AS (
  SELECT c.term, sum(c.chunk_count)::float AS chunks FROM readable r
  JOIN rag_termcount c ON c.generation_id = r.generation_id AND c.term = ANY(%s) GROUP BY c.term
), weighed AS MATERIALIZED (
  SELECT a.term, ln(1 + (t.chunks - a.chunks + 0.5) / (a.chunks + 0.5)) AS weight, t.mean,
    t.chunks <= %s OR sum(a.chunks) OVER w <= t.chunks * %s OR row_number() OVER w = 1 AS is_first
  FROM asked a CROSS JOIN totals t WINDOW w AS (ORDER BY a.chunks, a.term)
), best AS MATERIALIZED (
  SELECT p.chunk_id, p.generation_id,
    sum(w.weight * p.frequency * %s / (p.frequency + %s * (%s + %s * p.length / w.mean))) AS score
  FROM weighed w CROSS JOIN readable r CROSS JOIN LATERAL (
    SELECT p.chunk_id, p.generation_id, p.frequency, p.length FROM rag_posting p
    WHERE p.generation_id = r.generation_id AND p.term = w.term OFFSET 0
  ) p
  WHERE w.is_first {filter}
  GROUP BY p.chunk_id, p.generation_id ORDER BY score DESC, p.chunk_id LIMIT %s
)
SELECT b.chunk_id, b.generation_id, b.score + coalesce(rest.score, 0) AS score
FROM best b LEFT JOIN (
  SELECT p.chunk_id,
    sum(w.weight * p.frequency * %s / (p.frequency + %s * (%s + %s * p.length / w.mean))) AS score
  FROM weighed w CROSS JOIN (SELECT DISTINCT generation_id FROM best) r CROSS JOIN LATERAL (
    SELECT p.chunk_id, p.frequency, p.length FROM rag_posting p
    WHERE p.generation_id = r.generation_id AND p.term = w.term
      AND p.chunk_id = ANY (ARRAY(SELECT chunk_id FROM best ORDER BY chunk_id)) OFFSET 0
  ) p
  WHERE NOT w.is_first GROUP BY p.chunk_id
) rest ON rest.chunk_id = b.chunk_id
ORDER BY score DESC, b.chunk_id LIMIT %s
"""
COUNT_VECTORS = """
SELECT count(*) FROM (
  SELECT FROM readable r JOIN rag_vector v ON v.generation_id = r.generation_id AND v.{vector} IS NOT NULL
  {filter} LIMIT %s
) AS found
"""
# ordered by an expression that is not the graph's own: its index would miss some
EXACT = """
SELECT v.chunk_id, v.generation_id, -(v.{vector} <#> %s::halfvec) AS similarity
FROM readable r JOIN rag_generation g ON g.id = r.generation_id AND g.embedding_model = %s
JOIN rag_vector v ON v.generation_id = r.generation_id
WHERE v.{vector} IS NOT NULL {filter} ORDER BY similarity DESC, v.chunk_id LIMIT %s
"""
GRAPH = """
, mine AS MATERIALIZED (
  SELECT g.id FROM rag_generation g JOIN readable r ON r.generation_id = g.id WHERE g.embedding_model = %s
), near AS (
  SELECT v.chunk_id, v.generation_id, v.{vector} <#> %s::halfvec AS distance FROM rag_vector v
  WHERE v.is_indexed AND v.generation_id = ANY (ARRAY(SELECT id FROM mine)) {filter}
  ORDER BY distance LIMIT %s
), beside AS (
  SELECT v.chunk_id, v.generation_id, v.{vector} <#> %s::halfvec AS distance FROM mine
  JOIN rag_vector v ON v.generation_id = mine.id AND NOT v.is_indexed
  WHERE v.{vector} IS NOT NULL {filter} ORDER BY distance LIMIT %s
)
SELECT chunk_id, generation_id, -distance AS similarity FROM (TABLE near UNION ALL TABLE beside) AS found
ORDER BY similarity DESC, chunk_id LIMIT %s
"""
SIMILARITIES = """
SELECT v.chunk_id, -(v.{vector} <#> %s::halfvec) FROM rag_vector v
JOIN rag_generation g ON g.id = v.generation_id AND g.embedding_model = %s
WHERE v.chunk_id = ANY(%s) AND v.{vector} IS NOT NULL
"""
ITERATE = """
SELECT set_config('hnsw.iterative_scan', 'relaxed_order', true), set_config('hnsw.ef_search', '100', true)
"""
HITS = """
SELECT c.id, c.document_id, r.id, d.title, c.text, c.headings, c.page_from, c.page_to, c.char_from, c.char_to
FROM rag_chunk c JOIN readable r ON r.generation_id = c.generation_id
JOIN rag_document d ON d.id = c.document_id
WHERE c.id = ANY(%s)
"""
ALLOWED = """
SELECT c.id FROM allowed a JOIN rag_chunk c ON c.document_id = a.id
JOIN readable s ON s.generation_id = c.generation_id
"""
FILTER = "AND {row}.chunk_id IN (" + ALLOWED + ")"
LISTED = "AND {row}.chunk_id = ANY ({chunk_ids}::bigint[])"


@dataclass(frozen=True, slots=True)
class Where:
    """Which rows a question may find: the beginning of each statement, with its parameters. `chunk_ids`: all
    that a filter leaves; None: no filter, or it leaves many.
    """

    sql: sql.Composed
    params: tuple[Any, ...]
    is_filtered: bool
    chunk_ids: list[int] | None = None

    @classmethod
    def of(cls, question: Question) -> "Where":
        """Raises EmptyResultSet where the caller may read nothing."""
        has_index = question.collections.filter(active_generation__isnull=False).order_by()
        text, params = _compile(has_index.values_list("pk", "active_generation"))
        documents = None if question.document_ids is None else list(question.document_ids)
        is_filtered = bool(question.metadata) or documents is not None
        more = (is_filtered, Jsonb(dict(question.metadata)), documents, documents)
        readable = sql.SQL(READABLE).format(collections=sql.SQL(text))  # type: ignore[arg-type]
        where = cls(readable, (*params, *more), is_filtered)
        return where._with_chunks() if is_filtered else where

    def _with_chunks(self) -> "Where":
        rows = self.fetch(ALLOWED + "LIMIT %s", [MOST_LISTED + 1])
        return replace(self, chunk_ids=[pk for (pk,) in rows]) if len(rows) <= MOST_LISTED else self

    def fetch(
        self, statement: str, params: list[Any], *, row: str = "v", dimensions: int = 384
    ) -> list[tuple]:
        """What the statement finds of these rows; `row` is the alias whose chunks a filter looks at."""
        vector = sql.Identifier(COLUMN[dimensions])
        composed = sql.SQL(statement).format(filter=self._filter(row), vector=vector)  # type: ignore[arg-type]
        with connection.cursor() as cursor:
            cursor.execute(sql.Composed([self.sql, composed]), [*self.params, *params])
            return cursor.fetchall()

    def _filter(self, row: str) -> Composable:
        if not self.is_filtered:
            return sql.SQL("")
        if self.chunk_ids is None:
            return sql.SQL(FILTER).format(row=sql.Identifier(row))
        chunk_ids = sql.Literal(write_array(self.chunk_ids))
        return sql.SQL(LISTED).format(row=sql.Identifier(row), chunk_ids=chunk_ids)

    def fetch_of(self, statement: str, params: list[Any], row: str) -> list[tuple]:
        """The same, as the graph asks (rag.graph.Fetch)."""
        return self.fetch(statement, params, row=row)


def _compile(rows: QuerySet) -> tuple[str, tuple[Any, ...]]:
    return rows.query.sql_with_params()


def words_params(terms: list[int], limit: int) -> list[Any]:
    saturation = [K1 + 1, K1, 1 - B, B]
    return [terms, PRUNED_CHUNKS, RARE_SHARE, *saturation, max(RESCORED, limit), *saturation, limit]
