"""Answers that a server has compressed, though nobody asked for it (RFC 9110, section 8.4)."""

import asyncio
import zlib

import aiohttp

from foundation.errors import UpstreamError
from foundation.told import gettext as _
from gateway.answers.idle import IdleWatch
from gateway.answers.whole import INVALID, nonsense

MAX_STEP_BYTES = 65_536  # as much as comes from a connection at once
GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
GZIP = frozenset({"gzip", "x-gzip"})
GZIP_BEGINS = b"\x1f"
KNOWN = GZIP | {"deflate"}
# What stands in the header and changes no byte: storage and frameworks write other headers' words into it.
AS_IT_IS = frozenset({"", "identity", "none", "aws-chunked", "chunked", "utf-8", "utf8", "binary", "8bit"})
PLAIN = b"{[d:e\xef \r\n"  # how answers begin that are not packed: JSON, events, a mark, white space


def encodings_of(response: aiohttp.ClientResponse) -> list[str]:
    """In which a body is packed, whatever way the header is written."""
    written = ",".join(response.headers.getall("Content-Encoding", ()))
    names = (name.partition(";")[0].strip().lower() for name in written.split(","))
    return [name for name in names if name not in AS_IT_IS]


def is_encoded(response: aiohttp.ClientResponse) -> bool:
    return "Content-Encoding" in response.headers and bool(encodings_of(response))


def decoder_of(response: aiohttp.ClientResponse) -> "Decoder":
    """Raises UpstreamError for encodings that were not asked for and cannot be unpacked, and for several."""
    names = encodings_of(response)
    if len(names) != 1 or names[0] not in KNOWN:
        raise UpstreamError(
            _("The model server packs its answers in a way nobody asked for (%(encoding)s).")
            % {"encoding": ", ".join(names)[:60]},
            code=INVALID,
        )
    return Decoder(names[0])


class Decoder:
    """Unpacks gzip and deflate piece by piece, never more than MAX_STEP_BYTES at once. Raises UpstreamError
    for what makes no sense.

    Covers: several members of gzip one behind the other; what is said to be gzip and is not packed at all
    (proxies unpack and forget the header); deflate without zlib's head.
    """

    def __init__(self, encoding: str) -> None:
        self._is_gzip = encoding in GZIP
        self._unpacker = zlib.decompressobj(GZIP_OR_ZLIB)
        self._packed = b""
        self._has_begun = False
        self._is_plain = False
        self._has_ended = False
        self._may_be_raw = not self._is_gzip  # deflate as some servers misread it: without zlib's head
        self.has_more = False  # whether `decode(b"")` has something to give

    def decode(self, chunk: bytes) -> bytes:
        if not self._has_begun and chunk:
            self._has_begun = True
            self._is_plain = self._is_gzip and chunk[0] in PLAIN
        if self._is_plain:
            return chunk
        packed = self._packed + chunk
        if self._has_ended:  # another member of gzip may follow; zeros that fill up a block are none
            if not (self._is_gzip and packed.startswith(GZIP_BEGINS)):
                self._packed = b""
                self.has_more = False
                return b""
            self._has_ended = False
            self._unpacker = zlib.decompressobj(GZIP_OR_ZLIB)
        try:
            text = self._unpacker.decompress(packed, MAX_STEP_BYTES)
        except zlib.error:
            if not self._may_be_raw:
                raise nonsense() from None
            self._may_be_raw = False
            self._unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
            return self.decode(packed)
        self._may_be_raw = self._may_be_raw and not text
        self._has_ended = self._unpacker.eof
        self._packed = self._unpacker.unused_data if self._has_ended else self._unpacker.unconsumed_tail
        self.has_more = bool(self._packed) or len(text) == MAX_STEP_BYTES
        return text


async def read_decoded(watch: IdleWatch, decoder: Decoder) -> bytes:
    """As `watch.read`, unpacked."""
    while True:
        if decoder.has_more:
            await asyncio.sleep(0)  # little on the wire may be much: others have their turn in between
            text = decoder.decode(b"")
        elif chunk := await watch.read():
            text = decoder.decode(chunk)
        else:
            return b""
        if text:
            return text


async def read_some(response: aiohttp.ClientResponse, most: int) -> bytes:
    """The beginning of a body, unpacked, `most` bytes of it. Raises UpstreamError, aiohttp.ClientError."""
    decoder = decoder_of(response) if is_encoded(response) else None
    parts, size = [], 0
    while size < most and (chunk := await response.content.readany()):
        text = decoder.decode(chunk) if decoder else chunk
        parts.append(text)
        size += len(text)
        while decoder and decoder.has_more and size < most:
            parts.append(text := decoder.decode(b""))
            size += len(text)
    return b"".join(parts)[:most]
