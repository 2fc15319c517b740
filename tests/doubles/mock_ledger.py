"""The mock's own books: one entry per request, so that a test can compare what was used with what was billed.

An entry is a dict:

    serial            1, 2, … since the last reset
    request_id        the `x-request-id` header, or null
    model, stream     as asked for
    status            the HTTP status sent, or null
    outcome           open | complete | client_closed | aborted (the mock itself broke the connection)
    tokens_sent       completion tokens handed to the socket, all choices together
    usage             the usage block of the answer as composed, or null
    received_at, first_byte_at, finished_at     seconds since the epoch
    closed_at         when the client went away before the end, or null
    authorization, headers, body                what arrived

With a file, each entry is appended to it at its end by one unbuffered write: it survives the death of the
mock, not of the machine.
"""

from __future__ import annotations

import os
import time
from collections import deque
from pathlib import Path
from typing import Any

import orjson

KEPT = 20_000


class Ledger:
    """The entries in memory (the newest `KEPT`), and in a file if one is named."""

    def __init__(self, path: Path | None = None) -> None:
        self.entries: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self.serial = 0
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) if path else None

    def open(self, headers: dict[bytes, bytes], body: dict[str, Any]) -> dict[str, Any]:
        """Start an entry."""
        self.serial += 1
        entry: dict[str, Any] = {
            "serial": self.serial,
            "request_id": headers.get(b"x-request-id", b"").decode("latin-1") or None,
            "model": body.get("model"),
            "stream": bool(body.get("stream")),
            "status": None,
            "outcome": "open",
            "tokens_sent": 0,
            "usage": None,
            "received_at": time.time(),
            "first_byte_at": None,
            "finished_at": None,
            "closed_at": None,
            "authorization": headers.get(b"authorization", b"").decode("latin-1") or None,
            "headers": {name.decode("latin-1"): value.decode("latin-1") for name, value in headers.items()},
            "body": body,
        }
        self.entries.append(entry)
        return entry

    def close(self, entry: dict[str, Any], outcome: str) -> None:
        """End an entry; the first ending counts."""
        if entry["outcome"] != "open":
            return
        now = time.time()
        entry["outcome"] = outcome
        entry["closed_at" if outcome == "client_closed" else "finished_at"] = now
        if self._file is not None:
            os.write(self._file, orjson.dumps(entry) + b"\n")

    def reset(self) -> None:
        """Forget all entries (the file keeps its lines)."""
        self.entries.clear()
        self.serial = 0
