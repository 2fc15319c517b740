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
from foundation.errors import AtriumError, InvalidInput, UpstreamError

PORT = 8_443

# Every way to write "this machine", "the neighbours" or "the cloud's credentials"
# that a parser somewhere understands.
HOSTS_NEVER_PUBLIC = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "127.000.000.001",
    "0127.0.0.1",
    "0177.0.0.1",
    "0x7f.0.0.1",
    "0x7f.1",
    "0x7f000001",
    "0X7F000001",
    "2130706433",
    "017700000001",
    "127.0.0.1.",
    "127.255.255.254",
    "0",
    "0.0.0.0",
    "0.0.0.1",
    "00000000",
    "0x0",
    "0x",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "a.localhost",
    "x.y.localhost",
    "10.0.0.1",
    "10.1",
    "167772161",
    "10.255.255.255",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "192.168.257",
    "3232235521",
    "0xc0a80001",
    "100.64.0.1",
    "100.127.255.255",
    "100.100.100.200",
    "169.254.169.254",
    "169.254.0.1",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "169.254.43518",
    "169.16689662",
    "168.63.129.16",
    "192.0.0.192",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.9",
    "192.88.99.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "256.256.256.256",
    "1.2.3.4.5",
    "1.2.3",
    "1..2.3",
    "4294967296",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::]",
    "[::127.0.0.1]",
    "[::7f00:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::FFFF:7F00:0001]",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[0:0:0:0:0:ffff:a9fe:a9fe]",
    "[::ffff:8.8.8.8]",
    "[::ffff:0:127.0.0.1]",
    "[::ffff:0:8.8.8.8]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b::8.8.8.8]",
    "[64:ff9b:1::1]",
    "[2002:7f00:1::]",
    "[2002:a9fe:a9fe::]",
    "[2002:808:808::]",
    "[2001::1]",
    "[2001:0:7f00:1::]",
    "[2001:10::1]",
    "[2001:db8::1]",
    "[3fff::1]",
    "[fe80::1]",
    "[fe80::1%25eth0]",
    "[fe80::1%eth0]",
    "[febf::1]",
    "[fec0::1]",
    "[feff::1]",
    "[fc00::1]",
    "[fd00::1]",
    "[fd00:ec2::254]",
    "[fd20:ce::254]",
    "[ff02::1]",
    "[ff0e::1]",
    "[100::1]",
    "[4000::1]",
    "[5f00::1]",
    "[::1",
    "::1]",
    "[::1]]",
    "[[::1]]",
    "[]",
    "[v1.x]",
    "[1.2.3.4]",
    "metadata.google.internal",
    "METADATA.google.internal",
    "metadata",
    "instance-data",
    "metadata.goog",
    "１２７.0.0.1",
    "127。0。0。1",
    "①②⑦.⓪.⓪.①",
    "ⓛocalhost",
    "loc\u200balhost",
    "%6c%6f%63alhost",
    "127%2e0.0.1",
    "localhost%00.example.com",
    "exam ple.com",
    "example.com\\",
    "-example.com",
    "example-.com",
    ".example.com",
    "example..com",
    "",
    "*",
    "exa$mple.com",
    "example.com,127.0.0.1",
    "a" * 64 + ".com",
]
URLS_NEVER_READ = [
    "http://user@example.com",
    "http://user:pw@example.com",
    "http://example.com@127.0.0.1",
    "http://127.0.0.1#@example.com",
    "http://example.com#frag",
    "http://example.com\\@127.0.0.1",
    "http:\\\\127.0.0.1",
    "http://example.com\\127.0.0.1",
    "http:/127.0.0.1",
    "http:///127.0.0.1",
    "http:127.0.0.1",
    "//127.0.0.1",
    "127.0.0.1",
    "",
    " ",
    "http://",
    "://example.com",
    "http://example.com:0",
    "http://example.com:65536",
    "http://example.com:-1",
    "http://example.com:+80",
    "http://example.com:8 0",
    "http://example.com:080000",
    "http://example.com:",
    "http://example.com:http",
    "http://example.com:1:2",
    " http://example.com",
    "http://example.com ",
    "http://example.com\r\nX: y",
    "http://example.com/\x00",
    "http://example.com/\t",
    "http://exämple.com",
    "http://example.com/ä",
    "ht\ntp://example.com",
    "http://example.com/" + "a" * 2_000,
    "http://[::1]:80:80/",
    "http://[::1].example.com/",
]
SCHEMES_REFUSED = [
    "file:///etc/passwd",
    "gopher://example.com/",
    "ftp://example.com/",
    "ws://example.com/",
    "unix://example.com/",
    "data://example.com/",
    "jar://example.com/",
]


@pytest.mark.parametrize("host", HOSTS_NEVER_PUBLIC)
def test_a_tenant_reaches_no_private_or_ambiguous_host(host):
    for url in (f"http://{host}/v1", f"https://{host}:{PORT}/v1"):
        with pytest.raises(InvalidInput) as refusal:
            egress.check_url(url, PUBLIC)
        assert refusal.value.param == "url"


@pytest.mark.parametrize("url", URLS_NEVER_READ + SCHEMES_REFUSED)
def test_urls_that_two_programs_may_read_differently_are_refused(url):
    with pytest.raises(InvalidInput):
        egress.check_url(url, PRIVATE)


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("https://api.openai.com/v1", "https://api.openai.com/v1"),
        ("HTTPS://API.OpenAI.com:443/v1", "https://api.openai.com/v1"),
        ("http://example.com", "http://example.com"),
        ("https://xn--exmple-cua.com/a?b=c@d", "https://xn--exmple-cua.com/a?b=c@d"),
        ("https://my_container.example.com:8443", "https://my_container.example.com:8443"),
        ("https://8.8.8.8/", "https://8.8.8.8/"),
        ("https://[2606:4700::1111]:8443/x", "https://[2606:4700::1111]:8443/x"),
        ("https://1.2.3.4.example.com", "https://1.2.3.4.example.com"),
    ],
)
def test_public_addresses_are_read_and_put_into_one_form(url, canonical):
    assert egress.check_url(url, PUBLIC).url == canonical


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:11434/v1",
        "http://localhost:1234",
        "http://[::1]:9000",
        "http://10.1.2.3",
        "http://192.168.1.1:8000",
        "http://[fd00::1]",
    ],
)
def test_private_addresses_are_open_where_the_operator_allows_them(url):
    assert egress.check_url(url, PRIVATE).names_private


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "[fe80::1]",
        "100.100.100.200",
        "168.63.129.16",
        "[fd00:ec2::254]",
        "0.0.0.0",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fec0::1]",
        "224.0.0.1",
        "[ff02::1]",
        "255.255.255.255",
        "metadata.google.internal",
    ],
)
def test_credentials_of_clouds_and_disguised_addresses_stay_closed_to_everyone(host):
    with pytest.raises(InvalidInput) as refusal:
        egress.check_url(f"http://{host}/", PRIVATE)
    assert refusal.value.code == "egress_refused"


@pytest.mark.parametrize("port", [22, 25, 53, 110, 2375, 3306, 5432, 6379, 10250, 11211, 27017])
def test_ports_of_other_protocols_are_closed(port):
    with pytest.raises(InvalidInput):
        egress.check_url(f"https://example.com:{port}", PRIVATE)


def test_a_policy_may_name_hosts_ports_and_schemes():
    policy = EgressPolicy(
        allowed_hosts=frozenset({"api.example.com"}),
        allowed_ports=frozenset({443}),
        schemes=frozenset({"https"}),
    )
    assert egress.check_url("https://API.example.com/v1", policy)
    for url in (
        "https://www.example.com/v1",
        "https://api.example.com:8443/v1",
        "http://api.example.com:443/v1",
    ):
        with pytest.raises(InvalidInput):
            egress.check_url(url, policy)


def test_the_refusal_of_a_private_address_says_who_can_allow_it():
    with pytest.raises(InvalidInput, match="--allow-private") as refusal:
        egress.check_url("http://192.168.0.1", PUBLIC)
    assert refusal.value.code == "egress_private"


@pytest.mark.parametrize(
    ("address", "reach"),
    [
        ("8.8.8.8", Reach.PUBLIC),
        ("100.63.255.255", Reach.PUBLIC),
        ("100.128.0.0", Reach.PUBLIC),
        ("172.15.255.255", Reach.PUBLIC),
        ("172.32.0.0", Reach.PUBLIC),
        ("::1", Reach.LOOPBACK),
        ("127.9.9.9", Reach.LOOPBACK),
        ("fdff::1", Reach.PRIVATE),
        ("fe80::1%lo", Reach.FORBIDDEN),
        ("2606:4700::1", Reach.PUBLIC),
    ],
)
def test_borders_of_the_ranges(address, reach):
    assert egress.classify(address) is reach


# -- connecting ----------------------------------------------------------------------------------------------


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
