"""Files as a form brings them: kept, and handed to the intake."""

from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext_lazy

from accounts.models import User
from foundation.errors import InvalidInput
from foundation.told import gettext as _
from rag.changes import require_edit
from rag.intake import add_file
from rag.models import Collection, Document
from tenants.files.limits import MOST_FILE_BYTES, bound
from tenants.files.purposes import LABELS
from tenants.files.services import delete_file, store_file
from tenants.selectors import get_storage_allowance

PURPOSE = "document"
LABELS[PURPOSE] = gettext_lazy("document")


def get_most_bytes() -> int:
    """Of one file, here and in the plan."""
    return bound(MOST_FILE_BYTES, get_storage_allowance().largest_file_bytes)


def take_file(
    *, actor: User, collection: Collection, uploaded: UploadedFile, title: str = ""
) -> tuple[Document, bool]:
    """The document, and whether it is new. Not inside a transaction. Raises NotAllowed, InvalidInput,
    QuotaExceeded, BodyTooLarge.
    """
    require_edit(actor, collection)
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
        document, is_new = add_file(actor=actor, collection=collection, file=file, title=title)
    except BaseException:
        delete_file(file)
        raise
    if document.file_id != file.pk:  # the same bytes are there already
        delete_file(file)
    return document, is_new
