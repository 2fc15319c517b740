"""Every write of this room: collections and their documents. Parsing and embedding are done by whoever calls;
what they bring is kept and indexed in one transaction.
"""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.permissions import require
from accounts.services.grants import forget_object
from foundation.errors import InvalidInput
from rag.engines.table import engine_of
from rag.models import Block, Collection, Document
from rag.parsed import ParsedBlock
from rag.selectors import COLLECTION


@transaction.atomic
def create_collection(*, actor: User | None, name: str, **columns: object) -> Collection:
    """An empty collection with its index. Raises NotAllowed, ValidationError."""
    require(actor, "rag.add_collection")
    collection = Collection(name=name.strip(), **columns)
    collection.full_clean()
    if len(set(collection.languages)) < len(collection.languages):
        raise InvalidInput(_("Each language once."), param="languages")
    collection.save()
    engine_of(collection).create(collection)
    return collection


@transaction.atomic
def delete_collection(*, actor: User | None, collection: Collection) -> None:
    """Remove a collection with its documents, their index and the rights of use. Raises NotAllowed."""
    require(actor, "rag.delete_collection")
    collection_id: UUID = collection.pk
    engine_of(collection).drop(collection)
    Block.objects.filter(document__collection=collection).delete()
    collection.delete()
    forget_object(kind=COLLECTION, object_id=collection_id)


@transaction.atomic
def add_document(
    *, actor: User | None, collection: Collection, title: str, content_hash: str, **columns: object
) -> tuple[Document, bool]:
    """A document that waits to be parsed, and whether it is new: the same bytes are one document, also when
    two bring them at once. Raises NotAllowed, ValidationError.
    """
    require(actor, "rag.add_document")
    document = Document(collection=collection, title=title.strip(), content_hash=content_hash, **columns)
    document.full_clean(validate_unique=False, validate_constraints=False)
    if document.address:
        document.version = 1 + collection.documents.filter(address=document.address).count()
    new = {field: getattr(document, field) for field in ("id", "title", "version", *columns)}
    return Document.objects.get_or_create(collection=collection, content_hash=content_hash, defaults=new)


@transaction.atomic
def index_documents(*, collection: Collection, parsed: Mapping[Document, Sequence[ParsedBlock]]) -> int:
    """Keep what parsers found in documents, and index it: all or none, and again replaces it. Gives the
    number of passages. Raises InvalidInput for a document without any text.
    """
    for document, blocks in parsed.items():
        if not any(block.text.strip() for block in blocks):
            raise InvalidInput(_("There is no text in “%(title)s”.") % {"title": document.title})
    Block.objects.filter(document__in=list(parsed)).delete()
    Block.objects.bulk_create(
        (row for document, blocks in parsed.items() for row in _rows(document, blocks)), batch_size=1000
    )
    count = engine_of(collection).ingest(collection, parsed)
    Document.objects.filter(pk__in=[document.pk for document in parsed]).update(
        state=Document.State.READY, reason=""
    )
    return count


def _rows(document: Document, blocks: Sequence[ParsedBlock]) -> Iterable[Block]:
    for position, block in enumerate(blocks):
        yield Block(
            document=document,
            position=position,
            kind=block.kind,
            text=block.text,
            page=block.page,
            headings=list(block.headings),
            char_from=block.char_from,
            char_to=block.char_to,
            box=list(block.box) if block.box else None,
        )


def fail_document(*, document: Document, reason: str) -> None:
    """What its owner reads, in words that help. What stood in the index stays until it is replaced."""
    Document.objects.filter(pk=document.pk).update(state=Document.State.FAILED, reason=reason[:500])


@transaction.atomic
def delete_document(*, actor: User | None, document: Document) -> None:
    """Remove a document and all that the index holds of it. Raises NotAllowed."""
    require(actor, "rag.delete_document")
    engine_of(document.collection).delete([document])
    document.delete()
