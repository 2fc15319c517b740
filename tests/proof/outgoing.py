"""What leaves this process: every connect that Python's sockets try, noted and kept from happening, and a
name server that hands out what a script says.

Does not cover: sockets of C libraries (libpq). Valkey's are let through.
"""

import contextlib
import ipaddress
import os
import socket
import sys
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.proof.hostile_urls import PUBLIC_ADDRESS

_notes: list[list[tuple]] = []  # of the watches that are on
OWN_PORTS = {urlsplit(os.environ.get("REDIS_URL", "")).port}


def _hook(event: str, arguments: tuple) -> None:
    if event != "socket.connect" or not _notes:
        return
    address = arguments[1]
    if isinstance(address, tuple) and address[1] not in OWN_PORTS:
        _notes[-1].append(address)
        raise ConnectionRefusedError("the test keeps it from happening")


sys.addaudithook(_hook)  # there is no way to take one away again


@contextlib.contextmanager
def watching() -> Iterator[list[tuple]]:
    """The addresses that something tried to connect to meanwhile; none is reached."""
    _notes.append(noted := [])
    try:
        yield noted
    finally:
        _notes.remove(noted)


def led_inside(noted: list[tuple]) -> list[tuple]:
    return [address for address in noted if address[0] != PUBLIC_ADDRESS]


class NameServer:
    """`socket.getaddrinfo` by script: names get `answers` in turn (the last one stays), or else this machine;
    numbers what the system reads in them.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.answers: list[list[str]] = []
        self._real = socket.getaddrinfo
        patch.setattr(socket, "getaddrinfo", self)

    def __call__(self, host, port, family=0, type=0, proto=0, flags=0):
        with contextlib.suppress(OSError, UnicodeError):
            return self._real(host, port, family, type, proto, flags | socket.AI_NUMERICHOST)
        addresses = ["127.0.0.1"]
        if self.answers:
            addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [entry for address in addresses for entry in self._entries(address, port)]

    def _entries(self, address: str, port) -> list[tuple]:
        is_v6 = ipaddress.ip_address(address.partition("%")[0]).version == 6
        return [(
            socket.AF_INET6 if is_v6 else socket.AF_INET, socket.SOCK_STREAM, 6, "",
            (address, port, 0, 0) if is_v6 else (address, port),
        )]  # fmt: skip
