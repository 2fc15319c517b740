"""The few things of ASGI that the data plane needs: reading a bounded body, sending an answer."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from foundation.errors import BodyTimeout, BodyTooLarge, UnsupportedBody
from foundation.told import gettext as _

AsgiScope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]

MAX_BODY_BYTES = 10_000_000
BODY_PAUSE_S = 30.0  # between two pieces of a body
JSON = (b"content-type", b"application/json")
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
    values = [value for key, value in scope["headers"] if key == name]
    return values[0] if len(values) == 1 else b""


async def read_json_body(scope: AsgiScope, receive: Receive) -> bytes:
    """The body of a request that is to bring JSON, unread where its head says that it cannot be taken. Raises
    UnsupportedBody and what `read_body` raises.
    """
    for name in (b"content-encoding", b"transfer-encoding"):
        codings = b",".join(value for key, value in scope["headers"] if key == name).lower().split(b",")
        if not {coding.strip() for coding in codings} <= PLAIN:
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
        async with asyncio.timeout(BODY_PAUSE_S):
            return await receive()
    except TimeoutError:
        raise BodyTimeout(_("The request's body did not come to its end. Send it again.")) from None


async def send_answer(send: Send, status: int, body: bytes, headers: Headers = ()) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [JSON, length, *headers]})
    await send({"type": "http.response.body", "body": body})
