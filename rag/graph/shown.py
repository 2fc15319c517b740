"""The graph of a collection as people see it: its names with where they stand, and which stand together.

Whoever calls has asked whether the collection may be read; a graph is of one collection, so no edge crosses
that border.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from django.db import connection

from rag.models import Collection

MOST_SHOWN, MOST_EDGES = 120, 400  # names and edges in the picture
MOST_EXPORTED, MOST_EXPORTED_EDGES = 20_000, 100_000
MOST_STATEMENTS = 200  # on the page
MOST_SAYING = 60  # passages of a name that edges are sought in
# Names that several passages say, or that title one and are said by another, the most frequent first
NAMES = """
SELECT e.key, e.name, e.kind, count(*) AS said, bool_or(m.is_title) AS is_title, min(m.chunk_id) AS first
FROM rag_entity e JOIN rag_mention m ON m.generation_id = e.generation_id AND m.entity_key = e.key
WHERE e.generation_id = %s AND (%s = '' OR e.name ILIKE %s)
GROUP BY e.key, e.name, e.kind HAVING count(*) > 1 OR %s ORDER BY said DESC, e.key LIMIT %s
"""
EDGES = """
WITH said AS (
  SELECT k.key, m.chunk_id FROM unnest(%s::bigint[]) AS k (key) CROSS JOIN LATERAL (
    SELECT chunk_id FROM rag_mention m WHERE m.generation_id = %s AND m.entity_key = k.key
    ORDER BY chunk_id LIMIT %s) m
)
SELECT a.key, b.key, count(*) AS weight, min(a.chunk_id) AS evidence
FROM said a JOIN said b ON b.chunk_id = a.chunk_id AND b.key > a.key
GROUP BY 1, 2 ORDER BY weight DESC, 1, 2 LIMIT %s
"""
# the excerpt's own place, where the passage is a plain piece of its document's text; else the passage's
RELATIONS = """
SELECT r.subject_key, s.name, r.predicate, r.object_key, o.name,
  substr(c.text, r.evidence_from + 1, r.evidence_to - r.evidence_from), c.document_id, d.title,
  c.char_from + CASE WHEN p.is_plain THEN r.evidence_from ELSE 0 END,
  CASE WHEN p.is_plain THEN c.char_from + r.evidence_to ELSE c.char_to END, coalesce(c.page_from, 0)
FROM rag_chunk c JOIN rag_document d ON d.id = c.document_id
CROSS JOIN LATERAL (
  SELECT (one ->> 0)::bigint AS subject_key, one ->> 1 AS predicate, (one ->> 2)::bigint AS object_key,
    (one ->> 3)::int AS evidence_from, (one ->> 4)::int AS evidence_to, number
  FROM jsonb_array_elements(c.relations) WITH ORDINALITY AS found (one, number)
) r
JOIN rag_entity s ON s.generation_id = c.generation_id AND s.key = r.subject_key
JOIN rag_entity o ON o.generation_id = c.generation_id AND o.key = r.object_key
CROSS JOIN LATERAL (SELECT length(c.text) = c.char_to - c.char_from AS is_plain) p
WHERE c.generation_id = %s AND c.asked IS NOT NULL
  AND (%s = '' OR s.name ILIKE %s OR r.predicate ILIKE %s OR o.name ILIKE %s)
ORDER BY s.name, r.predicate, o.name, c.id, r.number LIMIT %s
"""
PLACES = """
SELECT c.id, c.document_id, d.title, c.char_from, c.char_to, coalesce(c.page_from, 0)
FROM rag_chunk c JOIN rag_document d ON d.id = c.document_id
WHERE c.id = ANY(%s) AND c.generation_id = %s
"""


@dataclass(frozen=True, slots=True)
class Place:
    """A passage: what proves a name or an edge."""

    document_id: UUID
    title: str
    char_from: int
    char_to: int
    page: int  # 0: the format knows none


@dataclass(frozen=True, slots=True)
class Name:
    """`kind`: as a model saw it, or empty. `count`: of the passages that say it. `place`: the first of
    them.
    """

    key: int
    name: str
    kind: str
    count: int
    is_title: bool
    place: Place


@dataclass(frozen=True, slots=True)
class Edge:
    """Two names that stand together in `weight` passages, one of which is `place`."""

    source: int
    target: int
    weight: int
    place: Place


@dataclass(frozen=True, slots=True)
class Statement:
    """A relation that a model read, with the piece of the passage that says so, and where that stands."""

    source: int
    subject: str
    predicate: str
    target: int
    object: str
    evidence: str
    place: Place


@dataclass(frozen=True, slots=True)
class Picture:
    names: list[Name]
    edges: list[Edge]

    def list_beside(self) -> Iterator[tuple[Name, list[Name]]]:
        """Each name with those it stands together with in the picture, the closest first."""
        by_key = {row.key: row for row in self.names}
        beside: dict[int, list[Name]] = {row.key: [] for row in self.names}
        for edge in self.edges:
            beside[edge.source].append(by_key[edge.target])
            beside[edge.target].append(by_key[edge.source])
        yield from ((row, beside[row.key]) for row in self.names)


def draw(
    collection: Collection, words: str = "", *, names: int = MOST_SHOWN, edges: int = MOST_EDGES
) -> Picture:
    """Its most frequent names, of those that hold `words`."""
    generation_id = collection.active_generation_id
    if generation_id is None:
        return Picture([], [])
    pattern = _pattern_of(words)
    is_all = bool(words) or names > MOST_SHOWN
    with connection.cursor() as cursor:
        cursor.execute(NAMES, [generation_id, words, pattern, is_all, names])
        rows = cursor.fetchall()
        cursor.execute(EDGES, [[row[0] for row in rows], generation_id, MOST_SAYING, edges])
        pairs = cursor.fetchall()
        chunks = {row[5] for row in rows} | {row[3] for row in pairs}
        cursor.execute(PLACES, [list(chunks), generation_id])
        places = {chunk_id: Place(*place) for chunk_id, *place in cursor.fetchall()}
    return Picture(
        [
            Name(key, name, kind, count, is_title, places[first])
            for key, name, kind, count, is_title, first in rows
        ],
        [Edge(source, target, weight, places[proof]) for source, target, weight, proof in pairs],
    )


def export(collection: Collection) -> Picture:
    """All of it, as far as a file of some megabytes holds it."""
    return draw(collection, names=MOST_EXPORTED, edges=MOST_EXPORTED_EDGES)


def list_statements(
    collection: Collection, words: str = "", *, most: int = MOST_STATEMENTS
) -> list[Statement]:
    """Its relations, of those that hold `words` in one of their three parts."""
    if collection.active_generation_id is None:
        return []
    pattern = _pattern_of(words)
    with connection.cursor() as cursor:
        cursor.execute(RELATIONS, [collection.active_generation_id, words, *[pattern] * 3, most])
        return [
            Statement(source, subject, predicate, target, thing, evidence, Place(*place))
            for source, subject, predicate, target, thing, evidence, *place in cursor.fetchall()
        ]


def _pattern_of(words: str) -> str:
    return "%" + words.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_") + "%"
