"""The postings of a generation: written as chunks come, taken away with them.

A term is kept as a number, the first 64 bits of its BLAKE2 hash: a list of terms would be one more table to
look up, to lock in one order and to clear of what deleted documents said, and the rows would be no smaller.
Among a million terms, the chance that any two share a number is 1 in 37 million.

Guards against: a term counted twice or left behind, whoever writes at the same time (one writer a generation:
the caller locks its row). Does not cover: vacuuming, which PostgreSQL does by itself, and before which a
search of new postings reads the table beside the index.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from hashlib import blake2b
from itertools import chain, islice
from uuid import UUID

from django.db import connection
from psycopg.copy import QueuedLibpqWriter

from rag.analysis import Analyzer, Lexicon, learn_lexicon
from rag.copying import write_array
from rag.models import Chunk, Generation

BATCH = 2000  # chunks whose counts are held in memory
PART = 500  # chunks that are written in the order of their terms
FEW, GROWTH_OF_FEW, GROWTH = 500, 2, 4  # chunks, and how many times as many call for another lexicon
LEXICON_IS_LEARNT = 20_000  # chunks: so many know the words of a collection
KEPT_NUMBERS = 200_000
LONGEST = 32_767  # of a smallint
COPY_POSTINGS = "COPY rag_posting (term, chunk_id, generation_id, frequency, length) FROM STDIN"
COUNT_UP = """
INSERT INTO rag_termcount (generation_id, term, chunk_count)
SELECT %s, term, count FROM unnest(%s::bigint[], %s::int[]) AS new (term, count)
ON CONFLICT (generation_id, term) DO UPDATE SET chunk_count = rag_termcount.chunk_count + excluded.chunk_count
"""
KEEP_TERMS = """
UPDATE rag_chunk c SET terms = new.terms::bigint[] FROM unnest(%s::bigint[], %s::text[]) AS new (id, terms)
WHERE c.id = new.id
"""
# A worker of the release before wrote these postings while this one came: read from the whole table, once.
FIND_TERMS = """
UPDATE rag_chunk c SET terms = found.terms
FROM (SELECT chunk_id, array_agg(term) AS terms FROM rag_posting WHERE chunk_id = ANY(%s) GROUP BY 1) found
WHERE c.id = found.chunk_id AND c.terms IS NULL
"""
# Postings of a chunk tell all that the counts lose. Those that come to nothing are removed in a second step,
# because one statement cannot change a row twice.
DELETE_POSTINGS = """
WITH told AS MATERIALIZED (
  SELECT generation_id, unnest(terms) AS term, id AS chunk_id FROM rag_chunk WHERE id = ANY(%s)
), gone AS (
  DELETE FROM rag_posting p USING told t
  WHERE p.generation_id = t.generation_id AND p.term = t.term AND p.chunk_id = t.chunk_id
  RETURNING p.generation_id, p.term, p.frequency
), counts AS (SELECT generation_id, term, count(*)::int AS count FROM gone GROUP BY 1, 2),
counted AS (
  UPDATE rag_termcount t SET chunk_count = t.chunk_count - c.count FROM counts c
  WHERE t.generation_id = c.generation_id AND t.term = c.term RETURNING t.term
)
SELECT (SELECT array_agg(term) FROM counted),
       (SELECT jsonb_object_agg(generation_id, terms) FROM
         (SELECT generation_id, sum(frequency)::bigint AS terms FROM gone GROUP BY 1) AS lengths)
"""
DELETE_COUNTS = (
    "DELETE FROM rag_termcount WHERE term = ANY(%s) AND generation_id = ANY(%s) AND chunk_count = 0"
)


def number_of(term: str) -> int:
    return int.from_bytes(blake2b(term.encode(), digest_size=8).digest(), "little", signed=True)


class _Numbers(dict[str, str]):
    """The numbers of terms, as they are written."""

    def __missing__(self, term: str) -> str:
        if len(self) >= KEPT_NUMBERS:
            self.clear()
        self[term] = number = str(number_of(term))
        return number


def indexed_text(title: str, chunk: Chunk) -> str:
    """What a chunk is found by: its document's title and its headings, which are not cited, and its text."""
    above = [title, *(heading for heading in chunk.headings if heading != title)]
    return "\n".join([text for text in above if text] + [chunk.text])


class Writer:
    """Writes the postings of a generation whose row the caller has locked, and changes its counts; the caller
    saves them. `terms`: of each chunk that was added, as PostgreSQL reads an array; the caller keeps them
    with the chunk.
    """

    def __init__(self, generation: Generation) -> None:
        self.generation = generation
        self.has_learnt = False  # the lexicon is another
        self.terms: dict[int, str] = {}
        self._others = Analyzer(version=generation.analyzer_version)
        self._numbers = _Numbers()

    @cached_property
    def _german(self) -> Analyzer:
        return Analyzer(Lexicon(self.generation.lexicon), self.generation.analyzer_version)

    def add(self, chunks: Sequence[Chunk], titles: Mapping[UUID, str]) -> None:
        """The terms of chunks that have their keys; `titles` by document."""
        if self._must_learn(len(chunks)):
            self._learn(chunks)
        for begin in range(0, len(chunks), BATCH):
            self._write(chunks[begin : begin + BATCH], titles)
        self.generation.chunk_count += len(chunks)

    def _must_learn(self, added: int) -> bool:
        """Whether the collection has grown so much since its German words were learnt that all of it is worth
        reading again.
        """
        known = self.generation.lexicon_chunks
        growth = GROWTH_OF_FEW if known < FEW else GROWTH
        return known < LEXICON_IS_LEARNT and self.generation.chunk_count + added >= growth * known

    def _learn(self, added: Sequence[Chunk]) -> None:
        """Learn the lexicon anew, and read with it what German stands in the index already."""
        generation = self.generation
        here = {chunk.pk for chunk in added}
        earlier = Chunk.objects.filter(generation=generation, language="de").exclude(pk__in=here)
        texts = earlier.values_list("text", flat=True)
        lexicon = learn_lexicon(
            chain(texts.iterator(BATCH), (chunk.text for chunk in added if chunk.language == "de"))
        )
        generation.lexicon_chunks = generation.chunk_count + len(added)
        if dict(lexicon.counts) == generation.lexicon:
            return
        generation.lexicon = dict(lexicon.counts)
        self.has_learnt = True
        self._german = Analyzer(lexicon, generation.analyzer_version)
        rows = earlier.select_related("document").iterator(BATCH)
        while batch := list(islice(rows, BATCH)):
            ids = [chunk.pk for chunk in batch]
            generation.term_count -= remove(ids).get(generation.pk, 0)
            self._write(batch, _titles_of(batch))
            keep_terms({chunk_id: self.terms.pop(chunk_id) for chunk_id in ids})

    def _write(self, chunks: Sequence[Chunk], titles: Mapping[UUID, str]) -> None:
        counts: Counter[str] = Counter()
        if any(chunk.language == "de" for chunk in chunks):
            _ = self._german  # loaded before the connection is busy
        with connection.cursor() as cursor:
            writer = QueuedLibpqWriter(cursor.cursor)
            with cursor.cursor.copy(COPY_POSTINGS, writer=writer) as copy:
                # PostgreSQL takes one part while the next is read
                for begin in range(0, len(chunks), PART):
                    rows = self._list_rows(chunks[begin : begin + PART], titles)
                    counts.update({number: len(found) for number, found in rows.items()})
                    # in the order of the keys: neighbours go to the same page of the index
                    copy.write(
                        "".join(number + number.join(rows[number]) for number in sorted(rows, key=int))
                    )
            numbers = sorted(counts, key=int)
            cursor.execute(
                COUNT_UP,
                [self.generation.pk, write_array(numbers), write_array(counts[number] for number in numbers)],
            )

    def _list_rows(self, chunks: Sequence[Chunk], titles: Mapping[UUID, str]) -> dict[str, list[str]]:
        """By the number of a term, what its rows say behind it."""
        by_number: defaultdict[str, list[str]] = defaultdict(list)
        for chunk in chunks:
            analyzer = self._german if chunk.language == "de" else self._others
            terms = analyzer.list_terms(indexed_text(titles[chunk.document_id], chunk), chunk.language)
            self.generation.term_count += len(terms)
            place, end = f"\t{chunk.pk}\t{self.generation.pk}\t", f"\t{min(len(terms), LONGEST)}\n"
            said = _Rows(place, end)
            counted = Counter(map(self._numbers.__getitem__, terms))
            for number, frequency in counted.items():
                by_number[number].append(said[frequency])
            self.terms[chunk.pk] = write_array(counted)
        return by_number


class _Rows(dict[int, str]):
    """What the rows of a chunk say behind the term, by the frequency, most of which are few."""

    def __init__(self, place: str, end: str) -> None:
        self._place = place
        self._end = end

    def __missing__(self, frequency: int) -> str:
        self[frequency] = row = f"{self._place}{min(frequency, LONGEST)}{self._end}"
        return row


def keep_terms(terms: Mapping[int, str]) -> None:
    """Of chunks that stand in the database, by their keys, as PostgreSQL reads an array."""
    with connection.cursor() as cursor:
        cursor.execute(KEEP_TERMS, [write_array(terms), list(terms.values())])


def _titles_of(chunks: Iterable[Chunk]) -> dict[UUID, str]:
    return {chunk.document_id: chunk.document.title for chunk in chunks}


def remove(chunk_ids: Sequence[int]) -> dict[int, int]:
    """Remove the postings of these chunks, which stand in the database. Gives how many terms they had, by
    generation; the caller has locked these.
    """
    with connection.cursor() as cursor:
        if Chunk.objects.filter(pk__in=chunk_ids, terms=None).exists():
            cursor.execute(FIND_TERMS, [list(chunk_ids)])
        cursor.execute(DELETE_POSTINGS, [list(chunk_ids)])
        terms, lengths = cursor.fetchone()
        found = {int(generation): count for generation, count in json.loads(lengths or "{}").items()}
        if terms:
            cursor.execute(DELETE_COUNTS, [terms, list(found)])
    return found


def forget_generation(generation_id: int) -> None:
    """Remove all postings of a generation."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM rag_posting WHERE generation_id = %s", [generation_id])
        cursor.execute("DELETE FROM rag_termcount WHERE generation_id = %s", [generation_id])
