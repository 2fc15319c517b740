"""A tenant of its own for files at `/v1`: Erin and Frank, a plan, and requests as bytes."""

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import openai

from accounts.models import User
from accounts.services import create_api_key, create_user
from tenants.context import tenant
from tenants.provisioning.plans import set_plan
from tenants.provisioning.services import create_tenant
from tests.live import House

BOUNDARY = b"frontier"


@dataclass
class Cabinet:
    slug: str
    house: House
    keys: dict[str, str] = field(default_factory=dict)
    people: dict[str, User] = field(default_factory=dict)

    def client(self, name: str = "erin", house: House | None = None) -> openai.OpenAI:
        return (house or self.house).client(key=self.keys[name])

    def set_plan(self, **changes: Any) -> None:
        set_plan(name=self.slug, **changes)


def make_cabinet(house: House) -> Iterator[Cabinet]:
    slug = f"cabinet-{uuid4().hex[:8]}"
    set_plan(name=slug, label=slug)
    create_tenant(slug=slug, name=slug, host=f"{slug}.localhost", plan=slug)
    cabinet = Cabinet(slug, house)
    with tenant(slug):
        for name in ("erin", "frank"):
            person = create_user(actor=None, email=f"{name}@{slug}.example", name=name, roles=["user"])
            cabinet.people[name] = person
            cabinet.keys[name] = create_api_key(actor=None, user=person, name=name)[1]
        cabinet.keys["reader"] = create_api_key(
            actor=None, user=cabinet.people["erin"], name="reader", scopes=["read"]
        )[1]
        yield cabinet


def part(name: str, content: bytes, filename: str | bytes | None = None, **headers: str) -> bytes:
    shown = (
        b""
        if filename is None
        else b'; filename="%s"' % (filename if isinstance(filename, bytes) else filename.encode())
    )
    lines = [b'Content-Disposition: form-data; name="%s"%s' % (name.encode(), shown)]
    lines += [f"{key.replace('_', '-')}: {value}".encode() for key, value in headers.items()]
    return b"--%s\r\n%s\r\n\r\n%s\r\n" % (BOUNDARY, b"\r\n".join(lines), content)


END = b"--%s--\r\n" % BOUNDARY
PURPOSE = part("purpose", b"user_data")


@dataclass
class Told:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> dict[str, Any]:
        return json.loads(self.body)["error"]


def open_request(
    cabinet: Cabinet,
    *,
    path: str = "files",
    length: int | None,
    house: House | None = None,
    key: str = "erin",
) -> socket.socket:
    """A connection whose request has its head; `length` None: chunked."""
    framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    head = (
        f"POST /v1/{path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {cabinet.keys[key]}\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY.decode()}\r\n{framing}\r\n\r\n"
    )
    connection = socket.create_connection(("127.0.0.1", (house or cabinet.house).port), timeout=30)
    connection.sendall(head.encode())
    return connection


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def read_answer(connection: socket.socket) -> Told:
    """Until the answer is whole, or the server has closed."""
    heard = b""
    while b"\r\n\r\n" not in heard and (more := connection.recv(65_536)):
        heard += more
    head, _, body = heard.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    while len(body) < int(headers.get("content-length", 0)) and (more := connection.recv(65_536)):
        body += more
    return Told(int(first.split()[1]), headers, body)


def send(cabinet: Cabinet, body: bytes, *, is_chunked: bool = False, **options: Any) -> Told:
    with open_request(cabinet, length=None if is_chunked else len(body), **options) as connection:
        connection.sendall((chunk(body) if body else b"") + b"0\r\n\r\n" if is_chunked else body)
        return read_answer(connection)
