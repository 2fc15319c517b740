"""Sockets that our servers listen on, and asking a server on a Unix socket whether it is there."""

import errno
import socket
from pathlib import Path

BACKLOG = 2_048
V4, V6 = "127.0.0.1", "::1"
# Clients may take “localhost” for either loopback address; what listens on one listens on the other.
ALSO = {V4: V6, "localhost": V6, "0.0.0.0": V6, V6: V4}  # noqa: S104
HAS_NONE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT)
TRIES = 20


def listen(host: str, port: int) -> list[socket.socket]:
    """Bound sockets, all on one port, which is free on all of their addresses. Port 0: any. A machine
    without IPv6 has one socket less. Raises OSError.
    """
    for _try in range(TRIES - 1):
        try:
            return _listen(host, port)
        except OSError as exc:
            if port or exc.errno != errno.EADDRINUSE:
                raise  # only where any port will do is another one tried
    return _listen(host, port)


def _listen(host: str, port: int) -> list[socket.socket]:
    first = _bind(V4 if host == "localhost" else host, port)
    found = [first]
    if host in ALSO:
        try:
            found.append(_bind(ALSO[host], first.getsockname()[1]))
        except OSError as exc:
            if exc.errno not in HAS_NONE:
                first.close()
                raise
    return found


def _bind(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if listener.family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host == V6))
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def answers(path: Path, question: bytes, first_bytes: bytes, *, timeout_s: float = 1.0) -> bool:
    """Whether the server on this socket answers the question with one of these first bytes."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout_s)
        try:
            connection.connect(str(path))
            connection.sendall(question)
            first = connection.recv(1)
        except OSError:
            return False
    return bool(first) and first in first_bytes
