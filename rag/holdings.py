"""What documents hold beside their files: their text and its index, which may be a hundred times as large as
the archive that it came in. Estimated before it is written, and counted towards what may be kept.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from uuid import UUID

from django.conf import settings
from django.db.models import Count, Sum

from foundation.errors import InvalidInput, QuotaExceeded
from foundation.told import gettext as _
from rag.models import Collection, Document, Generation
from rag.parsed import ParsedBlock
from tenants.files.limits import counted, reserve, say_size
from tenants.turns import take_turns

# Measured in PostgreSQL, with .5 to 1 MB of made-up text: 10.5 MB of English, 11.3 of German where this says
# 12.4 and 11.8. Chinese whose signs are drawn by lot, the worst there is, took 271 bytes a sign in .5 MB and
# 338 to 348 in .15 MB, where this says 349.
TEXT_SHARE = 3  # blocks and passages hold the text, and their indexes
WORD_BYTES = 90  # of its posting
SIGN_BYTES = 340  # of the postings of a Chinese sign
_sign = re.compile("[\u3040-\u9fff]")
CHATS_PER_COLLECTION = 10
ROW_BYTES = 250  # of a block, or a passage, beside its text
VECTOR_BYTES = 6  # of a dimension: its two bytes, and its place in the graph


def estimate_bytes(collection: Collection, blocks: Sequence[ParsedBlock]) -> int:
    """Of the text of a document, its passages, postings and vectors."""
    text = sum(len(block.text.encode()) for block in blocks)
    words = sum(len(block.text.split()) for block in blocks)
    signs = sum(len(_sign.findall(block.text)) for block in blocks)
    sections = groupby(blocks, key=lambda block: block.headings)
    sizes = (sum(len(block.text) for block in section) for _headings, section in sections)
    passages = sum(1 + size // collection.chunk_characters for size in sizes)
    vectors = passages * (collection.dimensions or 0) * VECTOR_BYTES
    rows = ROW_BYTES * (len(blocks) + passages)
    return TEXT_SHARE * text + WORD_BYTES * words + SIGN_BYTES * signs + rows + vectors


@counted
def count_held_bytes(owner_id: UUID | None) -> int:
    """While an index is made beside the one that answers, what both take."""
    rows = Document.objects.all() if owner_id is None else Document.objects.filter(created_by=owner_id)
    total = rows.aggregate(total=Sum("held_bytes"))["total"] or 0
    for collection_id, count in _list_rebuilt():
        again = rows.filter(collection=collection_id).aggregate(total=Sum("held_bytes"))["total"] or 0
        total += (count - 1) * again
    return total


def _list_rebuilt(**which: object) -> list[tuple[UUID, int]]:
    """Collections with several indexes, and how many."""
    rows = Generation.objects.filter(**which).order_by().values_list("collection")
    return list(rows.annotate(count=Count("pk")).filter(count__gt=1))


def make_room_beside(collection: Collection) -> None:
    """For another index of these documents, until it takes the place of the first. Inside the transaction
    that makes it. Raises QuotaExceeded.
    """
    rows = collection.documents.order_by().values_list("created_by")
    shares = [(owner_id, size) for owner_id, size in rows.annotate(size=Sum("held_bytes")) if size]
    for owner_id, size_bytes in sorted(shares, key=str):  # in one order: nobody waits in a circle
        if owner_id is not None:
            reserve(size_bytes, owner_id)
    reserve(sum(size_bytes for _owner, size_bytes in shares))


def make_room(document: Document, blocks: Sequence[ParsedBlock]) -> None:
    """Let the document hold these, instead of what it held. Inside a transaction. Raises InvalidInput where
    there is no room, which trying again would not change.
    """
    size_bytes = estimate_bytes(document.collection, blocks)
    indexes = max([1, *(count for _id, count in _list_rebuilt(collection=document.collection_id))])
    try:
        reserve(indexes * max(0, size_bytes - document.held_bytes), document.created_by)
    except QuotaExceeded as exc:
        said = _("The text of this document and its index take about %(size)s.") % {
            "size": say_size(size_bytes)
        }
        raise InvalidInput(said + " " + str(exc.message), code="storage_full") from exc
    Document.objects.filter(pk=document.pk).update(held_bytes=size_bytes)


def make_room_for(parsed: Mapping[Document, Sequence[ParsedBlock]]) -> None:
    """The same for several documents of one person (`created_by`), all or none. Raises QuotaExceeded."""
    (owner_id,) = {document.created_by for document in parsed}
    sizes = {document: estimate_bytes(document.collection, blocks) for document, blocks in parsed.items()}
    reserve(sum(max(0, size - document.held_bytes) for document, size in sizes.items()), owner_id)
    for document, size in sizes.items():
        document.held_bytes = size
    Document.objects.bulk_update(sizes, ["held_bytes"])


def check_chat_count(owner_id: UUID) -> None:
    """Inside the transaction that makes a collection of the files of another conversation of this person.
    Raises QuotaExceeded where there are as many as there may be: CHATS_PER_COLLECTION times as many as of
    those that lists show.
    """
    take_turns("collections of chats")
    rows = Collection.objects.exclude(conversation_id=None)
    most = CHATS_PER_COLLECTION * settings.COLLECTIONS_PER_PERSON
    most_of_all = CHATS_PER_COLLECTION * settings.COLLECTIONS_PER_TENANT
    message = ""
    if rows.filter(owner_id=owner_id).count() >= most:
        message = _(
            "You have brought files into %(count)d chats, and one person may have no more such chats. Delete "
            "some that you no longer need."
        ) % {"count": most}
    elif rows.count() >= most_of_all:
        message = _(
            "Your organisation has %(count)d chats with files, and it may have no more. Delete some that you "
            "no longer need."
        ) % {"count": most_of_all}
    if message:
        raise _too_many(message)


def has_as_many_as_may_be(owner_id: UUID) -> bool:
    """Of collections of this person's own. Inside the transaction that gives them another."""
    take_turns("collections")
    own = Collection.objects.filter(conversation_id=None, owner_id=owner_id)
    return own.count() >= settings.COLLECTIONS_PER_PERSON


def check_count(owner_id: UUID | None) -> None:
    """Inside the transaction that makes another collection, of this person or (None) a shared one. Raises
    QuotaExceeded where there are as many as there may be.
    """
    take_turns("collections")
    listed = Collection.objects.filter(conversation_id=None)
    message = ""
    if owner_id is not None and has_as_many_as_may_be(owner_id):
        most = settings.COLLECTIONS_PER_PERSON
        message = _(
            "You have %(count)d collections of your own, and one person may have no more. Delete one that "
            "you no longer need."
        ) % {"count": most}
    elif listed.count() >= settings.COLLECTIONS_PER_TENANT:
        most = settings.COLLECTIONS_PER_TENANT
        message = _(
            "Your organisation has %(count)d collections, and it may have no more. Delete one that nobody "
            "needs any more."
        ) % {"count": most}
    if message:
        raise _too_many(message)


def _too_many(message: str) -> QuotaExceeded:
    error = QuotaExceeded(message, code="too_many_collections")
    error.headers = [(b"x-should-retry", b"false")]
    return error
