"""The graph in the tenant's schema. A name is kept as a number, as terms are, so that nothing is looked up to
write it; the edge between two names is the passage that says both.

Guards against: names and edges without a passage, whoever writes at the same time (one writer a generation:
the caller locks its row); a name that half the collection says, which would lead anywhere and cost the
time of all of it; a passage of a collection that the asker may not read, or that the question's
filter leaves out (`Fetch`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from uuid import UUID

from django.db import connection

from rag.copying import write_array
from rag.graph import Fetch, Reached
from rag.graph.names import list_names, list_title_names, normalise, number_of
from rag.models import Chunk

# A name that more passages say than this is not followed: so many, or this share of the collection, and never
# more than MOST_SAYING
FEW, SHARE, MOST_SAYING = 20, 0.02, 200
MOST_NAMES = 200  # of all seeds together, those of the best finds first
REACHED = 20
MOST_SHOWN = 3  # names beside a find
COPY_MENTIONS = "COPY rag_mention (entity_key, chunk_id, generation_id, is_title) FROM STDIN"
ADD_ENTITIES = """
INSERT INTO rag_entity (generation_id, key, name)
SELECT %s, key, name FROM unnest(%s::bigint[], %s::text[]) AS new (key, name) ON CONFLICT DO NOTHING
"""
# the statement sees the mentions as they were before it
REMOVE = """
WITH gone AS (DELETE FROM rag_mention WHERE chunk_id = ANY(%s) RETURNING generation_id, entity_key)
DELETE FROM rag_entity e USING (SELECT DISTINCT generation_id, entity_key FROM gone) g
WHERE e.generation_id = g.generation_id AND e.key = g.entity_key AND NOT EXISTS (
  SELECT FROM rag_mention m
  WHERE m.generation_id = e.generation_id AND m.entity_key = e.key AND NOT m.chunk_id = ANY(%s))
"""
FORGET = (
    "DELETE FROM rag_mention WHERE generation_id = %s",
    "DELETE FROM rag_entity WHERE generation_id = %s",
)
# One step of a random walk: from a seed to each of its names, from there to the passages that say it in equal
# shares, and to those whose title it is as if they alone did. A title leads not to the rest of its document.
# `mentioned` asks by passages alone: beside the generation, with which the primary key begins, the planner
# may skip through all names instead.
REACH = """
, seeds AS (SELECT * FROM unnest(%s::bigint[], %s::float[]) AS s (chunk_id, score)),
followed AS MATERIALIZED (
  SELECT g.id, least(greatest(%s, g.chunk_count * %s), %s)::int AS most
  FROM readable r JOIN rag_generation g ON g.id = r.generation_id
  JOIN rag_collection c ON c.id = r.id AND c.uses_graph
), mentioned AS MATERIALIZED (
  SELECT s.score, m.* FROM seeds s JOIN rag_mention m ON m.chunk_id = s.chunk_id
), named AS MATERIALIZED (
  SELECT m.generation_id, m.entity_key, f.most, array_agg(m.chunk_id) AS chunk_ids,
    array_agg(m.score) AS scores, array_agg(m.is_title) AS titles, sum(m.score) AS score
  FROM mentioned m JOIN followed f ON f.id = m.generation_id
  GROUP BY 1, 2, 3 ORDER BY score DESC, m.entity_key LIMIT %s
), said AS (
  SELECT n.*, p.chunk_id, p.is_title, count(*) OVER w AS sayers,
    count(*) FILTER (WHERE p.is_title) OVER w AS titled
  FROM named n CROSS JOIN LATERAL (
    SELECT p.chunk_id, p.is_title FROM rag_mention p
    WHERE p.generation_id = n.generation_id AND p.entity_key = n.entity_key LIMIT n.most + 1
  ) p
  WINDOW w AS (PARTITION BY n.generation_id, n.entity_key)
), led AS (
  SELECT p.chunk_id, p.generation_id, p.entity_key, p.sayers,
    s.score * CASE WHEN p.is_title THEN 1.0 / p.titled ELSE 1.0 / p.sayers END AS weight
  FROM said p CROSS JOIN LATERAL unnest(p.chunk_ids, p.scores, p.titles) AS s (chunk_id, score, is_title)
  WHERE p.sayers <= p.most AND NOT (s.is_title AND p.is_title) AND NOT p.chunk_id = ANY(%s) {filter}
), best AS (
  SELECT chunk_id, generation_id, sum(weight) AS weight,
    (array_agg(entity_key ORDER BY weight DESC, entity_key))[1:%s] AS keys
  FROM led GROUP BY 1, 2 ORDER BY 3 DESC, 1 LIMIT %s
)
SELECT b.chunk_id, b.weight,
  ARRAY(SELECT e.name FROM unnest(b.keys) WITH ORDINALITY AS k (key, place)
        JOIN rag_entity e ON e.generation_id = b.generation_id AND e.key = k.key
        GROUP BY e.name ORDER BY min(k.place))
FROM best b ORDER BY b.weight DESC, b.chunk_id
"""


class PostgresGraph:
    def add(self, generation_id: int, chunks: Iterable[Chunk], titles: Mapping[UUID, str]) -> None:
        names: dict[int, str] = {}
        lines: list[str] = []
        for chunk, found in _list_found(list(chunks)):
            of_title = {
                number_of(normalise(name)): name for name in list_title_names(titles[chunk.document_id])
            }
            in_text = {number_of(normalise(name)): name for name in found}
            for key, name in (of_title | in_text).items():
                names.setdefault(key, name)
                lines.append(f"{key}\t{chunk.pk}\t{generation_id}\t{'t' if key in of_title else 'f'}\n")
        if not lines:
            return
        with connection.cursor() as cursor:
            cursor.execute(ADD_ENTITIES, [generation_id, write_array(names), list(names.values())])
            with cursor.copy(COPY_MENTIONS) as copy:
                copy.write("".join(lines))

    def remove(self, chunk_ids: Sequence[int]) -> None:
        with connection.cursor() as cursor:
            cursor.execute(REMOVE, [list(chunk_ids)] * 2)

    def forget(self, generation_id: int) -> None:
        with connection.cursor() as cursor:
            for statement in FORGET:
                cursor.execute(statement, [generation_id])

    def reach(self, fetch: Fetch, seeds: Mapping[int, float]) -> list[Reached]:
        if not seeds:
            return []
        ids = list(seeds)
        bounds = [FEW, SHARE, MOST_SAYING, MOST_NAMES]
        rows = fetch(REACH, [ids, list(seeds.values()), *bounds, ids, MOST_SHOWN, REACHED], "p")
        return [Reached(chunk_id, weight, tuple(names)) for chunk_id, weight, names in rows]


def _list_found(chunks: Sequence[Chunk]) -> Iterator[tuple[Chunk, list[str]]]:
    """Each passage with the names in it."""
    for language in dict.fromkeys(chunk.language for chunk in chunks):
        same = [chunk for chunk in chunks if chunk.language == language]
        yield from zip(same, list_names([chunk.text for chunk in same], language), strict=True)
