"""Files as a form brings them: kept, and handed to the intake."""

from contextlib import suppress

from django.core.files.uploadedfile import UploadedFile

from accounts.models import User
from foundation.errors import Conflict, InvalidInput
from foundation.told import gettext as _
from rag.intake import MOST_DOCUMENT_BYTES, add_file
from rag.models import PURPOSE, Collection, Document
from rag.rights import require_edit
from tenants.files.limits import bound
from tenants.files.services import delete_file, store_file
from tenants.selectors import get_storage_allowance


def get_most_bytes() -> int:
    """Of one file, here and in the plan."""
    return bound(MOST_DOCUMENT_BYTES, get_storage_allowance().largest_file_bytes)


def take_file(
    *, actor: User, collection: Collection, uploaded: UploadedFile, path: str = ""
) -> tuple[Document, bool]:
    """The document, and whether it is new. `path`: where the file lies in the folder that was dropped. Not
    inside a transaction. Raises NotAllowed, InvalidInput, QuotaExceeded, BodyTooLarge.
    """
    require_edit(actor, collection, "rag.add_document")
    size_bytes = uploaded.size or 0
    if not size_bytes:
        raise InvalidInput(_("This file is empty."), code="document_empty", param="file")
    file = store_file(
        uploaded.chunks(),
        size_bytes=size_bytes,
        most_bytes=get_most_bytes(),
        name=uploaded.name or "",
        declared_type=uploaded.content_type or "",
        purpose=PURPOSE,
        owner_id=actor.pk,
        expires_at=None,
    )
    try:
        return add_file(actor=actor, collection=collection, file=file, address=path)
    except BaseException:
        with suppress(Conflict):
            delete_file(file)
        raise
