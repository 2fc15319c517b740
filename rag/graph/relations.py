"""What a model has read of passages, in the tenant's schema: kept with the passage it stands in, and gone
with it (`rag.graph.postgres`). Names that it found are names as all others, so that a search follows them.

Whoever writes has locked the collection. Each passage knows one model's relations: those of the last that
read it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection
from psycopg.types.json import Jsonb

from rag.graph.names import normalise, number_of
from rag.graph.reading import Found, Passage

WANTING = """
FROM rag_chunk c JOIN rag_document d ON d.id = c.document_id
CROSS JOIN LATERAL (SELECT c.asked -> %s AS mine) a
WHERE c.generation_id = %s AND NOT coalesce((a.mine ->> 'is_read')::boolean OR a.mine ->> 'order' = %s, false)
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
  asked.read, asked.unread, asked.relations FROM (
    SELECT count(*) FILTER (WHERE jsonb_path_exists(asked, '$.*.is_read ? (@ == true)')) AS read,
      count(*) FILTER (WHERE NOT (asked -> %s ->> 'is_read')::boolean) AS unread,
      coalesce(sum(jsonb_array_length(relations)), 0) AS relations
    FROM rag_chunk WHERE generation_id = %s AND asked IS NOT NULL
  ) asked
"""
COUNT_ASKED = """
SELECT count(*), count(*) FILTER (WHERE (one.value ->> 'is_read')::boolean)
FROM rag_chunk c CROSS JOIN LATERAL jsonb_each(c.asked) one
WHERE c.generation_id = %s AND c.asked IS NOT NULL AND one.value ->> 'order' = %s
"""
# what stands there of other models stays where this one found nothing usable
ASKED = """
UPDATE rag_chunk SET asked = coalesce(asked, '{}') || %s WHERE id = %s AND generation_id = %s
"""
READ = "UPDATE rag_chunk SET asked = %s, relations = %s WHERE id = %s AND generation_id = %s"
# the names that a model found in the passage before
CLEAR = """
WITH gone AS (DELETE FROM rag_mention WHERE chunk_id = %s AND is_read RETURNING generation_id, entity_key)
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
  AND jsonb_path_exists(o.asked, '$.*.is_read ? (@ == true)')
  ORDER BY n.id, o.id
), related AS (
  SELECT p.new, (r.value ->> 0)::bigint AS subject_key, (r.value ->> 2)::bigint AS object_key
  FROM pairs p JOIN rag_chunk o ON o.id = p.old CROSS JOIN LATERAL jsonb_array_elements(o.relations) r
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
)
UPDATE rag_chunk n SET relations = o.relations,
  asked = (SELECT jsonb_object_agg(key, value) FROM jsonb_each(o.asked) WHERE (value ->> 'is_read')::boolean)
FROM pairs p JOIN rag_chunk o ON o.id = p.old WHERE n.id = p.new
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
NOBODY = ""  # no order


@dataclass(frozen=True, slots=True)
class Counts:
    """`unread_count`: of the passages that this model was asked for in vain."""

    passage_count: int = 0
    read_count: int = 0
    unread_count: int = 0
    relation_count: int = 0


def count(generation_id: int, model: str) -> Counts:
    with connection.cursor() as cursor:
        cursor.execute(COUNT, [generation_id, model, generation_id])
        return Counts(*map(int, cursor.fetchone()))


def count_asked(generation_id: int, order_id: UUID) -> tuple[int, int]:
    """The passages of an order: asked for, and read."""
    with connection.cursor() as cursor:
        cursor.execute(COUNT_ASKED, [generation_id, str(order_id)])
        return cursor.fetchone()


def measure_wanting(generation_id: int, model: str) -> tuple[int, int, int]:
    """How many passages this model has not read, their bytes, and those of the longest."""
    with connection.cursor() as cursor:
        cursor.execute(MEASURE, [model, generation_id, NOBODY])
        passages, size_bytes, longest = cursor.fetchone()
        return passages, int(size_bytes), longest


def list_wanting(generation_id: int, model: str, order_id: UUID, limit: int) -> list[Passage]:
    """The next that this model has not read, and was not asked for in this order."""
    with connection.cursor() as cursor:
        cursor.execute(LIST, [model, generation_id, str(order_id), limit])
        return [Passage(pk, title, tuple(above), text) for pk, title, above, text in cursor.fetchall()]


def keep(
    generation_id: int, model: str, order_id: UUID, answers: Sequence[tuple[Passage, Found | None]]
) -> None:
    """What a model found in each of these; None: nothing usable. Passages that are gone are passed over."""
    with connection.cursor() as cursor:
        for passage, found in answers:
            asked: Any = Jsonb({model: {"is_read": found is not None, "order": str(order_id)}})
            if found is None:
                cursor.execute(ASKED, [asked, passage.chunk_id, generation_id])
                continue
            kept: Any = Jsonb(_rows(found))
            cursor.execute(READ, [asked, kept, passage.chunk_id, generation_id])
            if cursor.rowcount:
                cursor.execute(CLEAR, [passage.chunk_id] * 2)
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


def _rows(found: Found) -> list[list]:
    """As rag.models.Chunk.relations keeps them."""
    return [
        [_key(one.subject), one.predicate, _key(one.object), one.evidence_from, one.evidence_to]
        for one in found.relations
    ]


def _key(name: str) -> int:
    return number_of(normalise(name))
