"""The server's side of a connection, bounded: how many there are, from one address too, how long the head of
a request may be and take, and that it names one host.

Guards against: connections that bring no request, or never the rest of one, shutting everybody else out;
heads without end; a host that two readers of one request would understand differently (RFC 9112, 3.2).
Where there are as many as there may be, the one that was silent for longest makes room, so strangers displace
each other and whoever brings a request is served; probes of health are answered beyond the limit.
Who leaves before the answer is heard of, behind one further request too.
Does not cover: bodies and answers (`gateway/http.py`, `gateway/request.py`, `config/intake.py`), which have
bounds of their own; a crowd from many addresses that brings whole requests (limits of rate and of work in
hand); a client that leaves behind several further requests, or a long one, which wait unread: it is heard of
when the first is answered; a client that ends its own side and waits for the answer: it has left
(docs/architecture.md, “Bounds”).
"""

import asyncio
import json
import re
import resource
from collections.abc import Callable, Sequence
from functools import lru_cache
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

import httptools
from django.conf import settings
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from foundation.header_policies import Kind, encoded_headers_of

MAX_CONNECTIONS = 4_000
MAKE_ROOM_AT = MAX_CONNECTIONS - 200  # below the limit, so that those who bring a request find none
# without a whole request, of one client; proxies speak for many and are not counted
MAX_WAITING_OF_ADDRESS = 500
HEALTH_PLACES = 50  # beyond MAX_CONNECTIONS; further connections are closed at once
MIN_DESCRIPTORS = 4 * MAX_CONNECTIONS  # a call has one to its client and one to its model server
HEAD_TIMEOUT_S = 30.0
MAX_HEAD_BYTES = 65_536  # address and headers; the usual proxies pass on less
MAX_HOST_BYTES = 300  # a name, a port, and white space
MAX_QUEUED = 1  # requests that a client sends ahead of the answer to its first; the next one waits unread
HEALTH = b"/healthz/"
HEARERS = "atrium.hearers"
_HOST = re.compile(rb"(?P<name>[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::(?P<port>[0-9]{0,5}))?")


# in English, as all that is told before anybody has read who asks
TOO_LONG = (431, f"The address and the headers of a request may have {MAX_HEAD_BYTES} bytes.")
NO_HOST = (400, 'A request names its host once, in a header such as "Host: example.org:8000".')
OTHER_VERSION = (505, "This server speaks HTTP/1.1 and HTTP/1.0.")
CHUNKED_BY_1_0 = (400, "A request of HTTP/1.0 cannot be chunked.")  # RFC 9112, 6.1
FULL = "This server has as many connections as it can hold. Try again in a few seconds."
RETRY_AFTER_S = 5
# for which a connection between two requests outlives the end of its server: the next may be on its way
LAST_REQUEST_S = 0.5
OTHER_HOST = (400, 'The address of this request names another host than its header "Host".')


class Hearers:
    """Who wants to hear that the client of a connection is gone; in the scope of its requests, as HEARERS. So
    nobody needs a task that waits for ASGI's `http.disconnect`.
    """

    def __init__(self) -> None:
        self.is_gone = False
        self._all: set[Callable[[], None]] = set()

    def add(self, hear: Callable[[], None]) -> None:
        """Called at most once, on the server's loop: now, if the client has gone already."""
        if self.is_gone:
            hear()
        else:
            self._all.add(hear)

    def remove(self, hear: Callable[[], None]) -> None:
        """Safe for one that was called."""
        self._all.discard(hear)

    def tell(self) -> None:
        self.is_gone = True
        while self._all:
            self._all.pop()()


def _describe(text: str, kind: str) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """Body and headers of a refusal, as clients of /v1 read it: hardly anybody else meets one."""
    error = {"message": text, "type": kind, "param": None, "code": None}
    body = json.dumps({"error": error}).encode("ascii")
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
        *encoded_headers_of(Kind.SERVER),
    ]
    return body, headers


async def _refuse_as_full(_scope: Any, _receive: Any, send: Any) -> None:
    """An ASGI application for whoever comes when nobody can be served."""
    body, headers = _describe(FULL, "service_unavailable_error")
    headers.append((b"retry-after", b"%d" % RETRY_AFTER_S))
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Waiting:
    """The connections that bring no whole request at the moment, the one
    that was silent for longest first.
    """

    def __init__(self) -> None:
        self._all: dict[BoundedHttpProtocol, str] = {}
        self._by_address: dict[str, dict[BoundedHttpProtocol, None]] = {}

    def add(self, connection: "BoundedHttpProtocol", address: str) -> None:
        """Note that it waits, or that it said something; then it is the last again. No address: not counted
        by it.
        """
        self._all.pop(connection, None)
        self._all[connection] = address
        if address:
            of_address = self._by_address.setdefault(address, {})
            of_address.pop(connection, None)
            of_address[connection] = None

    def remove(self, connection: "BoundedHttpProtocol") -> None:
        """Its request is whole, or it is gone. Safe for one that does not wait."""
        address = self._all.pop(connection, "")
        if address:
            of_address = self._by_address[address]
            del of_address[connection]
            if not of_address:
                del self._by_address[address]

    def oldest(self) -> "BoundedHttpProtocol | None":
        return next(iter(self._all), None)

    def oldest_beyond(self, address: str, limit: int) -> "BoundedHttpProtocol | None":
        """The one of this address that was silent for longest, where it has more than `limit`."""
        of_address = self._by_address.get(address, {})
        return next(iter(of_address)) if len(of_address) > limit else None


class BoundedHttpProtocol(HttpToolsProtocol):
    """Closes a connection on which a request has begun, or none yet came, and whose headers are not complete
    after HEAD_TIMEOUT_S; and the one that was silent for longest where there are too many. What stands behind
    a body (trailers) is read over.
    """

    _head_timer: asyncio.TimerHandle | None = None
    _address = ""
    _is_waiting = False
    _is_in_head = True
    _head_bytes = 0
    _fault: "tuple[int, str] | None" = None
    _is_last = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.limit_concurrency = None  # `_is_full` says it, and who is refused hears why
        self._waiting = waiting_of(self.server_state)
        self._hearers = Hearers()
        self._unanswered: list[RequestResponseCycle] = []
        if len(self.connections) > MAX_CONNECTIONS + HEALTH_PLACES:
            transport.abort()
            return
        self._address = _countable(self.client[0] if self.client else "")
        self._wait()
        self._make_room()
        self._await_head()

    def data_received(self, data: bytes) -> None:
        if self._is_waiting:
            self._wait()
        self._head_bytes += len(data)
        super().data_received(data)
        if self._is_in_head and self._head_timer is None and not self.transport.is_closing():
            self._await_head()
        if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._fault = TOO_LONG
            self.send_400_response("")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope[HEARERS] = self._hearers  # type: ignore[literal-required]
        self._is_in_head = True
        self._head_bytes = 0
        self._stop_timer()  # most heads come whole

    def on_header(self, name: bytes, value: bytes) -> None:
        if (
            not self._is_in_head
        ):  # what follows a body was not judged with the head, and must not speak for it
            return
        name, value = name.lower(), value.rstrip(b" \t")
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        self._head_bytes = 0  # what follows is counted: the line before each piece, and lines after the last
        super().on_body(body)

    def on_headers_complete(self) -> None:
        self._stop_timer()
        self._is_in_head = False
        self._fault = find_fault(self.url, self.headers, self.parser.get_http_version())
        if self._fault:
            raise ValueError(self._fault)  # the parser stops, and `send_400_response` follows
        self.app = _refuse_as_full if self._is_full() else self.config.loaded_app
        super().on_headers_complete()
        self._unanswered = [one for one in self._unanswered if not one.response_complete]
        self._unanswered.append(self.cycle)
        if self._is_last:
            self.cycle.keep_alive = False
        self._listen()

    def _is_full(self) -> bool:
        """Whether there are as many as there may be; health is asked beyond that."""
        limit = self.config.limit_concurrency
        if limit is None or self.url.startswith(HEALTH):
            return False
        return len(self.connections) >= limit or len(self.tasks) >= limit

    def send_400_response(self, msg: str) -> None:
        if self.cycle is not None and not (self.cycle.response_complete or self.cycle.more_body):
            self._leave_unanswered()
            self.transport.close()  # of a further request: its refusal would be read as the answer in work
            return
        status, text = self._fault or (400, msg)
        body, headers = _describe(text, "invalid_request_error")
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()]
        lines += [name + b": " + value for name, value in headers]
        self._leave_unanswered()
        self.transport.write(b"\r\n".join([*lines, b"", body]))
        self.transport.close()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._head_bytes = 0
        self._listen()
        self._is_waiting = False
        self._waiting.remove(self)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.transport.is_closing() and self.cycle.response_complete:
            self._wait()

    def shutdown(self) -> None:
        """The server ends. A connection between two requests gets one more answered, and hears that it was
        the last: closed at once, a request on its way would be reset.
        """
        self._is_last = True
        if self._is_idle():
            self.loop.call_later(LAST_REQUEST_S, self._close_idle)
        else:
            super().shutdown()

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _close_idle(self) -> None:
        if self._is_idle():
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._is_waiting = False
        self._waiting.remove(self)
        self._leave_unanswered()
        super().connection_lost(exc)
        self._hearers.tell()

    def _leave_unanswered(self) -> None:
        """What is in work answers nobody any more; uvicorn tells it to the last request alone."""
        for cycle in self._unanswered:
            cycle.disconnected = True
            cycle.message_event.set()

    def _listen(self) -> None:
        """Read on after a large body, or the head of a second request, at which uvicorn stops: nothing is
        heard of a client's leaving else.
        """
        if len(self.pipeline) <= MAX_QUEUED:
            self.flow.resume_reading()

    def _wait(self) -> None:
        self._is_waiting = True
        self._waiting.add(self, self._address)

    def _make_room(self) -> None:
        crowded = None
        if self._address:
            crowded = self._waiting.oldest_beyond(self._address, MAX_WAITING_OF_ADDRESS)
        if crowded is None and len(self.connections) > MAKE_ROOM_AT:
            crowded = self._waiting.oldest()
        if crowded is not None and crowded is not self:
            self._waiting.remove(crowded)
            crowded.transport.abort()  # not close(): it would wait for a client that does not read its answer

    def _await_head(self) -> None:
        self._stop_timer()
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self.transport.close)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def find_fault(url: bytes, headers: Sequence[tuple[bytes, bytes]], version: str) -> tuple[int, str] | None:
    """Why a request is refused by its head alone: status and text."""
    if len(url) + sum([len(name) + len(value) for name, value in headers]) > MAX_HEAD_BYTES:
        return TOO_LONG
    if version not in ("1.0", "1.1"):
        return OTHER_VERSION
    if version == "1.0" and any(name == b"transfer-encoding" for name, _value in headers):
        return CHUNKED_BY_1_0
    shown = [value for name, value in headers if name == b"host"]
    if not shown and version == "1.0":
        return None
    host = _read_host(shown[0].strip()) if len(shown) == 1 and len(shown[0]) <= MAX_HOST_BYTES else b""
    if not host:
        return NO_HOST
    if url.startswith((b"/", b"*")):
        return None
    named = httptools.parse_url(url).host
    return OTHER_HOST if named and named.lower() != host else None


@lru_cache(maxsize=1_024)
def _read_host(value: bytes) -> bytes:
    """The name in a `Host` header, b"" where there is none."""
    found = _HOST.fullmatch(value)
    if found is None or int(found["port"] or 0) > 65_535:
        return b""
    return found["name"].lower().strip(b"[]")


def waiting_of(server_state: object) -> Waiting:
    """What the connections of one server share."""
    state = vars(server_state)
    return state.setdefault("waiting", Waiting())


@lru_cache(maxsize=4_096)
def _countable(address: str) -> str:
    """The address (of IPv6 its network of 64 bits, which one client has whole), or "" for a proxy
    (settings.TRUSTED_PROXIES, which holds this machine's own unless it is set) and a Unix socket.
    """
    try:
        found = ip_address(address)
    except ValueError:
        return ""
    if isinstance(found, IPv6Address):
        found = found.ipv4_mapped or found
    if any(found in ip_network(proxy) for proxy in settings.TRUSTED_PROXIES):
        return ""
    return str(ip_network((found, 64), strict=False)) if isinstance(found, IPv6Address) else str(found)


def raise_descriptor_limit() -> None:
    """As many open files as MAX_CONNECTIONS need, or as many as the machine allows: the usual 1,024 end
    before.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MIN_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(MIN_DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
