"""What may be read of files. A person's own files are theirs alone."""

import base64
from collections.abc import Collection
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from tenants.files.models import Blob, File
from tenants.files.streams import Place
from tenants.sealing import open_field


def list_own_files(owner_id: UUID, purposes: Collection[str]) -> QuerySet[File]:
    """Those of a person that serve one of these purposes, the newest first."""
    rows = File.objects.filter(owner_id=owner_id, purpose__in=purposes)
    return rows.exclude(expires_at__lte=timezone.now()).order_by("-pk")


def find_own_file(owner_id: UUID, purposes: Collection[str], file_id: UUID) -> File | None:
    return list_own_files(owner_id, purposes).filter(pk=file_id).first()


def get_place(blob_id: UUID) -> Place:
    """Where content lies. Raises Blob.DoesNotExist, BrokenSeal, NoDataKey."""
    return place_of(Blob.objects.get(pk=blob_id))


def place_of(row: Blob) -> Place:
    """Raises BrokenSeal, NoDataKey."""
    key = open_field(row, "sealed_key")
    return Place(row.pk, base64.b64decode(key.reveal()) if key is not None else None)
