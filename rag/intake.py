"""What comes into collections: files, texts and web pages. Each is kept at once and read on the queue
`knowledge`; `rag.progress` tells how far it is.

The same bytes are one document of a collection. Another file of the same name is its new version: when that
is ready, the earlier ones go.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress

from django.db import transaction

from accounts.models import User
from foundation.egress import check_url
from foundation.errors import Conflict, InvalidInput, NotFound
from foundation.told import gettext as _
from rag.booking import get_booking
from rag.engines.pgvector import generations
from rag.engines.ragflow.account import check_engine
from rag.holdings import make_room_beside
from rag.models import PURPOSE, Collection, Document, PageReading
from rag.pages import policy_for
from rag.parsing import bounds
from rag.rights import require_edit
from rag.services import add_document, forget_files, lock_collection
from rag.twins import note_twin
from rag.work_names import READ, READING, REBUILD
from tenants.files.limits import say_size
from tenants.files.models import File
from tenants.files.names import clean_title
from tenants.files.services import delete_file, store_file
from tenants.local.models import Work
from tenants.turns import take_turns
from tenants.work.selectors import find_newest_work
from tenants.work.services import cancel, order

MOST_DOCUMENT_BYTES = bounds.MOST_BYTES
MOST_TEXT = 2_000_000  # characters
MAIL = "message/rfc822"
UNREAD = (Document.State.FAILED, Document.State.STOPPED)


@transaction.atomic
def add_file(
    *,
    actor: User | None,
    collection: Collection,
    file: File,
    title: str = "",
    address: str = "",
    metadata: Mapping[str, object] | None = None,
) -> tuple[Document, bool]:
    """A document that waits to be read, and whether it is new; bytes that the collection has already are not
    kept again. `address`: the name by which versions belong together, as the path in a folder. `metadata`: of
    a new one. Raises NotAllowed, NotFound, InvalidInput.
    """
    require_edit(actor, collection, "rag.add_document")
    if actor is not None and file.owner_id not in (None, actor.pk):
        raise NotFound(_("There is no such file."), param="file")
    check_size(file.size_bytes)
    is_mail = file.sniffed_type == MAIL
    return _add(
        actor,
        collection,
        file,
        title=(title or file.name)[:300],
        source=Document.Source.MAIL if is_mail else Document.Source.UPLOAD,
        address=clean_title(address or file.name)[:2000],
        metadata=dict(metadata or {}),
    )


def check_size(size_bytes: int) -> None:
    """Raises InvalidInput for an empty file and for one that is no document any more."""
    if size_bytes == 0:
        raise InvalidInput(_("This file is empty."), code="document_empty", param="file")
    if size_bytes > MOST_DOCUMENT_BYTES:
        message = _("A document may have at most %(limit)s.") % {"limit": say_size(MOST_DOCUMENT_BYTES)}
        raise InvalidInput(message, code="document_too_large", param="file")


def _add(actor: User | None, collection: Collection, file: File, **columns: object) -> tuple[Document, bool]:
    document, is_new = add_document(
        actor=actor,
        collection=collection,
        content_hash=file.sha256,
        file=file,
        created_by=actor.pk if actor else None,
        **(_booked() | columns),  # type: ignore[arg-type]  # of Document
    )
    if not is_new and document.file_id != file.pk and not note_twin(document, file):
        forget_files([file])
    if is_new:
        _order(actor, document)
    elif document.state in UNREAD:
        _order_again(actor, document)
    return document, is_new


def _order_again(actor: User | None, document: Document, **arguments: object) -> Work:
    Document.objects.filter(pk=document.pk, state__in=UNREAD).update(
        state=Document.State.WAITING, reason="", reason_words=None
    )
    document.refresh_from_db(fields=["state", "reason", "reason_words"])
    document.page_readings.filter(outcome__in=PageReading.UNREAD).delete()  # the model is asked again
    return _order(actor, document, **arguments)


def _order(actor: User | None, document: Document, **arguments: object) -> Work:
    """`key`, `project`: on what that is booked which whoever orders it pays for (`rag.work.transcribing`)."""
    booked = {name.removesuffix("_id"): str(value) for name, value in _booked().items() if value}
    return order(READ, document.pk, arguments=booked | arguments, ordered_by=actor.pk if actor else None)


def add_text(
    *,
    actor: User | None,
    collection: Collection,
    title: str,
    text: str,
    metadata: Mapping[str, object] | None = None,
) -> tuple[Document, bool]:
    """The same for a text that somebody wrote or pasted. Not inside a transaction, like `store_file`. Raises
    NotAllowed, InvalidInput, QuotaExceeded.
    """
    require_edit(actor, collection, "rag.add_document")
    if not text.strip():
        raise InvalidInput(_("There is no text here."), code="document_empty", param="text")
    if len(text) > MOST_TEXT:
        message = _("A text may have at most %(limit)d characters; upload it as a file.")
        raise InvalidInput(message % {"limit": MOST_TEXT}, code="document_too_large", param="text")
    raw, title = text.encode("utf-8", "replace"), title.strip()[:300] or text.strip().partition("\n")[0][:80]
    with _stored(actor, [raw], len(raw), f"{title}.txt", "text/plain") as file, transaction.atomic():
        source, noted = Document.Source.TEXT, dict(metadata or {})
        return _add(actor, collection, file, title=title, source=source, metadata=noted)


def add_content(
    *,
    actor: User | None,
    collection: Collection,
    pieces: Iterable[bytes],
    size_bytes: int,
    name: str,
    declared_type: str = "",
    title: str = "",
    address: str = "",
) -> tuple[Document, bool]:
    """`add_file` for what is not kept yet; nothing stays of what is refused. Not inside a transaction, like
    `store_file`. Raises NotAllowed, InvalidInput, QuotaExceeded.
    """
    require_edit(actor, collection, "rag.add_document")
    check_size(size_bytes)
    with _stored(actor, pieces, size_bytes, name, declared_type) as file:
        return add_file(actor=actor, collection=collection, file=file, title=title, address=address)


@contextmanager
def _stored(
    actor: User | None, pieces: Iterable[bytes], size_bytes: int, name: str, declared_type: str
) -> Iterator[File]:
    """A file that goes again where it is not taken."""
    file = store_file(
        pieces,
        size_bytes=size_bytes,
        most_bytes=size_bytes,
        name=name,
        declared_type=declared_type,
        purpose=PURPOSE,
        owner_id=actor.pk if actor else None,
        expires_at=None,
    )
    try:
        yield file
    except BaseException:
        with suppress(Conflict):
            delete_file(file)
        raise


@transaction.atomic
def add_url(
    *,
    actor: User | None,
    collection: Collection,
    url: str,
    recrawl_days: int | None = None,
    metadata: Mapping[str, object] | None = None,
) -> tuple[Document, bool]:
    """The same for a web page, which is fetched on the queue, and again each so many days. An address that
    the collection has already is looked at again. Raises NotAllowed, InvalidInput, ValidationError.
    """
    require_edit(actor, collection, "rag.add_document")
    url = url.strip().partition("#")[0]
    check_url(url, policy_for(url))
    take_turns(f"pages of {collection.pk}")
    known = collection.documents.filter(address=url, source=Document.Source.URL).first()
    if known is not None:
        if recrawl_days is not None:
            known.recrawl_days = recrawl_days
            known.clean_fields(exclude={"content_hash"})
            known.save(update_fields=["recrawl_days", "updated_at"])
        _order_again(actor, known, again=True)
        return known, False
    document, is_new = add_document(
        actor=actor,
        collection=collection,
        title=url[:300],
        content_hash=hashlib.sha256(f"address {url}".encode()).hexdigest(),  # until its bytes are known
        source=Document.Source.URL,
        address=url,
        recrawl_days=recrawl_days,
        metadata=dict(metadata or {}),
        created_by=actor.pk if actor else None,
        key_id=get_booking().key_id,
        project_id=get_booking().project_id,
    )
    _order_again(actor, document)
    return document, is_new


def _booked() -> dict[str, object]:
    booking = get_booking()
    return {"key_id": booking.key_id, "project_id": booking.project_id}


@transaction.atomic
def retry_document(*, actor: User | None, document: Document) -> Document:
    """Read it again; of a web page, fetch it again. What is found of it stays until then. Raises NotAllowed,
    and Conflict while it waits or is being read.
    """
    require_edit(actor, document.collection, "rag.change_document")
    if find_reading(document) is not None:
        raise Conflict(_("This document waits already, or is being read."), code="document_active")
    _order_again(actor, document, again=True)
    return document


@transaction.atomic
def cancel_document(*, actor: User | None, document: Document) -> Document:
    """Stop reading it, within seconds. What is found of it stays. Raises NotAllowed, and Conflict where
    nobody reads it.
    """
    require_edit(actor, document.collection, "rag.change_document")
    row = find_reading(document)
    if row is None:
        raise Conflict(_("This document is not being read."), code="document_not_active")
    cancel(row)
    document.refresh_from_db(fields=["state", "reason", "reason_words"])
    return document


def find_reading(document: Document) -> Work | None:
    """The work of reading it, where that waits or is being done."""
    row = find_newest_work(READING, [document.pk]).get(str(document.pk))
    return row if row is not None and row.state in Work.ACTIVE else None


@transaction.atomic
def rebuild_collection(*, actor: User | None, collection: Collection) -> Work:
    """Make its index anew, as its settings are now, beside the one that answers until the new one is
    complete. One that is being made in the same way is gone on with. Raises NotAllowed, and QuotaExceeded
    where there is no room for both.
    """
    require_edit(actor, collection, "rag.change_collection")
    collection = lock_collection(collection.pk)
    check_engine(collection)
    rows = generations.lock(collection_id=collection.pk)
    begun = None
    for row in rows:
        if row.pk == collection.active_generation_id:
            continue
        if begun is None and generations.is_made_as(row, collection):
            begun = row
        else:
            generations.drop(row)
    if begun is None and actor is not None:
        make_room_beside(collection)
    generation = begun or generations.make(collection)
    generation.ordered_by = actor.pk if actor else None
    generation.save(update_fields=["ordered_by"])
    return order(
        REBUILD,
        collection.pk,
        arguments={"generation": generation.pk, "again": True},
        ordered_by=actor.pk if actor else None,
    )
