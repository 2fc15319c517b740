"""Answers from memory, for benches: the same body gets the same bytes, only the marks of time are new (and
ids are all the same).

A stream's pace is kept by one timer per stream, not by a task: the mock must never be what a bench measures.
"""

from __future__ import annotations

import asyncio
import time

from .mock_answers import MARK_WIDTH, mark
from .mock_http import Exchange
from .mock_speech import SSE, Speaker

RECORDINGS = 1000  # different bodies kept


class Recorded:
    """One answer as bytes, cut where the mark goes."""

    __slots__ = ("after", "before", "delay_s", "gap_s", "parts", "tail")

    def __init__(self, speaker: Speaker) -> None:
        exchange, answer = speaker.exchange, speaker.answer
        self.parts: list[bytes] = []
        self.tail = b""
        self.gap_s = answer.script.gap_s
        if speaker.frames is None:
            self.delay_s = speaker.whole_delay_s
            body = speaker.written(0)
            data = exchange.head(200, length=len(body)) + body
        else:
            self.delay_s = answer.script.first_s
            frames = speaker.frames
            data = exchange.head(200, SSE, extra=b"cache-control: no-cache\r\n") + exchange.framed(
                frames.opening(0) + frames.token(answer.pieces[0])
            )
            self.parts = [exchange.framed(frames.token(piece)) for piece in answer.pieces[1:]]
            self.tail = exchange.framed(frames.closing()) + b"0\r\n\r\n"
        exchange.chunked = False  # from here on the bytes are framed already
        start = data.index(b"mock_" + b"0" * MARK_WIDTH)
        self.before = data[:start]
        self.after = data[start + len(mark(0)) :]

    def play(self, exchange: Exchange) -> None:
        """Answer in the recorded way."""
        if self.delay_s:
            exchange.later(self.delay_s, lambda: self._open(exchange))
        else:
            self._open(exchange)

    def _open(self, exchange: Exchange) -> None:
        data = self.before + mark(exchange.received_ns).encode() + self.after
        if self.parts and self.gap_s:
            exchange.raw(data)
            self._continue(exchange, 0, time.monotonic() + self.gap_s)
            return
        exchange.raw(data + b"".join(self.parts) + self.tail)
        exchange.finish()

    def _continue(self, exchange: Exchange, number: int, due: float) -> None:
        """Wait for token `number`, and say what is due by then."""

        def speak() -> None:
            nonlocal number, due
            now = time.monotonic()
            while due <= now and number < len(self.parts):
                exchange.raw(self.parts[number])
                number += 1
                due += self.gap_s
            if number < len(self.parts):
                exchange.timer = loop.call_later(max(0.0, due - now), speak)
            else:
                exchange.raw(self.tail)
                exchange.finish()

        loop = asyncio.get_running_loop()
        exchange.timer = loop.call_later(max(0.0, due - time.monotonic()), speak)
