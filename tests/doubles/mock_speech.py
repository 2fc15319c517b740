"""An answer, spoken properly: whole or as server-sent events, paced as its script says. The faults are built
from the same steps.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import orjson

from .mock_answers import DONE, Answer, Frames, completion_bytes
from .mock_http import Exchange

SSE = b"text/event-stream; charset=utf-8"


class Speaker:
    """One answer to one exchange, step by step."""

    def __init__(self, exchange: Exchange, body: dict[str, Any], answer: Answer) -> None:
        self.exchange = exchange
        self.body = body
        self.answer = answer
        self.stream = bool(body.get("stream"))
        include = bool((body.get("stream_options") or {}).get("include_usage"))
        self.frames = Frames(answer, include_usage=include) if self.stream else None
        self._due = exchange.received_ns / 1e9 + answer.script.first_s

    @property
    def whole_delay_s(self) -> float:
        """How long a not streamed answer takes: the first token and the gaps."""
        return self.answer.script.first_s + self.answer.script.gap_s * max(0, len(self.answer.pieces) - 1)

    def count(self, pieces: int) -> None:
        """Book tokens as sent."""
        if self.exchange.entry is not None:
            self.exchange.entry["tokens_sent"] += pieces * self.answer.choices
            self.exchange.entry["usage"] = self.answer.usage

    def written(self, received_ns: int) -> bytes:
        """The proper answer in one piece."""
        return completion_bytes(self.answer, received_ns)

    def whole_body(self) -> bytes:
        """The body of the proper answer that is not streamed."""
        return self.written(self.exchange.received_ns)

    def say_whole(self) -> None:
        """The not streamed answer, now."""
        self.count(len(self.answer.pieces))
        self.exchange.reply(200, self.whole_body())

    def start(self, extra: bytes = b"") -> None:
        """The head of the stream."""
        self.exchange.raw(self.exchange.head(200, SSE, extra=b"cache-control: no-cache\r\n" + extra))

    async def say(self, start: int = 0, stop: int | None = None) -> None:
        """Tokens `start` to `stop` at the script's pace; the role travels with token 0."""
        assert self.frames is not None
        for number, piece in enumerate(self.answer.pieces[start:stop], start):
            wait = self._due - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            self._due += self.answer.script.gap_s
            frame = self.frames.token(piece)
            if number == 0:
                # two events in one chunk: real servers join them too
                frame = self.frames.opening(self.exchange.received_ns) + frame
            self.count(1)
            await self.exchange.send(frame)

    async def conclude(self, tail: bytes = DONE) -> None:
        """Finish reason, usage, `[DONE]`, and the end of the body."""
        assert self.frames is not None
        await self.exchange.send(self.frames.closing(tail))
        self.exchange.finish()

    async def stream_all(self, tail: bytes = DONE) -> None:
        """The whole stream."""
        self.start()
        if self.answer.pieces and (self.answer.script.gap_s or self.answer.script.first_s):
            await self.say()
            await self.conclude(tail)
            return
        self._stream_at_once(tail)

    def _stream_at_once(self, tail: bytes) -> None:
        """Every event in a chunk of its own, all in one write."""
        assert self.frames is not None
        parts = [
            self.frames.opening(self.exchange.received_ns),
            *map(self.frames.token, self.answer.pieces),
            self.frames.closing(tail),
        ]
        self.count(len(self.answer.pieces))
        self.exchange.raw(b"".join(map(self.exchange.framed, parts)))
        self.exchange.finish()

    async def answer_fully(self, tail: bytes = DONE) -> None:
        """The proper answer in the form the request asked for."""
        if self.stream:
            await self.stream_all(tail)
            return
        if self.whole_delay_s:
            await asyncio.sleep(self.whole_delay_s)
        self.say_whole()


class WholeSpeaker(Speaker):
    """One answer of an operation without streams: vectors, relevances."""

    def __init__(self, exchange: Exchange, body: dict[str, Any], answer: Answer, body_bytes: bytes) -> None:
        super().__init__(exchange, body, answer)
        self.body_bytes = body_bytes
        self._usage = answer.usage

    def whole_body(self) -> bytes:
        """With the usage of a fault that sets one."""
        if self.answer.usage is self._usage:
            return self.body_bytes
        told = orjson.loads(self.body_bytes) | {"usage": self.answer.usage}
        return orjson.dumps({name: value for name, value in told.items() if value is not None})
