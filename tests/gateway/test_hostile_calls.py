"""Whatever a server says of its calls, it is read in as many steps as it has pieces: the process serves
others meanwhile. Steps are counted, since times differ.
"""

import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest

from gateway.calls import Chunk
from gateway.operations.chat_completions.chunks import ChatChunkReader
from gateway.operations.chat_completions.nesting import Nesting
from gateway.operations.chat_completions.tool_calls import MOST_CALLS
from gateway.operations.messages.events import Events
from tests.gateway.calling import make_call
from tests.gateway.speaking import assemble, read_events, speak
from tests.gateway.streaming import DONE, event
from tests.gateway.test_messages import TOOL
from tests.gateway.test_messages_to_others import call_piece, ended


def steps_of(work: Callable[[], object]) -> int:
    """Calls that are made, and characters of the texts that are handed on with them."""
    steps = 0

    def count(frame: FrameType, what: str, _argument: object) -> None:
        nonlocal steps
        if what == "c_call":
            steps += 1
        elif what == "call":
            code = frame.f_code
            given = [frame.f_locals.get(name) for name in code.co_varnames[: code.co_argcount]]
            steps += 1 + sum(len(value) for value in given if isinstance(value, str | bytes))

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return steps


def piece_of(index: int, arguments: str, **more: Any) -> dict:
    return {"tool_calls": [{"index": index, "function": {"arguments": arguments, **more}}]}


def many_calls(count: int) -> Iterator[dict]:
    """None of them is ever whole, and each comes in two pieces that lie far apart."""
    for _turn in range(2):
        yield from (piece_of(number, '{"a":', name="f") for number in range(count))


def many_braces(count: int) -> Iterator[dict]:
    yield piece_of(0, '{"a": "', name="f")
    yield {"content": "This waits."}
    yield from (piece_of(0, "}") for _number in range(count))


def many_whole_calls(count: int) -> Iterator[dict]:
    """All wait for the first."""
    yield piece_of(0, "{", name="f")
    yield from (piece_of(number, "{}", name="f") for number in range(1, count))
    yield piece_of(0, "}")


def many_kinds(count: int) -> Iterator[dict]:
    yield piece_of(0, "{", name="f")
    for number in range(count):
        yield {"content": "x"} if number % 2 else {"reasoning_content": "x"}


@pytest.mark.parametrize("deltas", [many_calls, many_braces, many_whole_calls, many_kinds])
def test_a_stream_is_told_in_as_many_steps_as_it_has_pieces(deltas):
    def tell(count: int) -> int:
        face = Events(make_call("http://nowhere/v1"))
        chunks = [Chunk({"choices": [{"delta": delta}]}, is_changed=True) for delta in deltas(count)]

        def work() -> None:
            for chunk in chunks:
                face.write(chunk, b"")
            face.close(None)

        return steps_of(work)

    assert tell(800) < 2.5 * tell(400)


def test_reasons_without_end_read_no_arguments_again():
    """Servers may tell a reason for the end with each of their events."""

    def read(count: int) -> int:
        reader = ChatChunkReader(make_call("http://nowhere/v1"))
        deltas = [piece_of(0, '{"a": [', name="f"), *(piece_of(0, "[7],") for _number in range(count))]
        said = [{"choices": [{"delta": delta}]} for delta in deltas]
        said += [{"choices": [{"delta": {}, "finish_reason": "tool_calls"}]} for _number in range(count)]
        return steps_of(lambda: [reader.read(one, 100) for one in said])

    assert read(800) < 2.5 * read(400)


@pytest.mark.parametrize("stream", [call_piece, None], ids=["pieces", "at once"])
def test_calls_have_an_end(stream):
    numbers = range(MOST_CALLS + 1)
    parts = [call_piece(number, "{}", id=f"c{number}", type="function", name="f") for number in numbers]
    body = b"".join([*parts, ended("tool_calls"), DONE])
    spoken = speak(body, stream=stream is not None, tools=[TOOL])
    if stream is None:
        assert spoken.error.code == "upstream_invalid_response"
    else:
        assert read_events(spoken.body)[-1]["type"] == "error"


def test_what_waited_is_told_in_its_order_and_each_call_in_one():
    parts = [
        call_piece(0, '{"a": ', id="c0", type="function", name="f"),
        call_piece(1, '{"b": "', id="c1", type="function", name="g"),
        event({"content": "One, "}),
        event({"content": "two."}),
        call_piece(2, '{"c": ', id="c2", type="function", name="h"),
        call_piece(1, "}\\"),
        call_piece(2, "3}"),
        call_piece(1, '""}'),
        call_piece(0, "[1]}"),
        event({"content": "Three."}),
        ended("tool_calls"),
        DONE,
    ]
    message = assemble(read_events(speak(b"".join(parts), stream=True, tools=[TOOL]).body))
    told = [one.get("text") or (one["name"], one["id"], one["input"]) for one in message["content"]]
    assert told == [
        ("f", "c0", {"a": [1]}),
        ("g", "c1", {"b": '}"'}),
        "One, two.",
        ("h", "c2", {"c": 3}),
        "Three.",
    ]


@pytest.mark.parametrize(
    ("text", "is_whole", "is_cut"),
    [
        ("", False, False),
        ("[1]", False, False),
        ("seven {", False, False),
        ("{}", True, False),
        ('  {"a": [1, {"b": "}"}]}  ', True, False),
        ('{"a": "\\\\"}', True, False),
        ('{"a": "\\\\\\"}', False, True),
        ('{"a": "\\"}', False, True),
        ('{"a": "{"', False, True),
        ('{"a": [1}', False, True),
        ("{}}", False, False),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 100])
@pytest.mark.parametrize("is_asked", [True, False])
def test_pieces_of_json_may_end_anywhere(text, is_whole, is_cut, size, is_asked):
    nesting = Nesting()
    for start in range(0, len(text), size):
        nesting.add(text[start : start + size])
        assert not is_asked or nesting.is_whole in (True, False)
    assert (nesting.is_whole, nesting.is_cut) == (is_whole, is_cut)
