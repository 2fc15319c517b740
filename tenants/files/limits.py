"""How large a file may be, by the place where it comes in and by the plan, and how much a tenant may keep."""

import re

from django.db import connection
from django.db.models import Q, Sum
from django.template.defaultfilters import filesizeformat

from foundation.errors import QuotaExceeded
from foundation.told import gettext as _
from tenants.context import current_tenant
from tenants.files.models import Blob, Upload
from tenants.selectors import get_storage_allowance

MOST_FILE_BYTES = 512 * 1024**2  # in one request; as at OpenAI
MOST_PART_BYTES = 64 * 1024**2
MOST_UPLOAD_BYTES = 8 * 1024**3


def say_size(size_bytes: int) -> str:
    """“512 MB” or “1.5 GB”, of 1,024, in the reader's language."""
    text = str(filesizeformat(size_bytes)).replace("\xa0", " ")
    return re.sub(r"[.,]0(?= )", "", text)


def bound(most_bytes: int, largest_file_bytes: int | None) -> int:
    """What a place takes where the plan allows files of this size."""
    return most_bytes if largest_file_bytes is None else min(most_bytes, largest_file_bytes)


def reserve(size_bytes: int) -> None:
    """Inside the transaction that writes the row which counts so much: raises QuotaExceeded where it does not
    fit beside all that is kept and reserved. Who comes at the same time waits for the end of the transaction.
    """
    most = get_storage_allowance().storage_bytes
    if most is None:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"atrium.files.{current_tenant()}"]
        )
    if (used := count_bytes()) + size_bytes > most:
        error = QuotaExceeded(
            _(
                "The storage of your organisation's plan is %(limit)s, of which %(used)s are used or "
                "reserved: there is no room for %(size)s more."
            )
            % {"limit": say_size(most), "used": say_size(used), "size": say_size(size_bytes)}
        )
        error.headers = [(b"x-should-retry", b"false")]  # waiting makes no room
        raise error


def count_bytes() -> int:
    """What the active tenant keeps, and what is reserved for what arrives. Parts count as the upload that
    they belong to.
    """
    blobs = Blob.objects.filter(
        Q(state=Blob.State.STORED) | Q(state=Blob.State.ARRIVING, part__isnull=True)
    ).aggregate(total=Sum("size_bytes"))
    uploads = Upload.objects.filter(state=Upload.State.PENDING).aggregate(total=Sum("size_bytes"))
    return (blobs["total"] or 0) + (uploads["total"] or 0)
