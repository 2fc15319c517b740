"""How collections, documents and batches are called at `/v1`, and the way back."""

import re
from uuid import UUID

from django.db.models import Case, F, When

from foundation.errors import NotFound
from foundation.told import gettext as _
from gateway.files.shapes import PURPOSES
from rag.models import Document

STORE, BATCH, FILE = "vs_", "vsfb_", "file-"
_ID = re.compile(r"(vs_|vsfb_|file-)([0-9a-f]{32})")
# A document goes by its file where that is one of /v1/files, and else by its own id: files of pages,
# which are fetched again, change.
SHOWN_ID = Case(When(file__purpose__in=PURPOSES, then=F("file_id")), default=F("pk"))


def read_id(text: str, prefix: str) -> UUID | None:
    found = _ID.fullmatch(text)
    return UUID(found[2]) if found and found[1] == prefix else None


def store_id(pk: UUID) -> str:
    return f"{STORE}{pk.hex}"


def batch_id(pk: UUID) -> str:
    return f"{BATCH}{pk.hex}"


def file_id(document: Document) -> str:
    file = document.file
    pk = file.pk if file is not None and file.purpose in PURPOSES else document.pk
    return f"{FILE}{pk.hex}"


def unknown_store(text: str) -> NotFound:
    return NotFound(
        _("There is no vector store “%(id)s”, or it is not yours to use.") % {"id": text[:80]},
        code="vector_store_not_found",
        param="vector_store_id",
    )


def unknown_file(text: str) -> NotFound:
    return NotFound(
        _("There is no file “%(id)s” in this vector store.") % {"id": text[:80]},
        code="file_not_found",
        param="file_id",
    )


def unknown_batch(text: str) -> NotFound:
    return NotFound(
        _("There is no file batch “%(id)s” of this vector store.") % {"id": text[:80]},
        code="file_batch_not_found",
        param="batch_id",
    )
