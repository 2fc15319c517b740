"""Steps 7 and 8 against a real upstream: what passes unparsed, how long silence may last, and what a refusal
costs.
"""

import asyncio
import contextlib
import gzip
import json
import socket
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace

import orjson
import pytest
from multidict import CIMultiDict

from foundation.egress import PRIVATE
from foundation.egress.data_plane import open_session
from foundation.errors import AtriumError, InvalidInput, UpstreamError
from gateway.answers.billed import NOTHING, billed_usage
from gateway.answers.deltas import MOST_VAIN_LESSONS, DeltaShape, pass_unread
from gateway.answers.frames import Frames
from gateway.answers.idle import IdleWatch
from gateway.answers.refusals import callers_fault
from gateway.answers.sse import DONE, EventReader, frame
from gateway.calls import Call
from gateway.errors import UpstreamTimeout
from gateway.operations.chat_completions import AROUND_PROMPT, ASSUMED_WINDOW
from gateway.state.quirks import Quirks
from gateway.steps.dispatch import dispatch
from gateway.steps.relay import read_answer, relay
from gateway.steps.reserve import reserve
from models_registry.providers.openai_compatible.errors import read_error
from tenants.sealing import Secret
from tests.doubles import running_mockllm
from tests.gateway.calling import call_of, make_call, make_endpoint, make_route
from usage.pricing import Price, Usage, cost, highest_cost


def relayed(response, call=None):
    """What goes out to a client of OpenAI's."""
    call = call or make_call("http://nowhere/v1")
    return relay(call, response, Frames(call))


@pytest.fixture(scope="module")
def mock():
    with running_mockllm() as running:
        yield running


async def _send(call: Call, pause_s: float = 0.0) -> bytes:
    async with open_session(PRIVATE) as client, dispatch(call, client, Quirks()) as response:
        if not call.wants_stream:
            return await read_answer(call, response)
        parts = []
        async for part in relayed(response, call):
            parts.append(part)
            await asyncio.sleep(pause_s)
        return b"".join(parts)


def send(call: Call, pause_s: float = 0.0) -> bytes:
    return asyncio.run(_send(call, pause_s))


class Chunks:
    """The body of a response that comes in just these pieces."""

    def __init__(self, *chunks: bytes) -> None:
        self._chunks = list(chunks)

    async def readany(self) -> bytes:
        return self._chunks.pop(0) if self._chunks else b""


def events_of(stream: bytes) -> list[dict]:
    return [json.loads(data) for data in EventReader().feed(stream)]


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


# -- time ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False])
def test_the_first_byte_may_take_longer_than_a_pause(mock, stream):
    call = make_call(
        mock.base_url, "mock-slow-600", stream=stream, first_byte_timeout_s=20, idle_timeout_s=0.2
    )
    assert b"w0" in send(call)


@pytest.mark.parametrize("where", ["before", "after"])
def test_no_first_byte_in_time(mock, where):
    call = make_call(mock.base_url, f"fault-hang-{where}-header", first_byte_timeout_s=0.3)
    with pytest.raises(UpstreamTimeout) as caught:
        send(call)
    assert caught.value.http_status == 504 and billed_usage(call)[1], (
        "it may have begun to work: billed by estimate"
    )


@pytest.mark.parametrize("stream", [True, False])
def test_silence_in_mid_answer_ends_it(mock, stream):
    call = make_call(mock.base_url, "fault-hang-mid-stream", stream=stream, idle_timeout_s=0.3)
    with pytest.raises(UpstreamTimeout) as caught:
        send(call)
    assert (
        caught.value.http_status == 504
        and call.pieces_seen == (3 if stream else 0)
        and call.output_tokens_seen > 0
    )


def test_a_client_that_reads_slowly_is_not_the_upstreams_fault(mock):
    call = make_call(mock.base_url, "mock-tokens-4-400", idle_timeout_s=0.6)
    assert len(events_of(send(call, pause_s=0.7))) >= 4


def test_the_watch_is_stopped():
    async def run() -> tuple[bool, bool]:
        with IdleWatch(Chunks(b"x"), 60, 60, 600) as watch:
            await watch.read()
            was_stopped = watch._timer.cancelled()
        return was_stopped, watch._timer.cancelled()

    assert asyncio.run(run()) == (False, True)


# -- refusals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        "400",
        "401",
        "403",
        "404",
        "429",
        "500",
        "503",
        "long-code",
        "html-502",
        "redirect",
        "context-1",
        "500-mid-stream-0",
    ],
)
def test_a_provider_that_refuses_charges_nothing(mock, fault):
    call = make_call(mock.base_url, f"fault-{fault}")
    with pytest.raises(AtriumError):
        send(call)
    assert call.was_dispatched and billed_usage(call) == (NOTHING, False)


def test_an_error_that_comes_with_status_200_is_one(mock):
    call = make_call(mock.base_url, "fault-error-200", stream=False)
    with pytest.raises(AtriumError) as caught:
        send(call)
    assert caught.value.code == "upstream_error" and billed_usage(call) == (NOTHING, False)


PRICES = [("1", "5", "2", "9"), ("5", "1", "9", "2"), ("0", "1", "0", "1")]


@pytest.mark.parametrize("prices", PRICES, ids="/".join)
@pytest.mark.parametrize("cached", [0, 30, 70])
@pytest.mark.parametrize("reasoning", [0, 40, 100])
def test_no_way_to_count_the_tokens_costs_more_than_was_held(prices, cached, reasoning):
    price = Price("EUR", *map(Decimal, prices))
    assert cost(price, Usage(70 - cached, cached, 100 - reasoning, reasoning)) <= highest_cost(price, 70, 100)


def test_what_is_held_is_enough_for_an_answer_that_was_only_reasoning():
    held = []

    class Books:
        async def reserve(self, slug, hold):
            held.append(hold.amount)

    price = Price("EUR", *map(Decimal, ("1", "5", "2", "9")))
    call = call_of(make_route([make_endpoint("http://nowhere/v1")], price=price))
    asyncio.run(reserve(call, Books()))
    most = call.size_bytes + AROUND_PROMPT
    assert held == [cost(call.route.price, Usage(0, most, 0, call.max_output_tokens))]


@pytest.mark.parametrize(
    ("window", "has_media", "size", "most"),
    [
        (None, False, 70_000, 70_000 + AROUND_PROMPT),
        (512, False, 70_000, 512),
        (200_000, False, 70_000, 70_000 + AROUND_PROMPT),
        (200_000, True, 70_000, 200_000),
        (None, True, 70_000, ASSUMED_WINDOW),
        (None, True, ASSUMED_WINDOW, ASSUMED_WINDOW + AROUND_PROMPT),
    ],
)
def test_what_bytes_do_not_bound_holds_the_whole_window(window, has_media, size, most):
    call = make_call("http://nowhere/v1", "any")
    call.size_bytes, call.has_media = size, has_media
    route = replace(call.route, context_window=window)
    assert call.operation.most_input_tokens(call, route) == most


@pytest.mark.parametrize(
    "more",
    [
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"functions": [{"name": "f"}]},
        {"response_format": {"type": "json_object"}},
    ],
)
def test_what_a_provider_says_about_tools_is_held_too(more):
    """Of Claude's 530 tokens about them no byte stands in a request: a small one cost more than was held."""
    call = call_of(make_route([make_endpoint("http://nowhere/v1")]), **more)
    assert call.operation.most_input_tokens(call, call.route) >= call.size_bytes + 530


def test_an_error_after_the_first_token_is_billed(mock):
    call = make_call(mock.base_url, "fault-500-mid-stream")
    with pytest.raises(AtriumError):
        send(call)
    assert billed_usage(call)[0].output_tokens == 3


def test_a_server_that_accepts_no_connection_was_sent_nothing():
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _number in range(3):  # its queue is full; who comes now waits for ever
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        call = make_call(f"http://127.0.0.1:{listener.getsockname()[1]}/v1", "any", connect_timeout_s=0.3)
        with pytest.raises(UpstreamTimeout) as caught:
            send(call)
    assert caught.value.code == "upstream_unreachable" and billed_usage(call) == (NOTHING, False)


REFUSALS = [
    ({"message": "maximum context length is 10 tokens", "code": 400}, "context_length_exceeded", "messages"),
    (
        {
            "message": "the request exceeds the available context size",
            "type": "exceed_context_size_error",
            "code": 400,
        },
        "context_length_exceeded",
        "messages",
    ),
    ({"message": "no such field", "code": "unknown_field", "param": "x"}, "unknown_field", "x"),
    ({"message": "bad task-id and disk-size", "code": 400}, "upstream_invalid_request", None),
    ({"message": "wrong key sk-123", "code": "bad", "param": "x"}, "upstream_invalid_request", None),
    ({"message": "we know gsk_9f8a7b6c only", "code": "bad", "param": "x"}, "upstream_invalid_request", None),
    ({"message": "no", "code": "gsk_9f8a7b6c5d4e"}, "upstream_invalid_request", None),
]


@pytest.mark.parametrize(("error", "code", "param"), REFUSALS)
def test_a_fault_of_the_request_keeps_its_reason(error, code, param):
    endpoint = make_endpoint("http://nowhere/v1", secret=Secret("gsk_9f8a7b6c5d4e"))
    found = callers_fault(read_error(orjson.dumps({"error": error})), endpoint)
    assert isinstance(found, InvalidInput) and (found.code, found.param) == (code, param)
    assert (
        "sk-123" not in str(found.message)
        and "gsk_9f" not in f"{found.message} {found.code}"
        and ("disk-size" in str(found.message)) == ("disk-size" in error["message"])
    )


@pytest.mark.parametrize("status", [400, 401])
def test_a_connection_whose_key_is_refused_is_no_fault_of_the_caller(mock, status):
    """Google's OpenAI door says it with status 400."""
    secret = Secret("gsk_9f8a7b6c5d4e")
    call = make_call(mock.base_url, f"fault-echo-secret-{status}", secret=secret)
    with pytest.raises(UpstreamError) as caught:
        send(call)
    assert caught.value.code == "upstream_credentials" and "gsk" not in str(caught.value.message)
