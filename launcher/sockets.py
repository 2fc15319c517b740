"""Asking a server on a Unix socket whether it is there."""

import socket
from pathlib import Path


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
