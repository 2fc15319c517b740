"""What a model has read of passages, in the tenant's schema: kept with the passage it stands in, and gone
with it (`rag.graph.postgres`). Names that it found are names as all others, so that a search follows them.

Whoever writes has locked the collection. Each passage knows one model's relations: those of the last that
read it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import connection

from rag.graph.names import normalise, number_of
from rag.graph.reading import Found, Passage

WANTING = """
FROM rag_chunk c JOIN rag_document d ON d.id = c.document_id
WHERE c.generation_id = %s AND NOT EXISTS (
  SELECT FROM rag_reading r WHERE r.chunk_id = c.id AND r.model = %s AND (r.is_read OR r.order_id = %s))
"""
LIST = "SELECT c.id, d.title, c.headings, c.text" + WANTING + "ORDER BY c.id LIMIT %s"
MEASURE = (
    "SELECT count(*), coalesce(sum(size), 0), coalesce(max(size), 0) FROM (SELECT octet_length(c.text)"  # noqa: S608 - our own
    " + octet_length(d.title) + octet_length(array_to_string(c.headings, ' ')) AS size"
    + WANTING
    + ") AS wanting"
)
COUNT = """
SELECT (SELECT count(*) FROM rag_chunk WHERE generation_id = %s),
  (SELECT count(*) FROM rag_reading WHERE generation_id = %s AND is_read),
  (SELECT count(*) FROM rag_reading WHERE generation_id = %s AND NOT is_read AND model = %s),
  (SELECT count(*) FROM rag_relation WHERE generation_id = %s)
"""
COUNT_ASKED = """
SELECT count(*), count(*) FILTER (WHERE is_read) FROM rag_reading WHERE generation_id = %s AND order_id = %s
"""
ASKED = """
INSERT INTO rag_reading (chunk_id, generation_id, model, is_read, order_id)
SELECT id, generation_id, %s, %s, %s FROM rag_chunk WHERE id = %s AND generation_id = %s
ON CONFLICT (chunk_id, model) DO UPDATE SET is_read = excluded.is_read, order_id = excluded.order_id
"""
# what another model read of the passage
CLEAR = """
WITH related AS (DELETE FROM rag_relation WHERE chunk_id = %s),
asked AS (DELETE FROM rag_reading WHERE chunk_id = %s AND model <> %s),
gone AS (DELETE FROM rag_mention WHERE chunk_id = %s AND is_read RETURNING generation_id, entity_key)
DELETE FROM rag_entity e USING gone g
WHERE e.generation_id = g.generation_id AND e.key = g.entity_key AND NOT EXISTS (
  SELECT FROM rag_mention m
  WHERE m.generation_id = e.generation_id AND m.entity_key = e.key AND NOT (m.chunk_id = %s AND m.is_read))
"""
# to passages of another index that say the same; names are those that the model found, or related
CARRY = """
WITH pairs AS (
  SELECT DISTINCT ON (n.id) o.id AS old, n.id AS new FROM rag_chunk o
  JOIN rag_chunk n ON n.document_id = o.document_id AND n.text = o.text
  WHERE o.generation_id = %(old)s AND n.generation_id = %(new)s
  AND EXISTS (SELECT FROM rag_reading r WHERE r.chunk_id = o.id AND r.is_read)
  ORDER BY n.id, o.id
), related AS (SELECT p.new, r.* FROM pairs p JOIN rag_relation r ON r.chunk_id = p.old
), named AS (
  SELECT p.new, m.entity_key AS key FROM pairs p JOIN rag_mention m ON m.chunk_id = p.old AND m.is_read
  UNION SELECT new, subject_key FROM related UNION SELECT new, object_key FROM related
), entities AS (
  INSERT INTO rag_entity (generation_id, key, name, kind)
  SELECT DISTINCT %(new)s::int, e.key, e.name, e.kind FROM named n
  JOIN rag_entity e ON e.generation_id = %(old)s AND e.key = n.key
  ON CONFLICT (generation_id, key) DO UPDATE SET kind = excluded.kind WHERE rag_entity.kind = ''
), mentions AS (
  INSERT INTO rag_mention (entity_key, chunk_id, generation_id, is_title, is_read)
  SELECT key, new, %(new)s, false, true FROM named ON CONFLICT DO NOTHING
), relations AS (
  INSERT INTO rag_relation
    (chunk_id, number, generation_id, subject_key, predicate, object_key, evidence_from, evidence_to)
  SELECT new, number, %(new)s, subject_key, predicate, object_key, evidence_from, evidence_to FROM related
)
INSERT INTO rag_reading (chunk_id, generation_id, model, is_read, order_id)
SELECT p.new, %(new)s, r.model, true, r.order_id FROM pairs p
JOIN rag_reading r ON r.chunk_id = p.old AND r.is_read
"""
ADD_ENTITIES = """
INSERT INTO rag_entity (generation_id, key, name, kind)
SELECT %s, key, name, kind FROM unnest(%s::bigint[], %s::text[], %s::text[]) AS new (key, name, kind)
ON CONFLICT (generation_id, key) DO UPDATE SET kind = excluded.kind
WHERE rag_entity.kind = '' AND excluded.kind <> ''
"""
ADD_MENTIONS = """
INSERT INTO rag_mention (entity_key, chunk_id, generation_id, is_title, is_read)
SELECT key, %s, %s, false, true FROM unnest(%s::bigint[]) AS new (key) ON CONFLICT DO NOTHING
"""
ADD_RELATION = """
INSERT INTO rag_relation
  (chunk_id, number, generation_id, subject_key, predicate, object_key, evidence_from, evidence_to)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
"""
NOBODY = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Counts:
    """`unread_count`: of the passages that this model was asked for in vain."""

    passage_count: int = 0
    read_count: int = 0
    unread_count: int = 0
    relation_count: int = 0


def count(generation_id: int, model: str) -> Counts:
    with connection.cursor() as cursor:
        cursor.execute(COUNT, [generation_id, generation_id, generation_id, model, generation_id])
        return Counts(*cursor.fetchone())


def count_asked(generation_id: int, order_id: UUID) -> tuple[int, int]:
    """The passages of an order: asked for, and read."""
    with connection.cursor() as cursor:
        cursor.execute(COUNT_ASKED, [generation_id, order_id])
        return cursor.fetchone()


def measure_wanting(generation_id: int, model: str) -> tuple[int, int, int]:
    """How many passages this model has not read, their bytes, and those of the longest."""
    with connection.cursor() as cursor:
        cursor.execute(MEASURE, [generation_id, model, NOBODY])
        passages, size_bytes, longest = cursor.fetchone()
        return passages, int(size_bytes), longest


def list_wanting(generation_id: int, model: str, order_id: UUID, limit: int) -> list[Passage]:
    """The next that this model has not read, and was not asked for in this order."""
    with connection.cursor() as cursor:
        cursor.execute(LIST, [generation_id, model, order_id, limit])
        return [Passage(pk, title, tuple(above), text) for pk, title, above, text in cursor.fetchall()]


def keep(
    generation_id: int, model: str, order_id: UUID, answers: Sequence[tuple[Passage, Found | None]]
) -> None:
    """What a model found in each of these; None: nothing usable. Passages that are gone are passed over."""
    with connection.cursor() as cursor:
        for passage, found in answers:
            is_read = found is not None
            cursor.execute(ASKED, [model, is_read, order_id, passage.chunk_id, generation_id])
            if cursor.rowcount and found is not None:
                cursor.execute(CLEAR, [passage.chunk_id, passage.chunk_id, model, *[passage.chunk_id] * 2])
                _add(cursor, generation_id, passage.chunk_id, found)


def carry(old: int, new: int) -> None:
    """What was read for one index counts for the next, passage by passage: it was paid for. Once, when the
    next takes its place.
    """
    with connection.cursor() as cursor:
        cursor.execute(CARRY, {"old": old, "new": new})


def _add(cursor, generation_id: int, chunk_id: int, found: Found) -> None:
    names = {_key(name): (name, kind) for name, kind in reversed(found.kinds.items())}
    keys, texts = list(names), [name for name, _kind in names.values()]
    cursor.execute(ADD_ENTITIES, [generation_id, keys, texts, [kind for _name, kind in names.values()]])
    cursor.execute(ADD_MENTIONS, [chunk_id, generation_id, keys])
    rows = [
        (
            *(chunk_id, number, generation_id, _key(one.subject), one.predicate, _key(one.object)),
            *(one.evidence_from, one.evidence_to),
        )
        for number, one in enumerate(found.relations)
    ]
    if rows:
        cursor.executemany(ADD_RELATION, rows)


def _key(name: str) -> int:
    return number_of(normalise(name))
