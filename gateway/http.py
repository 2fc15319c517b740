"""The few things of ASGI that the data plane needs: reading a bounded body, sending an answer."""

from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable
from functools import partial
from typing import Any, TypeVar

from foundation.deadlines import Deadline
from foundation.errors import BodyTimeout, BodyTooLarge, UnsupportedBody
from foundation.told import gettext as _

AsgiScope = dict[str, Any]
Receive = Callable[[], Coroutine[Any, Any, dict[str, Any]]]
Send = Callable[[dict[str, Any]], Coroutine[Any, Any, None]]
T = TypeVar("T")
Headers = Iterable[tuple[bytes, bytes]]

MAX_BODY_BYTES = 10_000_000
BODY_PAUSE_S = 30.0  # between two pieces of a body
BY_NAME = "atrium.headers"  # in the scope of a request: what `find_header` says
JSON = (b"content-type", b"application/json")
CODINGS = (b"content-encoding", b"transfer-encoding")
PLAIN = {b"", b"identity", b"chunked"}  # codings that change nothing of a body
FORMS = (b"multipart/form-data", b"application/x-www-form-urlencoded")


class ClientGone(Exception):
    """The client closed the connection before its request or our answer was complete, or takes nothing of the
    answer.
    """


def find_header(scope: dict, name: bytes) -> bytes:
    """The header's value, or b"" if absent. A header that comes twice counts as absent: no two parts may read
    it differently.
    """
    found = scope.get(BY_NAME)
    if found is None:
        found = scope[BY_NAME] = _by_name(scope["headers"])
    return found.get(name, b"")


def _by_name(headers: Headers) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        found[name] = b"" if name in found else value
    return found


async def read_json_body(scope: AsgiScope, receive: Receive) -> bytes:
    """The body of a request that is to bring JSON, unread where its head says that it cannot be taken. Raises
    UnsupportedBody and what `read_body` raises.
    """
    codings = b",".join([value for name, value in scope["headers"] if name in CODINGS])
    if codings and not {coding.strip() for coding in codings.lower().split(b",")} <= PLAIN:
        raise _compressed()
    size = find_header(scope, b"content-length")
    if len(size) > 20 or int(size if size.isdigit() else 0) > MAX_BODY_BYTES:
        raise _too_large()
    body = await read_body(receive)
    if find_header(scope, b"content-type").lower().startswith(FORMS) and not body.lstrip().startswith(b"{"):
        raise UnsupportedBody(_("The body is a form. Send JSON, with “Content-Type: application/json”."))
    return body


def _compressed() -> UnsupportedBody:
    error = UnsupportedBody(_("The body is compressed. Send it as it is, without “Content-Encoding”."))
    error.headers = [(b"accept-encoding", b"identity")]  # RFC 9110, 15.5.16
    return error


def _too_large() -> BodyTooLarge:
    limit = {"limit": MAX_BODY_BYTES // 1_000_000}
    return BodyTooLarge(_("The request is larger than %(limit)s MB.") % limit)


async def read_body(receive: Receive) -> bytes:
    """The whole body, counted while it comes in. Raises BodyTooLarge, BodyTimeout, ClientGone."""
    message = await receive_message(receive)
    body = message.get("body", b"")
    if message["type"] == "http.request" and not message.get("more_body") and len(body) <= MAX_BODY_BYTES:
        return body
    parts, size = [], 0
    while True:
        if message["type"] == "http.disconnect":
            raise ClientGone
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise _too_large()
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)
        message = await receive_message(receive)


async def receive_message(receive: Receive) -> dict[str, Any]:
    """The next piece of a body, or that the client has left. Raises BodyTimeout."""
    try:
        return await in_time(BODY_PAUSE_S, receive())
    except TimeoutError:
        raise BodyTimeout(_("The request's body did not come to its end. Send it again.")) from None


async def in_time(limit_s: float, work: Coroutine[Any, Any, T]) -> T:
    """What the work returns, if it does so in time. Raises TimeoutError. A timer is set only where the work
    has to wait: most of what is sent and received needs none.
    """
    try:
        first = work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    with Deadline(limit_s):
        return await _Begun(work, first)


class _Begun(Awaitable[T]):
    """The rest of a coroutine whose first step was done: it waits for `first`, as its task is to do."""

    def __init__(self, work: Coroutine[Any, Any, T], first: Any) -> None:
        self._work = work
        self._first = first

    def __await__(self) -> Generator[Any, Any, T]:
        wanted = self._first
        while True:
            try:
                heard = yield wanted
            except BaseException as exc:
                step = partial(self._work.throw, exc)
            else:
                step = partial(self._work.send, heard)
            try:
                wanted = step()
            except StopIteration as done:
                result: T = done.value
                return result


async def send_answer(send: Send, status: int, body: bytes, headers: Headers = ()) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [JSON, length, *headers]})
    await send({"type": "http.response.body", "body": body})
