"""Step 8: what of an upstream's answer passes unparsed, and to which bounds it is read."""

import asyncio
import contextlib
import gzip
import json
from types import SimpleNamespace

import orjson
import pytest
from multidict import CIMultiDict

from foundation.errors import UpstreamError
from gateway.answers.deltas import MOST_VAIN_LESSONS, DeltaShape, pass_unread
from gateway.answers.sse import DONE, EventReader, frame
from gateway.calls import Call
from gateway.steps.relay import read_answer
from tests.gateway.calling import make_call
from tests.gateway.sending import Chunks, events_of, relayed, send

# -- events --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_events_survive_every_cut(end):
    stream = end.join(
        [
            b": comment",
            b"data: {1}",
            b"",
            b"event: x",
            b"data:{2}",
            b"data: {3}",
            b"",
            b"data: [DONE]",
            b"",
            b"",
        ]
    )
    for cut in range(len(stream)):
        reader = EventReader()
        assert [*reader.feed(stream[:cut]), *reader.feed(stream[cut:])] == [b"{1}", b"{2}\n{3}", DONE], cut
        assert not reader.has_rest


# -- unparsed deltas -----------------------------------------------------------------------------------------


def delta(text: str, **more) -> dict:
    return {
        "id": "x",
        "model": "theirs",
        "object": "chat.completion.chunk",
        "created": 1,
        "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}],
        **more,
    }


@pytest.mark.parametrize(
    "write", [orjson.dumps, lambda event: json.dumps(event, ensure_ascii=False).encode()]
)
def test_a_known_shape_is_passed_on_with_our_name(write):
    shape = DeltaShape()
    ours = frame(orjson.dumps(delta("Hello") | {"model": "ours"}))
    shape.learn(frame(write(delta("Hello"))), ours, "Hello")
    for text in (" you", "ä", "你好", "€"):
        swapped = shape.swap(frame(write(delta(text))))
        assert swapped is not None and events_of(swapped) == [delta(text) | {"model": "ours"}], text


@pytest.mark.parametrize(
    "event",
    [
        orjson.dumps(delta('a "quote"')),
        orjson.dumps(delta("a\nline")),
        orjson.dumps(delta("back\\slash")),
        orjson.dumps(delta("")),
        orjson.dumps(delta("x")).replace(b"null", b'"stop"'),
        orjson.dumps(delta("x", usage={"prompt_tokens": 1})),
        orjson.dumps(delta("x")).replace(b'"x"', b'"x","content":"y"'),
        orjson.dumps(delta("x")).replace(b'"x"', b'"\x01"'),
        orjson.dumps(delta("x")).replace(b'"x"', b'"\xff"'),
        orjson.dumps(delta("x")).replace(b'"x"', b"null"),
        b"[DONE]",
    ],
)
def test_what_may_say_more_goes_to_the_parser(event):
    shape = DeltaShape()
    shape.learn(frame(orjson.dumps(delta("Hello"))), frame(orjson.dumps(delta("Hello"))), "Hello")
    assert shape.swap(frame(orjson.dumps(delta("fine")))) is not None
    assert shape.swap(frame(event)) is None


def test_two_events_are_not_of_the_shape_of_one():
    shape, event = DeltaShape(), frame(orjson.dumps(delta("Hello")))
    shape.learn(event, event, "Hello")
    assert (
        shape.swap(event + event) is None and shape.swap(event[:-1]) is None and shape.swap(event[1:]) is None
    )


def test_events_that_came_at_once_pass_unread_if_all_of_them_may():
    call, shape = make_call("http://nowhere/v1"), DeltaShape()
    first, second, said = (frame(orjson.dumps(delta(text))) for text in ("Hello", " you", 'a "word"'))
    ours = first.replace(b"theirs", b"ours")
    shape.learn(first, ours, "Hello")
    assert pass_unread(call, first + second, shape) == (first + second).replace(b"theirs", b"ours")
    assert (call.pieces_seen, call.output_tokens_seen) == (2, 2)
    for chunk in (first + said + second, first + second[:-1], first + b": comment\n\n", b"\n\n" + first):
        assert pass_unread(call, chunk, shape) is None
    assert call.pieces_seen == 2, "what goes to the parser is counted there"


def test_a_place_that_is_not_certain_is_not_learnt():
    for more in ({"logprobs": {"content": "Hello"}}, {"first": '"content":'}):
        event = frame(orjson.dumps({**more, **delta("Hello")}))
        shape = DeltaShape()
        shape.learn(event, event, "Hello")
        assert (shape.swap(event) is None) == ("logprobs" in more), more


def test_events_that_all_differ_are_soon_left_alone():
    shape = DeltaShape()
    for number in range(MOST_VAIN_LESSONS + 1):
        event = frame(orjson.dumps(delta("Hello", obfuscation="x" * number)))
        assert shape.swap(event) is None
        shape.learn(event, event, "Hello")
    assert shape.swap(event) is None, "the last lesson was not learnt"


@pytest.mark.parametrize(
    "model", ["mock-tokens-40-2", "fault-split-utf8", "fault-malformed-sse", "fault-wrong-id"]
)
def test_a_stream_says_the_same_with_and_without_the_short_way(mock, model, monkeypatch):
    def said(call: Call) -> tuple[str, set[str], int]:
        events = events_of(send(call))
        text = "".join(
            event["choices"][0]["delta"].get("content") or "" for event in events if event["choices"]
        )
        return text, {event["model"] for event in events}, call.output_tokens_seen

    short = said(make_call(mock.base_url, model))
    monkeypatch.setattr(DeltaShape, "learn", lambda *_arguments: None)
    assert said(make_call(mock.base_url, model)) == short and short[1] == {"ours"} and len(short[0]) >= 10


def test_the_short_way_is_taken(monkeypatch):
    """By every event that comes in a chunk of its own, once the role was told and an event was parsed."""
    taken = []
    swap = DeltaShape.swap
    monkeypatch.setattr(DeltaShape, "swap", lambda self, chunk: taken.append(swap(self, chunk)) or taken[-1])
    chunks = Chunks(*(frame(orjson.dumps(delta(f"w{number}"))) for number in range(40)), frame(DONE))

    response = SimpleNamespace(content=chunks, headers={})

    async def run() -> list[bytes]:
        return [part async for part in relayed(response)]

    *parts, _end = asyncio.run(run())
    told = [events_of(part) for part in parts]
    assert told[0][0]["choices"][0]["delta"].pop("role") == "assistant"
    assert told == [[delta(f"w{number}") | {"model": "ours"}] for number in range(40)]
    assert [swapped is not None for swapped in taken] == [False, *[True] * 38, False]


CHAT = "gateway.operations.chat_completions.OPERATION"


@pytest.mark.parametrize(
    ("stream", "bound", "code"),
    [
        (False, f"{CHAT}.max_answer_bytes", "upstream_invalid_response"),
        (True, "gateway.steps.relay.MAX_STREAM_BYTES", "upstream_endless"),
        (True, "gateway.answers.sse.MAX_EVENT_BYTES", "upstream_invalid_response"),
    ],
)
def test_an_answer_is_read_to_its_bound(monkeypatch, stream, bound, code):
    """Whatever the server sends: the process has memory for so much of it."""
    chunks = Chunks(b'data: {"choices": [', *[b'{"delta": {"content": "x"}},'] * 100, b"]}\n\n")
    response = SimpleNamespace(content=chunks, headers={})
    chunks.is_eof = lambda: False
    monkeypatch.setattr(bound, 1_000)

    async def read() -> None:
        call = make_call("http://nowhere/v1", "any", stream=stream)
        if not stream:
            await read_answer(call, response)
        async for _part in relayed(response, call):
            pass

    with pytest.raises(UpstreamError) as caught:
        asyncio.run(read())
    assert caught.value.code == code and len(chunks._chunks) > 50


EMPTY_EVENT = b'data: {"choices":[{"index":0,"delta":{}}]}\n\n'


def test_events_that_bring_nothing_are_read_to_a_bound(monkeypatch):
    """One compressed answer of them took a process from everybody for a minute."""
    monkeypatch.setattr("gateway.steps.relay.SOME_EVENTS", 100)
    response = SimpleNamespace(content=Chunks(*[EMPTY_EVENT * 10] * 200), headers={})

    async def read() -> None:
        async for _part in relayed(response):
            pass

    with pytest.raises(UpstreamError) as caught:
        asyncio.run(read())
    assert caught.value.code == "upstream_endless" and len(response.content._chunks) > 100


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_others_have_their_turn_while_much_is_read(monkeypatch, encoding):
    """Though the server's bytes are all there and nothing is waited for."""
    text = EMPTY_EVENT * 20_000
    raw = gzip.compress(text) if encoding else text
    pieces = [raw[at : at + 65_536] for at in range(0, len(raw), 65_536)]
    headers = CIMultiDict({"Content-Encoding": encoding} if encoding else {})
    response = SimpleNamespace(content=Chunks(*pieces), headers=headers)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async def run() -> None:
        other = asyncio.ensure_future(others())
        with contextlib.suppress(UpstreamError):
            async for _part in relayed(response):
                pass
        other.cancel()

    asyncio.run(run())
    assert turns >= len(text) // 65_536 - 2
