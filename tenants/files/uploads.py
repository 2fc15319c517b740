"""A file in parts: they come in any order, at once, and again where an answer was lost; then they are put
together. What the whole may have is reserved at the beginning.

A part that is there already (the same bytes) is not kept twice, so that repeating one costs nothing. Who puts
the parts together says so every minute; where they stop, somebody else may begin anew.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import TypedDict, Unpack, cast
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet, Sum
from django.utils import timezone

from foundation.errors import Conflict, InvalidInput, NotFound
from foundation.told import gettext as _
from tenants.files import limits, services
from tenants.files.models import Blob, Upload
from tenants.files.names import clean_name, clean_type
from tenants.files.selectors import place_of
from tenants.files.streams import BlobWriter, Place, Written, read_blob
from tenants.work.duties import note_duty

LASTS = timedelta(hours=1)
MAX_PARTS = 10_000
COPY_BYTES = 8 * 1024**2  # between two looks at the clock
# what parts under way may reserve beyond the whole: forms have a rim, and repeated ones are found out last
_SLACK_BYTES = 2 * limits.MOST_PART_BYTES


class Promise(TypedDict):
    """What is told of a file before it comes."""

    owner_id: UUID
    name: str
    declared_type: str
    purpose: str
    size_bytes: int
    file_expires_after_s: int | None


@transaction.atomic
def create_upload(**promise: Unpack[Promise]) -> Upload:
    """Raises QuotaExceeded."""
    limits.reserve(promise["size_bytes"], promise["owner_id"])
    upload = Upload.objects.create(
        owner_id=promise["owner_id"],
        name=clean_name(promise["name"]),
        declared_type=clean_type(promise["declared_type"]),
        purpose=promise["purpose"],
        size_bytes=promise["size_bytes"],
        file_expires_after_s=promise["file_expires_after_s"],
        expires_at=timezone.now() + LASTS,
    )
    services.note_cleaning(upload.expires_at)
    return upload


def get_own_upload(owner_id: UUID, upload_id: UUID) -> Upload:
    """Raises NotFound."""
    upload = Upload.objects.select_related("file").filter(pk=upload_id, owner_id=owner_id).first()
    if upload is None:
        raise unknown_upload(upload_id)
    return upload


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of an upload, as its clients know it."""

    id: UUID
    upload_id: UUID
    sha256: str
    created_at: datetime


def list_parts(upload: Upload) -> list[Part]:
    """Those that are all there."""
    return [_part(row, upload) for row in _there(upload).order_by("part_id")]


@transaction.atomic
def begin_part(*, owner_id: UUID, upload_id: UUID, size_bytes: int) -> Place:
    """A place for a part of at most so many bytes. Raises NotFound, InvalidInput."""
    upload = _lock_open(owner_id, upload_id)
    taken = upload.parts.aggregate(total=Sum("size_bytes"))["total"] or 0
    if taken + size_bytes > upload.size_bytes + _SLACK_BYTES or upload.parts.count() >= MAX_PARTS:
        raise _too_much(upload)
    return services.make_place(size_bytes, upload)


@transaction.atomic
def finish_part(*, owner_id: UUID, upload_id: UUID, written: Written) -> Part:
    """The part; the earlier one where the same bytes were there. Raises NotFound, InvalidInput, Conflict."""
    upload = _lock_open(owner_id, upload_id)
    row = services.lock_arriving(written.place.id)
    there = _there(upload)
    if (same := there.filter(sha256=written.sha256).first()) is not None:
        services.abandon_blob(row.pk)
        return _part(same, upload)
    taken = there.aggregate(total=Sum("size_bytes"))["total"] or 0
    if taken + written.size_bytes > upload.size_bytes:
        raise _too_much(upload)
    row.state, row.sha256, row.size_bytes = Blob.State.PART, written.sha256, written.size_bytes
    row.save(update_fields=["state", "sha256", "size_bytes"])
    return _part(row, upload)


def _there(upload: Upload) -> QuerySet[Blob]:
    return upload.parts.filter(state=Blob.State.PART)


def _part(row: Blob, upload: Upload) -> Part:
    part_id = cast(UUID, row.part_id)  # of what has an upload (files_blob_part_named)
    return Part(part_id, upload.pk, row.sha256, row.created_at)


@dataclass(frozen=True, slots=True)
class Assembly:
    """A whole that somebody is about to put together."""

    place: Place
    parts: tuple[Place, ...]
    size_bytes: int


@transaction.atomic
def begin_assembly(*, owner_id: UUID, upload_id: UUID, part_ids: Sequence[UUID]) -> Assembly | None:
    """None: it was completed before. Raises NotFound, InvalidInput, Conflict."""
    upload = _lock(owner_id, upload_id)
    if upload.state == Upload.State.COMPLETED:
        return None
    _check_open(upload)
    if _is_being_assembled(upload):
        raise Conflict(_("This upload is being completed already."), code="upload_busy")
    known = {part.part_id: part for part in _there(upload).filter(part_id__in=part_ids)}
    if missing := [pk for pk in part_ids if pk not in known]:
        text = _("This upload has no part “%(id)s”.") % {"id": f"part_{missing[0].hex}"}
        raise InvalidInput(text, code="part_not_found", param="part_ids")
    total = sum(known[pk].size_bytes for pk in part_ids)
    if total != upload.size_bytes:
        text = _("The parts have %(total)d bytes, and %(size)d were promised.")
        raise InvalidInput(
            text % {"total": total, "size": upload.size_bytes}, code="size_mismatch", param="part_ids"
        )
    if upload.assembling_id is not None:
        services.abandon_blob(upload.assembling_id)
    place = services.make_place(0)
    upload.assembling_id = place.id
    upload.save(update_fields=["assembling"])
    places = {blob.pk: place_of(blob) for blob in known.values()}
    return Assembly(place, tuple(places[known[pk].pk] for pk in part_ids), upload.size_bytes)


class Assembler:
    """Puts the parts together. As BlobWriter: in the tenant's scope, not on an event loop."""

    def __init__(self, assembly: Assembly) -> None:
        self._writer = BlobWriter(assembly.place, most_bytes=assembly.size_bytes)
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._pieces: Iterator[bytes] = chain.from_iterable(read_blob(part) for part in assembly.parts)

    def copy(self, most_bytes: int) -> bool:
        """Go on with about so many bytes; False: there are no more."""
        copied = 0
        for piece in self._pieces:
            self._writer.write(piece)
            self._md5.update(piece)
            copied += len(piece)
            if copied >= most_bytes:
                return True
        return False

    def close(self, md5: str) -> Written:
        """Raises InvalidInput where the sender counted another MD5 ("": none)."""
        if md5 and md5.lower() != self._md5.hexdigest():
            raise InvalidInput(
                _("The file's MD5 is %(md5)s. Something was changed or mixed up on the way.")
                % {"md5": self._md5.hexdigest()},
                code="checksum_mismatch",
                param="md5",
            )
        return self._writer.close()

    def abort(self) -> None:
        self._writer.abort()


@transaction.atomic
def finish_upload(*, owner_id: UUID, upload_id: UUID, written: Written) -> Upload:
    """The file stands instead of its parts. Raises NotFound, Conflict."""
    upload = _lock(owner_id, upload_id)
    if upload.state != Upload.State.PENDING or upload.assembling_id != written.place.id:
        raise Conflict(_("This upload was cancelled or completed meanwhile."), code="upload_changed")
    expires_after_s = upload.file_expires_after_s
    upload.file = services.finish_file(
        written,
        name=upload.name,
        declared_type=upload.declared_type,
        purpose=upload.purpose,
        owner_id=upload.owner_id,
        expires_at=timezone.now() + timedelta(seconds=expires_after_s) if expires_after_s else None,
    )
    upload.state, upload.assembling = Upload.State.COMPLETED, None
    upload.save(update_fields=["state", "file", "assembling"])
    _drop_parts(upload)
    return upload


@transaction.atomic
def prolong_upload(*, owner_id: UUID, upload_id: UUID) -> None:
    """Let the hour begin anew, of one whose sender is still there. Raises NotFound, InvalidInput."""
    upload = _lock_open(owner_id, upload_id)
    upload.expires_at = timezone.now() + LASTS
    upload.save(update_fields=["expires_at"])


@transaction.atomic
def cancel_upload(*, owner_id: UUID, upload_id: UUID) -> Upload:
    """Raises NotFound, InvalidInput."""
    upload = _lock_open(owner_id, upload_id)
    _end(upload, Upload.State.CANCELLED)
    return upload


@transaction.atomic
def expire_upload(upload_id: UUID) -> None:
    """Unless it ended otherwise, or somebody is putting it together."""
    upload = Upload.objects.select_for_update().filter(pk=upload_id, state=Upload.State.PENDING).first()
    if upload is not None and upload.expires_at <= timezone.now() and not _is_being_assembled(upload):
        _end(upload, Upload.State.EXPIRED)


def _end(upload: Upload, state: Upload.State) -> None:
    upload.state = state
    upload.save(update_fields=["state"])
    _drop_parts(upload)


def _drop_parts(upload: Upload) -> None:
    if upload.parts.update(state=Blob.State.GOING, upload=None):
        note_duty(services.CLEAN)


def _is_being_assembled(upload: Upload) -> bool:
    if upload.assembling_id is None:
        return False
    alive_since = timezone.now() - services.STALE_AFTER
    return Blob.objects.filter(
        pk=upload.assembling_id, state=Blob.State.ARRIVING, touched_at__gt=alive_since
    ).exists()


def _lock(owner_id: UUID, upload_id: UUID) -> Upload:
    upload = Upload.objects.select_for_update().filter(pk=upload_id, owner_id=owner_id).first()
    if upload is None:
        raise unknown_upload(upload_id)
    return upload


def _lock_open(owner_id: UUID, upload_id: UUID) -> Upload:
    upload = _lock(owner_id, upload_id)
    _check_open(upload)
    return upload


def _check_open(upload: Upload) -> None:
    state = upload.state_at(timezone.now())
    texts = {
        Upload.State.COMPLETED: _("This upload is completed."),
        Upload.State.CANCELLED: _("This upload was cancelled."),
        Upload.State.EXPIRED: _("This upload has expired: its parts must come within an hour."),
    }
    if state != Upload.State.PENDING:
        raise InvalidInput(texts[Upload.State(state)], code=f"upload_{state}", param="upload_id")


def unknown_upload(upload_id: UUID | str) -> NotFound:
    shown = f"upload_{upload_id.hex}" if isinstance(upload_id, UUID) else upload_id[:80]
    return NotFound(
        _("There is no upload “%(id)s”, or it is not yours.") % {"id": shown},
        code="upload_not_found",
        param="upload_id",
    )


def _too_much(upload: Upload) -> InvalidInput:
    return InvalidInput(
        _("The parts would have more than the %(size)d bytes that were promised.")
        % {"size": upload.size_bytes},
        code="size_mismatch",
        param="data",
    )
