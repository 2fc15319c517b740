"""The load generator: a process of its own, raw asyncio and httptools, far cheaper than any gateway it
drives.

Started by the harness: `python -m bench.load`. The first line of standard input is the plan (`Plan` as JSON);
after the warm-up it prints `{"event": "ready"}`, waits for another line, runs, and prints the result. Three
ways:

    closed    `connections` connections, each sends its next call when the last has been answered
    rate      `rate` calls per second, evenly spaced, whatever the answers do
    streams   `connections` streams at once, started over one second

each until `count` calls are sent.

Calls go round through `requests` (one per key). Latency counts from the moment a call was due, for streams to
the first token. `added` is latency without the time the mock upstream itself took (its marks in
`system_fingerprint`): what gateway, sockets and this generator took.
"""

from __future__ import annotations

import asyncio
import gc
import json
import re
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

import httptools
import uvloop

MARK = re.compile(rb"mock_(\d+)_(\d+)")
ENDS = re.compile(rb"\[DONE\]|message_stop")
PATIENCE_S = 30.0  # silence after which a run gives up


@dataclass(slots=True)
class Plan:
    """What to do. `requests` are whole HTTP requests as text."""

    port: int
    requests: list[str]
    kind: str = "closed"
    connections: int = 64
    count: int = 2000
    warm_up: int = 500
    rate: float = 100.0


@dataclass(slots=True)
class Result:
    """What came of it; times in seconds."""

    started: float = 0.0
    finished: float = 0.0
    answered: int = 0
    tokens: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    sample: str = ""
    latency: list[float] = field(default_factory=list)
    added: list[float] = field(default_factory=list)


class Client(asyncio.Protocol):
    """One connection; one call at a time."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.parser = httptools.HttpResponseParser(self)
        self.transport: asyncio.Transport | None = None
        self.busy = self.failed = False
        self.due = 0.0

    def connection_made(self, transport) -> None:
        self.transport = transport

    def connection_lost(self, exc) -> None:
        if self.busy:
            self.fail("connection lost")
            self.busy = False
            self.run.count()
        self.run.gone(self)

    def send(self, number: int, due: float) -> None:
        """Start call `number`, which was due at `due`."""
        self.busy = True
        self.failed = False
        self.due = due
        self.body: list[bytes] = []
        self.tokens = 0
        self.first: float | None = None
        self.added: float | None = None
        self.transport.write(self.run.wire[number % len(self.run.wire)])

    def data_received(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as exc:
            self.fail(f"bad HTTP: {exc}")
            self.transport.abort()

    def on_body(self, body: bytes) -> None:
        if self.added is None:
            now = time.monotonic()
            mark = MARK.search(body)
            if mark:
                self.added = now - self.due - (int(mark[2]) - int(mark[1])) / 1e9
            if mark or self.first is None:
                self.first = now - self.due
        if self.run.streamed:
            self.tokens += body.count(b'"content":"') - body.count(b'"content":""')
            self.tokens += body.count(b'"text_delta"')
            self.body = [body]
        else:
            self.body.append(body)

    def on_message_complete(self) -> None:
        status, result = self.parser.get_status_code(), self.run.result
        if status != 200:
            self.fail(f"status {status}", b"".join(self.body))
        elif self.run.streamed and not (self.body and ENDS.search(self.body[-1])):
            self.fail("no end", b"".join(self.body))
        else:
            result.answered += 1
            result.tokens += self.tokens
            result.latency.append(self.first if self.run.streamed else time.monotonic() - self.due)
            if self.added is not None:
                result.added.append(self.added)
        self.busy = False
        self.run.done(self, self.parser.should_keep_alive())

    def fail(self, why: str, body: bytes = b"") -> None:
        """Note the first error of a call."""
        if not self.failed:
            self.failed = True
            self.run.result.errors[why] += 1
            self.run.result.sample = self.run.result.sample or body[:500].decode(errors="replace")


class Run:
    """The plan in motion."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.streamed = plan.kind == "streams"
        self.wire = [request.encode() for request in plan.requests]
        self.result = Result()
        self.idle: list[Client] = []
        self.started = self.ended = self.goal = 0
        self.finished: asyncio.Future[None] | None = None

    async def connect(self) -> Client:
        _, client = await asyncio.get_running_loop().create_connection(
            lambda: Client(self), "127.0.0.1", self.plan.port
        )
        return client

    async def pass_once(self, count: int) -> Result:
        """Make `count` calls and wait for their answers."""
        self.result = Result()
        self.goal = count
        self.started = 0
        self.ended = 0
        loop = asyncio.get_running_loop()
        self.finished = loop.create_future()
        while len(self.idle) < self.plan.connections:
            self.idle.append(await self.connect())
        gc.collect()
        self.result.started = time.monotonic()
        if self.plan.kind == "rate":
            await self._at_rate()
        else:
            ready, self.idle = (
                self.idle[: min(count, self.plan.connections)],
                self.idle[min(count, self.plan.connections) :],
            )
            for number, client in enumerate(ready):
                await self._pause(number / len(ready) if self.streamed else 0.0)
                if self.started < self.goal:
                    self._next(client, time.monotonic())
                else:
                    self.idle.append(client)
        await self._until_finished()
        self.result.finished = time.monotonic()
        return self.result

    async def _pause(self, offset_s: float) -> None:
        """Wait until so long after the start."""
        if (wait := self.result.started + offset_s - time.monotonic()) > 0:
            await asyncio.sleep(wait)

    async def _at_rate(self) -> None:
        for number in range(self.goal):
            due = self.result.started + number / self.plan.rate
            await self._pause(number / self.plan.rate)
            client = self.idle.pop() if self.idle else await self.connect()
            self.started += 1
            client.send(number, max(due, self.result.started))

    async def _until_finished(self) -> None:
        while not self.finished.done():
            before = self.ended
            await asyncio.wait([self.finished], timeout=PATIENCE_S)
            if self.ended == before and not self.finished.done():
                self.result.errors["no answer"] += self.goal - self.ended
                return

    def _next(self, client: Client, due: float) -> None:
        number = self.started
        self.started += 1
        client.send(number, due)

    @property
    def _more(self) -> bool:
        return self.plan.kind != "rate" and self.started < self.goal

    def done(self, client: Client, keep_alive: bool) -> None:
        """A call has been answered."""
        self.count()
        if not keep_alive:
            client.transport.close()
        elif self._more:
            self._next(client, time.monotonic())
        else:
            self.idle.append(client)

    def gone(self, client: Client) -> None:
        """A connection is lost; another takes its place."""
        if client in self.idle:
            self.idle.remove(client)
        elif self._more:
            asyncio.get_running_loop().create_task(self._replace())

    async def _replace(self) -> None:
        client = await self.connect()
        if self._more:
            self._next(client, time.monotonic())
        else:
            self.idle.append(client)

    def count(self) -> None:
        """One call less to wait for."""
        self.ended += 1
        if self.ended >= self.goal and not self.finished.done():
            self.finished.set_result(None)


def summary(result: Result) -> dict:
    """The result as the harness reads it: percentiles in milliseconds."""

    def percentiles(values: list[float]) -> dict[str, float]:
        values = sorted(values)
        return (
            {
                f"p{p}": round(values[min(len(values) - 1, len(values) * p // 100)] * 1000, 3)
                for p in (50, 95, 99)
            }
            if values
            else {}
        )

    return {
        "seconds": result.finished - result.started,
        "answered": result.answered,
        "tokens": result.tokens,
        "errors": dict(result.errors),
        "sample": result.sample,
        "latency_ms": percentiles(result.latency),
        "added_ms": percentiles(result.added),
        "load_cpu_s": time.process_time(),
    }


async def run() -> None:
    """Warm up, wait for the word, run, print."""
    plan = Plan(**json.loads(sys.stdin.readline()))
    work = Run(plan)
    if plan.warm_up:
        warm = await work.pass_once(plan.warm_up)
        if warm.answered == 0:
            print(json.dumps({"event": "result"} | summary(warm)), flush=True)
            return
    gc.freeze()
    print(json.dumps({"event": "ready"}), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    result = await work.pass_once(plan.count)
    print(json.dumps({"event": "result"} | summary(result)), flush=True)


if __name__ == "__main__":
    uvloop.run(run())
