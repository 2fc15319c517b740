"""What a request meets before Django: how large its body may be, how long it may take, and how many are in
work at once.

Guards against: a body that is spooled without bound (those with files have another: `config.uploads`) or
never ends, more work than there are database connections, one host that takes every place, and places held by
event streams, by bodies that are still coming, or by clients that have left the line; a refusal of the API
that tells by its time which tenants and keys exist.
Does not guard: `/v1` (gateway.state.limits, gateway.http), a client that reads its answer slowly, or one that
sends a byte now and then: it holds a socket, nothing else. Static files pass: they need no database
(config.middleware).
"""

import asyncio
import logging
import string
import time
from functools import partial
from io import BytesIO
from urllib.parse import quote

from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from config.gate import Gate
from config.middleware import RequestIdMiddleware, SecurityHeadersMiddleware
from config.uploads import find_body_limit
from foundation.error_pages import RETRY_AFTER_S, answer_error, speak_to
from foundation.errors import AtriumError, BodyTimeout, BodyTooLarge, InvalidInput, Unavailable
from foundation.mime_parameters import can_be_read
from foundation.moments import wait_for_moment
from tenants.doors import hosts
from tenants.files.paths import RIM_BYTES

logger = logging.getLogger(__name__)

KEPT_FREE = 6  # connections of the pool for health checks and for the steps of in_tenant, on which pages wait
PLACES = settings.DATABASE_POOL["max_size"] - KEPT_FREE
LINE, WAIT_S = 200, 5.0
HEALTH_PLACES, HEALTH_LINE = 2, 50
LARGE_PLACES = 32  # bodies with files, which lie on the disk, and twice while Django reads them
BODY_PAUSE_S = 30.0
TELL_EVERY_S = 10.0
# of a key that opens nothing at /api/v1: Django takes some milliseconds, and now and then more than 20 where
# it has to log in to the database anew, which only some refusals need
REFUSAL_STEP_S = 0.05
_ASCII = string.printable  # what a query may hold as it is: bytes beyond are meant as they are written
DOUBTFUL = (b"content-type", b"accept")  # headers with parameters that Django reads at every request
LOGGED_PATH = 200  # characters of a path that a log line repeats


class Intake:
    """An ASGI application around Django's."""

    def __init__(self, django_application, pages: Gate | None = None) -> None:
        self._django = django_application
        self._pages = pages or Gate(PLACES, LINE, WAIT_S)
        # of its own: whoever asks whether we live is answered when we are busy, too
        self._health = Gate(HEALTH_PLACES, HEALTH_LINE, WAIT_S)
        self._large = Gate(LARGE_PLACES, 0, 0)
        self._told_s = -TELL_EVERY_S
        self._untold = 0

    async def __call__(self, scope, receive, send) -> None:
        visit = _Visit(self._gate_for(scope["path"]), scope, receive, send)
        try:
            visit.allow(await find_body_limit(scope, visit.host), self._large)
            visit.check_declared_size()
            scope = _readable(scope)
            await self._django(scope, visit.receive, visit.send)
        except _Refused as exc:
            self._tell(exc.status, scope)
            await _send_refusal(scope, send, exc)
        finally:
            visit.leave()

    def _gate_for(self, path: str) -> Gate | None:
        if path.startswith(settings.STATIC_URL):
            return None
        return self._health if path.startswith("/healthz/") else self._pages

    def _tell(self, status: int, scope) -> None:
        """One line for many: who is overloaded has no time to write."""
        self._untold += 1
        if time.monotonic() - self._told_s > TELL_EVERY_S:
            text = "%d requests were refused before Django, the last with %d: %s %r"
            logger.warning(text, self._untold, status, scope["method"], scope["path"][:LOGGED_PATH])
            self._told_s = time.monotonic()
            self._untold = 0


def _readable(scope) -> dict:
    """The request as Django can read it. Raises _Refused."""
    for name in DOUBTFUL:
        value = b",".join(value for key, value in scope["headers"] if key == name)
        if not can_be_read(value.decode("latin-1")):
            raise _Refused(400)
    query: bytes = scope["query_string"]
    return scope if query.isascii() else scope | {"query_string": quote(query, safe=_ASCII).encode()}


class _Refused(Exception):
    def __init__(self, status: int, limit: int = settings.DATA_UPLOAD_MAX_MEMORY_SIZE) -> None:
        self.status = status
        self.limit = limit


class _Visit:
    """One request's `receive` and `send`, as Django gets them. The place is taken when the whole
    body is here, before Django begins.
    """

    def __init__(self, gate: Gate | None, scope, receive, send) -> None:
        self._gate = gate
        self._receive = receive
        self._send = send
        headers = dict(scope["headers"])
        self.host = hosts.name_of(headers.get(b"host", b"").decode("latin-1"))
        self._declared_size = headers.get(b"content-length", b"")
        self._size = 0
        self._limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        self._is_complete = False
        self._is_inside = False
        self._large: Gate | None = None
        self._is_api = scope["path"].startswith("/api/")
        self._begun_s = time.perf_counter()

    def allow(self, limit: int, large: Gate) -> None:
        """A body of so many bytes. Raises _Refused where too many such are on the way."""
        if limit <= self._limit:
            return
        if not large.enter_at_once(self.host):
            raise _Refused(503)
        self._limit = limit
        self._large = large

    def check_declared_size(self) -> None:
        # Python refuses to read some thousand digits, and 20 are too many already
        size = self._declared_size[:20]
        if size.isdigit() and int(size) > self._limit:
            raise _Refused(413, self._limit)

    async def receive(self) -> dict:
        if self._is_complete:
            return await self._receive()
        try:
            async with asyncio.timeout(BODY_PAUSE_S):
                message = await self._receive()
        except TimeoutError:
            raise _Refused(408) from None
        if message["type"] == "http.disconnect":
            return message
        self._size += len(message.get("body", b""))
        if self._size > self._limit:
            raise _Refused(413, self._limit)
        if message.get("more_body"):
            return message
        self._is_complete = True
        return message if await self._enter() else {"type": "http.disconnect"}

    async def _enter(self) -> bool:
        """Wait in line; False if the client left meanwhile."""
        if self._gate is None:
            return True
        self._is_inside = self._gate.enter_at_once(self.host)
        if self._is_inside:
            return True
        # after the body nothing comes but the end of the connection
        gone = asyncio.ensure_future(self._receive())
        try:
            self._is_inside = await self._gate.enter(self.host, gone)
            if gone.done():
                return False
        finally:
            gone.cancel()
        if not self._is_inside:
            raise _Refused(503)
        return True

    async def send(self, message) -> None:
        if message["type"] == "http.response.start":
            if _is_event_stream(message["headers"]):
                self.leave()  # it lives for minutes, and holds no connection (prompts.streaming)
            elif message["status"] == 401 and self._is_api:
                self.leave()
                await wait_for_moment(self._begun_s, REFUSAL_STEP_S)
        await self._send(message)

    def leave(self) -> None:
        """Give the places back; more than once is harmless."""
        if self._large is not None:
            self._large.leave(self.host)
            self._large = None
        if self._gate is not None and self._is_inside:
            self._is_inside = False
            self._gate.leave(self.host)


def _is_event_stream(headers) -> bool:
    return any(
        name.lower() == b"content-type" and value.startswith(b"text/event-stream") for name, value in headers
    )


def _in_megabytes(limit: int) -> str:
    """As the limit was typed: every page's of 1,000, that of files of 1,024 and without the form's rim."""
    is_usual = limit == settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    size = round(limit / 1_000_000 if is_usual else (limit - RIM_BYTES) / 1024**2, 1)
    return str(number_format(size, 0 if size.is_integer() else 1))


def _describe(refused: _Refused) -> AtriumError:
    status = refused.status
    if status == 413:
        return BodyTooLarge(
            _("The request is larger than %(limit)s MB.") % {"limit": _in_megabytes(refused.limit)}
        )
    if status == 408:
        return BodyTimeout(
            _("The rest of the request did not come within %(seconds)d seconds.") % {"seconds": BODY_PAUSE_S}
        )
    if status == 400:
        return InvalidInput(_("The request could not be read, or is larger than allowed."))
    return Unavailable(
        _(
            "Atrium has more to do at this moment than it can manage, so it did not begin with this. Try "
            "again in a few seconds."
        ),
        code="overloaded",
        retry_after_s=RETRY_AFTER_S,
    )


def _refuse(refused: _Refused, request: HttpRequest) -> HttpResponse:
    with speak_to(request):
        return answer_error(request, _describe(refused))


async def _send_refusal(scope, send, refused: _Refused) -> None:
    status = refused.status
    if status == 400:  # it is these that cannot be read
        scope = scope | {"headers": [one for one in scope["headers"] if one[0] not in DOUBTFUL]}
    request = ASGIRequest(scope | {"query_string": b""}, BytesIO())
    answer = RequestIdMiddleware(SecurityHeadersMiddleware(partial(_refuse, refused)))
    response = answer(request)
    response["Content-Length"] = str(len(response.content))
    if status != 503:
        response["Connection"] = "close"  # the rest of the body is not read
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.items()]
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": response.content})
