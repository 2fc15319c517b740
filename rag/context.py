"""From what a search found to what a model is given: as many passages as there is room for, then what stands
beside the best of them in their sections.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import UUID

from django.db.models import F, Q, QuerySet

from rag.engines import Hit
from rag.models import Block, Chunk, Collection, Document

LEAST_BYTES = 200  # of a passage that is cut: less says nothing
WIDENED = 4  # so many of the best passages get what stands beside them


@dataclass(slots=True)
class Excerpt:
    """A piece of a document with where it stands. `text` may hold more than what was found: its neighbours;
    the place and the hash are of what was found.
    """

    document_id: UUID
    collection_id: UUID
    title: str
    text: str
    headings: tuple[str, ...] = ()
    page_from: int | None = None
    page_to: int | None = None
    char_from: int = 0
    char_to: int = 0
    sha256: str = ""
    is_whole: bool = False  # all of the document
    is_cut: bool = False  # there was no room for all of it
    score: float | None = None
    word_score: float | None = None
    similarity: float | None = None

    @property
    def size_bytes(self) -> int:
        return len(self.text.encode())

    @property
    def reference(self) -> dict[str, Any]:
        """Where it stands, as JSON has it, without its text."""
        return {
            "document": str(self.document_id),
            "collection": str(self.collection_id),
            "title": self.title,
            "page_from": self.page_from,
            "page_to": self.page_to,
            "char_from": self.char_from,
            "char_to": self.char_to,
            "headings": list(self.headings),
            "sha256": self.sha256,
            "is_whole": self.is_whole,
        }


def hash_text(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def excerpt_of(hit: Hit) -> Excerpt:
    return Excerpt(
        document_id=hit.document_id,
        collection_id=hit.collection_id,
        title=hit.title,
        text=hit.text,
        headings=tuple(hit.headings),
        page_from=hit.page_from,
        page_to=hit.page_to,
        char_from=hit.char_from,
        char_to=hit.char_to,
        sha256=hash_text(hit.text),
        score=hit.score,
        word_score=hit.word_score,
        similarity=hit.similarity,
    )


def cut_text(text: str, most_bytes: int) -> str:
    """Its beginning, whole characters, to the end of a line or a word where one is near."""
    piece = text.encode()[: max(0, most_bytes)].decode(errors="ignore")
    if len(piece) == len(text):
        return text
    ends = [end for mark in ("\n", " ") if (end := piece.rfind(mark, len(piece) * 3 // 4)) > 0]
    return piece[: max(ends)].rstrip() if ends else piece


def fill(readable: QuerySet[Collection], hits: Sequence[Hit], most_bytes: int) -> list[Excerpt]:
    """The best passages that fit, the best first, the last one perhaps cut; and with what room is left, their
    neighbours of the same section. `readable`: what the asker may read, from which neighbours come too.
    """
    given: list[Excerpt] = []
    left = most_bytes
    for hit in hits:
        excerpt = excerpt_of(hit)
        if excerpt.size_bytes > left:
            if left < LEAST_BYTES:
                break
            excerpt.text, excerpt.is_cut = cut_text(excerpt.text, left), True
        given.append(excerpt)
        left -= excerpt.size_bytes
    if left >= LEAST_BYTES and given:
        _widen(readable, hits, given[:WIDENED], left)
    return given


def _widen(readable: QuerySet[Collection], hits: Sequence[Hit], given: Sequence[Excerpt], left: int) -> None:
    chunks = _active(readable).in_bulk([hit.chunk_id for hit in hits])
    beside = _list_beside(readable, [chunk for hit in hits if (chunk := chunks.get(hit.chunk_id))])
    for excerpt, hit in zip(given, hits, strict=False):
        chunk = chunks.get(hit.chunk_id)
        if chunk is None or excerpt.is_cut:
            continue
        for step in (1, -1):
            key = (chunk.generation_id, chunk.document_id, chunk.position + step)
            neighbour = beside.get(key)
            if neighbour is None or neighbour.pk in chunks or neighbour.headings != chunk.headings:
                continue
            if (size := len(neighbour.text.encode()) + 1) <= left:
                del beside[key]  # it may stand between two passages
                left -= size
                pair = (excerpt.text, neighbour.text) if step > 0 else (neighbour.text, excerpt.text)
                excerpt.text = "\n".join(pair)


def _active(readable: QuerySet[Collection]) -> QuerySet[Chunk]:
    return Chunk.objects.filter(
        generation__collection__in=readable, generation=F("generation__collection__active_generation")
    )


def _list_beside(
    readable: QuerySet[Collection], chunks: Iterable[Chunk]
) -> dict[tuple[int, UUID, int], Chunk]:
    places = Q(pk__in=[])
    for chunk in list(chunks)[:WIDENED]:
        places |= Q(
            generation=chunk.generation_id,
            document=chunk.document_id,
            position__in=(chunk.position - 1, chunk.position + 1),
        )
    rows = _active(readable).filter(places)
    return {(row.generation_id, row.document_id, row.position): row for row in rows}


def read_whole(documents: QuerySet[Document], ids: Sequence[UUID]) -> list[Excerpt]:
    """The whole text of each of these documents that the asker may read, in this order."""
    rows = documents.in_bulk(list(ids))
    texts: dict[UUID, list[str]] = {pk: [] for pk in rows}
    blocks = Block.objects.filter(document__in=list(rows)).order_by("document_id", "position")
    for document_id, text in blocks.values_list("document_id", "text"):
        texts[document_id].append(text)
    return [_whole(rows[pk], "\n\n".join(texts[pk])) for pk in ids if pk in rows]


def _whole(document: Document, text: str) -> Excerpt:
    return Excerpt(
        document_id=document.pk,
        collection_id=document.collection_id,
        title=str(document),
        text=text,
        page_from=1 if document.page_count else None,
        page_to=document.page_count,
        char_to=len(text),
        sha256=hash_text(text),
        is_whole=True,
    )


def read_again(documents: QuerySet[Document], references: Sequence[dict[str, Any]]) -> list[str | None]:
    """What stands at each of these places now (Excerpt.reference), for somebody who may read these documents:
    None where the document is gone from their sight, or says something else there.
    """
    wanted = {reference["document"] for reference in references}
    visible = set(documents.filter(pk__in=wanted).values_list("pk", flat=True))
    found: dict[tuple[str, str], str] = {}
    rows = Chunk.objects.filter(
        document__in=visible,
        char_from__in={reference["char_from"] for reference in references},
        generation=F("generation__collection__active_generation"),
    )
    for document_id, text in rows.values_list("document_id", "text"):
        found[str(document_id), hash_text(text)] = text
    for pk in visible:
        if any(_is_missing(found, reference, str(pk)) for reference in references):
            texts = Block.objects.filter(document=pk).order_by("position").values_list("text", flat=True)
            text = "\n\n".join(texts)
            found[str(pk), hash_text(text)] = text
    return [found.get((reference["document"], reference["sha256"])) for reference in references]


def _is_missing(found: dict[tuple[str, str], str], reference: dict[str, Any], document_id: str) -> bool:
    return reference["document"] == document_id and (document_id, reference["sha256"]) not in found
