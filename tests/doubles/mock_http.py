"""A small HTTP/1.1 server on a raw asyncio protocol: fast enough never to be the bottleneck, low enough to
break every rule of HTTP on purpose.

Covers: keep-alive, bodies with length or chunks, chunked answers, noticing a client that leaves,
back-pressure.
Does not cover: pipelining (a second request before the end of the first closes the connection), TLS, HTTP/2.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
import traceback
from collections.abc import Callable, Coroutine
from typing import Any

import httptools

from .mock_ledger import Ledger

REASONS = {
    200: b"OK",
    400: b"Bad Request",
    401: b"Unauthorized",
    404: b"Not Found",
    429: b"Too Many Requests",
    500: b"Internal Server Error",
}
BACKGROUND: set[asyncio.Task[None]] = set()  # the loop keeps only weak references


class Exchange:
    """One request and its answer on the wire."""

    __slots__ = (
        "body",
        "chunked",
        "connection",
        "entry",
        "headers",
        "method",
        "path",
        "received_ns",
        "task",
        "timer",
    )

    def __init__(
        self, connection: Connection, method: bytes, path: bytes, headers: dict[bytes, bytes], body: bytes
    ) -> None:
        self.connection = connection
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body
        self.received_ns = time.monotonic_ns()
        self.chunked = False
        self.entry: dict[str, Any] | None = None
        self.task: asyncio.Task[None] | None = None
        self.timer: asyncio.TimerHandle | None = None

    # -- writing ---------------------------------------------------------------------------------------------

    def raw(self, data: bytes) -> None:
        """Bytes as they are."""
        if self.entry is not None and self.entry["first_byte_at"] is None:
            self.entry["first_byte_at"] = time.time()
        self.connection.transport.write(data)

    def head(
        self,
        status: int,
        content_type: bytes = b"application/json",
        *,
        length: int | None = None,
        extra: bytes = b"",
    ) -> bytes:
        """The head of an answer; without a length the body goes in chunks. `extra` are whole lines, each with
        CRLF.
        """
        self.chunked = length is None
        if self.entry is not None:
            self.entry["status"] = status
        size = b"transfer-encoding: chunked" if length is None else b"content-length: %d" % length
        return b"HTTP/1.1 %d %b\r\ncontent-type: %b\r\n%b\r\n%b\r\n" % (
            status,
            REASONS.get(status, b"Status"),
            content_type,
            size,
            extra,
        )

    def framed(self, data: bytes) -> bytes:
        """The data as one HTTP chunk, where the answer is chunked."""
        if not data:
            return b""  # a chunk of no bytes would be the end
        return b"%x\r\n%b\r\n" % (len(data), data) if self.chunked else data

    def reply(
        self, status: int, body: bytes, content_type: bytes = b"application/json", extra: bytes = b""
    ) -> None:
        """A whole answer in one write."""
        self.raw(self.head(status, content_type, length=len(body), extra=extra) + body)
        self.finish()

    async def send(self, data: bytes) -> None:
        """One part of the body, held back while the client does not read."""
        self.raw(self.framed(data))
        await self.connection.drained()

    # -- ending ----------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """The proper end: the connection stays for the next request, if the client wants it to."""
        if self.chunked:
            self.connection.transport.write(b"0\r\n\r\n")
        self._end("complete")
        if not self.connection.keep_alive:
            self.connection.transport.close()

    def close(self) -> None:
        """Cut: FIN, whatever has been promised."""
        self._end("aborted")
        self.connection.transport.close()

    def abort(self) -> None:
        """Cut: RST, what has not been sent is thrown away."""
        self._end("aborted")
        sock = self.connection.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.transport.abort()

    def _end(self, outcome: str) -> None:
        self.connection.exchange = None
        if self.entry is not None:
            self.connection.ledger.close(self.entry, outcome)

    def client_closed(self) -> None:
        """Called when the connection is lost before the end."""
        if self.entry is not None:
            self.connection.ledger.close(self.entry, "client_closed")
        if self.timer is not None:
            self.timer.cancel()
        if self.task is not None:
            self.task.cancel()

    # -- running ---------------------------------------------------------------------------------------------

    def run(self, answer: Coroutine[Any, Any, None]) -> None:
        """Answer in a task, which ends when the client leaves."""
        self.task = asyncio.get_running_loop().create_task(answer)
        BACKGROUND.add(self.task)
        self.task.add_done_callback(self._ran)

    def _ran(self, task: asyncio.Task[None]) -> None:
        BACKGROUND.discard(task)
        if not task.cancelled() and (error := task.exception()):
            traceback.print_exception(error)  # a bug of the mock: the client sees a reset
            self.abort()

    def later(self, delay_s: float, answer: Callable[[], None]) -> None:
        """Answer after a delay, without a task."""
        self.timer = asyncio.get_running_loop().call_later(delay_s, answer)


class Connection(asyncio.Protocol):
    """One client connection. `handle` gets each whole request."""

    transport: asyncio.Transport

    def __init__(self, handle: Callable[[Exchange], None], ledger: Ledger) -> None:
        self.handle = handle
        self.ledger = ledger
        self.exchange: Exchange | None = None
        self.keep_alive = True
        self.parser = httptools.HttpRequestParser(self)
        self._headers: dict[bytes, bytes] = {}
        self._path = b""
        self._body: list[bytes] = []
        self._may_write: asyncio.Event | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        if self.exchange is not None:
            self.exchange.client_closed()
            self.exchange = None
        self.resume_writing()

    def data_received(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.transport.close()

    def on_message_begin(self) -> None:
        self._headers = {}
        self._path = b""
        self._body = []

    def on_url(self, url: bytes) -> None:
        self._path += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        if self._headers.get(b"expect", b"").lower() == b"100-continue":
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self.exchange is not None:
            self.transport.close()
            return
        self.keep_alive = self.parser.should_keep_alive()
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self.exchange = Exchange(self, self.parser.get_method(), self._path, self._headers, body)
        self.handle(self.exchange)

    def pause_writing(self) -> None:
        self._may_write = asyncio.Event()

    def resume_writing(self) -> None:
        if self._may_write is not None:
            self._may_write.set()
            self._may_write = None

    async def drained(self) -> None:
        """Wait until the client has read enough."""
        if self._may_write is not None:
            await self._may_write.wait()
