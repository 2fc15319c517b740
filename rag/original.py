"""The bytes that somebody brought, as a download: whole, or a range of them (RFC 9110, 14), which PDF.js asks
for page by page.

Covers: one range, open at either end. Several at once, and other units, get the whole, as the RFC allows.
Guards against: content that a browser would show or run (its kind of route has a policy of its own:
foundation.header_policies), names that split a header.
"""

import re
from collections.abc import AsyncIterator, Iterator

from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse

from gateway.files.steps import on_disk
from tenants.files.models import File
from tenants.files.names import as_attachment
from tenants.files.selectors import get_place
from tenants.files.streams import read_blob

_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")


class OutOfRange(Exception):
    """Nothing of the file is in the range that was asked for."""


def find_range(asked: str, size_bytes: int) -> tuple[int, int] | None:
    """First and last byte; None: the whole. Raises OutOfRange."""
    found = _RANGE.fullmatch(asked.strip())
    if found is None or found[1] == found[2] == "":
        return None
    if not found[1]:
        first, last = max(0, size_bytes - int(found[2])), size_bytes - 1
        if not int(found[2]):
            raise OutOfRange
    else:
        first = int(found[1])
        last = min(int(found[2]), size_bytes - 1) if found[2] else size_bytes - 1
    if first >= size_bytes:
        raise OutOfRange
    return (first, last) if first <= last else None


def send_original(file: File, slug: str, asked: str) -> HttpResponseBase:
    """Raises Blob.DoesNotExist, FileNotFoundError, BrokenSeal."""
    try:
        span = find_range(asked, file.size_bytes)
    except OutOfRange:
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{file.size_bytes}"})
    first, last = span or (0, file.size_bytes - 1)
    pieces = read_blob(get_place(file.blob_id), first)
    piece = next(pieces, b"")  # what cannot be read at all is refused before anything is sent
    response = StreamingHttpResponse(
        _send(slug, piece, pieces, last - first + 1),
        status=206 if span else 200,
        content_type="application/octet-stream",
    )
    response["Content-Length"] = str(last - first + 1)
    response["Accept-Ranges"] = "bytes"
    response["Content-Disposition"] = as_attachment(file.name)
    if span:
        response["Content-Range"] = f"bytes {first}-{last}/{file.size_bytes}"
    return response


async def _send(slug: str, piece: bytes, pieces: Iterator[bytes], left: int) -> AsyncIterator[bytes]:
    while left > 0 and piece:
        yield piece[:left]
        left -= len(piece)
        if left > 0:
            piece = await on_disk(slug, next, pieces, b"")
