"""The egress policy for aiohttp, the data plane's client.

A connector belongs to one policy: pooled connections and the DNS cache are then never shared between
policies, and a request on a connection that is kept alive costs no check at all. A gateway process opens two
sessions, PUBLIC and PRIVATE; which hosts an endpoint names is checked when its route is made (`check_url`).

Guards against: what foundation.egress.resolving lists, on every new connection; redirects; proxies
from the environment; long headers; interim responses without end.
Does not guard against: long bodies and events (gateway.steps.relay, gateway.answers.sse), and time
(ClientTimeout per endpoint).
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpProcessingError

from foundation.egress.errors import REDIRECTS, EgressRefused, not_found, redirected
from foundation.egress.networks import Reach, classify
from foundation.egress.policy import EgressPolicy
from foundation.egress.resolving import check_peer, check_resolved, refuse_unless_permitted
from foundation.egress.tls import tls_context
from foundation.told import gettext as _

MAX_LINE_BYTES = 16_384  # of an answer's head
MOST_INTERIM = 32  # responses before the answer (status 100 to 199)
# Who had closed a kept connection is heard a round trip after the request; who closes it later may have read
# the request, and worked on it.
STALE_S = 0.5
LOST = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, HttpProcessingError)
AsyncResolve = Callable[[str, int], Awaitable[list[str]]]


async def look_up(host: str, port: int) -> list[str]:
    """The addresses of a name, by the system's resolver, off the loop."""
    infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(info[4][0]) for info in infos]


class _Resolver(AbstractResolver):
    """Gives aiohttp only addresses that the policy permits; it connects to these, and keeps Host and SNI."""

    def __init__(self, policy: EgressPolicy, resolve: AsyncResolve) -> None:
        self._policy = policy
        self._resolve = resolve

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        try:
            addresses = await self._resolve(host, port)
        except OSError as exc:
            raise not_found(host) from exc
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=0,
            )
            for address in check_resolved(host, addresses, self._policy)
        ]

    async def close(self) -> None: ...


class StaleConnection(aiohttp.ServerDisconnectedError):
    """A connection that was kept open closed as the request went out, without a byte of an answer: nobody has
    taken the request (RFC 9112, section 9.3.1).
    """


class BrokenHead(aiohttp.ServerDisconnectedError):
    """Bytes of an answer came whose head is against HTTP, or did not come whole: the server has worked.

    Content-Length beside Transfer-Encoding is one such: aiohttp's parser refuses what RFC 9112, section 6.3,
    lets a client read, and has no setting for it.
    """


class _Protocol(ResponseHandler):
    """Leaves interim responses out, and takes only so many: aiohttp reads them in a loop that gives way to
    nothing else, and a server may send them for ever. Tells stale connections and broken heads from other
    lost connections.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._interim = 0
        self._has_heard = False  # any byte since the request
        self._has_answered = False
        self._is_reused = False
        self._asked_s = 0.0

    def set_response_params(self, **params: Any) -> None:
        """Called as a request goes out."""
        self._is_reused = self._has_answered
        self._has_heard = self._has_answered = False
        self._asked_s = self._loop.time()
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        self._has_heard = True
        super().data_received(data)

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        if isinstance(exc, LOST) and not self._has_answered:
            if self._has_heard:
                exc = BrokenHead()
            elif self._is_reused and self._loop.time() - self._asked_s <= STALE_S:
                exc = StaleConnection()
        super().set_exception(exc, *cause)

    def feed_data(self, data: Any, size: int = 0) -> None:
        self._has_answered = True
        status = data[0].code
        if status >= 200 or status == 101:
            self._interim = 0
            super().feed_data(data, size)
            return
        self._interim += 1
        if self._interim == MOST_INTERIM:
            self.set_exception(aiohttp.ServerDisconnectedError("too many interim responses"))
            self.close()


class EgressConnector(aiohttp.TCPConnector):
    """Checks each new connection three times: the URL's host before resolving, every address before
    the socket exists, the peer after.
    """

    def __init__(self, policy: EgressPolicy, resolve: AsyncResolve = look_up, **options: Any) -> None:
        super().__init__(
            resolver=_Resolver(policy, resolve),
            ssl=tls_context(),
            socket_factory=self._make_socket,
            **options,
        )
        self._policy = policy
        self._factory: partial[Any] = partial(_Protocol, loop=self._loop)  # aiohttp's own place for it

    def _make_socket(self, info: tuple) -> socket.socket:
        """The last look before the first packet; whatever path led here."""
        reach = classify(info[4][0])
        if reach is Reach.FORBIDDEN or (reach is not Reach.PUBLIC and not self._policy.allow_private):
            raise PermissionError("the egress policy forbids this address")
        return socket.socket(info[0], info[1], info[2])

    # aiohttp's own hook, called only for new connections
    async def _create_connection(self, req, traces, timeout):  # noqa: ASYNC109
        host = req.url.raw_host or ""
        if req.proxy or req.url.scheme not in self._policy.schemes:
            raise EgressRefused(
                _("Proxies and addresses that start with “%(scheme)s:” are not allowed.")
                % {"scheme": req.url.scheme}
            )
        refuse_unless_permitted(host, req.url.port or 0, self._policy)
        protocol = await super()._create_connection(req, traces, timeout)
        peer = protocol.transport.get_extra_info("peername") if protocol.transport else None
        try:
            if peer is None:
                raise EgressRefused(_("The connection to “%(host)s” was lost.") % {"host": host})
            check_peer(host, str(peer[0]), self._policy)
        except EgressRefused:
            protocol.close()
            raise
        return protocol


class _Response(aiohttp.ClientResponse):
    """Refuses redirects where they arrive, so that no caller can forget to."""

    async def start(self, connection):
        await super().start(connection)
        if self.status in REDIRECTS:
            raise redirected(self.status)
        return self


def connector(policy: EgressPolicy, *, resolve: AsyncResolve = look_up, **options: Any) -> EgressConnector:
    """A connector that keeps to one policy; options are those of aiohttp.TCPConnector (`limit`,
    `keepalive_timeout`, …).
    """
    return EgressConnector(policy, resolve, **options)


def open_session(
    policy: EgressPolicy, *, resolve: AsyncResolve = look_up, **options: Any
) -> aiohttp.ClientSession:
    """A session that keeps to one policy: no redirects, no cookies, no proxy from the environment. What a
    server compresses unasked stays as it is. Open it inside the loop, close it at its end.
    """
    return aiohttp.ClientSession(
        connector=connector(policy, resolve=resolve, limit=options.pop("limit", 1_000)),
        response_class=_Response,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        headers={"Accept-Encoding": "identity"},
        auto_decompress=False,
        max_line_size=MAX_LINE_BYTES,
        max_field_size=MAX_LINE_BYTES,
        timeout=options.pop(
            "timeout",
            aiohttp.ClientTimeout(
                total=None, sock_connect=policy.timeout_connect_s, sock_read=policy.timeout_read_s
            ),
        ),
        **options,
    )
