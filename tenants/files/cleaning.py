"""Removes what nobody needs any more: files and uploads whose time is over, what was begun and left, and
bytes that no file points at. It is the only place that removes bytes; safe to call again, at once, and after
a kill.

Does not cover: bytes without a row, which an older database brought back from a backup leaves.
"""

from contextlib import suppress
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Min
from django.utils import timezone

from foundation.errors import Conflict
from tenants.files import services, uploads
from tenants.files.models import Blob, File, Upload
from tenants.files.streams import remove_bytes
from tenants.files.uses import delete_own_file
from tenants.work.duties import duty, note_duty

AT_ONCE = 500
LOOK_AGAIN_AFTER = timedelta(days=1)
TELL_FOR = timedelta(days=1)  # whoever asks later hears that there is no such upload


@duty(services.CLEAN)
def clean_up() -> None:
    """One round; notes the next where there is something to look at."""
    is_all = _end_files()
    _end_uploads()
    _end_abandoned()
    is_all = _remove_going() and is_all
    if not is_all:
        note_duty(services.CLEAN)
    elif Blob.objects.exists() or Upload.objects.exists():
        services.note_cleaning(_next_turn())


def _next_turn() -> datetime:
    now = timezone.now()
    midnight = (now + LOOK_AGAIN_AFTER).replace(hour=0, minute=0, second=0, microsecond=0)
    files = File.objects.filter(expires_at__isnull=False).aggregate(first=Min("expires_at"))["first"]
    pending = Upload.objects.filter(state=Upload.State.PENDING).aggregate(first=Min("expires_at"))["first"]
    return max(now, min(moment for moment in (midnight, files, pending) if moment is not None))


def _end_files() -> bool:
    """As their owners delete them. Whether all are ended: those that a room needs all the same are gone for
    whoever brought them, and keep no other.
    """
    ended = 0
    for file in File.objects.filter(expires_at__lte=timezone.now()).order_by("pk"):
        if ended == AT_ONCE:
            return False
        with suppress(Conflict):
            if file.owner_id is None:
                services.delete_file(file)
            else:
                delete_own_file(file.owner_id, file)
            ended += 1
    return True


def _end_uploads() -> None:
    now = timezone.now()
    over = Upload.objects.filter(state=Upload.State.PENDING, expires_at__lte=now)
    for pk in over.values_list("pk", flat=True)[:AT_ONCE]:
        uploads.expire_upload(pk)
    long_over = Upload.objects.exclude(state=Upload.State.PENDING)
    long_over.filter(expires_at__lte=now - TELL_FOR).delete()


def _end_abandoned() -> None:
    """What arrives without a sign of its writer, and what lost its files or its upload otherwise."""
    stale = Blob.objects.filter(touched_at__lte=timezone.now() - services.STALE_AFTER)
    for pk in stale.filter(state=Blob.State.ARRIVING).values_list("pk", flat=True)[:AT_ONCE]:
        services.abandon_blob(pk)
    loose = stale.filter(state=Blob.State.PART, upload__isnull=True)
    for pk in loose.values_list("pk", flat=True)[:AT_ONCE]:
        with transaction.atomic():
            row = Blob.objects.select_for_update().filter(pk=pk, state=Blob.State.PART).first()
            if row is not None:
                services.let_go(row)
    unnamed = stale.filter(state=Blob.State.STORED, files__isnull=True)
    for pk in unnamed.values_list("pk", flat=True)[:AT_ONCE]:
        with transaction.atomic():
            services.release_blob(pk)


def _remove_going() -> bool:
    """Whether all are gone. First the bytes: who dies in between finds the row again."""
    going = Blob.objects.filter(state=Blob.State.GOING).order_by("pk")
    for pk in going.values_list("pk", flat=True)[:AT_ONCE]:
        remove_bytes(pk)
        Blob.objects.filter(pk=pk, state=Blob.State.GOING).delete()
    return not going.exists()
