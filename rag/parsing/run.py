"""What stands in a document of a stranger: read in the jail, by its content and whatever its name says.

Guards against: what `foundation.jail.run` guards against; archives, pages, texts and attachments beyond the
bounds; results of another shape. Does not cover: that what a document says is true, or meant for people.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from foundation.errors import InvalidInput
from foundation.jail.each import Item, run_jailed_each
from foundation.jail.limits import Limits
from foundation.jail.run import JailError, run_jailed
from foundation.told import gettext as _
from foundation.told import ngettext
from rag.parsed import ParsedBlock
from rag.parsing import bounds
from rag.parsing.inside.entry import READERS
from rag.parsing.ocr import find_recogniser, recognise_page, recognise_picture
from rag.parsing.refusals import BROKEN, EMPTY, SCANNED, TOO_LARGE, explain, refusal
from rag.parsing.result import Parsed, Unshaped, place, unpack

READ = "rag.parsing.inside.entry:read"
LIMITS = Limits(
    wall_s=120,
    cpu_s=100,
    memory_bytes=1_500 * bounds.MEGABYTE,
    disk_bytes=50 * bounds.MEGABYTE,
    output_bytes=150 * bounds.MEGABYTE,
)
BESIDE_OTHERS = replace(LIMITS, wall_s=15, cpu_s=12, output_bytes=20 * bounds.MEGABYTE)
KIND_OF_ENDING = {"md": "markdown", "htm": "html"}
_OF_MANY_PAGES = (b"%PDF-", b"PK\x03\x04")


@dataclass(frozen=True, slots=True)
class PagesRead:
    """What somebody made of pages that are pictures. `blank`: those on which no text stands. `notes`: what is
    missing, in words (foundation.told); `why`: the same where nothing was read at all.
    """

    model: str
    blocks: list[ParsedBlock]
    blank: frozenset[int] = frozenset()
    notes: Sequence[str] = ()
    why: str = ""


ReadPages = Callable[[Parsed], PagesRead]


def parse(
    content: Path | bytes,
    *,
    name: str,
    declared_type: str = "",
    progress: Callable[[int, int], None] | None = None,
    read_pages: ReadPages | None = None,
) -> Parsed:
    """What was found, its blocks in their order. `progress` hears how many of the pages that are pictures are
    read, and may end the reading by an exception. `read_pages`: who reads these pages; None: the machine's
    text recognition. Raises InvalidInput with one of the codes of `rag.parsing.refusals`, or Unavailable.
    """
    size = len(content) if isinstance(content, bytes) else content.stat().st_size
    if size > bounds.MOST_BYTES:
        raise refusal(TOO_LARGE)
    arguments = {"name": name[-255:], "declared_type": declared_type[:127]}
    try:
        limits = replace(LIMITS, cpu_s=_seconds_for(content, size))
        result = run_jailed(READ, files={"document": content}, arguments=arguments, limits=limits)
        parsed = unpack(result)
    except JailError as exc:
        raise explain(exc) from exc
    except Unshaped as exc:
        raise refusal(BROKEN) from exc
    notes = [_explain_note(note) for note in parsed.notes]
    if parsed.scanned_pages and read_pages is not None:
        read = read_pages(parsed)
        parsed = _with_pages(parsed, read.blocks, read.blank)
        notes += read.notes
        if not parsed.blocks and not parsed.attachments:
            raise InvalidInput(read.why, code=SCANNED)
        reader = read.model if read.blocks else ""
        return replace(parsed, notes=[note for note in notes if note], read_by=reader)
    if parsed.scanned_pages:
        parsed = _read_pictures(parsed, content, progress or (lambda done, total: None))
    if not parsed.blocks and not parsed.attachments:
        raise refusal(SCANNED if parsed.scanned_pages else EMPTY)
    if parsed.scanned_pages:
        notes.append(_tell_unread(len(parsed.scanned_pages)))
    return replace(parsed, notes=[note for note in notes if note])


@dataclass(frozen=True, slots=True)
class Unread:
    """A small document that is read beside others."""

    content: bytes
    name: str
    declared_type: str


def parse_each(documents: Sequence[Unread]) -> Generator[Parsed | None]:
    """The same of each in its order, in one jail; none knows of the others. None for what `parse` is to look
    at: it cannot be read, takes longer, holds pictures, or nothing but attachments. Raises Unavailable.
    """
    items = [
        Item({"document": one.content}, {"name": one.name[-255:], "declared_type": one.declared_type[:127]})
        for one in documents
    ]
    for outcome in run_jailed_each(READ, items, limits=BESIDE_OTHERS, imports=_list_imports(documents)):
        try:
            parsed = None if isinstance(outcome, JailError) else unpack(outcome)
        except Unshaped:
            parsed = None
        if parsed is None or parsed.scanned_pages or not any(block.text.strip() for block in parsed.blocks):
            yield None
        else:
            yield replace(parsed, notes=[note for note in map(_explain_note, parsed.notes) if note])


def _list_imports(documents: Sequence[Unread]) -> list[str]:
    """Of the readers that their names let expect, once for all of them."""
    endings = {one.name.lower().rpartition(".")[2] for one in documents}
    kinds = {KIND_OF_ENDING.get(ending, ending) for ending in endings} & READERS.keys() | {"text"}
    return sorted(f"rag.parsing.inside.{READERS[kind].partition(':')[0]}" for kind in kinds)


def _seconds_for(content: Path | bytes, size_bytes: int) -> int:
    """What reading may compute: of a text as its length wants it, several times over."""
    if isinstance(content, Path):
        with content.open("rb") as file:
            head = file.read(1_024)
    else:
        head = content[:1_024]
    if any(mark in head for mark in _OF_MANY_PAGES):
        return LIMITS.cpu_s
    return min(LIMITS.cpu_s, 10 + 10 * size_bytes // bounds.MEGABYTE)


def _read_pictures(parsed: Parsed, content: Path | bytes, progress: Callable[[int, int], None]) -> Parsed:
    """With what could be recognised; pages where nothing was stay scanned."""
    recogniser = find_recogniser()
    if recogniser is None:
        return parsed
    found: list[ParsedBlock] = []
    pages = parsed.scanned_pages[: bounds.MOST_PAGES_RECOGNISED]
    is_picture = parsed.metadata.get("kind") == "picture"
    for done, page in enumerate(pages[:1] if is_picture else pages):
        progress(done, len(pages))
        try:
            found += (
                recognise_picture(recogniser, content, len(pages))
                if is_picture
                else recognise_page(recogniser, content, page)
            )
        except JailError:
            continue  # one page that takes too long is no reason to lose the others
    progress(len(pages), len(pages))
    return _with_pages(parsed, found, frozenset())


def _with_pages(parsed: Parsed, found: Sequence[ParsedBlock], blank: frozenset[int]) -> Parsed:
    """With what was found on the pages that were pictures; those that are left stay so."""
    read = blank | {block.page for block in found}
    blocks = sorted([*parsed.blocks, *found], key=lambda block: block.page or 0)
    left = [page for page in parsed.scanned_pages if page not in read]
    return replace(parsed, blocks=place(blocks), scanned_pages=left)


def _tell_unread(count: int) -> str:
    if find_recogniser() is None:
        return ngettext(
            "%(count)d page is a picture. Its text cannot be found: this installation has no text "
            "recognition.",
            "%(count)d pages are pictures. Their text cannot be found: this installation has no text "
            "recognition.",
            count,
        ) % {"count": count}
    return ngettext(
        "%(count)d page is a picture in which no text could be recognised.",
        "%(count)d pages are pictures in which no text could be recognised.",
        count,
    ) % {"count": count}


def _explain_note(code: str) -> str:
    texts = {
        "attachments_left_out": _("Attachments beyond %(count)d, or beyond %(size)d MB, were left out.")
        % {"count": bounds.MOST_ATTACHMENTS, "size": bounds.MOST_ATTACHED_BYTES // bounds.MEGABYTE},
        "hidden_sheets": _("Hidden sheets were left out."),
        "formulas_without_results": _(
            "The program that made the file did not calculate some of its formulas; their cells are empty. "
            "Open it in a spreadsheet program, save it, and add it again."
        ),
    }
    return texts.get(code, "")
