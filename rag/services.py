"""Every write of this room: collections and their documents. Parsing and embedding are done by whoever calls;
what they bring is kept and indexed in one transaction.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import cast
from uuid import UUID

from django.db import OperationalError, transaction
from django.db.models import Max, Q
from django.utils.translation import gettext_lazy

from accounts.models import User
from accounts.services.grants import forget_object
from foundation.errors import Conflict, InvalidInput, Unavailable
from foundation.told import Own, words_of
from foundation.told import gettext as _
from rag import work_names as names
from rag.copying import copy_rows
from rag.engines.table import engine_named, engine_of, engines_in, find_answering, hands_over
from rag.holdings import check_chat_count, check_count
from rag.models import PURPOSE, Block, Collection, Document
from rag.parsed import ParsedBlock
from rag.questions import note_passages, put_back
from rag.rights import require_creation, require_edit
from rag.selectors import COLLECTION
from rag.twins import list_files
from tenants.files.models import File
from tenants.files.names import clean_title
from tenants.files.purposes import LABELS
from tenants.files.services import delete_file
from tenants.local.models import Work
from tenants.work.services import cancel

LOCK_NOT_AVAILABLE = "55P03"
BLOCK_COLUMNS = (
    *("document_id", "position", "kind", "text"),
    *("page", "headings", "char_from", "char_to", "box"),
)
LABELS[PURPOSE] = gettext_lazy("document of a collection")


@transaction.atomic
def create_collection(*, actor: User | None, name: str, **columns: object) -> Collection:
    """An empty collection with its index; everybody may have collections of their own (`owner_id`). Raises
    NotAllowed, QuotaExceeded, ValidationError.
    """
    require_creation(actor, columns.get("owner_id"))
    if actor is not None and columns.get("conversation_id") is None:
        check_count(cast(UUID | None, columns.get("owner_id")))
    elif actor is not None:
        check_chat_count(actor.pk)
    columns.setdefault("keeper_id", columns.get("owner_id") or (actor.pk if actor else None))
    collection = Collection(name=name.strip(), **columns)
    check_columns(collection)
    collection.save()
    engine_of(collection).create(collection)
    return collection


def check_columns(collection: Collection) -> None:
    """Raises ValidationError, InvalidInput."""
    collection.full_clean()
    if len(set(collection.languages)) < len(collection.languages):
        raise InvalidInput(_("Each language once."), param="languages")


@transaction.atomic
def delete_collection(*, actor: User | None, collection: Collection) -> None:
    """Remove a collection with its documents, their index and the rights of use. Raises NotAllowed."""
    require_edit(actor, collection, "rag.delete_collection")
    collection_id: UUID = lock_collection(collection.pk).pk
    documents = list(collection.documents.select_related("file"))
    end_work([document.pk for document in documents], collection)
    for engine in engines_in(collection):
        engine.drop(collection)
    Block.objects.filter(document__collection=collection).delete()
    collection.delete()
    forget_files(list_files(documents))
    forget_object(kind=COLLECTION, object_id=collection_id)


@transaction.atomic
def add_document(
    *, actor: User | None, collection: Collection, title: str, content_hash: str, **columns: object
) -> tuple[Document, bool]:
    """A document that waits to be parsed, and whether it is new: the same bytes are one document, also when
    two bring them at once. Raises NotAllowed, ValidationError.
    """
    require_edit(actor, collection, "rag.add_document")
    document = Document(collection=collection, title=clean_title(title), content_hash=content_hash, **columns)
    looked_at = {"file", "parent"}  # by the caller, and by the database again
    document.full_clean(exclude=looked_at, validate_unique=False, validate_constraints=False)
    if document.address:
        same = collection.documents.filter(address=document.address, parent=document.parent_id)
        document.version = 1 + (same.aggregate(newest=Max("version"))["newest"] or 0)
    new = {field: getattr(document, field) for field in ("id", "title", "version", *columns)}
    return Document.objects.get_or_create(collection=collection, content_hash=content_hash, defaults=new)


@transaction.atomic
def index_documents(*, collection: Collection, parsed: Mapping[Document, Sequence[ParsedBlock]]) -> int:
    """Keep what parsers found in documents, and index it: all or none, and again replaces it. Gives the
    number of passages; none yet where an engine reads the files itself, which may find text where we did not.
    Raises InvalidInput for a document without any text.
    """
    may_lack_text = hands_over(collection)
    for document, blocks in parsed.items():
        if not may_lack_text and not any(block.text.strip() for block in blocks):
            raise InvalidInput(_("There is no text in “%(title)s”.") % {"title": Own(document.title)})
    noted = note_passages([document.pk for document in parsed])
    Block.objects.filter(document__in=list(parsed)).delete()
    copy_rows(
        Block, BLOCK_COLUMNS, (row for document, blocks in parsed.items() for row in _rows(document, blocks))
    )
    for document in parsed if noted else ():
        put_back([one for one in noted if one[0].document_id == document.pk], document)
    counts = [engine.ingest(collection, parsed) for engine in engines_in(collection)]
    documents = Document.objects.filter(pk__in=[document.pk for document in parsed])
    if engine_named(find_answering(collection)).takes_files:
        documents.exclude(state=Document.State.READY).update(state=Document.State.READING)
    else:
        documents.update(state=Document.State.READY, reason="", reason_words=None)
    return counts[0] if counts else 0


def _rows(document: Document, blocks: Sequence[ParsedBlock]) -> Iterable[tuple[object, ...]]:
    for position, block in enumerate(blocks):
        box = list(block.box) if block.box else None
        place = (block.page, list(block.headings), block.char_from, block.char_to, box)
        yield (document.pk, position, block.kind, block.text, *place)


def fail_document(*, document: Document, reason: str) -> None:
    """What its owner reads, in words that help. What stood in the index stays until it is replaced."""
    note_reason(document.pk, reason, state=Document.State.FAILED)


def note_reason(document_id: UUID | str, reason: str, **columns: object) -> None:
    """Why it failed, or what was left out, for readers of any language."""
    Document.objects.filter(pk=document_id).update(
        reason=str(reason)[:500], reason_words=words_of(reason), **columns
    )


@transaction.atomic
def delete_document(*, actor: User | None, document: Document) -> None:
    """Remove a document with what it brought, all that the index holds of them, and their files. Raises
    NotAllowed.
    """
    require_edit(actor, document.collection, "rag.delete_document")
    remove_documents(document.collection, [document.pk])


def remove_documents(collection: Collection, document_ids: Iterable[UUID]) -> None:
    """Without asking. Inside a transaction."""
    lock_collection(collection.pk)
    # before their work, which whoever reads them locks last
    held = Document.objects.select_for_update(of=("self",)).order_by("pk").select_related("file")
    found = level = list(held.filter(pk__in=document_ids))
    while level := _list_orphaned(collection, level, {document.pk for document in found}):
        found += level
    end_work([document.pk for document in found], None)
    for engine in engines_in(collection):
        engine.delete(found)
    Document.objects.filter(pk__in=[document.pk for document in found]).delete()
    forget_files(list_files(found))


def _list_orphaned(collection: Collection, parents: Sequence[Document], going: set[UUID]) -> list[Document]:
    """The attachments of these mails that no other mail brought, too; the others go over to that one."""
    orphaned = []
    held = Document.objects.select_for_update(of=("self",)).order_by("pk").select_related("file")
    for child in held.filter(parent__in=parents):
        others = collection.documents.filter(facts__attachments__contains=[str(child.pk)])
        heir = others.exclude(pk__in=going).order_by("pk").first()
        if heir is None:
            orphaned.append(child)
        else:
            Document.objects.filter(pk=child.pk).update(parent=heir)
    return orphaned


class CollectionBusy(Unavailable):
    """Somebody else writes in its index at this moment."""

    code = "collection_busy"


def lock_collection(collection_id: UUID, *, waits: bool = True) -> Collection:
    """Whoever changes what stands in its index comes by here, before any other row. Raises CollectionBusy
    where others hold it: at once, or after what the database lets anybody wait.
    """
    rows = Collection.objects.select_for_update(of=("self",), no_key=True, nowait=not waits)
    try:
        return rows.get(pk=collection_id)
    except OperationalError as exc:
        if getattr(exc.__cause__, "sqlstate", "") != LOCK_NOT_AVAILABLE:
            raise
        message = _("Documents are just being written into this collection. Try again in a moment.")
        raise CollectionBusy(message, retry_after_s=5) from exc


def end_work(document_ids: Iterable[UUID], collection: Collection | None) -> None:
    """Nobody need read these any more, or go on with the collection's index."""
    wanted = Q(kind__in=names.OF_DOCUMENT, object_id__in=[str(pk) for pk in document_ids])
    if collection is not None:
        generations = collection.generations.values_list("pk", flat=True)
        wanted |= Q(kind__in=(names.REBUILD, names.RELATE), object_id=str(collection.pk))
        wanted |= Q(kind=names.EMBED, object_id__in=[str(pk) for pk in generations])
    for row in Work.objects.filter(wanted, state__in=Work.ACTIVE):
        with suppress(Conflict):
            cancel(row)


def forget_files(files: Iterable[File | None]) -> None:
    """Those that were brought for documents alone, as far as no other needs them."""
    for file in files:
        if file is not None and file.purpose == PURPOSE:
            with suppress(Conflict):
                delete_file(file)
