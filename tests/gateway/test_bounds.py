"""What ends a call that would not end by itself, and who is sent away before work starts.

Covers: clients that send or take nothing, streams without end, too many calls at once, upstreams that fail
again and again, connections without a request.
"""

import asyncio
import contextlib
import socket
import threading
import time
from dataclasses import replace
from types import SimpleNamespace
from uuid import uuid4

import pytest
import uvicorn

from foundation import http_server as connections
from foundation.egress import PRIVATE
from foundation.egress.data_plane import open_session
from foundation.errors import AtriumError, BodyTimeout, QuotaExceeded, Unavailable, UpstreamError
from gateway import api, http, pipeline
from gateway.answers import idle
from gateway.errors import UpstreamTimeout, error_headers
from gateway.http import ClientGone, read_body
from gateway.state import in_flight
from gateway.state.breaker import FAILURES, PAUSE_S, WITHIN_S, Breaker
from gateway.state.in_flight import InFlight
from tenants.management.commands.serve import server_config
from tests.doubles import running_mockllm
from tests.gateway.test_relay import make_call, send

PATIENCE_S = 30  # for what happens at once where nothing else runs


async def never() -> None:
    await asyncio.sleep(3600)


# -- clients -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "first", [[], [{"type": "http.request", "body": b"{", "more_body": True}]], ids=["nothing", "a piece"]
)
def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch, first):
    monkeypatch.setattr(http, "BODY_PAUSE_S", 0.05)

    async def receive():
        return first.pop() if first else await never()

    with pytest.raises(BodyTimeout) as caught:
        asyncio.run(read_body(receive))
    assert caught.value.http_status == 408 and (b"connection", b"close") in error_headers(caught.value)


def test_a_client_that_takes_nothing_ends_its_stream(monkeypatch):
    """The upstream is left, so that the bill ends here."""
    monkeypatch.setattr(api, "SEND_TIMEOUT_S", 0.1)
    ended, sent = [], []

    async def frames():
        try:
            while True:
                yield b"data: {}\n\n"
        finally:
            ended.append(True)

    async def take_little(message):
        sent.append(message)
        if len(sent) > 5:
            await never()

    request = SimpleNamespace(send=take_little, receive=never, id_header=(b"x-request-id", b"x"))
    with pytest.raises(ClientGone):
        asyncio.run(api._send_stream(request, frames(), []))
    assert ended and len(sent) == 6


def test_a_client_that_takes_slowly_gets_all(monkeypatch):
    monkeypatch.setattr(api, "SEND_TIMEOUT_S", 0.2)
    sent = []

    async def frames():
        for _number in range(8):
            yield b"data: {}\n\n"

    async def take(message):
        await asyncio.sleep(0.05)
        sent.append(message)

    request = SimpleNamespace(send=take, receive=never, id_header=(b"x-request-id", b"x"))
    asyncio.run(api._send_stream(request, frames(), []))
    assert len(sent) == 10, "the head, eight frames, the end"


# -- upstreams -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mock():
    with running_mockllm() as running:
        yield running


def test_a_stream_that_goes_on_beyond_its_limit_is_left(mock):
    call = make_call(mock.base_url, "fault-endless-0")
    call.max_output_tokens = 5
    with pytest.raises(UpstreamError) as caught:
        send(call)
    assert caught.value.code == "upstream_endless" and 4 * 5 < call.output_tokens_seen < 1_000


@pytest.mark.parametrize("stream", [True, False])
def test_signs_of_life_are_no_answer(mock, monkeypatch, stream):
    monkeypatch.setattr(idle, "LONGEST_S", 0.5)
    call = make_call(
        mock.base_url, "fault-endless-50", stream=stream, first_byte_timeout_s=0.2, idle_timeout_s=0.2
    )
    with pytest.raises(UpstreamTimeout):
        send(call)


# -- how many at once ----------------------------------------------------------------------------------------


def a_call(tenant: str = "acme", key: str = "aaaaaaaa"):
    call = make_call("http://nowhere/v1", "any")
    call.principal = replace(call.principal, tenant=tenant, key_name=key)
    return call


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(in_flight, "OF_CALLER", 2)
    monkeypatch.setattr(in_flight, "OF_TENANT", 3)
    monkeypatch.setattr(in_flight, "OF_ALL", 5)
    return InFlight()


def test_a_caller_a_tenant_and_all_together_have_so_many_calls_in_work(few):
    calls = [a_call(), a_call(), a_call(key="bbbbbbbb")]
    for call in calls:
        few.enter(call)
    for too_many in (a_call(), a_call(key="bbbbbbbb"), a_call(key="cccccccc")):
        with pytest.raises(QuotaExceeded) as caught:
            few.enter(too_many)
        assert (caught.value.code, caught.value.retry_after_s) == ("too_many_calls", 1)
    for _number in range(2):
        few.enter(a_call(tenant="globex"))
    with pytest.raises(Unavailable) as overloaded:
        few.enter(a_call(tenant="third"))
    assert (overloaded.value.code, overloaded.value.retry_after_s) == ("overloaded", 1)


def test_a_place_becomes_free_once(few):
    first, second = a_call(), a_call()
    few.enter(first)
    few.enter(second)
    few.leave(first)
    few.leave(first)
    few.enter(a_call())
    with pytest.raises(QuotaExceeded):
        few.enter(a_call())
    few.leave(a_call())  # it never entered
    with pytest.raises(QuotaExceeded):
        few.enter(a_call())


# -- circuits ------------------------------------------------------------------------------------------------


@pytest.fixture
def circuit():
    now = SimpleNamespace(s=1_000.0)
    breaker = Breaker(clock=lambda: now.s)
    template = a_call()

    def ended(error_code: str = "", tenant: str = "acme", status: str = "error") -> None:
        call = make_call("http://nowhere/v1", "any")
        call.principal = replace(template.principal, tenant=tenant)
        call.route = template.route
        call.error_code = error_code
        call.status = status
        breaker.note(call)

    def is_open(tenant: str = "acme") -> bool:
        call = make_call("http://nowhere/v1", "any")
        call.principal = replace(template.principal, tenant=tenant)
        call.route = template.route
        try:
            breaker.check(call)
        except UpstreamError as exc:
            assert exc.code == "upstream_unavailable" and 1 <= exc.retry_after_s <= PAUSE_S + 1
            return True
        return False

    return SimpleNamespace(now=now, ended=ended, is_open=is_open)


def test_an_upstream_that_fails_again_and_again_is_left_alone_and_then_tried_by_one(circuit):
    for _number in range(FAILURES):
        assert not circuit.is_open()
        circuit.ended("upstream_timeout")
    assert circuit.is_open() and not circuit.is_open("globex"), "only for the tenant whose calls failed"
    circuit.now.s += PAUSE_S
    assert not circuit.is_open() and circuit.is_open(), "one may try, the next one waits for it"
    circuit.ended("upstream_timeout")
    circuit.now.s += PAUSE_S / 2
    assert circuit.is_open(), "it failed again"
    circuit.now.s += PAUSE_S
    assert not circuit.is_open()
    circuit.ended()
    assert not circuit.is_open() and not circuit.is_open()


def test_rare_failures_refusals_and_clients_who_leave_open_nothing(circuit):
    for _number in range(3 * FAILURES):
        circuit.ended("upstream_timeout")
        circuit.now.s += WITHIN_S / (FAILURES - 2)
        assert not circuit.is_open()
    for code, status in (
        ("context_length_exceeded", "error"),
        ("upstream_rate_limited", "error"),
        ("upstream_timeout", "cancelled"),
        ("", "ok"),
    ):
        for _number in range(2 * FAILURES):
            circuit.ended(code, status=status)
        assert not circuit.is_open(), code
    for _number in range(3 * FAILURES):
        circuit.ended("upstream_timeout")
        circuit.ended()
    assert not circuit.is_open(), "a success in between"


class Books:
    """A ledger that only counts what is held and settled."""

    def __init__(self) -> None:
        self.held = self.settled = 0

    async def reserve(self, slug, hold) -> None:
        self.held += 1

    async def settle(self, slug, settlement) -> None:
        self.settled += 1


async def one_call(host, call, end: str) -> str:
    """A whole call's way; its error's code."""
    snapshot = SimpleNamespace(requests_per_minute=None, routes={"ours": call.route})
    try:
        await pipeline.prepare(call, snapshot, host)
        if end == "whole":
            await pipeline.complete(call, host)
        else:
            frames = pipeline.stream(call, host)
            await anext(frames)
            await frames.aclose()
    except AtriumError as exc:
        return exc.code
    return ""


@pytest.mark.parametrize(
    ("model", "end"),
    [("mock", "whole"), ("mock-slow-50", "left"), ("fault-400", "whole"), ("fault-500-mid-stream", "left")],
)
def test_a_call_leaves_its_place_however_it_ends(mock, model, end):
    async def run() -> None:
        async with open_session(PRIVATE) as client:
            host = SimpleNamespace(
                in_flight=InFlight(),
                breaker=Breaker(),
                ledger=Books(),
                limiter=None,
                client_for=lambda _endpoint: client,
            )
            await one_call(host, make_call(mock.base_url, model, stream=end == "left"), end)
            unknown = make_call(mock.base_url, model)
            unknown.body["model"] = "unknown"
            assert await one_call(host, unknown, end) == "model_not_found"
            assert (host.in_flight._all, host.in_flight._by_name) == (0, {}) and (
                host.ledger.held,
                host.ledger.settled,
            ) == (1, 1)

    asyncio.run(run())


@pytest.mark.parametrize("stream", [True, False])
def test_calls_to_an_upstream_that_is_left_alone_hold_and_send_nothing(mock, stream):
    async def run() -> None:
        async with open_session(PRIVATE) as client:
            host = SimpleNamespace(
                in_flight=InFlight(),
                breaker=Breaker(),
                ledger=Books(),
                limiter=None,
                client_for=lambda _endpoint: client,
            )
            first = make_call(mock.base_url, "fault-500", stream=stream)
            for _number in range(FAILURES + 3):
                call = replace(first, request_id=uuid4())
                codes.append(await one_call(host, call, "left" if stream else "whole"))
            assert (host.ledger.held, host.ledger.settled) == (FAILURES, FAILURES)

    codes: list[str] = []
    asyncio.run(run())
    assert codes == ["upstream_error"] * FAILURES + ["upstream_unavailable"] * 3


# -- connections ---------------------------------------------------------------------------------------------


class Hello:
    """Takes a request whole, and answers it once its gate is open."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.in_work = 0

    async def __call__(self, scope, receive, send) -> None:
        while (message := await receive()).get("more_body"):
            pass
        if message["type"] == "http.disconnect":
            return
        self.in_work += 1
        while not self.gate.is_set():
            await asyncio.sleep(0.01)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"hi"})


def wait_until(condition) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


class Serving:
    """A running server, what it works with, and how its clients look from inside."""

    def __init__(self, address: tuple[str, int], server: uvicorn.Server, app: Hello) -> None:
        self.address = address
        self.server = server
        self.app = app
        self._clients = contextlib.ExitStack()

    def connect(self, head: bytes = b"") -> socket.socket:
        """A client that the server has met, and whose bytes it has read."""
        client = self._clients.enter_context(socket.create_connection(self.address, timeout=PATIENCE_S))
        wait_until(lambda: self._side_of(client) is not None)
        client.sendall(head)
        if head:
            wait_until(lambda: (side := self._side_of(client)) is None or side.scope is not None)
        return client

    def holds(self, client: socket.socket) -> bool:
        """Whether the server keeps this connection."""
        side = self._side_of(client)
        return side is not None and not side.transport.is_closing()

    def silent(self) -> list[tuple[str, int]]:
        """Whom it takes for silent, the one that was so for longest first."""
        return [side.client for side in list(connections.waiting_of(self.server.server_state)._all)]

    def _side_of(self, client: socket.socket):
        address = client.getsockname()
        return next(
            (side for side in list(self.server.server_state.connections) if side.client == address), None
        )

    def close(self) -> None:
        self.app.gate.set()
        self._clients.close()


@contextlib.contextmanager
def serving(**changes):
    app = Hello()
    config = server_config(app, "127.0.0.1", 0)
    config.lifespan = "off"
    for name, value in changes.items():
        setattr(config, name, value)
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        running = Serving(listener.getsockname(), server, app)
        try:
            yield running
        finally:
            running.close()
            server.should_exit = True
            thread.join(10)


ASK = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize("head", [b"", b"GET / HTTP/1.1\r\nHost: loc"], ids=["nothing", "half a head"])
def test_a_connection_that_brings_no_request_is_closed(monkeypatch, head):
    monkeypatch.setattr(connections, "HEAD_TIMEOUT_S", 0.2)
    with serving() as server:
        client = socket.create_connection(server.address, timeout=PATIENCE_S)
        with client:
            client.sendall(head)
            assert client.recv(100) == b""


def test_a_request_in_work_is_not_closed(monkeypatch):
    """Nor a connection that is kept without a next head begun: strangers who came later are."""
    monkeypatch.setattr(connections, "HEAD_TIMEOUT_S", 0.2)
    with serving() as server:
        client = socket.create_connection(server.address, timeout=PATIENCE_S)

        def let_a_stranger_time_out() -> None:
            with socket.create_connection(server.address, timeout=PATIENCE_S) as stranger:
                assert stranger.recv(100) == b""

        with client:
            for number in (1, 2):
                server.app.gate.clear()
                client.sendall(ASK)
                wait_until(lambda number=number: server.app.in_work == number)
                let_a_stranger_time_out()
                server.app.gate.set()
                assert client.recv(1000).startswith(b"HTTP/1.1 200")
                let_a_stranger_time_out()
            assert server.holds(client)


def test_more_connections_than_there_may_be_are_sent_away():
    with serving(limit_concurrency=2) as server:
        clients = [server.connect() for _number in range(3)]
        clients[-1].sendall(ASK)
        assert clients[-1].recv(1000).startswith(b"HTTP/1.1 503")


@pytest.fixture
def crowded(monkeypatch):
    """A server with room for few."""
    monkeypatch.setattr(connections, "HEAD_TIMEOUT_S", 600)  # so that nothing else closes any
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 6)
    monkeypatch.setattr(connections, "MAKE_ROOM_AT", 4)
    monkeypatch.setattr(connections, "HEALTH_PLACES", 2)


HALVES = {
    "nothing": b"",
    "half a head": b"GET / HTTP/1.1\r\nHost: loc",
    "half a body": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nab",
}


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
def test_silent_connections_shut_nobody_out(crowded, half):
    """The one that was silent for longest makes room; whoever brings a request is served."""
    with serving(limit_concurrency=6) as server:
        # room is made as they come, 200 places ahead; here it is two
        silent = [server.connect(half) for _number in range(30)]
        late = server.connect(ASK)
        assert late.recv(1000).startswith(b"HTTP/1.1 200")
        assert silent[0].recv(100) == b"" and server.holds(silent[-1])


def test_the_one_that_was_silent_for_longest_goes_first(crowded):
    with serving(limit_concurrency=6) as server:
        first, second, third = [server.connect(b"GET / HTTP/1.1\r\n") for _number in range(3)]
        first.sendall(b"Host: localhost\r\n")
        order = [client.getsockname() for client in (second, third, first)]
        wait_until(lambda: server.silent() == order)
        for _number in range(2):
            server.connect()
        assert second.recv(100) == b"" and server.holds(first) and server.holds(third)


def test_requests_in_work_are_never_closed_and_health_is_answered_beside_them(crowded):
    with serving(limit_concurrency=6) as server:
        server.app.gate.clear()
        busy = [server.connect(ASK) for _number in range(5)]
        wait_until(lambda: server.app.in_work == 5)
        sixth = server.connect(ASK)
        assert sixth.recv(1000).startswith(b"HTTP/1.1 503"), "there were as many as there may be"
        probe = server.connect(b"GET /healthz/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_until(lambda: server.app.in_work == 6)
        other = server.connect(ASK)
        assert other.recv(1000).startswith(b"HTTP/1.1 503")
        assert all(server.holds(client) for client in busy)
        server.app.gate.set()
        assert [client.recv(1000)[:12] for client in (probe, *busy)] == [b"HTTP/1.1 200"] * 6


def test_a_kept_connection_waits_again_after_its_answer(crowded):
    with serving(limit_concurrency=6) as server:
        kept = server.connect(ASK)
        assert kept.recv(1000).startswith(b"HTTP/1.1 200")
        for _number in range(4):
            server.connect()
        assert kept.recv(1000) == b""


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:bbbb::2", "2001:db8:1:2::/64"),
        ("127.0.0.1", ""),
        ("::ffff:127.0.0.1", ""),
        ("", ""),
        ("/run/socket", ""),
    ],
)
def test_an_address_is_counted_as_one_client_has_it(address, counted):
    assert connections._countable(address) == counted


@pytest.mark.parametrize(("proxies", "closed"), [(["10.0.0.1"], True), (["127.0.0.0/8"], False)])
def test_one_address_has_so_many_silent_connections_unless_it_is_a_proxy(
    monkeypatch, settings, proxies, closed
):
    settings.TRUSTED_PROXIES = proxies
    connections._countable.cache_clear()
    monkeypatch.setattr(connections, "MAX_WAITING_OF_ADDRESS", 3)
    try:
        with serving() as server:
            silent = [server.connect() for _number in range(4)]
            silent[-1].sendall(ASK)  # when that is answered, all has been decided
            assert silent[-1].recv(1000).startswith(b"HTTP/1.1 200")
            assert [server.holds(client) for client in silent] == [not closed, True, True, True]
    finally:
        connections._countable.cache_clear()
