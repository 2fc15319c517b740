"""What a vision model has made of a document's scanned pages, for whoever reads the document."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from foundation.told import Told, ngettext
from foundation.told import gettext as _
from rag.models import Document, PageReading
from rag.parsing.result import Parsed
from rag.parsing.run import PagesRead, ReadPages
from rag.parsing.transcript import read_transcript

Outcome = PageReading.Outcome


class PagesWanted(Exception):
    """The model is to be asked first. Nothing of the document was changed."""

    def __init__(self, pages: list[int], *, is_picture: bool) -> None:
        super().__init__()
        self.pages = pages
        self.is_picture = is_picture


@dataclass(frozen=True, slots=True)
class Asked:
    """The model has been asked already: `why` it did not come to its end, in words."""

    model: str
    why: str = ""


def read_asked(arguments: dict[str, Any]) -> Asked | None:
    """Of the work that follows the model's (`as_arguments`)."""
    given = arguments.get("asked")
    return Asked(given["model"], Told(given["why"], given["words"] or given["why"])) if given else None


def as_arguments(model: str, why: str = "", words: Any = None) -> dict[str, Any]:
    return {"asked": {"model": model, "why": str(why), "words": words}}


def reader_of(document: Document, content_hash: str, model: str, asked: Asked | None) -> ReadPages:
    """Gives what the model has made of the pages; raises PagesWanted where it was not asked for all of
    them.
    """
    most = document.collection.vision_pages

    def read_pages(parsed: Parsed) -> PagesRead:
        wanted = parsed.scanned_pages[:most]
        rows = list_readings(document, content_hash, model).filter(page__in=wanted)
        known = {row.page: row for row in rows}
        missing = [page for page in wanted if page not in known]
        if missing and (asked is None or asked.model != model):
            raise PagesWanted(wanted, is_picture=parsed.metadata.get("kind") == "picture")
        rows = [known[page] for page in wanted if page in known]
        blocks = [block for row in rows if row.text for block in read_transcript(row.text, row.page)]
        blank = frozenset(row.page for row in rows if row.outcome == Outcome.BLANK)
        notes = _list_notes(rows, model, len(missing), asked.why if asked else "")
        if beyond := len(parsed.scanned_pages) - len(wanted):
            notes.append(_say_beyond(beyond, most))
        return PagesRead(model, blocks, blank, notes, why=_join(notes) or _say_blank(model))

    return read_pages


def list_readings(document: Document, content_hash: str, model: str) -> Any:
    return PageReading.objects.filter(document=document, content_hash=content_hash, model=model)


def _say_blank(model: str) -> str:
    return _("The pages of the file are pictures, and “%(model)s” found no text in them.") % {"model": model}


def _say_beyond(count: int, most: int) -> str:
    return ngettext(
        "%(count)d scanned page was not read: a model reads at most %(most)d of a document here.",
        "%(count)d scanned pages were not read: a model reads at most %(most)d of a document here.",
        count,
    ) % {"count": count, "most": most}


def _list_notes(rows: Sequence[PageReading], model: str, missing: int, why: str) -> list[str]:
    notes = []
    if missing:
        said = ngettext(
            "%(count)d scanned page was not read by “%(model)s”.",
            "%(count)d scanned pages were not read by “%(model)s”.",
            missing,
        ) % {"count": missing, "model": model}
        notes.append(said + " " + why if why else said)
    counts = Counter(row.outcome for row in rows)
    for outcome in (Outcome.EMPTY, Outcome.WITHHELD, Outcome.UNDRAWN, Outcome.CUT):
        if count := counts[outcome]:
            notes.append(_say_outcome(outcome, count) % {"count": count, "model": model})
    return notes


def _say_outcome(outcome: str, count: int) -> str:
    texts = {
        Outcome.EMPTY: ngettext(
            "“%(model)s” answered nothing for %(count)d scanned page. Read it again, or by another model.",
            "“%(model)s” answered nothing for %(count)d scanned pages. Read them again, or by another model.",
            count,
        ),
        Outcome.WITHHELD: ngettext(
            "“%(model)s” refused to read %(count)d scanned page. Choose another model.",
            "“%(model)s” refused to read %(count)d scanned pages. Choose another model.",
            count,
        ),
        Outcome.UNDRAWN: ngettext(
            "%(count)d scanned page is damaged or too large, and was not read.",
            "%(count)d scanned pages are damaged or too large, and were not read.",
            count,
        ),
        Outcome.CUT: ngettext(
            "%(count)d scanned page holds more text than “%(model)s” writes at once; its end is missing.",
            "%(count)d scanned pages hold more text than “%(model)s” writes at once; their ends are missing.",
            count,
        ),
    }
    return texts[Outcome(outcome)]


def _join(notes: Sequence[str]) -> str:
    said = notes[0] if notes else ""
    for one in notes[1:]:
        said = said + " " + one
    return said
