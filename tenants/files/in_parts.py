"""The steps of `uploads` in one call each, for those who are on no event loop. Not inside a transaction:
others must see a place before its bytes come.
"""

import time
from collections.abc import Iterable, Sequence
from uuid import UUID

from tenants.files import services, uploads
from tenants.files.models import Upload
from tenants.files.streams import BlobWriter, Written, remove_bytes


def store_part(pieces: Iterable[bytes], *, size_bytes: int, owner_id: UUID, upload_id: UUID) -> uploads.Part:
    """A part of at most so many bytes; the earlier one where the same bytes were there. Raises NotFound,
    InvalidInput, BodyTooLarge.
    """
    place = uploads.begin_part(owner_id=owner_id, upload_id=upload_id, size_bytes=size_bytes)
    writer = BlobWriter(place, most_bytes=size_bytes)
    try:
        services.touch_blob(place.id)
        for piece in pieces:
            writer.write(piece)
        return uploads.finish_part(owner_id=owner_id, upload_id=upload_id, written=writer.close())
    except BaseException:
        writer.abort()
        _give_up(place.id)
        raise


def complete_upload(*, owner_id: UUID, upload_id: UUID, part_ids: Sequence[UUID]) -> Upload:
    """Again it gives the same. Raises NotFound, InvalidInput, Conflict."""
    assembly = uploads.begin_assembly(owner_id=owner_id, upload_id=upload_id, part_ids=part_ids)
    if assembly is not None:
        try:
            written = _put_together(assembly)
            uploads.finish_upload(owner_id=owner_id, upload_id=upload_id, written=written)
        except BaseException:
            _give_up(assembly.place.id)
            raise
    return uploads.get_own_upload(owner_id, upload_id)


def _put_together(assembly: uploads.Assembly) -> Written:
    assembler = uploads.Assembler(assembly)
    try:
        services.touch_blob(assembly.place.id)
        touched_s = time.monotonic()
        while assembler.copy(uploads.COPY_BYTES):
            if time.monotonic() - touched_s > services.TOUCH_EVERY_S:
                services.touch_blob(assembly.place.id)
                touched_s = time.monotonic()
        return assembler.close("")
    except BaseException:
        assembler.abort()
        raise


def _give_up(blob_id: UUID) -> None:
    if not services.abandon_blob(blob_id):
        remove_bytes(blob_id)
