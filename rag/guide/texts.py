"""The pages of the guide, as they lie beside this module: a title behind `# `, then paragraphs."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rag.analysis import LANGUAGES
from rag.chunking import SEPARATOR
from rag.parsed import ParsedBlock

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Page:
    """`address` is its path in the guide, as `guide/de/07-citations.md`."""

    address: str
    title: str
    paragraphs: tuple[str, ...]

    @property
    def content_hash(self) -> str:
        """Of its text and its place: the same words may stand on two pages."""
        return hashlib.sha256("\n".join([self.address, self.title, *self.paragraphs]).encode()).hexdigest()

    def list_blocks(self) -> list[ParsedBlock]:
        blocks, at = [ParsedBlock(self.title, "heading", char_to=len(self.title))], len(self.title)
        for text in self.paragraphs:
            begin = at + len(SEPARATOR)
            at = begin + len(text)
            blocks.append(ParsedBlock(text, headings=(self.title,), char_from=begin, char_to=at))
        return blocks


def read_pages(folder: Path = FOLDER) -> list[Page]:
    return [
        _read(path, f"guide/{language}/{path.name}")
        for language in LANGUAGES
        for path in sorted((folder / language).glob("*.md"))
    ]


def _read(path: Path, address: str) -> Page:
    title, *paragraphs = path.read_text(encoding="utf-8").strip().split("\n\n")
    return Page(address, title.removeprefix("# "), tuple(paragraphs))


def hash_pages(pages: Sequence[Page]) -> str:
    """Another one means that a release has other pages."""
    return hashlib.sha256("".join(page.content_hash for page in pages).encode()).hexdigest()
