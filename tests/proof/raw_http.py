"""Requests and answers of HTTP as bytes, over sockets of our own; what S12 expects of each."""

import random
import socket
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

PATIENCE_S = 30
REFUSALS = frozenset({400, 401, 403, 404, 405, 408, 411, 413, 415, 431, 501, 505})
OURS = range(500, 600)  # of the app: never, but for a version of HTTP that we do not speak
CRLF = b"\r\n"


@dataclass(frozen=True)
class Want:
    """One answer. `who`: whose things it must show; "" nobody's, None nobody's or the caller's own."""

    statuses: frozenset[int]
    who: str | None = ""


@dataclass(frozen=True)
class Case:
    """`ends`: how it ends after these answers: "closed"; "refused" (one refusal more); "cut" (the same, but
    answers that were in work then may be missing); "any" (one answer at most, the caller's own).
    """

    family: str
    name: str
    sent: bytes
    wants: tuple[Want, ...] = ()
    ends: str = "closed"
    caller: str = ""
    pieces: int = 1


@dataclass(frozen=True)
class Answer:
    status: int
    raw: bytes


@dataclass(frozen=True)
class Req:
    """A request before it is written."""

    method: str = "GET"
    target: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def with_(self, *headers: tuple[str, str]) -> "Req":
        return replace(self, headers=(*self.headers, *headers))

    def without(self, *names: str) -> "Req":
        kept = tuple(one for one in self.headers if one[0].lower() not in names)
        return replace(self, headers=kept)

    def written(self, line: str = "", *, length: bool = True, last: bool = True) -> bytes:
        headers = list(self.headers)
        if length and self.body:
            headers.append(("Content-Length", str(len(self.body))))
        if last:
            headers.append(("Connection", "close"))
        lines = [line or f"{self.method} {self.target} HTTP/1.1", *(f"{a}: {b}" for a, b in headers), "", ""]
        return "\r\n".join(lines).encode("latin-1") + self.body


@dataclass(frozen=True)
class Door:
    """Where one may come in. `good`: what whoever is known gets."""

    name: str
    req: Req
    good: int = 200
    is_for_keys: bool = True


@dataclass
class Stage:
    """Who there is: keys by tenant, one tenant's session, and the hosts."""

    keys: dict[str, str]
    cookie: str
    dice: random.Random = field(default_factory=lambda: random.Random(12))

    def __post_init__(self) -> None:
        self.one, self.two = self.keys
        self.host = f"{self.one}.localhost"

    def doors(self, who: str = "") -> list[Door]:
        """Those that take keys, at the platform's host, where the key says whose it is."""
        who = who or self.one
        home = ("Host", "localhost")
        json = ("Content-Type", "application/json")
        say = b'{"model": "s12-%s", "max_tokens": 3, "messages": [{"role": "user", "content": "x"}]}'
        return [
            Door("models", Req("GET", "/v1/models", (home,))),
            Door("me", Req("GET", "/api/v1/me/", (home,))),
            Door("chat", Req("POST", "/v1/chat/completions", (home, json), say % who.encode())),
            Door("messages", Req("POST", "/v1/messages", (home, json), say % who.encode())),
        ]

    def door(self, who: str = "") -> Door:
        return self.dice.choice(self.doors(who))

    def key(self, who: str = "") -> tuple[str, str]:
        return self.dice.choice(
            [
                ("Authorization", f"Bearer {self.keys[who or self.one]}"),
                ("x-api-key", self.keys[who or self.one]),
            ]
        )

    @property
    def page(self) -> Door:
        return Door(
            "page", Req("GET", "/profile/", (("Host", self.host), ("Cookie", self.cookie))), 200, False
        )

    @property
    def log_in(self) -> Door:
        return Door("log-in", Req("GET", "/accounts/login/", (("Host", self.host),)), 200, False)

    @property
    def health(self) -> Door:
        return Door("health", Req("GET", "/healthz/live", (("Host", "localhost"),)), 200, False)

    def hidden(self) -> bytes:
        """A request of the other tenant's, to be hidden in a body."""
        return Req("GET", "/api/v1/me/", (("Host", "localhost"), self.key(self.two))).written()


def ok(who: str | None, *statuses: int) -> Want:
    return Want(frozenset(statuses or {200}), who)


# -- asking --------------------------------------------------------------------------------------------------


def exchange(port: int, case: Case) -> tuple[list[Answer], bool]:
    """All answers until the server closes; whether it did."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        step = max(1, -(-len(case.sent) // case.pieces))
        told, is_closed = b"", False
        try:
            for place in range(0, len(case.sent), step):
                client.sendall(case.sent[place : place + step])
        except (ConnectionResetError, BrokenPipeError):
            pass  # it has refused what came before
        try:
            while data := client.recv(65_536):
                told += data
            is_closed = True
        except ConnectionResetError:
            is_closed = True
        except TimeoutError:
            pass
    return list(read_answers(told)), is_closed


def read_answers(told: bytes) -> Iterator[Answer]:
    """Raises ValueError for what cannot be taken apart."""
    while told:
        head, end, rest = told.partition(b"\r\n\r\n")
        if not end or not head.startswith(b"HTTP/1.1 "):
            raise ValueError(f"no answer: {told[:200]!r}")
        status = int(head[9:12])
        fields = {}
        for line in head.split(b"\r\n")[1:]:
            name, _colon, value = line.partition(b":")
            fields[name.lower()] = value.strip()
        if 100 <= status < 200:
            told = rest
            continue
        if fields.get(b"transfer-encoding") == b"chunked":
            body, told = _read_chunks(rest)
        else:
            size = int(fields.get(b"content-length", b"0"))
            body, told = rest[:size], rest[size:]
        if fields.get(b"content-encoding") == b"gzip":
            body = zlib.decompress(body, wbits=31)
        yield Answer(status, head + end + body)


def _read_chunks(rest: bytes) -> tuple[bytes, bytes]:
    body = b""
    while True:
        line, end, rest = rest.partition(b"\r\n")
        if not end:
            return body, b""
        size = int(line, 16)
        body, rest = body + rest[:size], rest[size + 2 :]
        if not size:
            return body, rest
