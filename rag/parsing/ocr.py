"""Texts in pictures, recognised by tesseract, where the machine has it: each page in the jail, first drawn
there, then read. What it says is checked as a stranger's.

Does not cover: handwriting, other languages than the three of the house.
"""

import json
import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path

from foundation.errors import AtriumError
from foundation.jail.limits import Limits
from foundation.jail.run import JailError, run_jailed
from foundation.texts import as_kept
from rag.parsed import ParsedBlock
from rag.parsing.bounds import MEGABYTE
from rag.parsing.inside.draft import Box
from rag.parsing.inside.layout import surround
from rag.parsing.inside.paragraphs import join_lines
from rag.parsing.inside.words import clean

RENDER = "rag.parsing.inside.pictures:render"
LANGUAGES = ("deu", "eng", "chi_sim")
LIMITS = Limits(wall_s=180, cpu_s=90, memory_bytes=1_500 * MEGABYTE, output_bytes=50 * MEGABYTE)
_LEAST_CONFIDENCE = 25.0  # of a hundred, by tesseract's word
_MOST_WORDS = 20_000
_WORD_LEVEL = "5"


@dataclass(frozen=True, slots=True)
class Recogniser:
    path: str
    languages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Word:
    paragraph: tuple[int, int, int]  # page, block and paragraph
    line: int
    text: str
    box: Box  # in pixels, from the upper left: left, top, right, bottom


@dataclass(frozen=True, slots=True)
class _Drawing:
    """A page as a picture, and how its pixels are the page's points; a scale of 0 where nobody can say."""

    content: bytes
    left: float = 0.0
    top: float = 0.0
    scale: float = 0.0

    def place(self, box: Box) -> Box | None:
        if not self.scale:
            return None
        left, top, right, bottom = (side / self.scale for side in box)
        return (self.left + left, self.top - bottom, self.left + right, self.top - top)


def find_recogniser() -> Recogniser | None:
    """tesseract as it works in the jail, with those of our languages that it has."""
    path = shutil.which("tesseract")
    try:
        languages = _languages(path) if path else ()
    except AtriumError:
        return None
    return Recogniser(path, languages) if path and languages else None


@cache
def _languages(path: str) -> tuple[str, ...]:
    said = run_jailed([path, "--list-langs"]).decode("utf-8", "replace").split()
    return tuple(name for name in LANGUAGES if name in said)


def recognise_page(recogniser: Recogniser, document: Path | bytes, page: int) -> list[ParsedBlock]:
    """The paragraphs in the picture that a page of a PDF is. Raises JailError, Unavailable."""
    drawn = run_jailed(RENDER, files={"document": document}, arguments={"page": page}, limits=LIMITS)
    return _recognise(recogniser, _read_drawing(drawn), page)


def recognise_picture(recogniser: Recogniser, picture: Path | bytes, page_count: int) -> list[ParsedBlock]:
    """The paragraphs in a picture's file, on each of its pages. Raises JailError, Unavailable."""
    content = picture if isinstance(picture, bytes) else picture.read_bytes()
    blocks = _recognise(recogniser, _Drawing(content), None)
    return [block for block in blocks if 1 <= (block.page or 0) <= page_count]


def _read_drawing(drawn: bytes) -> _Drawing:
    line, _, content = drawn.partition(b"\n")
    try:
        head = json.loads(line)
        left, top, scale = (float(head[name]) for name in ("left", "top", "scale"))
    except (ValueError, KeyError, TypeError) as exc:
        raise _unread() from exc
    if not all(math.isfinite(one) and abs(one) < 100_000 for one in (left, top, scale)):
        raise _unread()
    return _Drawing(content, left, top, scale)


def _unread() -> JailError:
    return JailError("", code="unreadable")  # nobody is told: the page stays a picture


def _recognise(recogniser: Recogniser, drawing: _Drawing, page: int | None) -> list[ParsedBlock]:
    """`page` None: as tesseract counts them."""
    command = [
        recogniser.path,
        "../in/page",
        "stdout",
        "-l",
        "+".join(recogniser.languages),
        "--psm",
        "3",
        "tsv",
    ]
    said = run_jailed(command, files={"page": drawing.content}, limits=LIMITS).decode("utf-8", "replace")
    return list(_paragraphs(said, drawing, page))


def _paragraphs(said: str, drawing: _Drawing, page: int | None) -> Iterator[ParsedBlock]:
    for (counted, *_place), words in groupby(_words(said), key=lambda word: word.paragraph):
        lines = [list(line) for _line, line in groupby(words, key=lambda word: word.line)]
        text = join_lines([" ".join(word.text for word in line) for line in lines], frozenset())
        box = drawing.place(surround([word.box for line in lines for word in line]))
        if any(char.isalnum() for char in text):
            yield ParsedBlock(text, "paragraph", page or counted, box=box)


def _words(said: str) -> Iterator[_Word]:
    """Of the table that tesseract writes: level, page, block, paragraph, line, word, left, top, width,
    height, confidence, text.
    """
    for row in said.splitlines()[1 : _MOST_WORDS * 2]:
        cells = row.split("\t")
        if len(cells) != 12 or cells[0] != _WORD_LEVEL or not cells[11].strip():
            continue
        try:
            page, block, paragraph, line, _number, left, top, wide, high = (int(cell) for cell in cells[1:10])
            confidence = float(cells[10])
        except ValueError:
            continue
        if confidence >= _LEAST_CONFIDENCE and max(map(abs, (left, top, wide, high))) < 100_000:
            text = as_kept(clean(cells[11])).strip()
            yield _Word((page, block, paragraph), line, text, (left, top, left + wide, top + high))
