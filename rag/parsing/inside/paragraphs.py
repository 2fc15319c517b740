"""From the rows of a column to its paragraphs and tables: where one ends, and how its lines are joined."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from rag.parsing.inside.draft import Box
from rag.parsing.inside.layout import Row, surround
from rag.parsing.inside.words import clean, join_ideographs

_item = re.compile(r"(?:[•‣▪●◦∙–—*-]|\(?\d{1,3}[.)]|\(?[a-zA-Z][.)]|§+ ?\d+)\s")
_sentence_end = re.compile(r"[.!?:;。！？：；]['\"”’»)]?$")
_cut_word = re.compile(r"[^\W\d_][\u00ad\u2010-]")
# after these, a hyphen stands for what the next word shares with the last: “Ein- und Ausgang”
_shares = re.compile(r"(?:und|oder|bzw\.?|sowie|bis|and|or|to)\b")
_SAME_SIZE = 0.12
_NEAR = 3.0


@dataclass(frozen=True, slots=True)
class Paragraph:
    """`cells`: of a table, its rows."""

    text: str
    box: Box
    size: float
    is_bold: bool
    row_count: int
    cells: tuple[tuple[str, ...], ...] = ()


def gather(rows: Sequence[Row], known_words: frozenset[str]) -> Iterator[Paragraph]:
    """`known_words`: those with a hyphen in them that stand within the document's lines."""
    if not rows:
        return
    gap = _usual_gap(rows)
    box = surround([row.box for row in rows])
    held: list[Row] = []
    is_table = False
    for number, row in enumerate(rows):
        following = rows[number + 1] if number + 1 < len(rows) else None
        in_table = _are_cells(row, following) or (bool(held) and _are_cells(row, held[-1]))
        if held and (in_table != is_table or (not in_table and _begins(held, row, gap, box))):
            yield _make(held, known_words, is_table=is_table)
            held = []
        is_table = in_table
        held.append(row)
    yield _make(held, known_words, is_table=is_table)


def _usual_gap(rows: Sequence[Row]) -> float:
    gaps = [above.box[1] - below.box[3] for above, below in pairwise(rows)]
    return median(gaps) if gaps else 0.0


def _are_cells(row: Row, other: Row | None) -> bool:
    """Whether both have several pieces that stand below each other."""
    if other is None or min(len(row.pieces), len(other.pieces)) < 2:
        return False
    if len(row.pieces) == len(other.pieces):
        return all(
            one.box[0] < another.box[2] and another.box[0] < one.box[2]
            for one, another in zip(row.pieces, other.pieces, strict=True)
        )
    return any(
        abs(one.box[0] - another.box[0]) < _NEAR or abs(one.box[2] - another.box[2]) < _NEAR
        for one in row.pieces[1:]
        for another in other.pieces[1:]
    )


def _begins(held: Sequence[Row], row: Row, gap: float, box: Box) -> bool:
    """Whether a row is the first of another paragraph."""
    last, height = held[-1], row.size
    if abs(row.size - last.size) > _SAME_SIZE * last.size or row.is_bold != last.is_bold:
        return True
    if last.box[1] - row.box[3] > max(gap, 0) + 0.35 * height:
        return True
    if _item.match(row.text) or " … " in last.text:
        return True
    is_short = last.box[2] < box[2] - 0.15 * (box[2] - box[0])
    if is_short and _sentence_end.search(last.text[-2:]):
        return True
    is_indented = 0.8 * height < row.box[0] - last.box[0] < 6 * height
    return is_indented and len(held) > 1 and abs(last.box[0] - held[-2].box[0]) < _NEAR


def _make(rows: Sequence[Row], known_words: frozenset[str], *, is_table: bool) -> Paragraph:
    cells = tuple(tuple(clean(piece.text) for piece in row.pieces) for row in rows) if is_table else ()
    return Paragraph(
        text=join_lines([row.text for row in rows], known_words),
        box=surround([row.box for row in rows]),
        size=max(row.size for row in rows),
        is_bold=all(row.is_bold for row in rows),
        row_count=len(rows),
        cells=cells,
    )


def join_lines(lines: Sequence[str], known_words: frozenset[str]) -> str:
    """One text; words that a line's end cut are whole again."""
    said = ""
    for line in (line.strip() for line in lines):
        if not said or not line:
            said = said or line
        elif not _cut_word.match(said[-2:]):
            said = f"{said} {line}"
        elif _shares.match(line):
            said = f"{said[:-1]}- {line}"
        elif line[0].islower() and not _is_known(said, line, known_words):
            said = said[:-1] + line
        else:
            said = f"{said[:-1]}-{line}"
    return join_ideographs(said)


def _is_known(said: str, line: str, known_words: frozenset[str]) -> bool:
    """Whether the document has the word with its hyphen elsewhere."""
    begin, end = re.findall(r"[\w-]+$", said[:-1]), re.findall(r"^\w+", line)
    return bool(begin and end) and f"{begin[0]}-{end[0]}".lower() in known_words
