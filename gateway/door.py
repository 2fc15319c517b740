"""Who comes in at `/v1`: the host and the key of a request, before anything of it is read.

Guards against: keys of one tenant on another's host, a cookie doing a key's work, a second header
contradicting the first.
"""

import asyncio
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from django.db import OperationalError

from accounts.keys import PREFIX, list_shown, read_key
from foundation.errors import Unavailable
from foundation.header_policies import Kind, encoded_headers_of
from foundation.ids import show_request_id, uuid7
from foundation.told import gettext as _
from gateway.calls import Principal
from gateway.dialects import OPENAIS, Dialect
from gateway.errors import InvalidKey, NoKey
from gateway.http import AsgiScope, Send, find_header
from gateway.state.snapshot import Snapshots, TenantSnapshot
from gateway.steps.authenticate import authenticate
from gateway.trace import Trace, continue_trace
from tenants.context import in_platform, in_tenant
from tenants.doors import cors, hosts
from tenants.doors.hosts import KnownTenant

Found = TypeVar("Found")
_KEY_IN_QUERY = re.compile(rb"(?P<name>[A-Za-z0-9_.-]{1,40})=" + PREFIX.encode() + b"_")
HEADER = f"Authorization: Bearer {PREFIX}_…"
VERSION = (b"openai-version", b"2020-10-01")


@dataclass(slots=True)
class Visit:
    """One request, and what every answer to it says of it."""

    begun_s: float
    request_id: UUID
    trace: Trace | None
    origin: str  # of the web page that calls; "" for other programs
    web_origins: Collection[str] = ()  # those that may read the answer, as far as is known
    tells_time: bool = True  # refusals of a key all look alike
    dialect: Dialect = OPENAIS
    is_secure: bool = False  # it came by https

    def headers(self, more: Iterable[tuple[bytes, bytes]] = ()) -> list[tuple[bytes, bytes]]:
        """Of an answer that leaves now, with what is to be told beside it."""
        headers = [
            *encoded_headers_of(Kind.V1, is_secure=self.is_secure),
            (b"x-request-id", show_request_id(self.request_id).encode()),
            VERSION,
        ]
        if self.tells_time:
            took_ms = (asyncio.get_running_loop().time() - self.begun_s) * 1000
            headers.append((b"openai-processing-ms", b"%d" % max(1, round(took_ms))))
        if self.trace:
            headers.append((b"traceparent", self.trace.header.encode()))
        headers += encoded(cors.answer_headers(self.origin, self.web_origins))
        return self.dialect.write_headers([*headers, *more])


def encoded(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]


def begin_visit(scope: AsgiScope) -> Visit:
    return Visit(
        begun_s=asyncio.get_running_loop().time(),
        request_id=uuid7(),
        trace=continue_trace(find_header(scope, b"traceparent")),
        origin=find_header(scope, b"origin").decode("latin-1"),
        is_secure=scope.get("scheme") == "https",
    )


async def enter(scope: AsgiScope, snapshots: Snapshots, visit: Visit) -> tuple[Principal, TenantSnapshot]:
    """Who calls, by host and key. Raises what `authenticate` raises."""
    home = await find_tenant_of_host(scope)
    if home is not None and visit.origin:
        visit.web_origins = await find_web_origins(home.slug)
    key = read_key(scope["headers"])
    if not key:
        raise describe_missing_key(scope)
    found = await authenticate(key, snapshots, host_tenant=home.slug if home else None)
    if visit.origin:
        visit.web_origins = await find_web_origins(found[0].tenant)
    return found


def describe_missing_key(scope: AsgiScope) -> InvalidKey:
    """Why a request shows no key that could be believed: by itself alone, whatever keys there are."""
    if len(list_shown(scope["headers"])) > 1:
        return InvalidKey(_("This request shows two different API keys. Send one."))
    if place := _find_misplaced_key(scope):
        text = _("There is an API key in “%(place)s”, where none is read. Send the header “%(header)s”.")
        return NoKey(text % {"place": place, "header": HEADER})
    if find_header(scope, b"authorization").strip().lower() not in (b"", b"bearer"):
        text = _("“Authorization” holds no API key. Send the header “%(header)s”.")
    else:
        text = _("You didn't provide an API key. Send the header “%(header)s”.")
    return NoKey(text % {"header": HEADER})


def _find_misplaced_key(scope: AsgiScope) -> str:
    """The header, or the part of the address, in which something stands that looks like a key of ours."""
    if in_query := _KEY_IN_QUERY.search(scope["query_string"]):
        return f"?{in_query['name'].decode('latin-1')}="
    start = f"{PREFIX}_".encode()
    return next((name.decode("latin-1") for name, value in scope["headers"] if start in value), "")


def is_preflight(scope: AsgiScope, visit: Visit) -> bool:
    wanted = find_header(scope, b"access-control-request-method").decode("latin-1")
    return cors.is_preflight(scope["method"], visit.origin, wanted)


async def answer_preflight(scope: AsgiScope, send: Send, visit: Visit) -> None:
    """A browser asks whether its page may call. Raises NotAllowed."""
    home = await find_tenant_of_host(scope)
    wanted = find_header(scope, b"access-control-request-headers").decode("latin-1")
    allowed = await find_web_origins(home.slug) if home else None
    answer = encoded(cors.preflight_headers(visit.origin, wanted, allowed))
    headers = [*encoded_headers_of(Kind.V1, is_secure=visit.is_secure), *answer]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def find_tenant_of_host(scope: AsgiScope) -> KnownTenant | None:
    """The tenant whose host was called: there only its own keys work. None at the platform's hosts and at any
    that we do not know (a LAN's address, a container's name): there the key says whose it is.
    """
    name = hosts.name_of(find_header(scope, b"host").decode("latin-1"))
    if hosts.is_platform_host(name):
        return None
    is_known, door = hosts.recall(f"host:{name}")
    return door if is_known else await _ask_database(hosts.find_tenant_by_host, name)


async def find_web_origins(slug: str) -> frozenset[str]:
    """In the tenant's own scope: one whose tables are locked holds up nobody else. Raises Unavailable."""
    origins = hosts.recall_web_origins(slug)
    if origins is not None:
        return origins
    try:
        return await in_tenant(slug, hosts.find_web_origins, slug)
    except OperationalError as exc:
        raise _away() from exc


async def _ask_database(find: Callable[[str], Found], name: str) -> Found:
    """Raises Unavailable."""
    try:
        return await in_platform(find, name)
    except OperationalError as exc:
        raise _away() from exc


def _away() -> Unavailable:
    return Unavailable(_("The database does not answer. Try again in a moment."), retry_after_s=2)
