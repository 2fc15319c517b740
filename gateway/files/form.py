"""A form that brings a file, read while it comes. What belongs to the form's syntax is aiohttp's reader; how
much of it there may be is counted here.

Guards against: bodies above their limit, told by the head where it says the size and else when they pass it;
lines, fields and numbers of them without end; a body that stops coming (`gateway.http`).
"""

import warnings
from collections.abc import AsyncIterator
from typing import cast

from aiohttp import BodyPartReader, MultipartReader, StreamReader, hdrs
from aiohttp.http_exceptions import HttpProcessingError

from foundation.errors import BodyTooLarge, InvalidInput, UnsupportedBody
from foundation.told import gettext as _
from gateway.http import PLAIN, AsgiScope, ClientGone, Receive, find_header, receive_message
from tenants.files.streams import PIECE_BYTES, too_large

RIM_BYTES = 65_536  # of a form, around its file: other fields, headers, boundaries
MAX_LINE_BYTES = 65_536
MAX_FIELDS, MAX_FIELD_BYTES = 32, 8_192
MAX_PART_HEADERS = 16
_PLAIN_PARTS = ("", "binary", "8bit", "7bit")


class _Body:
    """A request's body as aiohttp's reader asks for it, counted."""

    def __init__(self, receive: Receive, most_bytes: int, refusal: BodyTooLarge) -> None:
        self._receive = receive
        self._left = most_bytes
        self._refusal = refusal
        self._kept = b""
        self._is_over = False

    async def _fill(self) -> None:
        message = await receive_message(self._receive)
        if message["type"] == "http.disconnect":
            raise ClientGone
        data = message.get("body", b"")
        self._left -= len(data)
        if self._left < 0:
            raise self._refusal
        self._is_over = not message.get("more_body")
        self._kept += data

    async def read(self, size: int) -> bytes:
        while not self._kept and not self._is_over:
            await self._fill()
        data, self._kept = self._kept[:size], self._kept[size:]
        return data

    async def readline(self, *, max_line_length: int | None = None) -> bytes:
        most = max_line_length or MAX_LINE_BYTES
        searched = 0
        while (end := self._kept.find(b"\n", searched)) < 0 and not self._is_over:
            searched = len(self._kept)
            if searched > most:
                break
            await self._fill()
        size = end + 1 or len(self._kept)
        if size > most:
            raise ValueError("a line without end")
        line, self._kept = self._kept[:size], self._kept[size:]
        return line

    def unread_data(self, data: bytes) -> None:
        self._kept = data + self._kept

    def at_eof(self) -> bool:
        return self._is_over and not self._kept

    async def drain(self) -> None:
        """Nobody wants what stands behind the form; the connection goes on after it."""
        while not self._is_over:
            self._kept = b""
            await self._fill()


class FormReader:
    """The parts of one request's form, in their order."""

    def __init__(self, scope: AsgiScope, receive: Receive, most_bytes: int) -> None:
        """`most_bytes`: of the file. Raises BodyTooLarge, UnsupportedBody: before anything is read."""
        _check_coding(scope)
        refusal = too_large(most_bytes)
        size = find_header(scope, b"content-length")
        self.declared_bytes = int(size[:20]) if size.isdigit() else None
        if self.declared_bytes is not None and self.declared_bytes > most_bytes + RIM_BYTES:
            raise refusal
        kind = find_header(scope, b"content-type").decode("latin-1")
        if not kind.lower().startswith("multipart/form-data"):
            raise UnsupportedBody(_("The body must be a form: “Content-Type: multipart/form-data”."))
        self._body = _Body(receive, most_bytes + RIM_BYTES, refusal)
        try:
            self._reader = MultipartReader(
                {hdrs.CONTENT_TYPE: kind}, cast(StreamReader, self._body), max_headers=MAX_PART_HEADERS
            )
        except ValueError:
            raise _broken() from None

    async def parts(self) -> AsyncIterator["Part"]:
        """Raises InvalidInput for what is no form, and what reading the body raises."""
        while (part := await self._next()) is not None:
            yield Part(part)
        await self._body.drain()

    async def _next(self) -> BodyPartReader | None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers that cannot be read: then it has no name
            try:
                part = await self._reader.next()
            except (ValueError, RuntimeError, HttpProcessingError):
                raise _broken() from None
        if part is not None and not isinstance(part, BodyPartReader):
            raise _broken()
        return part


class Part:
    """One field of a form."""

    def __init__(self, reader: BodyPartReader) -> None:
        self._reader = reader
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.name = reader.name or ""
            self.filename = _unescape(reader.filename or "")
        self.declared_type = reader.headers.get(hdrs.CONTENT_TYPE, "")
        coding = reader.headers.get(hdrs.CONTENT_TRANSFER_ENCODING, "").strip().lower()
        if coding not in _PLAIN_PARTS:
            raise UnsupportedBody(_("A field of the form is encoded. Send it as it is."))

    async def pieces(self) -> AsyncIterator[bytes]:
        """Raises InvalidInput."""
        while not self._reader.at_eof():
            try:
                piece = await self._reader.read_chunk(PIECE_BYTES)
            except ValueError:
                raise _broken() from None
            if piece:
                yield piece

    async def text(self) -> str:
        """Raises InvalidInput for one that is no field of ours."""
        data = b""
        async for piece in self.pieces():
            data += piece
            if len(data) > MAX_FIELD_BYTES:
                raise InvalidInput(
                    _("“%(name)s” is too long.") % {"name": self.name[:80]}, param=self.name[:80]
                )
        return data.decode(errors="replace")


def _unescape(filename: str) -> str:
    """What forms write for the three characters that would end a name (WHATWG, “multipart/form-data”)."""
    return filename.replace("%22", '"').replace("%0D", "").replace("%0A", "")


def _check_coding(scope: AsgiScope) -> None:
    for name in (b"content-encoding", b"transfer-encoding"):
        codings = b",".join(value for key, value in scope["headers"] if key == name).lower().split(b",")
        if not {coding.strip() for coding in codings} <= PLAIN:
            raise UnsupportedBody(_("The body is compressed. Send it as it is, without “Content-Encoding”."))


def _broken() -> InvalidInput:
    return InvalidInput(_("The body is no form that could be read, or it is not whole."), code="invalid_form")
