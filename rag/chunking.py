"""From the blocks of a document to the passages that are found and cited.

A passage never crosses a heading; paragraphs are packed up to the limit, long ones cut between sentences with
one sentence in common, tables between rows with their first row repeated, where that leaves a quarter of the
room; a row that is too long is cut like a paragraph. Its span counts in the document's text, so that the
cited place can be marked; a repeated table row stands outside it. A section that does not tell its language
is in its document's.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from rag.analysis import detect_language
from rag.parsed import ParsedBlock

_sentence_end = re.compile(r"(?<=[.!?…])\s+|(?<=[。！？；])\s*")
SEPARATOR = "\n\n"  # between the blocks of a passage


@dataclass(frozen=True, slots=True)
class Passage:
    text: str
    headings: tuple[str, ...]
    page_from: int | None
    page_to: int | None
    char_from: int
    char_to: int
    language: str = ""


def cut(blocks: Sequence[ParsedBlock], *, limit: int, languages: Sequence[str]) -> list[Passage]:
    """The passages of a document, of at most `limit` characters; of Chinese, half as many."""
    found: list[Passage] = []
    usual = detect_language(" ".join(block.text for block in blocks), languages) or languages[0]
    for headings, section in groupby(_without_told_headings(blocks), key=lambda block: block.headings):
        body = list(section)
        language = detect_language(" ".join(block.text for block in body), languages) or usual
        size = limit // 2 if language == "zh" else limit
        pieces = [piece for block in body for piece in _split(block, size)]
        found += [replace(passage, headings=headings, language=language) for passage in _pack(pieces, size)]
    return found


def split_sentences(text: str) -> list[str]:
    """Never empty."""
    return [sentence for sentence in _sentence_end.split(text) if sentence] or [text]


def _without_told_headings(blocks: Sequence[ParsedBlock]) -> Iterator[ParsedBlock]:
    """A heading stands with the passages below it; one with nothing below it is a passage of its own."""
    for block, following in zip(blocks, [*blocks[1:], None], strict=True):
        if not block.text.strip():
            continue
        is_told = following is not None and block.text in following.headings
        if block.kind != "heading" or not is_told:
            yield block


def _split(block: ParsedBlock, limit: int) -> Iterable[Passage]:
    if len(block.text) <= limit:
        return [_passage(block, block.text, 0, len(block.text))]
    return _split_table(block, limit) if block.kind == "table" else _split_sentences(block, limit)


def _passage(block: ParsedBlock, text: str, begin: int, end: int) -> Passage:
    return Passage(
        text, block.headings, block.page, block.page, block.char_from + begin, block.char_from + end
    )


def _split_table(block: ParsedBlock, limit: int) -> Iterator[Passage]:
    header, _, _rest = block.text.partition("\n")
    if len(header) >= limit - limit // 4:
        header = ""
    room = limit - len(header) - 1
    begin = end = 0
    for row_end in _row_ends(block.text, room, len(header)):
        if end > begin and row_end - begin > room:
            yield _table_passage(block, header, begin, end)
            begin = end
        end = row_end
    yield _table_passage(block, header, begin, end)


def _row_ends(text: str, room: int, header: int) -> Iterator[int]:
    """Of rows, and of the parts of those that are too long. `header`: length of what is not cut."""
    at = 0
    for row in text.splitlines(keepends=True):
        if len(row) > room and (at or not header):
            yield from (at + end for _begin, end in _sentence_spans(row, room))
        else:
            yield at + len(row)
        at += len(row)


def _table_passage(block: ParsedBlock, header: str, begin: int, end: int) -> Passage:
    rows = block.text[begin:end].rstrip()
    text = f"{header}\n{rows}" if header and begin else rows
    return _passage(block, text, begin, begin + len(rows))


def _split_sentences(block: ParsedBlock, limit: int) -> Iterator[Passage]:
    sentences = list(_sentence_spans(block.text, limit))
    first = 0
    for number, (_begin, end) in enumerate(sentences):
        begin = sentences[first][0]
        following = sentences[number + 1] if number + 1 < len(sentences) else None
        if following is not None and following[1] - begin <= limit:
            continue
        yield _passage(
            block, block.text[begin:end].rstrip(), begin, begin + len(block.text[begin:end].rstrip())
        )
        is_short = end - sentences[number][0] <= limit // 4 and number > first
        # the last sentence again, where the next one still finds room beside it
        first = (
            number if is_short and following and following[1] - sentences[number][0] <= limit else number + 1
        )


def _sentence_spans(text: str, limit: int) -> Iterator[tuple[int, int]]:
    """Where its sentences begin and end; what is longer than the limit is cut at a space, else in a word."""
    begin = 0
    for end in [*(match.end() for match in _sentence_end.finditer(text)), len(text)]:
        while end - begin > limit:
            space = text.rfind(" ", begin + limit // 2, begin + limit)
            at = space + 1 if space > 0 else begin + limit
            yield begin, at
            begin = at
        if end > begin:
            yield begin, end
            begin = end


def _pack(pieces: Sequence[Passage], limit: int) -> Iterator[Passage]:
    packed: Passage | None = None
    for piece in pieces:
        fits = packed is not None and len(packed.text) + len(SEPARATOR) + len(piece.text) <= limit
        if packed is not None and fits and piece.char_from >= packed.char_to:
            packed = replace(
                packed,
                text=packed.text + SEPARATOR + piece.text,
                page_to=piece.page_to if piece.page_to is not None else packed.page_to,
                char_to=piece.char_to,
            )
            continue
        if packed is not None:
            yield packed
        packed = piece
    if packed is not None:
        yield packed
