"""From a file to blocks. Plain texts only."""

from dataclasses import dataclass, field
from pathlib import Path

from foundation.errors import InvalidInput
from foundation.told import gettext as _
from rag.parsed import ParsedBlock


@dataclass(frozen=True, slots=True)
class Attachment:
    name: str
    declared_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Parsed:
    blocks: list[ParsedBlock]
    title: str = ""
    page_count: int | None = None
    scanned_pages: list[int] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    metadata: dict = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def parse(content: Path | bytes, *, name: str, declared_type: str = "") -> Parsed:
    """Raises InvalidInput."""
    raw = content.read_bytes() if isinstance(content, Path) else content
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidInput(_("This kind of file cannot be read."), code="document_type") from None
    blocks, place = [], 0
    for paragraph in text.replace("\r\n", "\n").split("\n\n"):
        if paragraph.strip():
            blocks.append(ParsedBlock(paragraph, char_from=place, char_to=place + len(paragraph)))
            place += len(paragraph) + 2
    if not blocks:
        raise InvalidInput(_("There is no text in this file."), code="document_empty")
    return Parsed(blocks)
