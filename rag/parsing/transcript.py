"""What a model wrote of a page, as blocks: headings, tables, paragraphs. Read line by line, and whatever
stands in it is text.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby

from rag.parsed import ParsedBlock
from rag.parsing.inside.draft import Draft
from rag.parsing.result import unpack

MOST_CHARACTERS = 60_000  # of one page
_heading = re.compile(r"(#{1,6}) +(.*)")
_fence = re.compile(r"\A```\w*\n(.*?)\n?```\Z", re.DOTALL)
_rule = re.compile(r"[|:\- ]+")


def read_transcript(text: str, page: int) -> list[ParsedBlock]:
    draft = Draft()
    for kind, lines in _pieces(bare(text)):
        if kind == "heading":
            for line in lines:
                if found := _heading.fullmatch(line):
                    draft.heading(found[2].strip("# "), len(found[1]))
        elif kind == "table":
            draft.table([_cells(line) for line in lines if not _rule.fullmatch(line)])
        elif kind == "paragraph":
            draft.paragraph("\n".join(lines))
    return [replace(block, page=page) for block in unpack(draft.pack()).blocks]


def bare(text: str) -> str:
    """Without the fence that some models put around all of it."""
    text = text[:MOST_CHARACTERS].strip()
    found = _fence.fullmatch(text)
    return found[1].strip() if found else text


def _pieces(text: str) -> Iterator[tuple[str, list[str]]]:
    for kind, lines in groupby(text.splitlines(), key=_kind_of):
        yield kind, [line.strip() if kind != "paragraph" else line for line in lines]


def _kind_of(line: str) -> str:
    line = line.strip()
    if not line:
        return "nothing"
    if _heading.fullmatch(line):
        return "heading"
    return "table" if line.startswith("|") and line.endswith("|") and len(line) > 2 else "paragraph"


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]
