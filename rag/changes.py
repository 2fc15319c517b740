"""Changing a collection, and the questions that its search is measured by."""

from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import User
from foundation.errors import InvalidInput, NotFound
from rag.engines.ragflow.account import check_engine
from rag.models import Collection, Document, SavedQuestion
from rag.rights import require_edit
from rag.services import check_columns
from tenants.files.names import clean_title

CHANGE = "rag.change_collection"
# what another index must be made for
INDEX_COLUMNS = ("engine", "languages", "embedding_model", "dimensions", "chunk_characters")


@transaction.atomic
def change_collection(*, actor: User | None, collection: Collection, **columns: object) -> bool:
    """Whether its index must be made anew. Raises NotAllowed, InvalidInput, ValidationError."""
    require_edit(actor, collection, CHANGE)
    row = Collection.objects.select_for_update(of=("self",)).get(pk=collection.pk)
    before = [getattr(row, name) for name in INDEX_COLUMNS]
    for name, value in columns.items():
        setattr(row, name, value)
    check_columns(row)
    check_engine(row)
    row.save()
    return before != [getattr(row, name) for name in INDEX_COLUMNS]


@transaction.atomic
def change_document(*, actor: User | None, document: Document, **columns: object) -> Document:
    """Its title, and what is noted of it. Raises NotAllowed, NotFound (it was deleted meanwhile),
    ValidationError.
    """
    require_edit(actor, document.collection, "rag.change_document")
    if Document.objects.select_for_update(of=("self",), no_key=True).filter(pk=document.pk).first() is None:
        raise NotFound(_("There is no such document, or you may not read it."))
    for name, value in columns.items():
        setattr(document, name, clean_title(str(value)) if name == "title" else value)
    document.clean_fields(exclude={"content_hash"})
    document.save(update_fields=[*columns, "updated_at"])
    return document


@transaction.atomic
def save_question(
    *,
    actor: User | None,
    collection: Collection,
    text: str,
    document: Document | None = None,
    span: tuple[int, int] | None = None,
) -> SavedQuestion:
    """A question of the collection's evaluation set; one that is there gets the new place. Raises NotAllowed,
    InvalidInput, ValidationError.
    """
    require_edit(actor, collection, CHANGE)
    if document is not None and document.collection_id != collection.pk:
        raise InvalidInput(_("This document is not in the collection."), param="document")
    text = " ".join(text.replace("\0", " ").split())
    row = SavedQuestion.objects.filter(collection=collection, text=text).first() or SavedQuestion(
        collection=collection, text=text, created_by=actor.pk if actor else None
    )
    row.document = document
    row.char_from, row.char_to = span or (None, None)
    row.is_outdated = False
    row.full_clean()
    row.save()
    return row


@transaction.atomic
def delete_question(*, actor: User | None, collection: Collection, question_id: UUID) -> None:
    """Safe to call again. Raises NotAllowed."""
    require_edit(actor, collection, CHANGE)
    SavedQuestion.objects.filter(collection=collection, pk=question_id).delete()
