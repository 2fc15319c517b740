"""The evaluation set of a collection stays true while documents get new versions.

A question whose passage stands in the new text, word for word, goes along to its new place. Where it does
not, somebody has to look: the question is kept with the document, and measures nothing until then.
"""

from collections.abc import Collection as Several
from uuid import UUID

from django.db.models import QuerySet

from rag.models import Collection, Document, SavedQuestion


def list_measuring(collection: Collection) -> QuerySet[SavedQuestion]:
    """Those whose place is known, the newest first."""
    rows = SavedQuestion.objects.filter(collection=collection, is_outdated=False)
    return rows.exclude(document=None).order_by("-created_at", "-pk")


def note_passages(document_ids: Several[UUID]) -> list[tuple[SavedQuestion, str]]:
    """The questions of these documents, each with the passage that answers it, before their text goes; "" of
    one that names none, which says of the whole document that it answers.
    """
    rows = SavedQuestion.objects.filter(document__in=document_ids).select_related("document")
    return [(one, _passage_of(one)) for one in rows]


def _passage_of(question: SavedQuestion) -> str:
    if question.document is None or question.char_from is None or question.char_to is None:
        return ""
    return _text_of(question.document, question.char_from, question.char_to)


def put_back(noted: list[tuple[SavedQuestion, str]], document: Document) -> None:
    """Let these questions stand in the text that the document has now. Inside the same transaction."""
    if not noted:
        return
    text = _text_of(document)
    for question, passage in noted:
        question.document = document
        if question.char_from is not None:
            place = text.find(passage) if passage else -1
            question.is_outdated = place < 0
            question.char_from, question.char_to = (
                (place, place + len(passage)) if place >= 0 else (None, None)
            )
    columns = ["document", "char_from", "char_to", "is_outdated"]
    SavedQuestion.objects.bulk_update([question for question, _passage in noted], columns)


def _text_of(document: Document, first: int = 0, last: int | None = None) -> str:
    """Its blocks where they stand, with blanks between them."""
    blocks = document.blocks.filter(char_to__gt=first).order_by("position")
    if last is not None:
        blocks = blocks.filter(char_from__lt=last)
    pieces, at = [], first
    for start, text in blocks.values_list("char_from", "text"):
        pieces += [" " * (start - at), text[max(0, first - start) :]]
        at = max(first, start) + len(pieces[-1])
    return "".join(pieces)[: None if last is None else last - first]
