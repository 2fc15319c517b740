"""The bytes of blobs: written once, hashed and, where that is demanded, sealed while they come; read as a
stream. No database here: what a blob's row says is `services`.

A sealed blob is a row of pieces, each AES-256-GCM under the blob's own key, which its row holds sealed. The
nonce counts the pieces and marks the last, so that none can be left out, doubled or moved, nor the end.
Guards against: a disk or a bucket that somebody else reads or changes.
Does not guard against: an older state of the whole put back with its row.
"""

import hashlib
import io
import os
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.core.files.base import File as StorageFile
from django.core.files.storage import default_storage

from foundation.errors import BodyTooLarge
from foundation.told import gettext as _
from tenants.files.limits import say_size
from tenants.files.sniffing import HEAD_BYTES, sniff
from tenants.sealing import BrokenSeal

PIECE_BYTES = 262_144
TAG_BYTES = 16
KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Place:
    """Where a blob's bytes lie, and the key that they are sealed with."""

    id: UUID
    key: bytes | None = None

    @property
    def path(self) -> str:
        """Spread by the end of the id: its beginning is the time."""
        return f"files/{self.id.hex[-2:]}/{self.id.hex}"


@dataclass(frozen=True, slots=True)
class Written:
    """What is known of content once all of it is there."""

    place: Place
    size_bytes: int
    sha256: str
    sniffed_type: str


class BlobWriter:
    """Takes a blob's bytes. Call inside the tenant's scope; not on an event loop. Exactly one of `close` and
    `abort` ends it.
    """

    def __init__(self, place: Place, *, most_bytes: int) -> None:
        self._place = place
        self._most_bytes = most_bytes
        self._hash = hashlib.sha256()
        self._head = b""
        self._sealer = _Sealer(place) if place.key else None
        self._file = default_storage.open(place.path, "wb")
        self.size_bytes = 0

    def write(self, data: bytes) -> None:
        """Raises BodyTooLarge beyond `most_bytes`."""
        self.size_bytes += len(data)
        if self.size_bytes > self._most_bytes:
            raise too_large(self._most_bytes)
        self._hash.update(data)
        if len(self._head) < HEAD_BYTES:
            self._head += data[: HEAD_BYTES - len(self._head)]
        self._file.write(self._sealer.seal(data) if self._sealer else data)

    def close(self) -> Written:
        """The bytes are on the disk when this returns."""
        if self._sealer:
            self._file.write(self._sealer.seal_last())
        _sync(self._file)
        self._file.close()
        return Written(self._place, self.size_bytes, self._hash.hexdigest(), sniff(self._head))

    def abort(self) -> None:
        """Its row goes, and then what was written (tenants.files.cleaning)."""
        self._file.close()


def too_large(most_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(
        _("A file may have at most %(limit)s here.") % {"limit": say_size(most_bytes)}, code="file_too_large"
    )


def read_blob(place: Place, start: int = 0) -> Generator[bytes]:
    """The content from its byte `start` on, in pieces. Call `next` inside the tenant's scope the first time.
    Raises FileNotFoundError, BrokenSeal.
    """
    with default_storage.open(place.path, "rb") as file:
        if place.key is not None:
            yield from _unseal(place, file, start)
            return
        file.seek(start)
        while piece := file.read(PIECE_BYTES):
            yield piece


def remove_bytes(blob_id: UUID) -> None:
    """Safe for those that are not there."""
    default_storage.delete(Place(blob_id).path)


def _sync(file: StorageFile) -> None:
    """A local file and its name in the folder survive a loss of power from here on."""
    raw = file.file
    if not isinstance(raw, io.BufferedWriter):
        return  # of a remote storage, which answers for it
    raw.flush()
    os.fsync(raw.fileno())
    folder = os.open(Path(raw.name).parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _nonce(number: int, *, is_last: bool) -> bytes:
    return number.to_bytes(11) + bytes([is_last])


class _Sealer:
    def __init__(self, place: Place) -> None:
        self._cipher = AESGCM(place.key or b"")
        self._id = place.id.bytes
        self._kept = bytearray()
        self._number = 0

    def seal(self, data: bytes) -> bytes:
        """The pieces that are whole; the last one is kept, which may be the end."""
        self._kept += data
        sealed = bytearray()
        while len(self._kept) > PIECE_BYTES:
            sealed += self._seal_piece(bytes(self._kept[:PIECE_BYTES]), is_last=False)
            del self._kept[:PIECE_BYTES]
        return bytes(sealed)

    def seal_last(self) -> bytes:
        return self._seal_piece(bytes(self._kept), is_last=True)

    def _seal_piece(self, piece: bytes, *, is_last: bool) -> bytes:
        nonce = _nonce(self._number, is_last=is_last)
        self._number += 1
        return self._cipher.encrypt(nonce, piece, self._id)


def _unseal(place: Place, file: StorageFile, start: int) -> Generator[bytes]:
    cipher, (number, left_out) = AESGCM(place.key or b""), divmod(start, PIECE_BYTES)
    file.seek(number * (PIECE_BYTES + TAG_BYTES))
    piece = file.read(PIECE_BYTES + TAG_BYTES)
    while True:
        following = file.read(PIECE_BYTES + TAG_BYTES)
        try:
            plain = cipher.decrypt(_nonce(number, is_last=not following), piece, place.id.bytes)
        except (InvalidTag, ValueError) as exc:
            raise BrokenSeal("A stored file was changed, or is not whole.") from exc
        if plain := plain[left_out:]:
            yield plain
        if not following:
            return
        piece, number, left_out = following, number + 1, 0
