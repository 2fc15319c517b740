"""Start servers on their cores, drive a load through one of them, and read what it cost.

The gateway under test has a core of its own; upstream, database and load generator share the others. Every
process gets a short scheduler slice. The CPU seconds of the gateway count; wall-clock figures and the load
of others are printed beside them.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench import machine, profiling
from bench.load import Plan

ROOT = Path(__file__).resolve().parents[1]
GATEWAY_CORES, OTHER_CORES = machine.split_cores()
STOP_S = 15.0


class BenchError(Exception):
    """A run that cannot be counted."""


@contextmanager
def running(
    *command: str,
    cores: set[int],
    env: dict[str, str] | None = None,
    pass_fds: tuple[int, ...] = (),
    **options: Any,
) -> Iterator[subprocess.Popen]:
    """A child process on its cores, ended with the block: SIGTERM, and SIGKILL when that does not help."""
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | (env or {}), pass_fds=pass_fds, **options)
    try:
        machine.pin(process.pid, cores)
        yield process
    finally:
        process.terminate()
        for stream in (process.stdin, process.stdout):
            if stream:
                stream.close()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def mock_upstream(*arguments: str) -> Iterator[tuple[int, int]]:
    """The mock upstream: (port, pid)."""
    command = [
        sys.executable,
        "-m",
        "tests.doubles.mockllm",
        "--port",
        "0",
        "--fast",
        "--with-parent",
        *arguments,
    ]
    with running(*command, cores=OTHER_CORES, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        started = json.loads(process.stdout.readline())
        yield started["port"], started["pid"]


@contextmanager
def passthrough(upstream_port: int) -> Iterator[tuple[int, int]]:
    """The reference gateway: (port, pid)."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=2048))
        command = [sys.executable, "-m", "bench.passthrough", str(listener.fileno())]
        env = {
            "BENCH_UPSTREAM": f"http://127.0.0.1:{upstream_port}/v1",
            "BENCH_KEY": "secret",
        } | profiling.environment("passthrough")
        options = {"cores": GATEWAY_CORES, "env": env, "pass_fds": (listener.fileno(),)}
        process = stack.enter_context(running(*command, **options))
        port = listener.getsockname()[1]
        wait_for_http(port, "/", process)
        yield port, process.pid


def wait_for_http(
    port: int, path: str, process: subprocess.Popen, *, ok: tuple[int, ...] = (), timeout_s: float = 90.0
) -> None:
    """Wait until a server answers (with one of these statuses, if given)."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if process.poll() is not None:
            raise BenchError(f"the server ended with exit code {process.returncode}")
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                connection.sendall(
                    f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
                )
                status = connection.recv(64).split(b" ")[1:2]
                if status and (not ok or int(status[0]) in ok):
                    return
        except OSError:
            pass
        time.sleep(0.1)
    raise BenchError(f"nobody answered {path} on port {port} within {timeout_s:.0f} s")


SYSTEM = (
    "You are a careful assistant of the purchasing department. Answer in one short paragraph and name your "
    "source."
)
QUESTION = {
    "role": "user",
    "content": "Compare the three offers for office chairs by price per piece, delivery time and "
    "warranty, and tell me which one to take. " * 2,
}


def chat_request(key: str, model: str, *, stream: bool = False, host: str = "localhost") -> str:
    """A whole HTTP request for a chat completion of ordinary size (about 400 bytes of prompt)."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "system", "content": SYSTEM}, QUESTION],
        "max_tokens": 256,
        "temperature": 0.2,
    }
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return _request("/v1/chat/completions", key, body, host)


def message_request(key: str, model: str, *, stream: bool = False, host: str = "localhost") -> str:
    """The same in Anthropic's dialect."""
    body: dict[str, Any] = {
        "model": model,
        "system": SYSTEM,
        "messages": [QUESTION],
        "max_tokens": 256,
        "temperature": 0.2,
    }
    return _request("/v1/messages", key, body | {"stream": True} if stream else body, host)


def _request(path: str, key: str, body: dict[str, Any], host: str) -> str:
    text = json.dumps(body)
    headers = (
        f"Host: {host}\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\nContent-Length: "
        f"{len(text)}\r\n\r\n"
    )
    return f"POST {path} HTTP/1.1\r\n{headers}{text}"


@dataclass(slots=True)
class Measured:
    """One run. Times in seconds of CPU unless the name says ms."""

    name: str
    answered: int
    tokens: int
    seconds: float
    gateway_cpu_s: float
    aux_cpu_s: float
    other_load: float
    rss_mb: float
    latency_ms: dict[str, float]
    added_ms: dict[str, float]
    errors: dict[str, int] = field(default_factory=dict)
    load_cpu_s: float = 0.0

    @property
    def cpu_per_1k(self) -> float:
        """CPU seconds of the gateway process per 1,000 calls."""
        return self.gateway_cpu_s / max(1, self.answered) * 1000

    @property
    def aux_per_1k(self) -> float:
        """CPU seconds of database and Redis per 1,000 calls."""
        return self.aux_cpu_s / max(1, self.answered) * 1000

    @property
    def cpu_per_1k_tokens(self) -> float:
        """CPU seconds of the gateway process per 1,000 streamed tokens."""
        return self.gateway_cpu_s / max(1, self.tokens) * 1000


class Load:
    """A load generator that has warmed up and waits for its word."""

    def __init__(self, name: str, plan: Plan, process: subprocess.Popen) -> None:
        self.name = name
        self.pid = process.pid
        self._process = process
        self._say(json.dumps(asdict(plan)))
        first = self._hear()
        if first.get("event") != "ready":
            raise BenchError(
                f"{name}: no call of the warm-up was answered: {first.get('errors')} {first.get('sample')}"
            )

    def go(self) -> None:
        """Start the run."""
        self._say("go")

    def result(self) -> dict[str, Any]:
        """The result, when the run has ended."""
        result = self._hear()
        if result["errors"]:
            print(f"  {self.name}: {result['errors']} {result['sample'][:300]}", file=sys.stderr)
        return result

    def _say(self, line: str) -> None:
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _hear(self) -> dict[str, Any]:
        line = self._process.stdout.readline()
        if not line:
            raise BenchError(f"{self.name}: the load generator ended without a result")
        return json.loads(line)


@contextmanager
def warm_load(name: str, plan: Plan) -> Iterator[Load]:
    """A load generator after its warm-up."""
    with running(
        sys.executable,
        "-m",
        "bench.load",
        cores=OTHER_CORES,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Load(name, plan, process)


def measure(
    name: str,
    plan: Plan,
    *,
    gateway: list[int],
    aux: Callable[[], list[int]] = list,
    others: Iterable[int] = (),
) -> Measured:
    """Warm up, then run the plan against processes `gateway`; `aux` tells their database and cache, `others`
    (the upstream) are only told from strangers.
    """
    with warm_load(name, plan) as load, profiling.recording(gateway, name):
        helpers = aux()
        groups = [gateway, helpers, {*gateway, *helpers, *others, load.pid, os.getpid()}]
        before = [machine.busy_seconds(), time.monotonic(), *map(machine.cpu_seconds, groups)]
        load.go()
        result = load.result()
        after = [machine.busy_seconds(), time.monotonic(), *map(machine.cpu_seconds, groups)]
    used_all, wall, used_gateway, used_aux, used_ours = (
        now - then for now, then in zip(after, before, strict=True)
    )
    return Measured(
        name=name,
        answered=result["answered"],
        tokens=result["tokens"],
        seconds=result["seconds"],
        gateway_cpu_s=used_gateway,
        aux_cpu_s=used_aux,
        other_load=max(0.0, used_all - used_ours) / wall,
        rss_mb=sum(machine.resident_mb(pid) for pid in gateway),
        latency_ms=result["latency_ms"],
        added_ms=result["added_ms"],
        errors=result["errors"],
        load_cpu_s=result["load_cpu_s"],
    )


def best(runs: list[Measured], figure: str = "cpu_per_1k") -> Measured:
    """The run least disturbed by others."""
    return min(runs, key=lambda run: getattr(run, figure))
