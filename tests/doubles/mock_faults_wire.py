"""Broken transport: silence, slowness, cut and reset connections, bodies that are longer or shorter than
promised.
"""

from __future__ import annotations

import asyncio

from .mock_answers import DONE
from .mock_faults import fault
from .mock_http import Exchange
from .mock_speech import SSE, Speaker

FOREVER_S = 3600.0
SETTLE_S = 0.02  # time for what was written to leave before the connection is cut


async def hang() -> None:
    """Say nothing more, until the client leaves."""
    await asyncio.sleep(FOREVER_S)


async def first_half(speaker: Speaker, tokens: int | None) -> None:
    """The head and the first 3 (or `tokens`) tokens, or half of a whole answer."""
    if speaker.stream:
        speaker.start()
        await speaker.say(0, 3 if tokens is None else tokens)
        return
    body = speaker.whole_body()
    speaker.exchange.raw(speaker.exchange.head(200, length=len(body)) + body[: len(body) // 2])


@fault(
    "refuse",
    "closes the connection by RST before a byte of answer (a port nobody listens on: `MockLLM.refusing_url`)",
)
async def refuse_connection(speaker: Speaker, number: int | None) -> None:
    speaker.exchange.abort()


@fault("close-before-header", "closes the connection by FIN before a byte of answer")
async def close_before_header(speaker: Speaker, number: int | None) -> None:
    speaker.exchange.close()


@fault("tls-junk", "answers with a TLS alert")
async def tls_junk(speaker: Speaker, number: int | None) -> None:
    speaker.exchange.raw(b"\x15\x03\x03\x00\x02\x02\x28")
    await asyncio.sleep(SETTLE_S)
    speaker.exchange.close()


@fault("http-junk", "answers with a status line that is none")
async def http_junk(speaker: Speaker, number: int | None) -> None:
    speaker.exchange.raw(b"HTTP/9.9 abc Nonsense\r\n:::\r\n\r\n{}")
    await asyncio.sleep(SETTLE_S)
    speaker.exchange.close()


@fault("hang-before-header", "never answers")
async def hang_before_header(speaker: Speaker, number: int | None) -> None:
    await hang()


@fault("hang-after-header", "sends the head, then nothing")
async def hang_after_header(speaker: Speaker, number: int | None) -> None:
    await first_half(speaker, 0) if speaker.stream else speaker.exchange.raw(
        speaker.exchange.head(200, length=500)
    )
    await hang()


@fault("hang-mid-stream", "3, or <number>, tokens (half of a whole answer), then nothing")
async def hang_mid_stream(speaker: Speaker, number: int | None) -> None:
    await first_half(speaker, number)
    await hang()


@fault("hang-before-done", "every token, then neither usage nor [DONE]; not streamed: all but the last byte")
async def hang_before_done(speaker: Speaker, number: int | None) -> None:
    if speaker.stream:
        await first_half(speaker, len(speaker.answer.pieces))
    else:
        body = speaker.whole_body()
        speaker.exchange.raw(speaker.exchange.head(200, length=len(body)) + body[:-1])
    await hang()


async def _drip(exchange: Exchange, data: bytes, gap_s: float) -> None:
    for position in range(len(data)):
        exchange.raw(exchange.framed(data[position : position + 1]))
        await asyncio.sleep(gap_s)


@fault("drip", "the proper answer, one byte every 5, or <number>, ms", ends="answer")
async def drip(speaker: Speaker, number: int | None) -> None:
    gap_s = (5 if number is None else number) / 1000
    if not speaker.stream:
        body = speaker.whole_body()
        speaker.exchange.raw(speaker.exchange.head(200, length=len(body)))
        await _drip(speaker.exchange, body, gap_s)
        speaker.count(len(speaker.answer.pieces))
        speaker.exchange.finish()
        return
    speaker.start()
    frames = speaker.frames
    assert frames is not None
    await _drip(speaker.exchange, frames.opening(speaker.exchange.received_ns), gap_s)
    for piece in speaker.answer.pieces:
        await _drip(speaker.exchange, frames.token(piece), gap_s)
        speaker.count(1)
    await _drip(speaker.exchange, frames.closing(DONE), gap_s)
    speaker.exchange.finish()


@fault("drip-header", "the head, one byte every 20, or <number>, ms; then the proper answer", ends="answer")
async def drip_header(speaker: Speaker, number: int | None) -> None:
    body = speaker.whole_body()
    exchange = speaker.exchange
    head = exchange.head(200, SSE) if speaker.stream else exchange.head(200, length=len(body))
    for position in range(len(head)):
        exchange.raw(head[position : position + 1])
        await asyncio.sleep((20 if number is None else number) / 1000)
    if speaker.stream:
        await speaker.say()
        await speaker.conclude()
        return
    speaker.count(len(speaker.answer.pieces))
    exchange.raw(body)
    exchange.finish()


@fault("reset-mid-stream", "3, or <number>, tokens (half of a whole answer), then RST")
async def reset_mid_stream(speaker: Speaker, number: int | None) -> None:
    await first_half(speaker, number)
    await asyncio.sleep(SETTLE_S)
    speaker.exchange.abort()


@fault(
    "cut-mid-stream", "3, or <number>, tokens (half of a whole answer), then FIN without the end of the body"
)
async def cut_mid_stream(speaker: Speaker, number: int | None) -> None:
    await first_half(speaker, number)
    await asyncio.sleep(SETTLE_S)
    speaker.exchange.close()


@fault(
    "wrong-content-length",
    "promises 100 bytes more than it sends, then FIN: after a stream's [DONE] nobody misses them",
    ends="either",
)
async def wrong_content_length(speaker: Speaker, number: int | None) -> None:
    await _promise(speaker, +100)


@fault("short-content-length", "promises 20 bytes less than it sends, then FIN")
async def short_content_length(speaker: Speaker, number: int | None) -> None:
    await _promise(speaker, -20)


async def _promise(speaker: Speaker, extra: int) -> None:
    if speaker.stream:
        frames = speaker.frames
        assert frames is not None
        body = b"".join(
            [
                frames.opening(speaker.exchange.received_ns),
                *map(frames.token, speaker.answer.pieces),
                frames.closing(),
            ]
        )
    else:
        body = speaker.whole_body()
    kind = SSE if speaker.stream else b"application/json"
    speaker.count(len(speaker.answer.pieces))
    speaker.exchange.raw(speaker.exchange.head(200, kind, length=len(body) + extra) + body)
    await asyncio.sleep(SETTLE_S)
    speaker.exchange.close()


@fault(
    "endless",
    "tokens without end, one every 1, or <number>, ms; not streamed: spaces before a JSON that never comes",
)
async def endless(speaker: Speaker, number: int | None) -> None:
    gap_s = (1 if number is None else number) / 1000
    if not speaker.stream:
        speaker.exchange.raw(speaker.exchange.head(200))
        while True:
            await speaker.exchange.send(b" " * 1024)
            await asyncio.sleep(gap_s)
    speaker.start()
    await speaker.say()
    assert speaker.frames is not None
    frame = speaker.frames.token(" again")
    while True:
        await speaker.exchange.send(frame)
        speaker.count(1)
        await asyncio.sleep(gap_s)
