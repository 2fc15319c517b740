"""Connections that bring no request, and too many of them."""

import asyncio
import contextlib
import json
import socket
import threading
import time

import pytest
import uvicorn

from foundation import http_server as connections
from tenants.management.commands.serve import server_config

PATIENCE_S = 30  # for what happens at once where nothing else runs


class Hello:
    """Takes a request whole, and answers it once its gate is open."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.in_work = 0
        self.gone = 0
        self.headers: list[tuple[bytes, bytes]] = []  # of the last request

    def _note_gone(self) -> None:
        self.gone += 1

    async def __call__(self, scope, receive, send) -> None:
        scope[connections.HEARERS].add(self._note_gone)
        while (message := await receive()).get("more_body"):
            pass
        self.headers = list(scope["headers"])
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
        self.was_held_in_vain = False  # what it was paused for did not happen

    def connect(self, head: bytes = b"") -> socket.socket:
        """A client that the server has met, and whose bytes it has read."""
        client = self._clients.enter_context(socket.create_connection(self.address, timeout=PATIENCE_S))
        wait_until(lambda: self._side_of(client) is not None)
        client.sendall(head)
        if head:
            wait_until(lambda: (side := self._side_of(client)) is None or side.scope is not None)
        return client

    def pause(self, client: socket.socket, until: threading.Event) -> None:
        """Let the server read nothing meanwhile."""
        self._side_of(client).loop.call_soon_threadsafe(self._hold, until)

    def _hold(self, until: threading.Event) -> None:
        self.was_held_in_vain |= not until.wait(PATIENCE_S)

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
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1_000_000)  # much may come at once
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
        assert not running.was_held_in_vain


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
        said, _, body = clients[-1].recv(2_000).decode().partition("\r\n\r\n")
        assert said.startswith("HTTP/1.1 503") and "\r\nretry-after: 5" in said
        assert "\r\nx-content-type-options: nosniff" in said
        assert json.loads(body)["error"]["type"] == "service_unavailable_error"


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


def told(server, head: str) -> str:
    """What is answered to these lines of a head."""
    with socket.create_connection(server.address, timeout=PATIENCE_S) as client:
        client.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n")
        return client.recv(100_000).decode()


GOOD_HEADS = (
    "GET / HTTP/1.1\nHost: localhost",
    "GET / HTTP/1.1\nhost: Acme.LOCALHOST:8000",
    "GET / HTTP/1.1\nHost: [::1]:8000",
    "GET / HTTP/1.1\nHost: my_container:",
    "GET / HTTP/1.0",
    "GET http://localhost:80/ HTTP/1.1\nHost: LOCALHOST",
    "GET http://[::1]/ HTTP/1.1\nHost: [::1]",
    "OPTIONS * HTTP/1.1\nHost: localhost",
)
BAD_HOSTS = (
    "GET / HTTP/1.1",
    "GET / HTTP/1.1\nHost:",
    "GET / HTTP/1.1\nHost: localhost\nHost: localhost",
    "GET / HTTP/1.1\nHost: localhost\nhost: evil.example",
    "GET / HTTP/1.0\nHost: localhost\nHost: evil.example",
    "GET / HTTP/1.1\nHost: localhost,evil.example",
    "GET / HTTP/1.1\nHost: local host",
    "GET / HTTP/1.1\nHost: someone@localhost",
    "GET / HTTP/1.1\nHost: localhost/..",
    "GET / HTTP/1.1\nHost: localhost:port",
    "GET / HTTP/1.1\nHost: localhost:65536",
    "GET / HTTP/1.1\nHost: [::1",
    "GET http://evil.example/ HTTP/1.1\nHost: localhost",
)


def test_a_request_that_names_no_host_or_two_is_refused():
    with serving() as server:
        for head in GOOD_HEADS:
            assert told(server, head).startswith("HTTP/1.1 200"), head
        for head in BAD_HOSTS:
            answer = told(server, head)
            assert answer.startswith("HTTP/1.1 400 Bad Request\r\n") and "host" in answer, head
            assert "connection: close\r\n" in answer
        assert server.app.in_work == len(GOOD_HEADS)


@pytest.mark.parametrize(
    ("head", "status", "word"),
    [
        ("GET / HTTP/0.9", 505, "HTTP/1.1"),
        ("GET / HTTP/2.0\nHost: localhost", 505, "HTTP/1.1"),
        ("POST / HTTP/1.0\nHost: localhost\nTransfer-Encoding: chunked", 400, "chunked"),
        ("GET / HTTP/1.1", 400, "host"),
        ("no request at all", 400, "Invalid HTTP request"),
    ],
)
def test_what_is_no_request_is_told_as_clients_of_v1_read_it(head, status, word):
    with serving() as server:
        said, _, body = told(server, head).partition("\r\n\r\n")
        error = json.loads(body)["error"]
        assert said.startswith(f"HTTP/1.1 {status} ") and word in error["message"]
        assert error["type"] == "invalid_request_error" and error.keys() == {
            "message",
            "type",
            "param",
            "code",
        }
        assert server.app.in_work == 0


LONG = "a" * connections.MAX_HEAD_BYTES


@pytest.mark.parametrize(
    "line", [f"X: {LONG}", f"{LONG}: x", "X: y\n" * 40_000], ids=["value", "name", "lines"]
)
def test_a_head_has_an_end(line):
    with serving() as server:
        assert told(server, f"GET / HTTP/1.1\nHost: localhost\n{line}").startswith("HTTP/1.1 431 ")


def test_a_head_that_never_ends_is_not_kept():
    """Told as soon as it is too long, whatever else might come."""
    with serving() as server, socket.create_connection(server.address, timeout=PATIENCE_S) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ")
        with contextlib.suppress(OSError):  # it may have closed before all was sent
            for _piece in range(200):
                client.sendall(b"a" * 10_000)
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(1_000).startswith(b"HTTP/1.1 431 ")
        wait_until(lambda: not server.server.server_state.connections)


CHUNKED = b"POST / HTTP/1.1\r\nHost:\t localhost \t\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"


def test_what_stands_behind_a_body_is_not_taken_for_a_header():
    """Else a key in a trailer, which many a proxy passes on unread, would say who asks."""
    with serving() as server:
        client = server.connect(CHUNKED + b"Authorization: Bearer x\r\nHost: evil.example\r\n\r\n")
        assert client.recv(1_000).startswith(b"HTTP/1.1 200")
        assert server.app.headers == [(b"host", b"localhost"), (b"transfer-encoding", b"chunked")]


@pytest.mark.parametrize("endless", [b"X: ", b"X: y\r\n"], ids=["a value", "lines"])
def test_trailers_have_an_end(endless):
    with serving() as server:
        client = server.connect(CHUNKED + endless)
        with contextlib.suppress(OSError):
            for _piece in range(200):
                client.sendall(endless * 3_000)
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(1_000).startswith(b"HTTP/1.1 431 ")
        wait_until(lambda: not server.server.server_state.connections)


def test_a_body_in_many_pieces_is_no_head_without_end():
    with serving() as server:
        client = server.connect(CHUNKED[: -len(b"0\r\n")])
        for _piece in range(20):
            client.sendall(b"1\r\n{\r\n" * 5_000)
        client.sendall(b"0\r\n\r\n")
        assert client.recv(1_000).startswith(b"HTTP/1.1 200")


def end_own_side(client: socket.socket) -> None:
    """As `nc -N` does. Nothing tells it from a client that has gone (docs/architecture.md)."""
    client.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("leave", [socket.socket.close, end_own_side], ids=["closes", "ends its side"])
@pytest.mark.parametrize("size", [2, 200_000], ids=["small", "large"])
def test_who_leaves_before_the_answer_is_heard_of(size, leave):
    """Also after more of a body than the server takes at once: it stops listening in the middle."""
    with serving() as running:
        running.app.gate.clear()
        head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % size
        client, has_all_come = running.connect(head), threading.Event()
        running.pause(client, until=has_all_come)
        client.sendall(b" " * size)
        has_all_come.set()
        wait_until(lambda: running.app.in_work == 1)
        assert running.app.gone == 0
        leave(client)
        wait_until(lambda: running.app.gone == 1)


POST = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n"


@pytest.mark.parametrize("second", [POST + b"{}", POST], ids=["whole", "without body"])
def test_who_leaves_behind_a_second_request_is_heard_of_too(second):
    with serving() as running:
        running.app.gate.clear()
        client = running.connect(POST + b"{}")
        wait_until(lambda: running.app.in_work == 1)
        side = running._side_of(client)
        client.sendall(second)
        wait_until(lambda: len(side.pipeline) == 1)
        client.close()
        wait_until(lambda: running.app.gone == 1)


def test_whoever_answers_a_client_that_has_left_behind_a_second_request_is_not_disturbed(caplog):
    """The server alone knows which requests were in work."""
    with serving() as running:
        running.app.gate.clear()
        client = running.connect(POST + b"{}")
        wait_until(lambda: running.app.in_work == 1)
        side = running._side_of(client)
        client.sendall(POST + b"{}")
        wait_until(lambda: len(side.pipeline) == 1)
        client.close()
        wait_until(lambda: running.app.gone == 1)
        running.app.gate.set()
        wait_until(lambda: not running.server.server_state.tasks)
    assert not [record for record in caplog.records if record.exc_info]


def test_what_is_sent_ahead_is_bounded_and_answered_in_its_order():
    with serving() as running:
        running.app.gate.clear()
        client = running.connect(POST + b"{}")
        wait_until(lambda: running.app.in_work == 1)
        side = running._side_of(client)
        for number in (1, 2):
            client.sendall(POST + b"{}")
            wait_until(lambda number=number: len(side.pipeline) == number)
        wait_until(lambda: not side.transport.is_reading())
        client.sendall(3 * (POST + b"{}"))
        running.app.gate.set()
        told = b""
        while told.count(b"hi") < 6:
            told += client.recv(10_000)
        assert told.count(b"HTTP/1.1 200") == 6 and running.app.in_work == 6


@pytest.mark.parametrize("further", [b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"\0\0\0\r\n\r\n"])
def test_a_further_request_that_is_refused_writes_nothing_into_the_answer_before_it(further):
    with serving() as running:
        running.app.gate.clear()
        client = running.connect(ASK)
        wait_until(lambda: running.app.in_work == 1)
        client.sendall(further)
        assert client.recv(100) == b"", "closed, and nothing said"


def test_who_has_left_already_is_heard_of_at_once_and_nobody_twice():
    heard, hearers = [], connections.Hearers()
    for name in ("first", "second"):
        hearers.add(lambda name=name: heard.append(name))
    hearers.remove(hear := lambda: heard.append("removed"))
    hearers.add(hear)
    hearers.remove(hear)
    hearers.tell()
    hearers.tell()
    hearers.add(lambda: heard.append("late"))
    assert sorted(heard[:2]) == ["first", "second"] and heard[2:] == ["late"]


def test_a_request_on_its_way_when_the_server_ends_is_answered_as_the_last():
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with serving() as running:
        asking, idle = running.connect(), running.connect()
        for client in (asking, idle):
            client.sendall(request)
            assert b"close" not in client.recv(1_000)
        running.server.should_exit = True
        wait_until(lambda: not running.server.servers[0].is_serving())
        asking.sendall(request)
        answer = asking.recv(1_000)
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"connection: close" in answer.lower()
        for client in (asking, idle):
            assert client.recv(1_000) == b"", "closed"
