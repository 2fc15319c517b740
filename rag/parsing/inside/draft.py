"""What a reader has found so far."""

from collections.abc import Sequence
from typing import Any

from foundation.jail.inside import Refused
from rag.parsing import bounds
from rag.parsing.inside.words import keep_lines, one_line
from rag.parsing.result import CELLS, pack

Box = tuple[float, float, float, float]
TOO_LARGE = "document_too_large"


class Draft:
    """A document in the making. Headings stand above what is added after them."""

    def __init__(self) -> None:
        self.title = ""
        self.page_count: int | None = None
        self.scanned_pages: list[int] = []
        self.metadata: dict[str, str] = {}
        self.notes: list[str] = []
        self._blocks: list[tuple[str, str, int | None, list[str], Box | None]] = []
        self._above: list[tuple[int, str]] = []  # levels and headings
        self._attached: list[tuple[str, str, bytes]] = []
        self._size = self._attached_size = 0

    @property
    def is_empty(self) -> bool:
        return not self._blocks and not self._attached

    def heading(self, text: str, level: int, *, page: int | None = None, box: Box | None = None) -> None:
        text = one_line(text)[: bounds.LONGEST_HEADING]
        if not text:
            return
        self._above = [(above, said) for above, said in self._above if above < level]
        self._add("heading", text, page, box)
        self._above = [*self._above, (level, text)][-bounds.MOST_HEADINGS :]

    def paragraph(self, text: str, *, page: int | None = None, box: Box | None = None) -> None:
        """Its lines stay lines."""
        if (text := keep_lines(text)).strip():
            self._add("paragraph", text, page, box)

    def table(
        self,
        rows: Sequence[Sequence[str]],
        *,
        page: int | None = None,
        box: Box | None = None,
        below: Sequence[str] = (),
    ) -> None:
        """A row a line, the first one its header; `below`: headings for it alone."""
        lines = [CELLS.join(one_line(cell) for cell in row).rstrip(" |") for row in rows]
        if text := "\n".join(line for line in lines if line):
            self._add("table", text, page, box, below)

    def attach(self, name: str, declared_type: str, content: bytes) -> None:
        """What is too much is left out, and said."""
        self._attached_size += len(content)
        is_full = len(self._attached) >= bounds.MOST_ATTACHMENTS
        if is_full or self._attached_size > bounds.MOST_ATTACHED_BYTES:
            self._attached_size -= len(content)
            self.note("attachments_left_out")
            return
        self._attached.append((one_line(name)[-255:], one_line(declared_type)[:127], content))

    def note(self, code: str) -> None:
        if code not in self.notes:
            self.notes.append(code)

    def say(self, name: str, value: object) -> None:
        """A property of the document, where it has it."""
        if text := one_line(str(value or ""))[:1_000]:
            self.metadata[name] = text

    def begin_again(self) -> None:
        """What comes now stands below no heading."""
        self._above = []

    def _add(
        self, kind: str, text: str, page: int | None, box: Box | None, below: Sequence[str] = ()
    ) -> None:
        self._size += len(text)
        if self._size > bounds.MOST_CHARACTERS or len(self._blocks) >= bounds.MOST_BLOCKS:
            raise Refused(TOO_LARGE)
        headings = [said for _level, said in self._above] + [one_line(said) for said in below]
        cut = [said[: bounds.LONGEST_HEADING] for said in headings[-bounds.MOST_HEADINGS :]]
        self._blocks.append((kind, text, page, cut, box))

    def pack(self) -> bytes:
        head: dict[str, Any] = {
            "blocks": self._blocks,
            "title": one_line(self.title)[: bounds.LONGEST_HEADING],
            "page_count": self.page_count,
            "scanned_pages": self.scanned_pages,
            "attachments": [(name, kind, len(content)) for name, kind, content in self._attached],
            "metadata": self.metadata,
            "notes": self.notes,
        }
        return pack(head, [content for _name, _kind, content in self._attached])
