"""How large a file may be, by the place where it comes in and by the plan, and how much a tenant and each of
its people may keep: files, and what rooms hold beside them (`counted`).
"""

import re
from collections.abc import Callable
from uuid import UUID

from django.conf import settings
from django.db.models import Q, Sum
from django.template.defaultfilters import filesizeformat

from foundation.errors import QuotaExceeded
from foundation.told import gettext as _
from tenants.files.models import Blob, File, Upload
from tenants.selectors import get_storage_allowance
from tenants.turns import take_turns

MOST_FILE_BYTES = 512 * 1024**2  # in one request; as at OpenAI
MOST_PART_BYTES = 64 * 1024**2
MOST_UPLOAD_BYTES = 8 * 1024**3
Counter = Callable[[UUID | None], int]
_counters: list[Counter] = []


def counted(count: Counter) -> Counter:
    """Register what a room holds beside the files: bytes of a person, or (None) of all."""
    _counters.append(count)
    return count


def say_size(size_bytes: int) -> str:
    """“512 MB” or “1.5 GB”, of 1,024, in the reader's language."""
    text = str(filesizeformat(size_bytes)).replace("\xa0", " ")
    return re.sub(r"[.,]0(?= )", "", text)


def bound(most_bytes: int, largest_file_bytes: int | None) -> int:
    """What a place takes where the plan allows files of this size."""
    return most_bytes if largest_file_bytes is None else min(most_bytes, largest_file_bytes)


def reserve(size_bytes: int, owner_id: UUID | None = None) -> None:
    """Inside the transaction that writes the row which counts so much: raises QuotaExceeded where it does not
    fit beside all that is kept and reserved, of this person and of all. Who comes at the same time waits for
    the end of the transaction.
    """
    if owner_id is not None:
        take_turns(f"files of {owner_id}")
        most = settings.STORAGE_PER_PERSON_BYTES
        if (used := count_bytes_of(owner_id)) + size_bytes > most:
            message = _(
                "One person may keep %(limit)s here, of which you use %(used)s: there is no room for "
                "%(size)s more. Delete files or documents that you no longer need."
            )
            raise _refusal(message, most, used, size_bytes)
    most_of_all = get_storage_allowance().storage_bytes
    if most_of_all is None:
        return
    take_turns("files")
    if (used := count_bytes()) + size_bytes > most_of_all:
        message = _(
            "The storage of your organisation's plan is %(limit)s, of which %(used)s are used or "
            "reserved: there is no room for %(size)s more."
        )
        raise _refusal(message, most_of_all, used, size_bytes)


def _refusal(message: str, most: int, used: int, size_bytes: int) -> QuotaExceeded:
    error = QuotaExceeded(
        message % {"limit": say_size(most), "used": say_size(used), "size": say_size(size_bytes)}
    )
    error.headers = [(b"x-should-retry", b"false")]  # waiting makes no room
    return error


def count_bytes_of(owner_id: UUID) -> int:
    """What a person keeps and what is reserved for their uploads. The same content twice counts twice."""
    files = File.objects.filter(owner=owner_id).aggregate(total=Sum("size_bytes"))
    uploads = Upload.objects.filter(owner=owner_id, state=Upload.State.PENDING).aggregate(
        total=Sum("size_bytes")
    )
    held = sum(count(owner_id) for count in _counters)
    return (files["total"] or 0) + (uploads["total"] or 0) + held


def count_bytes() -> int:
    """What the active tenant keeps, and what is reserved for what arrives. Parts count as the upload that
    they belong to.
    """
    blobs = Blob.objects.filter(
        Q(state=Blob.State.STORED) | Q(state=Blob.State.ARRIVING, upload__isnull=True)
    ).aggregate(total=Sum("size_bytes"))
    uploads = Upload.objects.filter(state=Upload.State.PENDING).aggregate(total=Sum("size_bytes"))
    return (blobs["total"] or 0) + (uploads["total"] or 0) + sum(count(None) for count in _counters)
