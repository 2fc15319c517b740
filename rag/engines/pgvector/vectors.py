"""The vectors of a generation, in the column of their dimension (decision 27).

New rows stand outside the graph of the index and are compared one by one, which is exact and fast below
EXACT_ROWS. Only a generation above that is taken into the graph, row by row, by `take_into_graph`; no right
to create indexes is needed. A bulk load may also drop the graph's index, mark all rows and build it again as
the tables' owner, in a tenth of the time: `GRAPH_INDEX` names it.
"""

import struct
from collections.abc import Iterable, Sequence
from math import sqrt

from django.db import connection
from django.utils.translation import gettext as _
from psycopg import sql

from foundation.errors import InvalidInput
from rag.models import DIMENSIONS, Generation

EXACT_ROWS = 20_000
GRAPH_BATCH = 500  # rows: some five seconds
COLUMN = {number: f"embedding{number}" for number in DIMENSIONS}
GRAPH_INDEX = {number: f"rag_vector{number}_graph" for number in DIMENSIONS}
COPY_VECTORS = "COPY rag_vector (chunk_id, generation_id, is_indexed, {}) FROM STDIN"
# of chunks that still exist, once each: a vector may come late, or twice
LIST_WANTING = """
SELECT c.id FROM rag_chunk c WHERE c.id = ANY(%s) AND c.generation_id = %s
AND NOT EXISTS (SELECT FROM rag_vector v WHERE v.chunk_id = c.id)
"""
# the rows are chosen once: as a plain subquery some plans choose anew for each row, beyond the limit
TAKE_INTO_GRAPH = """
WITH next AS MATERIALIZED (
  SELECT chunk_id FROM rag_vector WHERE generation_id = %s AND NOT is_indexed LIMIT %s FOR UPDATE SKIP LOCKED)
UPDATE rag_vector SET is_indexed = true WHERE chunk_id IN (SELECT chunk_id FROM next)
"""


def write_vector(vector: Sequence[float]) -> str:
    """A vector of length 1 as PostgreSQL reads it, in half precision. Raises InvalidInput for one without
    direction, with no number in it, or too large for it.
    """
    length = sqrt(sum(number * number for number in vector))
    if not 0 < length < float("inf"):
        raise InvalidInput(_("A vector needs a direction."))
    halves = struct.unpack(f"{len(vector)}e", struct.pack(f"{len(vector)}e", *(n / length for n in vector)))
    return "[" + ",".join(map(repr, halves)) + "]"


def add(generation: Generation, rows: Iterable[tuple[int, Sequence[float]]]) -> int:
    """Keep the vectors of chunks; the caller has locked the generation's row and saves its count. Those of
    chunks that are gone, or that have one, are passed over. Gives how many were kept.
    """
    dimensions = generation.dimensions
    found = dict(rows)
    if dimensions is None or any(len(vector) != dimensions for vector in found.values()):
        raise InvalidInput(_("These vectors do not have the dimensions of the collection's embedding model."))
    with connection.cursor() as cursor:
        cursor.execute(LIST_WANTING, [list(found), generation.pk])
        wanting = [chunk_id for (chunk_id,) in cursor.fetchall()]
        lines = [f"{pk}\t{generation.pk}\tf\t{write_vector(found[pk])}\n" for pk in wanting]
        with cursor.copy(sql.SQL(COPY_VECTORS).format(sql.Identifier(COLUMN[dimensions]))) as copy:
            copy.write("".join(lines))
    generation.vector_count += len(wanting)
    return len(wanting)


def remove(generation: Generation, chunk_ids: Sequence[int]) -> int:
    """Gives how many there were."""
    if generation.dimensions is None:
        return 0
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM rag_vector WHERE chunk_id = ANY(%s)", [list(chunk_ids)])
        return cursor.rowcount


def forget_generation(generation: Generation) -> None:
    """Remove all vectors of a generation."""
    if generation.dimensions is not None:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM rag_vector WHERE generation_id = %s", [generation.pk])


def take_into_graph(generation: Generation, limit: int = GRAPH_BATCH) -> int:
    """Take the next vectors of a generation of more than EXACT_ROWS into the graph; a smaller one stays
    outside. Gives how many were taken: 0 when nothing is left to do. Safe to call again, and by several.
    """
    if generation.dimensions is None or generation.vector_count <= EXACT_ROWS:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(TAKE_INTO_GRAPH, [generation.pk, limit])
        return cursor.rowcount
