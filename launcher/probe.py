"""Asking the web process whether it is ready, without holding up the supervisor's loop."""

import contextlib
import json
import selectors
import socket
import time

PAUSE_S = 0.2
# the socket listens before the process serves, so the first answer takes as long as its start
ANSWER_TIMEOUT_S = 15.0


class ReadinessProbe:
    """Sends GET requests, one at a time, until one is answered with 200. `check` is called from the
    supervisor's waiting loop.
    """

    def __init__(self, selector: selectors.BaseSelector, address: tuple[str, int], path: str) -> None:
        self._selector = selector
        self._address = address
        self._request = (
            f"GET {path} HTTP/1.1\r\nHost: localhost:{address[1]}\r\nConnection: close\r\n\r\n".encode()
        )
        self._connection: socket.socket | None = None
        self._answer = b""
        self._next_at = 0.0
        self.status = 0
        self.body = ""

    def check(self) -> bool:
        """Whether a 200 has come; sends the next request when it is time."""
        now = time.monotonic()
        if self._connection is not None and now > self._next_at + ANSWER_TIMEOUT_S:
            self.close()
        if self._connection is None and self.status != 200 and now >= self._next_at:
            self._ask(now)
        return self.status == 200

    def close(self) -> None:
        if self._connection is not None:
            self._selector.unregister(self._connection)
            self._connection.close()
            self._connection = None
        self._next_at = time.monotonic() + PAUSE_S

    def explain(self) -> str:
        """What the last answer said is missing, in one line."""
        if not self.status:
            return "it has not answered"
        with contextlib.suppress(ValueError):
            return f"it answers {self.status}: {json.dumps(json.loads(self.body))[:500]}"
        return f"it answers {self.status}: {' '.join(self.body.split())[:500]}"

    def _ask(self, now: float) -> None:
        self._next_at = now
        self._answer = b""
        try:
            connection = socket.create_connection(self._address, timeout=1.0)
            connection.sendall(self._request)
        except OSError:
            self._next_at = now + PAUSE_S
            return
        connection.setblocking(False)
        self._connection = connection
        self._selector.register(connection, selectors.EVENT_READ, lambda: self._read(connection))

    def _read(self, connection: socket.socket) -> None:
        try:
            piece = connection.recv(65_536)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        self._answer += piece
        if not piece:
            self.close()
            self._parse()

    def _parse(self) -> None:
        head, _, body = self._answer.partition(b"\r\n\r\n")
        words = head.split(b" ", 2)
        if len(words) == 3 and len(words[1]) == 3 and words[1].isdigit():
            self.status = int(words[1])
            self.body = body.decode(errors="replace")
