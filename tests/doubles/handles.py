"""Start a mock upstream for a test, read its ledger, stop it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


class MockLLM:
    """A running mock upstream."""

    def __init__(self, port: int, pid: int) -> None:
        self.port = port
        self.pid = pid
        self.base_url = f"http://127.0.0.1:{port}/v1"

    def _ask(self, method: str, path: str) -> Any:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def ledger(self) -> list[dict[str, Any]]:
        """Every request since the last reset, oldest first: see `mock_ledger.py` for the fields."""
        return self._ask("GET", "/_ledger")

    def reset(self) -> None:
        """Forget the ledger and what `fault-flaky` counted."""
        self._ask("POST", "/_reset")

    def wait_for(
        self, condition: Callable[[list[dict[str, Any]]], Any], timeout_s: float = 30.0
    ) -> list[dict[str, Any]]:
        """The ledger once `condition(ledger)` holds; AssertionError after `timeout_s`."""
        end = time.monotonic() + timeout_s
        while not condition(entries := self.ledger()):
            if time.monotonic() > end:
                raise AssertionError(f"not within {timeout_s} s; the mock's ledger: {entries}")
            time.sleep(0.02)
        return entries

    @contextmanager
    def refusing_url(self) -> Iterator[str]:
        """A base URL on a port that is taken but where nobody listens: connecting is refused."""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            yield f"http://127.0.0.1:{taken.getsockname()[1]}/v1"


@contextmanager
def running_mockllm(*arguments: str) -> Iterator[MockLLM]:
    """A mock upstream in a process of its own, for the length of the block. Arguments: those of
    `python -m tests.doubles.mockllm`.
    """
    command = [sys.executable, "-m", "tests.doubles.mockllm", "--port", "0", "--with-parent", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin and process.stdout
    try:
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"the mock upstream did not start (exit code {process.wait()})")
        yield MockLLM(**json.loads(line))
    finally:
        process.terminate()
        process.stdin.close()
        process.stdout.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
