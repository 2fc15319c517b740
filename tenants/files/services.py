"""Bringing files in and taking them away. The order is what survives a crash at any point:

1. `begin_blob` commits a row that says where bytes are going to be;
2. `streams.BlobWriter` opens the place, `touch_blob` sees that the row is still there (from now on whoever
   removes it finds the bytes), and the bytes are written;
3. `finish_file` makes the row one that is stored, and the file, in one transaction. Where the same content is
   there already, the file points at that, and the new bytes go.

Whatever stops in between leaves a row that nobody touches any more; `cleaning` finds it, and removes first
the bytes and then the row. So no file is without bytes, and no bytes are without a row.
"""

import base64
import os
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TypedDict, Unpack
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from django.utils import timezone

from foundation.errors import Conflict
from foundation.ids import uuid7
from foundation.told import gettext as _
from tenants.files import limits
from tenants.files.models import Blob, File, Upload
from tenants.files.names import clean_name, clean_type
from tenants.files.streams import KEY_BYTES, BlobWriter, Place, Written, remove_bytes
from tenants.work.duties import note_duty

CLEAN = "files.clean"
# without a sign of its writer; whoever comes back later finds its place gone
STALE_AFTER = timedelta(minutes=15)
TOUCH_EVERY_S = 60.0
_ROUND_S = 900  # duties of many uploads fall together on the quarters of an hour
_TRIES = 5


class About(TypedDict):
    """What a file is called, and for whom and what it is kept. Names and types are cleaned here."""

    name: str
    declared_type: str
    purpose: str
    owner_id: UUID | None
    expires_at: datetime | None


def store_file(pieces: Iterable[bytes], *, size_bytes: int, most_bytes: int, **about: Unpack[About]) -> File:
    """Keep a file of at most `size_bytes`. Not inside a transaction: others must see its place. Raises
    QuotaExceeded, BodyTooLarge.
    """
    place = begin_blob(size_bytes, about["owner_id"])
    writer = BlobWriter(place, most_bytes=min(size_bytes, most_bytes))
    try:
        touch_blob(place.id)
        for piece in pieces:
            writer.write(piece)
        return finish_file(writer.close(), **about)
    except BaseException:
        writer.abort()
        if not abandon_blob(place.id):
            remove_bytes(place.id)
        raise


@transaction.atomic
def begin_blob(size_bytes: int, owner_id: UUID | None = None) -> Place:
    """A place for at most so many bytes, which count as kept from now on. To be committed before the first of
    them is written. Raises QuotaExceeded.
    """
    limits.reserve(size_bytes, owner_id)
    return make_place(size_bytes)


def make_place(size_bytes: int, upload: Upload | None = None) -> Place:
    """Without asking whether there is room; of an upload, for a part of it. Inside a transaction."""
    key = os.urandom(KEY_BYTES) if settings.SEALS_FILES else None
    row = Blob(size_bytes=size_bytes, is_sealed=key is not None, upload=upload)
    row.part_id = uuid7() if upload is not None else None
    if key is not None:
        row.sealed_key = base64.b64encode(key).decode()
    row.save(force_insert=True)
    note_cleaning(timezone.now() + STALE_AFTER)
    return Place(row.pk, key)


def touch_blob(blob_id: UUID) -> None:
    """Say that it is still being written. Raises Conflict where it was given up."""
    rows = Blob.objects.filter(pk=blob_id, state=Blob.State.ARRIVING)
    if not rows.update(touched_at=timezone.now()):
        raise _given_up()


@transaction.atomic
def enlarge_blob(blob_id: UUID, size_bytes: int) -> None:
    """Reserve so much in all for one of which nobody knew how large it is. Raises QuotaExceeded, Conflict."""
    row = lock_arriving(blob_id)
    limits.reserve(max(0, size_bytes - row.size_bytes))
    row.size_bytes, row.touched_at = size_bytes, timezone.now()
    row.save(update_fields=["size_bytes", "touched_at"])


@transaction.atomic
def finish_file(written: Written, **about: Unpack[About]) -> File:
    """The file, of content that is all there. Raises Conflict where its place was given up."""
    blob = settle_blob(written)
    return File.objects.create(
        blob=blob,
        name=clean_name(about["name"]),
        declared_type=clean_type(about["declared_type"]),
        sniffed_type=written.sniffed_type,
        size_bytes=written.size_bytes,
        sha256=written.sha256,
        purpose=about["purpose"],
        owner_id=about["owner_id"],
        expires_at=about["expires_at"],
    )


def settle_blob(written: Written) -> Blob:
    """The row of this content: the one that arrived, or the one that was there before. Inside a
    transaction. Raises Conflict.
    """
    row = lock_arriving(written.place.id)
    for _try in range(_TRIES):
        same = Blob.objects.select_for_update().filter(
            sha256=written.sha256, is_sealed=row.is_sealed, state=Blob.State.STORED
        )
        if (twin := same.first()) is not None:
            let_go(row)
            return twin
        row.state, row.sha256, row.size_bytes = Blob.State.STORED, written.sha256, written.size_bytes
        try:
            with transaction.atomic():
                row.save(update_fields=["state", "sha256", "size_bytes"])
            return row
        except IntegrityError:
            row.state = Blob.State.ARRIVING  # somebody else was quicker by a moment
    raise Conflict(_("Others store and delete the same file at this moment. Try again."), code="file_busy")


def lock_arriving(blob_id: UUID) -> Blob:
    """Inside a transaction. Raises Conflict where it was given up."""
    row = Blob.objects.select_for_update().filter(pk=blob_id, state=Blob.State.ARRIVING).first()
    if row is None:
        raise _given_up()
    return row


def _given_up() -> Conflict:
    return Conflict(_("This file took too long and was given up. Send it again."), code="file_given_up")


@transaction.atomic
def abandon_blob(blob_id: UUID) -> bool:
    """Give up one that arrives, as a part too. Safe for any other. False: it has no row any more, so whoever
    wrote bytes removes them.
    """
    row = Blob.objects.select_for_update().filter(pk=blob_id, state=Blob.State.ARRIVING).first()
    if row is not None:
        let_go(row)
    return Blob.objects.filter(pk=blob_id).exists()


def let_go(row: Blob) -> None:
    """Its bytes go soon, and then the row. Inside a transaction that has locked it."""
    row.state, row.upload = Blob.State.GOING, None
    row.save(update_fields=["state", "upload"])
    note_duty(CLEAN)


def keep_for_good(file: File) -> bool:
    """Whether it was kept for a while until now: of several who take it, one hears so."""
    return bool(File.objects.filter(pk=file.pk, expires_at__gt=timezone.now()).update(expires_at=None))


@transaction.atomic
def delete_file(file: File) -> None:
    """The content goes with its last file. Raises Conflict where a room still needs the file."""
    try:
        file.delete()
    except ProtectedError as exc:
        raise Conflict(_("This file is in use and cannot be deleted."), code="file_in_use") from exc
    release_blob(file.blob_id)


def release_blob(blob_id: UUID) -> None:
    """Let stored content go that no file points at. Who stores the same at this moment holds the row's lock
    before, and then it stays; or waits for it, and then stores its own.
    """
    row = Blob.objects.select_for_update().filter(pk=blob_id, state=Blob.State.STORED).first()
    if row is not None and not File.objects.filter(blob_id=blob_id).exists():
        let_go(row)


def note_cleaning(due_at: datetime) -> None:
    """At the next quarter of an hour after it, where the duties of many fall together."""
    rounded = -(-due_at.timestamp() // _ROUND_S) * _ROUND_S
    note_duty(CLEAN, datetime.fromtimestamp(rounded, tz=due_at.tzinfo))
