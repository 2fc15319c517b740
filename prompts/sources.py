"""What a page shows of an answer's sources, asked anew at each look: a document that is gone, or that the
reader may not read any more, keeps its number and loses its title, its place and its text, on every branch.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import User
from foundation.told import say
from prompts.attachments import WHOLE
from prompts.models import Message, Part
from rag.context import read_again
from rag.models import Document
from rag.reach import list_reachable_collections
from rag.searching import ENGINE_AWAY, NO_MODEL, NO_VECTORS, PARTLY, TOO_SLOW

SHOWN_CHARS = 600  # of an excerpt


@dataclass(frozen=True, slots=True)
class Source:
    """A place in a document. `title` and what follows are empty where it is not the reader's to see."""

    number: int | None
    title: str = ""
    page: str = ""
    address: str = ""
    excerpt: str = ""
    is_changed: bool = False  # the document says something else there now
    is_gone: bool = False
    is_unmarked: bool = False  # the model named no source: the answer's words stand there
    is_looked_up: bool = False  # the model was given it and named no source
    missing: tuple[str, ...] = ()  # figures that the answer rests on it, and that do not stand there
    score: float | None = None
    is_given: bool = True
    is_cut: bool = False

    @property
    def name(self) -> str:
        """For those who listen."""
        if self.is_gone:
            return _("Source %(number)s: deleted, or no longer open to you") % {"number": self.number}
        where = f", {self.page}" if self.page else ""
        name = _("Source %(number)s: %(title)s") % {"number": self.number, "title": self.title + where}
        return f"{name} – {self.doubt}" if self.doubt else name

    @property
    def hint(self) -> str:
        """For those who point at its number."""
        where = f"{self.title}, {self.page}" if self.page else self.title
        return f"{where} – {self.doubt}" if self.doubt else where

    @property
    def doubt(self) -> str:
        """What the reader should look at twice; "" of nothing."""
        if not self.missing:
            return ""
        told = ngettext(
            "Figure not found in the source: %(figures)s",
            "Figures not found in the source: %(figures)s",
            len(self.missing),
        )
        return told % {"figures": " · ".join(self.missing)}


@dataclass(frozen=True, slots=True)
class Search:
    """How the documents were looked for."""

    question: str
    collections: list[str]  # their names
    way: str
    gaps: list[str]
    closed: str
    milliseconds: int
    cost: str
    currency: str
    passages: list[Source]


@dataclass(frozen=True, slots=True)
class AttachedFile:
    """`why`: it did not come in, or could not be read."""

    name: str
    is_whole: bool
    address: str
    why: str = ""


@dataclass(slots=True)
class Shown:
    """What a message's parts other than text are to its reader."""

    sources: list[Source] = field(default_factory=list)
    search: Search | None = None
    files: list[AttachedFile] = field(default_factory=list)

    @property
    def is_uncited(self) -> bool:
        """The answer names no source; what stands here was looked up for it."""
        return any(source.is_looked_up for source in self.sources)

    def show_number(self, number: int) -> str:
        source = next((one for one in self.sources if one.number == number), None)
        return render_to_string("prompts/_cite.html", {"source": source, "number": number}).strip()


def show_all(user: User, messages: Iterable[Message]) -> dict[UUID, Shown]:
    """By message; a message without such parts has none."""
    parts: dict[UUID, list[Part]] = {}
    kinds = (Part.Kind.CITATION, Part.Kind.TOOL_CALL, Part.Kind.TOOL_RESULT, Part.Kind.FILE)
    for message in messages:
        if found := [part for part in message.parts.all() if part.kind in kinds]:
            parts[message.pk] = found
    if not parts:
        return {}
    everything = [part for found in parts.values() for part in found]
    open_ones = list_reachable_collections(user)
    readable = Document.objects.filter(collection__in=open_ones)
    known = readable.filter(pk__in=set(_list_documents(everything))).in_bulk()
    cited = [part.data for part in everything if part.kind == Part.Kind.CITATION]
    texts = dict(zip(map(_place, cited), read_again(readable, cited), strict=True)) if cited else {}
    asked = {pk for part in everything for pk in part.data.get("collections", ())}
    names = {str(row.pk): row.name for row in open_ones.filter(pk__in=asked, conversation_id=None)}
    return {pk: _show(found, known, texts, names) for pk, found in parts.items()}


def _list_documents(parts: Iterable[Part]) -> Iterable[str]:
    for part in parts:
        if "document" in part.data:
            yield part.data["document"]
        for passage in part.data.get("passages", ()):
            yield passage["document"]


def _place(reference: dict[str, Any]) -> tuple[str, str]:
    return reference["document"], reference["sha256"]


def _show(
    parts: Sequence[Part],
    known: dict[UUID, Document],
    texts: dict[tuple[str, str], str | None],
    names: dict[str, str],
) -> Shown:
    shown = Shown()
    call: dict[str, Any] = {}
    for part in parts:
        if part.kind == Part.Kind.CITATION:
            shown.sources.append(_source(part.data, known, texts.get(_place(part.data)), has_excerpt=True))
        elif part.kind == Part.Kind.TOOL_CALL:
            call = part.data
        elif part.kind == Part.Kind.TOOL_RESULT:
            shown.search = _search(call, part.data, known, names)
        else:
            shown.files.append(_file(part.data, known))
    return shown


def _source(
    reference: dict[str, Any],
    known: dict[UUID, Document],
    text: str | None = None,
    *,
    has_excerpt: bool = False,
) -> Source:
    document = known.get(UUID(reference["document"]))
    is_looked_up = reference.get("is_looked_up", False)
    if document is None:
        return Source(reference["number"], is_gone=True, is_looked_up=is_looked_up)
    is_whole = bool(reference.get("is_whole"))
    excerpt = "\n".join(line for line in (text or "").splitlines() if line.strip())
    return Source(
        number=reference["number"],
        title=str(document),
        page=_say_page(reference),
        address=_address(reference),
        excerpt=excerpt[:SHOWN_CHARS] + "…" * (len(excerpt) > SHOWN_CHARS),
        is_unmarked=reference.get("is_unmarked", False),
        is_looked_up=is_looked_up,
        missing=tuple(reference.get("missing_figures", ())),
        is_changed=has_excerpt and text is None and not is_whole,
        score=reference.get("score"),
        is_given=reference.get("is_given", True),
        is_cut=reference.get("is_cut", False),
    )


def _say_page(reference: dict[str, Any]) -> str:
    first, last = reference["page_from"], reference["page_to"]
    if first is None:
        heading = reference["headings"][-1] if reference["headings"] else ""
        return "" if heading == reference["title"] else heading
    if last in (None, first):
        return _("page %(page)s") % {"page": first}
    return _("pages %(first)s to %(last)s") % {"first": first, "last": last}


def _address(reference: dict[str, Any]) -> str:
    place = {
        "document": reference["document"],
        "from": reference["char_from"],
        "to": reference["char_to"],
        "page": reference["page_from"],
    }
    asked = urlencode({name: value for name, value in place.items() if value is not None})
    return f"{reverse('rag:source-panel')}?{asked}"


def _file(data: dict[str, Any], known: dict[UUID, Document]) -> AttachedFile:
    if "document" not in data:
        return AttachedFile(data["name"], False, "", say(data["reason_words"], data["reason"]))
    document = known.get(UUID(data["document"]))
    address = reverse("rag:document-detail", args=[data["document"]]) if document else ""
    is_unread = document is not None and document.state == Document.State.FAILED
    why = document.why if document is not None and is_unread else ""
    return AttachedFile(data["name"], data.get("use") == WHOLE, address, why)


def _search(
    call: dict[str, Any], result: dict[str, Any], known: dict[UUID, Document], names: dict[str, str]
) -> Search:
    ways = {
        "both": _("by words and by meaning"),
        "words": _("by words alone"),
        "vectors": _("by meaning alone"),
    }
    closed = result.get("closed", 0)
    return Search(
        question=call.get("question", ""),
        collections=[names[pk] for pk in call.get("collections", ()) if pk in names],
        way=ways.get(result.get("leg", ""), _("read whole, without a search")),
        gaps=list(dict.fromkeys(_say_gap(gap["why"]) for gap in result.get("gaps", ()))),
        closed=ngettext(
            "%(count)d chosen collection was gone or closed to you.",
            "%(count)d chosen collections were gone or closed to you.",
            closed,
        )
        % {"count": closed}
        if closed
        else "",
        milliseconds=sum(result.get("ms", {}).values()),
        cost=result.get("cost", ""),
        currency=result.get("currency", ""),
        passages=[_source(one, known) for one in result.get("passages", ())],
    )


def _say_gap(why: str) -> str:
    known = {
        NO_MODEL: _("A collection has no embedding model, so it is searched by words alone."),
        NO_VECTORS: _("A collection's passages were not embedded yet, so it was searched by words alone."),
        PARTLY: _("Some passages were not embedded yet and were searched by words alone."),
        ENGINE_AWAY: _("RAGFlow does not answer, so what it had read was searched by words alone."),
        TOO_SLOW: _("The embedding model did not answer in time."),
    }
    return known.get(why) or _("The embedding model could not be asked (%(code)s).") % {"code": why}


def hide_data(user: User, parts: Sequence[Part]) -> list[dict[str, Any]]:
    """The data of a message's parts as its person may read it now, for programs."""
    known: set[str] = set()
    if wanted := set(_list_documents(parts)):
        rows = Document.objects.filter(pk__in=wanted, collection__in=list_reachable_collections(user))
        known = {str(pk) for pk in rows.values_list("pk", flat=True)}
    return [_hide(part.data, known) for part in parts]


def _hide(data: dict[str, Any], known: set[str]) -> dict[str, Any]:
    if "passages" in data:
        return {**data, "passages": [_hide(one, known) for one in data["passages"]]}
    if "sha256" not in data or data["document"] in known:
        return data
    return {"number": data["number"], "is_gone": True}
