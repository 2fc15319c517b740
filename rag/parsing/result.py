"""What was read in a document, and how it leaves the jail: a line of JSON, then the attachments' bytes.

Whoever wrote the document may have had its reader in hand: `unpack` takes nothing on trust.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from foundation.texts import as_kept
from rag.parsed import Kind, ParsedBlock
from rag.parsing import bounds

SEPARATOR = "\n\n"  # between the blocks in a document's text
CELLS = " | "  # between the cells of a row
_KINDS = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Attachment:
    name: str
    declared_type: str  # by its sender's word
    content: bytes


@dataclass(frozen=True, slots=True)
class Parsed:
    """There is a block or an attachment at least. `scanned_pages`: pictures in which no text could be read.
    `metadata`: kind, author, and what else a format says. `notes`: what was left out, in words
    (foundation.told).
    """

    blocks: list[ParsedBlock]
    title: str = ""
    page_count: int | None = None  # None: the format knows no pages
    scanned_pages: list[int] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    read_by: str = ""  # the model that has read scanned pages


class Unshaped(ValueError):
    """What came out of the jail is no document."""


def pack(head: dict[str, Any], contents: Sequence[bytes]) -> bytes:
    """`head`: blocks as [kind, text, page, headings, box], title, page_count, scanned_pages, attachments as
    [name, type, size], metadata, notes (codes).
    """
    return b"".join([json.dumps(head, ensure_ascii=True).encode(), b"\n", *contents])


def unpack(data: bytes) -> Parsed:
    """Raises Unshaped. `notes` are codes still."""
    line, _, rest = data.partition(b"\n")
    try:
        head = json.loads(line)
        page_count = _number(head["page_count"], 1, bounds.MOST_PAGES) if head["page_count"] else None
        return Parsed(
            blocks=place([_block(row, page_count) for row in _bounded(head["blocks"], bounds.MOST_BLOCKS)]),
            title=_text(head["title"], bounds.LONGEST_HEADING),
            page_count=page_count,
            scanned_pages=sorted(
                {
                    _number(page, 1, page_count or 0)
                    for page in _bounded(head["scanned_pages"], page_count or 0)
                }
            ),
            attachments=_attachments(_bounded(head["attachments"], bounds.MOST_ATTACHMENTS), rest),
            metadata={_text(key, 40): _text(value, 1_000) for key, value in _some(head["metadata"], 40)},
            notes=[_text(note, 40) for note in _bounded(head["notes"], 20)],
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise Unshaped from exc


def place(blocks: Sequence[ParsedBlock]) -> list[ParsedBlock]:
    """The same blocks with their places in the document's text."""
    placed, at = [], 0
    for block in blocks:
        end = at + len(block.text)
        placed.append(ParsedBlock(block.text, block.kind, block.page, block.headings, at, end, block.box))
        at = end + len(SEPARATOR)
    if at > bounds.MOST_CHARACTERS + len(SEPARATOR) * len(placed):
        raise Unshaped
    return placed


def _block(row: list[Any], page_count: int | None) -> ParsedBlock:
    kind, text, page, headings, box = row
    if kind not in _KINDS:
        raise Unshaped
    return ParsedBlock(
        _text(text, bounds.MOST_CHARACTERS),
        kind,
        None if page is None else _number(page, 1, page_count or 0),
        tuple(_text(heading, bounds.LONGEST_HEADING) for heading in _bounded(headings, bounds.MOST_HEADINGS)),
        box=None if box is None else _box(box),
    )


def _attachments(rows: list[Any], rest: bytes) -> list[Attachment]:
    found, at = [], 0
    for name, declared_type, size in rows:
        end = at + _number(size, 0, bounds.MOST_ATTACHED_BYTES)
        if end > len(rest):
            raise Unshaped
        found.append(Attachment(_text(name, 255), _text(declared_type, 127), rest[at:end]))
        at = end
    return found


def _text(value: Any, most: int) -> str:
    if not isinstance(value, str) or len(value) > most:
        raise Unshaped
    return as_kept(value)


def _number(value: Any, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise Unshaped
    return value


def _box(value: Any) -> tuple[float, float, float, float]:
    left, bottom, right, top = (float(one) for one in _bounded(value, 4))
    if not all(math.isfinite(one) and abs(one) < 100_000 for one in (left, bottom, right, top)):
        raise Unshaped
    return left, bottom, right, top


def _bounded(value: Any, most: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > most:
        raise Unshaped
    return value


def _some(value: Any, most: int) -> list[tuple[Any, Any]]:
    if not isinstance(value, dict) or len(value) > most:
        raise Unshaped
    return list(value.items())
