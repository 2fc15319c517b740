"""Files that are brought along with a question. Each becomes a document of a collection that belongs to the
conversation alone, and a part of the question, which says what it is for: to be searched, or read whole.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.core.files.uploadedfile import UploadedFile
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.selectors import get_default_project_id
from foundation.errors import AtriumError, InvalidInput, NotFound
from foundation.told import words_of
from prompts.models import Conversation, Message, Part
from rag.booking import booked_on
from rag.intake import add_file, check_size
from rag.models import Collection, Document
from rag.selectors import list_visible_collections
from rag.services import PURPOSE, create_collection, delete_collection
from rag.uploads import find_waiting
from tenants.files.limits import bound, say_size
from tenants.files.models import File
from tenants.files.services import delete_file, keep_for_good, store_file
from tenants.selectors import get_storage_allowance

MOST_FILES = 10  # of one question
MOST_BYTES = 64 * 1024**2  # of one question's files, all together
SEARCH, WHOLE = "search", "whole"


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file that is stored already, and what it is for."""

    file: File
    use: str = SEARCH


@dataclass(frozen=True, slots=True)
class RefusedFile:
    """A file that did not come in, and why; the question goes on without it."""

    name: str
    reason: str | Promise


@dataclass(frozen=True, slots=True)
class Brought:
    """What came in of a question's files, and what did not. `sent`: large ones, which came in parts before it
    and wait for a question if this one is refused.
    """

    files: tuple[NewFile, ...] = ()
    refused: tuple[RefusedFile, ...] = ()
    sent: tuple[NewFile, ...] = ()


def store_uploads(
    user: User,
    uploads: Sequence[UploadedFile],
    uses: Sequence[str],
    sent_ids: Sequence[str] = (),
    sent_uses: Sequence[str] = (),
) -> Brought:
    """Keep what a form brought; `uses` in the same order, SEARCH where it says nothing. One that is empty,
    too large or more than there is room for stays out alone. `sent_ids` name files that came in parts. Not
    inside a transaction. Raises InvalidInput: too many, or none of them came in; NotFound.
    """
    if len(uploads) + len(sent_ids) > MOST_FILES:
        raise InvalidInput(
            _("At most %(limit)d files can come with one question.") % {"limit": MOST_FILES}, param="files"
        )
    if unknown := {*uses, *sent_uses} - {SEARCH, WHOLE}:
        raise InvalidInput(_("“%(value)s” is no use of a file.") % {"value": unknown.pop()[:40]})
    sent = [
        NewFile(_find_sent(user, one), sent_uses[place] if place < len(sent_uses) else SEARCH)
        for place, one in enumerate(dict.fromkeys(sent_ids))
    ]
    _check_together([one.size or 0 for one in uploads] + [one.file.size_bytes for one in sent])
    most_bytes = bound(MOST_BYTES, get_storage_allowance().largest_file_bytes)
    stored: list[NewFile] = []
    refused: list[RefusedFile] = []
    try:
        for place, upload in enumerate(uploads):
            try:
                file = _store(user, upload, most_bytes)
            except AtriumError as exc:
                refused.append(RefusedFile(upload.name or "", exc.message))
            else:
                stored.append(NewFile(file, uses[place] if place < len(uses) else SEARCH))
        if refused and not stored and not sent:
            raise _refusal(refused[0])
    except BaseException:
        drop_files(stored)
        raise
    return Brought(tuple(stored), tuple(refused), tuple(sent))


def _find_sent(user: User, text: str) -> File:
    try:
        file = find_waiting(user, UUID(text))
    except ValueError:
        file = None
    if file is None:
        raise _gone()
    return file


def _gone() -> NotFound:
    return NotFound(_("A file of this question is no longer there. Choose it again."), param="sent")


def _check_together(sizes: Sequence[int]) -> None:
    if sum(sizes) > MOST_BYTES:
        message = _("The files of one question may have at most %(limit)s together.")
        raise InvalidInput(message % {"limit": say_size(MOST_BYTES)}, code="files_too_large", param="files")


def _store(user: User, upload: UploadedFile, most_bytes: int) -> File:
    check_size(upload.size or 0)
    return store_file(
        upload.chunks(),
        size_bytes=upload.size or 0,
        most_bytes=most_bytes,
        name=upload.name or "",
        declared_type=upload.content_type or "",
        purpose=PURPOSE,
        owner_id=user.pk,
        expires_at=None,
    )


def _refusal(one: RefusedFile) -> InvalidInput:
    message = _("“%(name)s” was not taken. %(reason)s") % {"name": one.name[:80], "reason": one.reason}
    return InvalidInput(message, code="file_refused", param="files")


def drop_files(stored: Iterable[NewFile]) -> None:
    """What no question came to hold."""
    for one in stored:
        delete_file(one.file)


def find_collection(conversation: Conversation) -> Collection | None:
    """Of the files brought into a conversation."""
    return Collection.objects.filter(conversation_id=conversation.pk).first()


def attach(*, actor: User, question: Message, brought: Brought, first: int = 1) -> None:
    """Inside the transaction that made the question: the parts from the ordinal `first` on are its files,
    those that did not come in last. Raises NotFound.
    """
    files = (*brought.files, *brought.sent)
    _note_refused(question, brought.refused, first + len(files))
    if not files:
        return
    if not all(keep_for_good(one.file) for one in brought.sent):
        raise _gone()
    conversation = question.conversation
    collection = find_collection(conversation) or create_collection(
        actor=actor,
        name=conversation.title[:120],
        owner_id=actor.pk,
        conversation_id=conversation.pk,
        data_policy=conversation.project.data_policy if conversation.project else "",
        **_choose_embedder(actor, conversation),
    )
    for ordinal, one in enumerate(files, first):
        # an address of its own: a file of the same name is no new version of an earlier question's
        address = f"{question.pk}/{one.file.name}"
        with booked_on(project_id=conversation.project_id):
            document, _is_new = add_file(actor=actor, collection=collection, file=one.file, address=address)
        data = {"document": str(document.pk), "name": one.file.name, "use": one.use}
        Part.objects.create(message=question, ordinal=ordinal, kind=Part.Kind.FILE, data=data)


def _note_refused(question: Message, refused: Sequence[RefusedFile], first: int) -> None:
    for ordinal, one in enumerate(refused, first):
        data = {"name": one.name[:255], "reason": str(one.reason), "reason_words": words_of(one.reason)}
        Part.objects.create(message=question, ordinal=ordinal, kind=Part.Kind.FILE, data=data)


def _choose_embedder(actor: User, conversation: Conversation) -> dict[str, Any]:
    """That of the collections which are asked along with the files, else of another one that the person may
    read: its model was chosen by somebody. None: the files are found by words.
    """
    project_id = conversation.project_id or get_default_project_id()
    rows = list_visible_collections(actor, project_id).exclude(embedding_model="")
    asked = rows.filter(pk__in=conversation.collection_ids)
    found = asked.order_by("pk").first() or rows.order_by("pk").first()
    if found is None:
        return {}
    return {"embedding_model": found.embedding_model, "dimensions": found.dimensions}


def copy_files(source: Message, question: Message, first: int = 1) -> None:
    """Let a question that is put differently have the files of the one it stands beside."""
    files = source.parts.filter(kind=Part.Kind.FILE, data__has_key="document").order_by("ordinal")
    Part.objects.bulk_create(
        Part(message=question, ordinal=ordinal, kind=part.kind, data=part.data)
        for ordinal, part in enumerate(files, first)
    )


def drop_collection(conversation: Conversation) -> None:
    """With the conversation go its documents and their files."""
    collection = find_collection(conversation)
    if collection is not None:
        delete_collection(actor=None, collection=collection)


def list_unread(document_ids: Iterable[UUID]) -> tuple[list[Document], list[Document]]:
    """Of these documents those that still wait or are being read, and those of which nothing will come."""
    rows = list(Document.objects.filter(pk__in=list(document_ids)))
    states = Document.State
    waiting = [row for row in rows if row.state in (states.WAITING, states.READING)]
    return waiting, [row for row in rows if row.state in (states.FAILED, states.STOPPED)]
