"""Broken content: JSON, server-sent events, text, tool calls and usage that are wrong inside proper HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import orjson

from .mock_answers import DONE
from .mock_faults import fault
from .mock_speech import Speaker

LONG_LINE = 20 * 1024 * 1024
CHINESE = "春眠不觉晓处处闻啼鸟"
SPLIT_GAP_S = 0.01


async def _stream_with(speaker: Speaker, middle: bytes, *, tail: bytes = DONE, tokens: int = 3) -> None:
    """The stream with foreign bytes after `tokens` tokens."""
    speaker.start()
    await speaker.say(0, tokens)
    await speaker.exchange.send(middle)
    await speaker.say(tokens)
    await speaker.conclude(tail)


@fault(
    "500-mid-stream",
    "3, or <number>, tokens, then an error event and the end, without [DONE]; not streamed: 500",
)
async def error_mid_stream(speaker: Speaker, number: int | None) -> None:
    error = {
        "error": {
            "message": "The server had an error while processing your request.",
            "type": "server_error",
            "param": None,
            "code": None,
        }
    }
    if not speaker.stream:
        speaker.exchange.reply(500, orjson.dumps(error))
        return
    speaker.start()
    await speaker.say(0, 3 if number is None else number)
    await speaker.exchange.send(b"data: %b\n\n" % orjson.dumps(error))
    speaker.exchange.finish()


@fault("half-error", "an error with half of a surrogate pair in it, in a stream the fourth event, status 200")
async def half_error(speaker: Speaker, number: int | None) -> None:
    error = rb'{"error":{"message":"no \ud800","type":"invalid_request_error","code":"c\ud83d"}}'
    if speaker.stream:
        await _stream_with(speaker, b"data: " + error + b"\n\n", tail=b"")
    else:
        speaker.exchange.reply(200, error)


@fault("bad-json", "JSON that ends in the middle; in a stream the fourth event", ends="either")
async def bad_json(speaker: Speaker, number: int | None) -> None:
    if speaker.stream:
        await _stream_with(
            speaker, b'data: {"id":"chatcmpl-broken","choices":[{"index":0,"delta":{"content":"\n\n'
        )
        return
    speaker.exchange.reply(200, speaker.whole_body()[:-40])


@fault("no-choices", "an answer whose choices are empty", ends="either")
async def no_choices(speaker: Speaker, number: int | None) -> None:
    speaker.answer.choices = 0
    await speaker.answer_fully()


@fault(
    "null-content",
    "choices: null, and in a stream events that are `null`, a number and a list",
    ends="either",
)
async def null_content(speaker: Speaker, number: int | None) -> None:
    if speaker.stream:
        await _stream_with(speaker, b"data: null\n\ndata: 17\n\ndata: []\n\n")
        return
    speaker.exchange.reply(
        200,
        b'{"id":"chatcmpl-null","object":"chat.completion","created":0,"model":"x",'
        b'"choices":null,"usage":null}',
    )


@fault(
    "malformed-sse",
    (
        "comments, unknown fields, CR LF, data without a space, blank lines; not streamed: events instead of "
        "JSON"
    ),
    ends="either",
)
async def malformed_sse(speaker: Speaker, number: int | None) -> None:
    junk = (
        b": ping\n\n\n\n\nevent: what\nid: 7\nretry: 10\nnonsense without colon\n\ndata\n\ndata:\n\n: "
        b"\r\n\r\n"
    )
    if not speaker.stream:
        speaker.exchange.reply(200, junk, b"text/event-stream")
        return
    assert speaker.frames is not None
    event = speaker.frames.token(" crlf").strip()
    await _stream_with(speaker, junk + event.replace(b"data: ", b"data:") + b"\r\n\r\n")


@fault("nul", "a NUL in the text of the last token", ends="answer")
async def nul(speaker: Speaker, number: int | None) -> None:
    *pieces, last = speaker.answer.pieces
    speaker.answer.pieces = [*pieces, f"{last}\0!"]
    await speaker.answer_fully()


@fault("no-done", "a stream that ends properly but for [DONE]", ends="either")
async def no_done(speaker: Speaker, number: int | None) -> None:
    await speaker.answer_fully(b"")


@fault("double-done", "[DONE] twice", ends="answer")
async def double_done(speaker: Speaker, number: int | None) -> None:
    await speaker.answer_fully(DONE + DONE)


@fault("late-chunk", "a token after [DONE]", ends="answer")
async def late_chunk(speaker: Speaker, number: int | None) -> None:
    late = speaker.frames.token(" late") if speaker.frames else b""
    await speaker.answer_fully(DONE + late)


@fault("open-after-done", "[DONE], but the body does not end", ends="either")
async def open_after_done(speaker: Speaker, number: int | None) -> None:
    if not speaker.stream:
        await speaker.answer_fully()
        return
    assert speaker.frames is not None
    speaker.start()
    await speaker.say()
    await speaker.exchange.send(speaker.frames.closing())
    await asyncio.sleep(3600)


@fault("long-line", "one token of 20 MB, or <number> MB, in one line", ends="either")
async def long_line(speaker: Speaker, number: int | None) -> None:
    speaker.answer.pieces = ["a" * (number * 1_000_000 if number else LONG_LINE)]
    await speaker.answer_fully()


@fault("bad-utf8", "bytes in the text that are no UTF-8", ends="either")
async def bad_utf8(speaker: Speaker, number: int | None) -> None:
    if speaker.stream:
        assert speaker.frames is not None
        await _stream_with(speaker, speaker.frames.token("@@").replace(b"@@", b"\xff\xfe\xc3\x28"))
        return
    speaker.answer.pieces = ["@@", *speaker.answer.pieces[1:]]
    speaker.exchange.reply(200, speaker.whole_body().replace(b"@@", b"\xff\xfe\xc3\x28"))


@fault(
    "split-utf8", "Chinese text whose characters are cut by the borders of chunks and packets", ends="answer"
)
async def split_utf8(speaker: Speaker, number: int | None) -> None:
    speaker.answer.pieces = list(CHINESE)
    speaker.answer.usage = {
        "prompt_tokens": 2,
        "completion_tokens": len(CHINESE),
        "total_tokens": 2 + len(CHINESE),
    }
    if not speaker.stream:
        body = speaker.whole_body()
        speaker.exchange.raw(speaker.exchange.head(200, length=len(body)))
        await _send_split(speaker, body)
        speaker.count(len(CHINESE))
        speaker.exchange.finish()
        return
    assert speaker.frames is not None
    speaker.start()
    await speaker.exchange.send(speaker.frames.opening(speaker.exchange.received_ns))
    await _send_split(speaker, b"".join(map(speaker.frames.token, speaker.answer.pieces)))
    speaker.count(len(CHINESE))
    await speaker.conclude()


async def _send_split(speaker: Speaker, data: bytes) -> None:
    """The data, cut after the first byte of every second character that is longer than a byte."""
    starts = [i + 1 for i, byte in enumerate(data) if byte >= 0xC0][::2]
    for start, stop in zip([0, *starts], [*starts, len(data)], strict=True):
        await speaker.exchange.send(data[start:stop])
        await asyncio.sleep(SPLIT_GAP_S)


@fault("wrong-id", "another id and another model name in every event, or in the answer", ends="answer")
async def wrong_id(speaker: Speaker, number: int | None) -> None:
    speaker.answer.model = "another-model"
    if not speaker.stream:
        speaker.answer.id = ""
        await speaker.answer_fully()
        return
    assert speaker.frames is not None
    speaker.start()
    for i, piece in enumerate(speaker.answer.pieces):
        speaker.count(1)
        await speaker.exchange.send(
            speaker.frames.token(piece).replace(speaker.answer.id.encode(), b"chatcmpl-other%d" % i)
        )
    await speaker.conclude()


@fault(
    "cut-tool-call", "a tool call whose arguments end in the middle, with finish_reason length", ends="answer"
)
async def cut_tool_call(speaker: Speaker, number: int | None) -> None:
    speaker.answer.tool = "look_up"
    speaker.answer.pieces = ['{"query": "Wei', "mar", " repub"]
    speaker.answer.finish_reason = "length"
    await speaker.answer_fully()


def _replace_pieces(speaker: Speaker, pieces: Sequence[str]) -> None:
    """Other tokens, and a usage that counts them."""
    usage = speaker.answer.usage or {}
    speaker.answer.pieces = pieces
    speaker.answer.usage = usage | {
        "completion_tokens": len(pieces),
        "total_tokens": usage.get("prompt_tokens", 0) + len(pieces),
    }


@fault("over-cap", "100, or <number>, tokens whatever max_tokens says", ends="answer")
async def over_cap(speaker: Speaker, number: int | None) -> None:
    _replace_pieces(speaker, [" more"] * (number or 100))
    await speaker.answer_fully()


@fault("held-back", "3, or <number>, tokens, then finish_reason content_filter", ends="answer")
async def held_back(speaker: Speaker, number: int | None) -> None:
    _replace_pieces(speaker, speaker.answer.pieces[: 3 if number is None else number])
    speaker.answer.finish_reason = "content_filter"
    await speaker.answer_fully()


@fault(
    "thinks",
    "reasoning in delta.reasoning_content for 1, or <number>, s before the proper answer",
    ends="answer",
)
async def thinks(speaker: Speaker, number: int | None) -> None:
    if not speaker.stream:
        await speaker.answer_fully()
        return
    assert speaker.frames is not None
    speaker.start()
    for _time in range(10 * (number or 1)):
        await speaker.exchange.send(speaker.frames.event(0, b'{"reasoning_content":" hm"}'))
        await asyncio.sleep(0.1)
    await speaker.say()
    await speaker.conclude()


@fault(
    "thinks-aloud",
    "thoughts as text, and a closing tag without its opening one before the proper answer",
    ends="answer",
)
async def thinks_aloud(speaker: Speaker, number: int | None) -> None:
    if not speaker.stream:
        await speaker.answer_fully()
        return
    assert speaker.frames is not None
    speaker.start()
    for piece in (b"Okay, ", b"so.", b"\\n</thi", b"nk>\\n", b"\\n"):
        await speaker.exchange.send(speaker.frames.event(0, b'{"content":"' + piece + b'"}'))
        await asyncio.sleep(0.1)
    await speaker.say()
    await speaker.conclude()


def _enter_usages() -> None:
    """Answers that are right but for their usage block."""
    cached = {
        "prompt_tokens": 3,
        "completion_tokens": 8,
        "total_tokens": 11,
        "prompt_tokens_details": {"cached_tokens": 50},
    }
    usages: dict[str, tuple[str, Any]] = {
        "no-usage": ("no usage at all", None),
        "zero-usage": ("a usage of zeros", {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}),
        "negative-usage": (
            "a usage below zero",
            {"prompt_tokens": -5, "completion_tokens": -1_000_000, "total_tokens": -1_000_005},
        ),
        "huge-usage": (
            "a usage of 10^18 tokens",
            {"prompt_tokens": 10**18, "completion_tokens": 10**18, "total_tokens": 2 * 10**18},
        ),
        "text-usage": (
            "a usage in words",
            {"prompt_tokens": "12", "completion_tokens": "many", "total_tokens": None},
        ),
        "float-usage": (
            "a usage in fractions",
            {"prompt_tokens": 1.5, "completion_tokens": 1e300, "total_tokens": 0.1},
        ),
        "list-usage": ("a list for usage", [1, 2, 3]),
        "cached-over-prompt": ("more cached tokens than prompt tokens", cached),
        "zero-cost": (
            "the right usage with cost: 0",
            {"prompt_tokens": 2, "completion_tokens": 8, "total_tokens": 10, "cost": 0},
        ),
    }
    for name, (says, usage) in usages.items():

        async def run(speaker: Speaker, number: int | None, usage: Any = usage) -> None:
            speaker.answer.usage = usage
            await speaker.answer_fully()

        fault(name, f"the proper answer with {says}", ends="answer")(run)


_enter_usages()
