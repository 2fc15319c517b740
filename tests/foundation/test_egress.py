"""The way out of the house: what may be called, by both clients (S14 of docs/proofs.md)."""

import asyncio
import json
import socket
import threading
from contextlib import contextmanager
from ipaddress import ip_address

import aiohttp
import httpx
import pytest

from foundation import egress
from foundation.egress import (
    PRIVATE,
    PUBLIC,
    EgressPolicy,
    EgressRefused,
    Reach,
    data_plane,
    resolving,
    urls,
)
from foundation.errors import AtriumError, UpstreamError


class Canary:
    """A listener that counts who connects, and answers what the test says."""

    def __init__(self) -> None:
        self.connects = 0
        self.requests = []
        self.sent = 0  # bytes, of answers
        self.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
        self.pause_s = 0.0
        self.drip_s = 0.0
        self._is_over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            self.connects += 1
            threading.Thread(target=self._answer, args=(peer,), daemon=True).start()

    def _answer(self, peer: socket.socket) -> None:
        with peer:
            try:
                while request := peer.recv(65_536):
                    self.requests.append(request)
                    if self._is_over.wait(self.pause_s):
                        return
                    size = 1 if self.drip_s else len(self.answer)
                    for start in range(0, len(self.answer), size):
                        peer.sendall(self.answer[start : start + size])
                        self.sent += size
                        if self._is_over.wait(self.drip_s):
                            return
            except OSError:
                return

    def close(self) -> None:
        self._is_over.set()
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread in accept()
        self._listener.close()


@pytest.fixture
def canary():
    listener = Canary()
    yield listener
    listener.close()


@contextmanager
def asking(url: str, policy: EgressPolicy, resolve=None):
    """Both clients as functions from nothing to a body, so that each test speaks to both."""

    def by_httpx() -> bytes:
        with egress.client(policy, **({"resolve": resolve} if resolve else {})) as http:
            return http.get(url).content

    async def ask() -> bytes:
        async def aresolve(host: str, port: int) -> list[str]:
            return resolve(host, port)

        async with (
            egress.open_session(policy, **({"resolve": aresolve} if resolve else {})) as session,
            session.get(url) as response,
        ):
            return await response.read()

    yield by_httpx, lambda: asyncio.run(ask())


def both_refuse(
    url: str, policy: EgressPolicy, resolve=None, error: type[AtriumError] = EgressRefused
) -> None:
    with asking(url, policy, resolve) as ways:
        for way in ways:
            with pytest.raises(error):
                way()


def test_both_clients_reach_a_permitted_address_and_keep_the_host(canary):
    with asking(f"http://127.0.0.1:{canary.port}/v1", PRIVATE) as ways:
        assert [way() for way in ways] == [b"{}", b"{}"]
    with asking(f"http://localhost:{canary.port}/v1", PRIVATE, lambda host, port: ["127.0.0.1"]) as ways:
        assert [way() for way in ways] == [b"{}", b"{}"]
    assert (
        sum(f"host: localhost:{canary.port}".encode() in request.lower() for request in canary.requests) == 2
    )


def test_a_listener_on_this_machine_sees_no_connection_from_a_public_policy(canary):
    for host in ("127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "a.localhost"):
        both_refuse(f"http://{host}:{canary.port}/", PUBLIC)
    for address in (
        "127.0.0.1",
        "::1",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "64:ff9b::7f00:1",
        "fe80::1%lo",
    ):
        both_refuse(
            f"http://innocent.example:{canary.port}/", PUBLIC, lambda host, port, address=address: [address]
        )
    assert canary.connects == 0


def test_planted_bug_a_policy_that_takes_every_address_for_public_is_found_out(canary, monkeypatch):
    def blind(address) -> Reach:
        ip_address(address)  # what is no address is still a name
        return Reach.PUBLIC

    for module in (urls, resolving, data_plane):
        monkeypatch.setattr(module, "classify", blind)
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        test_a_listener_on_this_machine_sees_no_connection_from_a_public_policy(canary)
    assert canary.connects == 1


def test_short_forms_that_aiohttp_would_accept_are_refused(canary):
    for host in ("2130706433", "0x7f000001", "0177.0.0.1", "127.1"):
        with asking(f"http://{host}:{canary.port}/", PUBLIC) as ways:
            for way in ways:
                with pytest.raises((AtriumError, aiohttp.ClientError, httpx.InvalidURL)):
                    way()
    assert canary.connects == 0


def test_one_bad_address_among_good_ones_refuses_the_name(canary):
    both_refuse(f"http://mixed.example:{canary.port}/", PUBLIC, lambda host, port: ["8.8.8.8", "127.0.0.1"])
    assert canary.connects == 0


def test_a_name_that_changes_its_address_is_resolved_only_once(canary):
    answers = iter([["8.8.8.8"], ["127.0.0.1"]])
    asked = []

    def rebinding(host, port):
        asked.append(host)
        return next(answers)

    policy = EgressPolicy(timeout_connect_s=0.05)
    with egress.client(policy, resolve=rebinding) as http:
        with pytest.raises(UpstreamError):
            http.get(f"http://rebind.example:{canary.port}/")
        assert asked == ["rebind.example"]
        with pytest.raises(EgressRefused):  # the next connection asks again, and is checked again
            http.get(f"http://rebind.example:{canary.port}/")
    assert canary.connects == 0


def test_a_name_that_leads_to_this_machine_is_refused_even_where_private_addresses_are_open(canary):
    """The owner of a name could turn it on our own services; who means this machine writes so."""
    both_refuse(f"http://intranet.example:{canary.port}/", PRIVATE, lambda host, port: ["127.0.0.1"])
    assert canary.connects == 0


def test_a_proxy_is_refused_by_the_data_plane(canary, monkeypatch):
    async def ask():
        async with egress.open_session(PRIVATE) as session:
            await session.get("http://127.0.0.1:9/", proxy=f"http://127.0.0.1:{canary.port}")

    with pytest.raises(EgressRefused):
        asyncio.run(ask())
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{canary.port}")
    both_refuse("http://127.0.0.1:9/", PUBLIC)
    assert canary.connects == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed_and_carry_no_key_elsewhere(canary, status):
    other = Canary()
    place = f"http://127.0.0.1:{other.port}/"
    canary.answer = f"HTTP/1.1 {status} Moved\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n".encode()
    both_refuse(f"http://127.0.0.1:{canary.port}/", PRIVATE, error=UpstreamError)
    other.close()
    assert other.connects == 0


def test_a_connection_kept_alive_is_used_again_without_resolving(canary):
    asked = []

    async def resolve(host, port):
        asked.append(host)
        return ["127.0.0.1"]

    async def ask():
        async with egress.open_session(PRIVATE, resolve=resolve) as session:
            for _ in range(3):
                async with session.get(f"http://localhost:{canary.port}/") as response:
                    await response.read()

    asyncio.run(ask())
    assert (canary.connects, len(canary.requests), asked) == (1, 3, ["localhost"])


def test_policies_share_no_connections(canary):
    async def ask():
        async with egress.open_session(PRIVATE) as inside, egress.open_session(PUBLIC) as outside:
            async with inside.get(f"http://127.0.0.1:{canary.port}/") as response:
                await response.read()
            with pytest.raises(EgressRefused):
                await outside.get(f"http://127.0.0.1:{canary.port}/")

    asyncio.run(ask())
    assert canary.connects == 1


def test_an_answer_is_cut_off_at_its_limit(canary):
    canary.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b"x" * 5_000
    policy = EgressPolicy(allow_private=True, max_bytes=1_000)
    with egress.client(policy) as http, pytest.raises(UpstreamError, match="1000 bytes"):
        http.get(f"http://127.0.0.1:{canary.port}/")


PATIENT = EgressPolicy(allow_private=True, timeout_read_s=60, timeout_total_s=0.3)


def test_a_slow_drip_ends_with_the_time_for_the_whole_request(canary):
    canary.drip_s = 0.02  # each byte comes in time, the whole would take seconds
    canary.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + b"x" * 500
    with egress.client(PATIENT) as http, pytest.raises(UpstreamError, match="in time"):
        http.get(f"http://127.0.0.1:{canary.port}/")
    assert canary.sent < len(canary.answer)


def test_a_provider_that_says_nothing_is_left_when_the_time_is_up(canary):
    canary.pause_s = 20
    with egress.client(PATIENT) as http, pytest.raises(UpstreamError, match="in time"):
        http.get(f"http://127.0.0.1:{canary.port}/")
    assert canary.sent == 0


def test_compressed_answers_are_refused(canary):
    canary.answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip, gzip\r\nContent-Length: 2\r\n\r\n{}"
    with egress.client(PRIVATE) as http, pytest.raises(UpstreamError):
        http.get(f"http://127.0.0.1:{canary.port}/")
    assert b"accept-encoding: identity" in canary.requests[0].lower()


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"SSH-2.0-OpenSSH\r\n\r\n", "upstream_protocol"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nnot json!", "upstream_protocol"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"[" * 100_000, "upstream_protocol"),
    ],
)
def test_what_is_no_http_or_no_json_gives_a_clear_error(canary, answer, code):
    canary.answer = answer
    with egress.client(PRIVATE) as http, pytest.raises(UpstreamError) as failure:
        egress.read_json(http.get(f"http://127.0.0.1:{canary.port}/"))
    assert failure.value.code == code


def test_errors_of_the_network_are_told_apart():
    canary = Canary()
    with egress.client(PRIVATE) as http:
        with pytest.raises(UpstreamError) as failure:
            http.get(f"https://127.0.0.1:{canary.port}/")  # the canary does not speak TLS
        assert failure.value.code in ("upstream_tls", "upstream_protocol", "upstream_timeout")
    canary.close()
    with egress.client(PRIVATE) as http, pytest.raises(UpstreamError) as failure:
        http.get(f"http://127.0.0.1:{canary.port}/")
    assert failure.value.code == "upstream_unreachable"

    def fails(host, port):
        raise socket.gaierror(-2, "Name or service not known")

    both_refuse("http://missing.example/", PUBLIC, fails, UpstreamError)
    both_refuse("http://empty.example/", PUBLIC, lambda host, port: [], UpstreamError)


def test_reading_json_gives_the_value(canary):
    canary.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n" + json.dumps({"a": 1}).encode()
    with egress.client(PRIVATE) as http:
        assert egress.read_json(http.get(f"http://127.0.0.1:{canary.port}/")) == {"a": 1}
