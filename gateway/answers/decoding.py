"""Answers that a server has compressed, though nobody asked for it (RFC 9110, section 8.4)."""

import asyncio
import zlib

import aiohttp

from gateway.answers.idle import IdleWatch
from gateway.answers.whole import nonsense

MAX_STEP_BYTES = 65_536  # as much as comes from a connection at once
GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


def is_encoded(response: aiohttp.ClientResponse) -> bool:
    return response.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity")


class Decoder:
    """Unpacks gzip and deflate piece by piece, never more than MAX_STEP_BYTES at once. Raises UpstreamError
    for other encodings and for what makes no sense.
    """

    def __init__(self, encoding: str) -> None:
        self._is_known = encoding.strip().lower() in ("gzip", "x-gzip", "deflate")
        self._unpacker = zlib.decompressobj(GZIP_OR_ZLIB)
        self._packed = b""
        self._may_be_raw = True  # deflate as some servers misread it: without zlib's head
        self.has_more = False  # whether `decode(b"")` has something to give

    def decode(self, chunk: bytes) -> bytes:
        if not self._is_known:
            raise nonsense()
        packed = self._packed + chunk
        try:
            text = self._unpacker.decompress(packed, MAX_STEP_BYTES)
        except zlib.error:
            if not self._may_be_raw:
                raise nonsense() from None
            self._may_be_raw = False
            self._unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
            return self.decode(packed)
        self._may_be_raw = self._may_be_raw and not text
        self._packed = self._unpacker.unconsumed_tail
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
