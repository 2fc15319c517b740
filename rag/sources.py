"""A document as people read it: its blocks in pages of some hundred, with a passage marked."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import Count

from rag.models import Block, Chunk, Document
from rag.parsing.result import CELLS

PER_PART = 300  # blocks on one page
AROUND = 3  # blocks before and after a passage, in the panel
MOST_CELLS = 3_000  # of a table that is drawn as one
SAME = 2.0  # points: boxes this close are one line of the page


@dataclass(frozen=True, slots=True)
class Piece:
    """Some text of a block, inside the passage or not."""

    text: str
    is_marked: bool
    is_first: bool = False  # of the passage


@dataclass(frozen=True, slots=True)
class ShownBlock:
    block: Block
    pieces: tuple[Piece, ...]
    begins_page: bool

    @property
    def is_marked(self) -> bool:
        return any(piece.is_marked for piece in self.pieces)

    @property
    def rows(self) -> list[list[list[Piece]]]:
        """Of a table: its rows, of cells, of pieces, the first row its header. Empty for other blocks, and
        for a table of more cells than a page should draw.
        """
        text = self.block.text
        if self.block.kind != Block.Kind.TABLE or text.count(CELLS) + text.count("\n") >= MOST_CELLS:
            return []
        rows: list[list[list[Piece]]] = [[[]]]
        for piece in self.pieces:
            is_first = piece.is_first
            for line_number, line in enumerate(piece.text.split("\n")):
                if line_number:
                    rows.append([[]])
                for cell_number, said in enumerate(line.split(CELLS)):
                    if cell_number:
                        rows[-1].append([])
                    if said:
                        rows[-1][-1].append(replace(piece, text=said, is_first=is_first))
                        is_first = False
        return rows


@dataclass(frozen=True, slots=True)
class Span:
    """A passage: characters of the document's text, the last one not included."""

    char_from: int
    char_to: int

    def blocks_of(self, document: Document) -> Any:
        return document.blocks.filter(char_from__lt=self.char_to, char_to__gt=self.char_from)


def read_span(given: Any) -> Span | None:
    """Of an address; None where it names none."""
    numbers = [given.get(name, "") for name in ("from", "to")]
    if not all(text.isascii() and text.isdigit() and len(text) < 10 for text in numbers):
        return None
    first, last = map(int, numbers)
    return Span(first, last) if first < last else None


def mark_blocks(blocks: Sequence[Block], span: Span | None) -> Iterator[ShownBlock]:
    page, has_begun = None, False
    for block in blocks:
        pieces = tuple(_split(block, span, is_begun=has_begun))
        has_begun = has_begun or any(piece.is_marked for piece in pieces)
        yield ShownBlock(block, pieces, begins_page=block.page is not None and block.page != page)
        page = block.page


def _split(block: Block, span: Span | None, *, is_begun: bool) -> Iterator[Piece]:
    if span is None or span.char_from >= block.char_to or span.char_to <= block.char_from:
        yield Piece(block.text, is_marked=False)
        return
    first = max(0, span.char_from - block.char_from)
    last = min(len(block.text), span.char_to - block.char_from)
    for text, is_marked in (
        (block.text[:first], False),
        (block.text[first:last], True),
        (block.text[last:], False),
    ):
        if text:
            yield Piece(text, is_marked, is_first=is_marked and not is_begun)


def list_around(document: Document, span: Span | None) -> list[ShownBlock]:
    """The blocks of a passage with their neighbours; without one the document's first."""
    first = span.blocks_of(document).order_by("position").first() if span else None
    last = span.blocks_of(document).order_by("position").last() if span else None
    low = max(0, first.position - AROUND) if first else 0
    high = last.position + AROUND if last else 2 * AROUND
    rows = document.blocks.filter(position__gte=low, position__lte=high).order_by("position")
    return list(mark_blocks(list(rows), span))


def find_part(document: Document, span: Span | None) -> int:
    """On which page of PER_PART blocks a passage stands, from 1."""
    first = span.blocks_of(document).order_by("position").first() if span else None
    return 1 + (first.position // PER_PART if first else 0)


def find_page(document: Document, span: Span | None) -> int:
    """On which page of the PDF a passage begins, from 1."""
    if span is None:
        return 1
    rows = span.blocks_of(document).exclude(page=None).order_by("position")
    return rows.values_list("page", flat=True).first() or 1


def list_boxes(document: Document, span: Span | None) -> list[dict[str, Any]]:
    """Where a passage stands on the PDF's pages: page, and left, bottom, right, top in points; and its text,
    which is looked for on pages whose parser gave no place.
    """
    if span is None:
        return []
    rows = span.blocks_of(document).exclude(page=None).order_by("position")[:200]
    return [
        {
            "page": block.page,
            "box": block.box,
            "text": block.text[
                max(0, span.char_from - block.char_from) : max(0, span.char_to - block.char_from)
            ],
        }
        for block in rows
    ]


def list_passages(document: Document) -> Any:
    """What the index that answers holds of it."""
    return Chunk.objects.filter(
        document=document, generation=document.collection.active_generation_id
    ).order_by("position")


def count_blocks(document: Document) -> int:
    return document.blocks.aggregate(count=Count("pk"))["count"]
