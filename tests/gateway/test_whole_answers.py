"""Answers in one piece where a stream was asked for, and answers made to be taken apart for long."""

import asyncio
import json
from types import SimpleNamespace

import orjson
import pytest

from foundation.egress import PRIVATE
from foundation.egress.data_plane import open_session
from foundation.errors import AtriumError
from gateway import pipeline
from gateway.answers import estimate
from gateway.answers.billed import billed_usage
from gateway.calls import Call
from gateway.steps.relay import read_answer
from tests.gateway.calling import collaborators
from tests.gateway.streaming import DONE, TEXT, WORDS, answer_whole, bill, make_call, server, whole


@pytest.mark.parametrize(
    ("usage", "billed"),
    [({"prompt_tokens": 7, "completion_tokens": 4_100}, (4_100, False)), (None, (TEXT, True))],
)
@pytest.mark.parametrize(
    ("begin", "end"),
    [
        ([], b""),
        ([b"\n"], b"\n\n"),
        ([b": ping\n\n"], b"\n"),
        ([b": ping\n", b"\n", b" \n\n"], b""),
        ([b"\xef\xbb\xbf"], b""),
    ],
)
def test_an_answer_that_comes_whole_where_a_stream_was_asked_for(usage, billed, begin, end):
    (answer,) = whole({"content": WORDS}, usage=usage)
    assert bill([*begin, answer[:9_000], answer[9_000:] + end]) == billed


@pytest.mark.parametrize(
    "answer",
    [
        b"[" + json.dumps({"content": WORDS}).encode() + b"]",
        WORDS.encode(),
        b": ping\n\n" + json.dumps({"choices": [WORDS]}).encode() + b"\n\n ",
    ],
    ids=["list", "text", "object behind a comment"],
)
@pytest.mark.parametrize("stream", [True, False])
def test_what_is_no_answer_is_estimated_by_its_bytes(answer, stream):
    if stream:
        billed, is_estimated = bill([answer])
    else:
        usage, is_estimated = billed_usage(asyncio.run(answer_whole([answer], leaves=False)))
        billed = usage.output_tokens
    assert is_estimated and TEXT - 260 <= billed <= TEXT + 20


@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_of_very_many_or_very_deep_values_is_not_walked_through(stream, monkeypatch):
    """Whoever walks through a million values holds up everybody else."""
    walked = []
    measure = estimate._Walk.measure
    monkeypatch.setattr(
        estimate._Walk, "measure", lambda self, *a, **k: (walked.append(1), measure(self, *a, **k))[1]
    )
    deep: list = [""] * 200_000
    for _level in range(200):
        deep = [deep]
    (answer,) = whole({"content": deep})
    if stream:
        assert bill([b"data: " + answer + b"\n\n", DONE])[1]
    else:
        asyncio.run(answer_whole([answer], leaves=False))
    assert len(walked) <= estimate.MAX_VALUES


MANY = {
    "choices": lambda: json.dumps({"choices": [{}] * 1_000_000}).encode(),
    "few choices too many": lambda: json.dumps({"choices": [{"message": {"content": "a"}}] * 129}).encode(),
    "lists": lambda: b'{"choices": [{"message": {"content": "a"}}], "x": [' + b"[]," * 999_999 + b"[]]}",
    "event": lambda: b'data: {"choices": [], "x": [' + b"[]," * 30_000 + b"[]]}\n\n",
    "list of objects": lambda: b"[" + b"{}," * 300_000 + b"{}]",
    "first of several objects": lambda: b'{"x": [' + b"{}," * 300_000 + b"{}]}\n{}\n",
    "lines": lambda: b"\n" * 3_000_000,
    "comments": lambda: b":\n\n" * 1_000_000,
}


@pytest.mark.parametrize("kind", MANY)
def test_an_answer_of_very_many_small_things_is_not_taken_apart(kind, monkeypatch):
    """Each becomes an object of Python, and then a frame: megabytes of them hold up everybody."""
    parsed = []

    def loads(raw: bytes):
        parsed.append(len(raw))
        return orjson.loads(raw)

    watched = SimpleNamespace(loads=loads, dumps=orjson.dumps, JSONDecodeError=orjson.JSONDecodeError)
    monkeypatch.setattr("gateway.answers.json_text.orjson", watched)

    async def read() -> tuple[Call, int]:
        async with server([MANY[kind]()]) as port, open_session(PRIVATE) as client:
            call, size = make_call(port, stream=True), 0
            with pytest.raises(AtriumError):
                async for frame in pipeline.stream(call, collaborators(client)):
                    size += len(frame)
            return call, size

    call, size = asyncio.run(read())
    assert (call.status, call.error_code) == ("error", "upstream_invalid_response") and size == 0
    assert not parsed or max(parsed) < 10_000


def test_an_answer_nested_deeper_than_can_be_written_is_an_error():
    deep: list = []
    for _level in range(600):
        deep = [deep]
    call = asyncio.run(answer_whole(whole({"content": deep}), leaves=False))
    assert (call.status, call.error_code) == ("error", "upstream_invalid_response")


@pytest.mark.parametrize("message", [7, ["text"]])
def test_a_whole_answer_that_makes_no_sense_is_an_error(message):
    async def read() -> Call:
        async with server(whole(message)) as port, open_session(PRIVATE) as client:
            call = make_call(port, stream=True)
            with pytest.raises(AtriumError):
                async for _frame in pipeline.stream(call, collaborators(client)):
                    pass
            return call

    call = asyncio.run(read())
    assert (call.status, call.error_code) == ("error", "upstream_invalid_response")


def test_what_nobody_foresaw_is_no_answer():
    def fail(_endpoint):
        raise ZeroDivisionError

    async def read() -> Call:
        call = make_call(1, stream=True)
        with pytest.raises(ZeroDivisionError):
            async for _frame in pipeline.stream(call, collaborators(None, client_for=fail)):
                pass
        return call

    call = asyncio.run(read())
    assert (call.status, call.error_code) == ("error", "internal_error")


@pytest.mark.parametrize("before", [b"\n", b" \r\n", b"\xef\xbb\xbf"])
def test_white_space_before_a_whole_answer_is_nothing(before):
    (answer,) = whole({"content": WORDS})
    assert bill([before + answer[:9_000], answer[9_000:]]) == (TEXT, True)


def test_an_answer_that_came_with_its_headers_counts_too():
    """It is there at once, and nobody has waited for it and counted."""

    class Content:
        def is_eof(self) -> bool:
            return True

        async def read(self, _size: int) -> bytes:
            return WORDS.encode()

    call = make_call(1, stream=False)
    call.was_dispatched = True
    with pytest.raises(AtriumError):
        asyncio.run(read_answer(call, SimpleNamespace(content=Content(), headers={})))
    assert billed_usage(call)[0].output_tokens == TEXT


def test_it_is_passed_on_as_a_stream():
    tool = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    usage = {"prompt_tokens": 7, "completion_tokens": 4}
    parts = whole({"role": "assistant", "content": "Hello", "tool_calls": [tool]}, usage=usage)

    async def read() -> bytes:
        async with server(parts, kind="application/json") as port, open_session(PRIVATE) as client:
            call = make_call(port, stream=True)
            call.wants_usage = True
            return b"".join([frame async for frame in pipeline.stream(call, collaborators(client))])

    *frames, done, _rest = asyncio.run(read()).split(b"\n\n")
    said, counted = (json.loads(frame.removeprefix(b"data: ")) for frame in frames)
    assert done == b"data: [DONE]" and said["object"] == "chat.completion.chunk" and said["model"] == "ours"
    assert said["choices"][0]["delta"] == {
        "role": "assistant",
        "content": "Hello",
        "tool_calls": [{"index": 0, **tool}],  # whoever reads a stream puts calls together by it
    }
    assert said["choices"][0]["finish_reason"] == "tool_calls"
    assert counted["choices"] == [] and counted["usage"]["completion_tokens"] == 4


def test_an_error_that_comes_whole_where_a_stream_was_asked_for_costs_nothing():
    assert bill([json.dumps({"error": {"message": "overloaded"}}).encode()]) == (0, False)
