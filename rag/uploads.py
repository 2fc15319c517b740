"""Large files of pages, which go up in parts: a line that breaks off costs the part that was under way, and a
page that is loaded anew goes on where it stood. The tables, limits and duties are those of `/v1/uploads`; who
is still sending has another hour with each part.

A whole becomes a document of its collection at once, or waits a day for the question that it comes with.
"""

from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from django.core.files.uploadedfile import UploadedFile
from django.utils import timezone

from accounts.models import User
from foundation.errors import AtriumError, Conflict, InvalidInput
from foundation.told import gettext as _
from rag.arrivals import get_most_bytes
from rag.intake import add_file, check_size
from rag.models import PURPOSE, Collection, Document
from rag.rights import require_edit
from tenants.files import in_parts, uploads
from tenants.files.limits import say_size
from tenants.files.models import File, Upload
from tenants.files.services import delete_file, keep_for_good

FROM_BYTES = 8 * 1024**2  # smaller files come whole
PART_BYTES = 4 * 1024**2
WAITS_S = 86_400  # of a file that comes with a question, until that is asked


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a whole: its document (None: its bytes were here before, as was said once)."""

    document: Document | None
    is_new: bool


def begin(
    *, actor: User, collection: Collection | None, name: str, declared_type: str, size_bytes: int
) -> Upload:
    """For a collection, or (None) for a question. Raises NotAllowed, InvalidInput, QuotaExceeded."""
    if collection is not None:
        require_edit(actor, collection, "rag.add_document")
    check_size(size_bytes)
    if size_bytes > (most := get_most_bytes()):
        message = _("A file may have at most %(limit)s here.") % {"limit": say_size(most)}
        raise InvalidInput(message, code="file_too_large", param="size")
    return uploads.create_upload(
        owner_id=actor.pk,
        name=name,
        declared_type=declared_type,
        purpose=PURPOSE,
        size_bytes=size_bytes,
        file_expires_after_s=WAITS_S,
    )


def get_upload(actor: User, upload_id: UUID) -> Upload:
    """Of this person's pages. Raises NotFound, also for one of `/v1/uploads`."""
    upload = uploads.get_own_upload(actor.pk, upload_id)
    if upload.purpose != PURPOSE:
        raise uploads.unknown_upload(upload_id)
    return upload


def take_part(*, actor: User, upload: Upload, uploaded: UploadedFile) -> uploads.Part:
    """Raises InvalidInput."""
    size_bytes = uploaded.size or 0
    if not 0 < size_bytes <= PART_BYTES:
        message = _("A part must have between 1 byte and %(limit)s.") % {"limit": say_size(PART_BYTES)}
        raise InvalidInput(message, code="part_size", param="data")
    whose = {"owner_id": actor.pk, "upload_id": upload.pk}
    part = in_parts.store_part(uploaded.chunks(), size_bytes=size_bytes, **whose)
    uploads.prolong_upload(**whose)
    return part


def bring_in(*, actor: User, collection: Collection, upload: Upload, path: str) -> Taken:
    """What was completed becomes a document; again it is the same one. Raises NotAllowed, InvalidInput."""
    if (file := upload.file) is None:
        return Taken(None, is_new=False)
    try:
        document, is_new = add_file(actor=actor, collection=collection, file=file, address=path)
    except AtriumError:
        with suppress(Conflict):
            delete_file(file)
        raise
    is_its = document.file_id == file.pk
    if is_its:
        keep_for_good(file)
    return Taken(document, is_new=is_new or is_its)


def cancel(*, actor: User, upload: Upload) -> None:
    """Its parts go, and what they had reserved; of one that is complete, the file where nothing holds it.
    Safe to call again.
    """
    if upload.state_at(timezone.now()) == Upload.State.PENDING:
        uploads.cancel_upload(owner_id=actor.pk, upload_id=upload.pk)
    elif (file := find_waiting(actor, upload.file_id)) is not None:
        with suppress(Conflict):
            delete_file(file)


def find_waiting(actor: User, file_id: UUID | None) -> File | None:
    """A file of this person's that came in parts and that no question has taken yet."""
    rows = File.objects.filter(owner_id=actor.pk, purpose=PURPOSE, expires_at__gt=timezone.now())
    return rows.filter(pk=file_id).first() if file_id is not None else None
