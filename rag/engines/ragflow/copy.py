"""The copy of what RAGFlow made of a document: its chunks as ours, with where they stand in the document's
text as we read it, and found by words. Where we could read no text, RAGFlow's is the document's.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence

from rag.analysis import detect_language
from rag.engines.pgvector import generations, words
from rag.engines.ragflow.remote import RemoteChunk
from rag.models import Block, Chunk, Document, Generation
from rag.parsed import ParsedBlock
from rag.parsing.result import place

PDF = "application/pdf"
LEAST_MATCH = 24  # letters and digits by which the beginning of a passage is told
_letters = re.compile(r"[^\W_]")


def keep(generation: Generation, document: Document, remote: Sequence[RemoteChunk]) -> int:
    """In place of what the copy had of it. With the collection locked; `generation` is the locked row. Gives
    the number of passages.
    """
    generations.remove(generation, [document])
    blocks = list(Block.objects.filter(document=document).order_by("position"))
    if not blocks:
        blocks = _keep_text(document, remote)
        _keep_page_count(document, remote)
    collection = generation.collection
    usual = detect_language(" ".join(one.text for one in remote[:50]), collection.languages)
    finder = Finder(blocks)
    chunks = []
    for position, one in enumerate(remote):
        pages = _pages_of(document, one)
        first, last = finder.find(one.text, pages)
        above = finder.headings_at(first)
        chunks.append(
            Chunk(
                generation=generation,
                document=document,
                position=position,
                page_from=pages[0] if pages else finder.page_at(first),
                page_to=pages[1] if pages else finder.page_at(max(first, last - 1)),
                char_from=first,
                char_to=last,
                headings=above,
                text=one.text,
                language=detect_language(one.text, collection.languages) or usual or collection.languages[0],
                remote_id=one.id,
            )
        )
    Chunk.objects.bulk_create(chunks, batch_size=1000)
    writer = words.Writer(generation)
    writer.add(chunks, {document.pk: document.title})
    words.keep_terms(writer.terms)
    generation.save(update_fields=[*generations.COUNTS, *(["lexicon"] if writer.has_learnt else [])])
    return len(chunks)


def _pages_of(document: Document, one: RemoteChunk) -> tuple[int, int] | None:
    """RAGFlow numbers places in files without pages, too."""
    has_pages = document.file is not None and document.file.sniffed_type == PDF
    is_inside = one.pages is not None and one.pages[1] <= (document.page_count or one.pages[1])
    return one.pages if has_pages and is_inside else None


def _keep_page_count(document: Document, remote: Iterable[RemoteChunk]) -> None:
    """As far as RAGFlow found text."""
    if document.page_count is None:
        last = max((pages[1] for one in remote if (pages := _pages_of(document, one))), default=None)
        Document.objects.filter(pk=document.pk).update(page_count=last)


def _keep_text(document: Document, remote: Iterable[RemoteChunk]) -> list[Block]:
    parsed = [
        ParsedBlock(one.text, page=pages[0] if (pages := _pages_of(document, one)) else None)
        for one in remote
    ]
    rows = [
        Block(
            document=document,
            position=position,
            text=block.text,
            page=block.page,
            char_from=block.char_from,
            char_to=block.char_to,
        )
        for position, block in enumerate(place(parsed))
    ]
    return Block.objects.bulk_create(rows, batch_size=1000)


class Finder:
    """Where passages stand in the text of a document, told by their letters and digits alone: parsers differ
    in blanks, hyphens and marks. What comes in order is looked for from the last find on, first.
    """

    def __init__(self, blocks: Sequence[Block]) -> None:
        self._blocks = blocks
        self._starts = [block.char_from for block in blocks]
        letters: list[str] = []
        self._places: list[int] = []  # of each letter, in the document's text
        for block in blocks:
            for match in _letters.finditer(block.text):
                for letter in match.group().casefold():
                    letters.append(letter)
                    self._places.append(block.char_from + match.start())
        self._text = "".join(letters)
        self._from = 0

    def find(self, text: str, pages: tuple[int, int] | None) -> tuple[int, int]:
        """The first character and the one after the last: of the passage, else of what begins as it does,
        else of its pages; else nothing (0, 0).
        """
        wanted = "".join(_letters.findall(text)).casefold()
        for piece in dict.fromkeys(
            (wanted, wanted[: max(LEAST_MATCH, len(wanted) // 3)], wanted[:LEAST_MATCH])
        ):
            at = self._find(piece)
            if at >= 0:
                self._from = at
                end = min(at + len(wanted), len(self._places))
                return self._places[at], self._places[end - 1] + 1
        here = [block for block in self._blocks if pages and pages[0] <= (block.page or 0) <= pages[1]]
        return (here[0].char_from, here[-1].char_to) if here else (0, 0)

    def _find(self, piece: str) -> int:
        if not piece:
            return -1
        at = self._text.find(piece, self._from)
        return at if at >= 0 else self._text.find(piece)

    def _block_at(self, place: int) -> Block | None:
        number = bisect_right(self._starts, place) - 1
        return self._blocks[number] if 0 <= number < len(self._blocks) else None

    def page_at(self, place: int) -> int | None:
        block = self._block_at(place)
        return block.page if block else None

    def headings_at(self, place: int) -> list[str]:
        block = self._block_at(place)
        return list(block.headings) if block else []
