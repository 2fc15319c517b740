"""The egress policy for httpx, the client of everything that is not the data plane.

Guards against: what foundation.egress.resolving lists, on every connection; redirects; proxies and keys from
the environment; answers that take too long, are too long, have lines that are too long, or come compressed
though nobody asked (a bomb in a few bytes).
"""

import json
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpcore
import httpx

from foundation.egress.errors import REDIRECTS, redirected, too_long
from foundation.egress.policy import EgressPolicy
from foundation.egress.resolving import Resolve, check_peer, look_up, resolve_checked
from foundation.egress.tls import tls_context
from foundation.errors import UpstreamError
from foundation.told import gettext as _


class _Allowance:
    """The time and bytes left for the request that is under way. One request at a time: a client is not
    shared between threads.
    """

    def __init__(self, policy: EgressPolicy) -> None:
        self.policy = policy
        self.renew()

    def renew(self) -> None:
        self.ends_at = time.monotonic() + self.policy.timeout_total_s
        self.bytes_left = self.policy.max_bytes

    def bound(self, timeout_s: float | None) -> float:
        left = self.ends_at - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the time for this request is used up")
        return left if timeout_s is None else min(left, timeout_s)

    def take(self, count: int) -> None:
        self.bytes_left -= count
        if self.bytes_left < 0:
            raise too_long(self.policy.max_bytes)


class _Stream(httpcore.NetworkStream):
    """A connection whose reads and writes draw on the allowance."""

    def __init__(self, inner: httpcore.NetworkStream, allowance: _Allowance) -> None:
        self._inner = inner
        self._allowance = allowance

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = self._inner.read(max_bytes, self._allowance.bound(timeout))
        self._allowance.take(len(data))
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._allowance.bound(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context, server_hostname: str | None = None, timeout: float | None = None
    ) -> "_Stream":
        return _Stream(
            self._inner.start_tls(ssl_context, server_hostname, self._allowance.bound(timeout)),
            self._allowance,
        )

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    """Opens connections only to checked addresses; httpcore keeps the name for Host and SNI."""

    def __init__(self, allowance: _Allowance, resolve: Resolve) -> None:
        self._inner = httpcore.SyncBackend()
        self._allowance = allowance
        self._resolve = resolve

    def connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None) -> _Stream:
        policy, last_error = self._allowance.policy, None
        for address in resolve_checked(host, port, policy, self._resolve):
            try:
                stream = self._inner.connect_tcp(
                    address, port, self._allowance.bound(timeout), local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as exc:
                last_error = exc
                continue
            try:
                check_peer(host, stream.get_extra_info("server_addr")[0], policy)
            except UpstreamError:
                stream.close()
                raise
            return _Stream(stream, self._allowance)
        raise last_error or httpcore.ConnectError("no address")

    def connect_unix_socket(self, path, timeout=None, socket_options=None) -> httpcore.NetworkStream:
        raise httpcore.ConnectError("sockets of this machine are not reached through the egress client")


class _Body(httpx.SyncByteStream):
    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __iter__(self) -> Iterator[bytes]:
        with _clear_errors():
            yield from self._inner

    def close(self) -> None:
        self._inner.close()


@contextmanager
def _clear_errors() -> Iterator[None]:
    """httpcore's errors in words a person understands."""
    try:
        yield
    except httpcore.TimeoutException as exc:
        raise UpstreamError(_("The provider did not answer in time."), code="upstream_timeout") from exc
    except httpcore.NetworkError as exc:
        if isinstance(exc.__context__, ssl.SSLError):
            raise UpstreamError(
                _("The provider's TLS certificate is not valid for this address, or not trusted here."),
                code="upstream_tls",
            ) from exc
        raise UpstreamError(
            _("The provider cannot be reached: the connection was refused or broke."),
            code="upstream_unreachable",
        ) from exc
    except httpcore.ProtocolError as exc:
        raise UpstreamError(
            _("What answers there does not speak HTTP properly."), code="upstream_protocol"
        ) from exc


class EgressTransport(httpx.BaseTransport):
    """Like httpx.HTTPTransport, with the policy below it and clear errors above."""

    def __init__(
        self, policy: EgressPolicy, resolve: Resolve = look_up, *, tells_redirects: bool = False
    ) -> None:
        self._allowance = _Allowance(policy)
        self._tells_redirects = tells_redirects
        self._pool = httpcore.ConnectionPool(
            ssl_context=tls_context(),
            network_backend=_Backend(self._allowance, resolve),
            max_connections=4,
            keepalive_expiry=30,
            http1=True,
            http2=False,
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._allowance.renew()
        url = httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        passed_on = httpcore.Request(
            method=request.method,
            url=url,
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        if request.url.scheme not in self._allowance.policy.schemes:
            raise UpstreamError(
                _("Addresses that start with “%(scheme)s:” are not allowed.")
                % {"scheme": request.url.scheme},
                code="egress_refused",
            )
        with _clear_errors():
            answer = self._pool.handle_request(passed_on)
        response = httpx.Response(
            status_code=answer.status,
            headers=answer.headers,
            stream=_Body(answer.stream),
            extensions=answer.extensions,
        )
        if answer.status in REDIRECTS and not self._tells_redirects:
            response.close()
            raise redirected(answer.status)
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            response.close()
            raise UpstreamError(
                _("The provider compressed its answer, though asked not to."), code="upstream_protocol"
            )
        return response

    def close(self) -> None:
        self._pool.close()


def client(
    policy: EgressPolicy, *, resolve: Resolve = look_up, tells_redirects: bool = False, **options: Any
) -> httpx.Client:
    """An httpx client that keeps to one policy. Use it in a `with`, in one thread. Errors are EgressRefused
    and UpstreamError. It follows no redirect; one that tells them answers with it, and whoever asks checks
    the next address like the first.
    """
    timeout = httpx.Timeout(policy.timeout_read_s, connect=policy.timeout_connect_s)
    headers = {"Accept-Encoding": "identity", "User-Agent": "Atrium", **options.pop("headers", {})}
    return httpx.Client(
        transport=EgressTransport(policy, resolve, tells_redirects=tells_redirects),
        trust_env=False,
        follow_redirects=False,
        timeout=timeout,
        headers=headers,
        **options,
    )


def read_json(response: httpx.Response) -> Any:
    """The body as JSON. Raises UpstreamError if it is not JSON, or nested so deep that reading it fails."""
    try:
        return json.loads(response.content)
    except (ValueError, RecursionError) as exc:
        raise UpstreamError(_("What answers there does not send JSON."), code="upstream_protocol") from exc
