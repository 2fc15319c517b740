"""What a parser hands over: a document as blocks in their order."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["heading", "paragraph", "table"]


@dataclass(frozen=True, slots=True)
class ParsedBlock:
    """A piece of a document as a parser found it. `char_from` and `char_to` count in the document's text: the
    texts of its blocks with an empty line between them.
    """

    text: str
    kind: Kind = "paragraph"
    page: int | None = None
    headings: tuple[str, ...] = ()  # above it, the outermost first
    char_from: int = 0
    char_to: int = 0
    box: tuple[float, float, float, float] | None = None  # left, bottom, right, top, in points of the page
