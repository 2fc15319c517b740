"""Bringing documents into a collection."""

import hashlib

from django.db import transaction

from accounts.models import User
from foundation.errors import InvalidInput
from foundation.told import gettext as _
from rag.models import Collection, Document
from rag.parsed import ParsedBlock
from rag.services import add_document, index_documents
from tenants.files.models import File


def add_file(
    *, actor: User | None, collection: Collection, file: File, title: str = ""
) -> tuple[Document, bool]:
    return add_document(
        actor=actor,
        collection=collection,
        title=title or file.name,
        content_hash=file.sha256,
        address=file.name,
        file=file,
        created_by=actor and actor.pk,
    )


@transaction.atomic
def add_text(*, actor: User | None, collection: Collection, title: str, text: str) -> tuple[Document, bool]:
    document, is_new = add_document(
        actor=actor,
        collection=collection,
        title=title,
        content_hash=hashlib.sha256(text.encode()).hexdigest(),
        source=Document.Source.TEXT,
        created_by=actor and actor.pk,
    )
    if is_new:
        blocks, position = [], 0
        for piece in filter(None, (part.strip() for part in text.split("\n\n"))):
            blocks.append(ParsedBlock(piece, char_from=position, char_to=position + len(piece)))
            position += len(piece) + 2
        index_documents(collection=collection, parsed={document: blocks})
    return document, is_new


def add_url(
    *, actor: User | None, collection: Collection, url: str, recrawl_days: int | None = None
) -> tuple[Document, bool]:
    return add_document(
        actor=actor,
        collection=collection,
        title=url,
        content_hash=hashlib.sha256(url.encode()).hexdigest(),
        source=Document.Source.URL,
        address=url,
        recrawl_days=recrawl_days,
        created_by=actor and actor.pk,
    )


def retry_document(*, actor: User | None, document: Document) -> None:
    if document.state not in (Document.State.FAILED, Document.State.STOPPED):
        raise InvalidInput(_("This document need not be tried again."))
    Document.objects.filter(pk=document.pk).update(state=Document.State.WAITING, reason="", reason_words=None)


def cancel_document(*, actor: User | None, document: Document) -> None:
    if document.state not in (Document.State.WAITING, Document.State.READING):
        raise InvalidInput(_("There is nothing to stop at this document."))
    Document.objects.filter(pk=document.pk).update(state=Document.State.STOPPED)


def rebuild_collection(*, actor: User | None, collection: Collection) -> None:
    raise InvalidInput(_("This collection cannot be made anew yet."))
