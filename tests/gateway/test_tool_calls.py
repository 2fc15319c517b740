"""Tool calls as servers really send them, byte for byte over a socket, and what the official client makes of
what we make of them.
"""

import asyncio
import json

import openai
import pytest

from gateway.deltas import Finish, ToolCall
from gateway.operations.chat_completions.chunks import ChatChunkReader
from tests.gateway import calling
from tests.gateway.hearing import ROLE, Heard, choice, hear
from tests.gateway.streaming import DONE, event, server
from tests.gateway.telling import tell

END = choice(delta={}, finish_reason="tool_calls")
A, B = '{"city": "Paris"}', '{"city": "Rome"}'


def piece(arguments, name: str = "", **fields) -> dict:
    function = {"name": name, "arguments": arguments} if name else {"arguments": arguments}
    return {"function": function} | fields


def said(*pieces: dict) -> bytes:
    return event({"tool_calls": list(pieces)})


async def _by_client(frames: bytes) -> list[tuple[str, str, str]]:
    async with server([frames]) as port:
        client = openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{port}", api_key="sk-any", max_retries=0)
        async with client, client.chat.completions.stream(model="ours", messages=[]) as stream:
            message = (await stream.get_final_completion()).choices[0].message
        return [(call.id, call.function.name, call.function.arguments) for call in message.tool_calls]


def as_client(heard: Heard) -> list[tuple[str, str, str]]:
    """(id, name, arguments) of each call, as the helper of the official client puts them together."""
    return asyncio.run(_by_client(heard.frames))


def pieces_of(heard: Heard) -> list[dict]:
    return [tool for one in heard.chunks for tool in one["choices"][0]["delta"].get("tool_calls") or ()]


TWO_CALLS = {
    "no index": [said(piece(A, "f", id="a")), said(piece(B, "g", id="b"))],
    "no index, in pieces": [
        said(piece("", "f", id="a")),
        said(piece(A[:5])),
        said(piece(A[5:])),
        said(piece("", "g", id="b")),
        said(piece(B)),
    ],
    "from 1": [
        said(piece("", "f", id="a", index=1)),
        said(piece(A, index=1)),
        said(piece("", "g", id="b", index=2)),
        said(piece(B, index=2)),
    ],
    "all are 0": [
        said(piece("", "f", id="a", index=0)),
        said(piece(A, index=0)),
        said(piece("", "g", id="b", index=0)),
        said(piece(B, index=0)),
    ],
    "all are 0, in one event": [said(piece(A, "f", id="a", index=0), piece(B, "g", id="b", index=0))],
    "numbers are texts": [said(piece(A, "f", id="a", index="0")), said(piece(B, "g", id="b", index="1"))],
    "an object for a list": [
        event({"tool_calls": piece(A, "f", id="a", index=0)}),
        event({"tool_calls": piece(B, "g", id="b", index=1)}),
    ],
    "arguments are objects": [
        said(piece(json.loads(A), "f", id="a", index=0)),
        said(piece(json.loads(B), "g", id="b", index=1)),
    ],
    "interleaved": [
        said(piece("", "f", id="a", index=3), piece("", "g", id="b", index=7)),
        said(piece(B[:5], index=7)),
        said(piece(A, index=3), piece(B[5:], index=7)),
    ],
    "ids and names again and again": [
        said(piece("", "f", id="a", index=0)),
        said(piece(A[:5], "f", id="a", index=0)),
        said(piece(A[5:], "f", id="a", index=0)),
        said(piece("", "g", id="b", index=1)),
        said(piece(B, "g", id="b", index=1)),
    ],
    "ids again, no index": [
        said(piece("", "f", id="a"), piece("", "g", id="b")),
        said(piece(A, id="a"), piece(B, id="b")),
    ],
    "an id for each piece": [
        said(piece("", "f", id="a", index=0)),
        said(piece(A, id="x", index=0)),
        said(piece("", "g", id="b", index=1)),
        said(piece(B, id="y", index=1)),
    ],
}


@pytest.mark.parametrize("kind", TWO_CALLS)
def test_two_calls_stay_two(kind):
    heard = hear([ROLE, *TWO_CALLS[kind], END, DONE])
    written = {name: json.loads(arguments) for _id, name, arguments in as_client(heard)}
    assert written == {"f": json.loads(A), "g": json.loads(B)}
    assert [call[0] for call in as_client(heard)] == ["a", "b"]
    inner = [delta for delta in heard.deltas if isinstance(delta, ToolCall)]
    assert [delta.index for delta in inner if delta.name] == [0, 1] and heard.error is None
    assert heard.deltas[-1] == Finish("tool_calls")


@pytest.mark.parametrize(
    "parts",
    [
        [said(piece(json.loads(A), "f"), piece(json.loads(B), "f"))],
        [said(piece(A, "f", id="", index=0)), said(piece(B, "f", id="", index=0))],
        [said(piece(A[:9], "f")), said(piece(A[9:])), said(piece(B, "f"))],
    ],
)
def test_calls_without_ids_are_told_apart_by_their_names(parts):
    heard = hear([ROLE, *parts, END, DONE])
    (one, *first), (other, *second) = as_client(heard)
    assert (first[0], json.loads(first[1])) == ("f", json.loads(A))
    assert (second[0], json.loads(second[1])) == ("f", json.loads(B))
    assert one.startswith("call_") and other.startswith("call_") and one != other


@pytest.mark.parametrize("fields", [{}, {"id": None, "type": None}, {"id": "", "type": ""}])
def test_what_a_call_must_have_comes_with_its_first_piece_alone(fields):
    function = {"name": "f"}
    heard = hear([said({"index": 0, "function": function} | fields), said(piece(A, index=0)), END, DONE])
    first, more = pieces_of(heard)
    assert first["id"].startswith("call_") and first["type"] == "function"
    assert first["function"] == {"name": "f", "arguments": ""}
    assert more == {"index": 0, "function": {"arguments": A}}


@pytest.mark.parametrize("odd", ["", {}, "text", ["text", None], 7])
def test_what_is_no_call_is_left_out(odd):
    heard = hear([event({"content": "Hello", "tool_calls": odd}), choice(delta={}, finish_reason="stop")])
    assert heard.text() == "Hello" and pieces_of(heard) == [] and heard.error is None


def test_calls_of_several_choices_are_counted_apart():
    parts = [
        choice(index=number, delta={"tool_calls": [piece(A, "f", id=f"c{number}", index=4)]})
        for number in (0, 1)
    ]
    assert [tool["index"] for tool in pieces_of(hear([*parts, END, DONE]))] == [0, 0]


RIGHT = [
    {"role": "assistant", "content": ""},
    {"tool_calls": [piece("", "f", id="a", type="function", index=0)]},
    {"tool_calls": [piece(A, index=0)]},
    {"tool_calls": [piece("", "g", id="b", type="function", index=1)]},
    {"tool_calls": [piece(B, index=1)]},
    {"tool_calls": []},
    {"content": "Hello", "tool_calls": None},
]


@pytest.mark.parametrize("nothing", [None, ""])
def test_what_later_pieces_leave_empty_is_left_out(nothing):
    """OpenAI's own client asserts that a type is a function's (Qwen, vLLM)."""
    first = piece("", "f", id="a", index=0, type="function")
    later = {"index": 0, "id": nothing, "type": nothing, "function": {"name": nothing, "arguments": A}}
    heard = hear([said(first), said(later), END, DONE])
    assert as_client(heard) == [("a", "f", A)]
    assert pieces_of(heard)[1] == {"index": 0, "function": {"arguments": A}}


def test_what_is_right_passes_as_it_came():
    call = calling.make_call("http://localhost")
    reader = ChatChunkReader(call)
    head = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": call.route.name}
    for delta in RIGHT:
        given = {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        before = json.dumps(given)
        chunk = reader.read(given, 200)
        assert not chunk.is_changed and json.dumps(chunk.event) == before


def test_no_event_with_a_call_passes_unread():
    """It differs from the last in its text alone, and is another call all the same."""
    heard = hear([*(event({"content": text, "tool_calls": [piece(A, "f")]}) for text in "123"), END, DONE])
    assert heard.text() == "123" and [tool["index"] for tool in pieces_of(heard)] == [0, 1, 2]


WHOLE_CALLS = [
    ({"function": {"name": "f", "arguments": A}}, A),
    ({"id": None, "type": None, "function": {"name": "f", "arguments": {"a": 1}}}, '{"a":1}'),
    ({"id": "a", "type": "function", "function": {"name": "f"}}, "{}"),
]


def read_whole(message: dict, reason: str | None = "tool_calls") -> dict:
    answer = {"choices": [{"index": 0, "message": message, "finish_reason": reason}]}
    call = calling.make_call("http://localhost", stream=False)
    return json.loads(call.operation.read_answer(call, json.dumps(answer).encode()))["choices"][0]


@pytest.mark.parametrize("as_list", [True, False])
@pytest.mark.parametrize(("given", "arguments"), WHOLE_CALLS)
def test_calls_of_a_whole_answer_have_all_that_calls_have(given, arguments, as_list):
    told = read_whole({"role": "assistant", "content": None, "tool_calls": [given] if as_list else given})
    (tool,) = told["message"]["tool_calls"]
    assert tool["function"] == {"name": "f", "arguments": arguments}
    assert tool["type"] == "function" and (tool["id"] == "a" or tool["id"].startswith("call_"))


def test_calls_of_a_whole_answer_are_numbered_where_it_becomes_a_stream():
    tools = [piece(A, "f", id="a", index=1), piece(json.loads(B), "g", id="b", index="2")]
    message = {"role": "assistant", "content": None, "tool_calls": tools}
    whole = json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]})
    heard = hear([whole.encode()])
    written = [(name, json.loads(arguments)) for _id, name, arguments in as_client(heard)]
    assert written == [("f", json.loads(A)), ("g", json.loads(B))]


# -- calls in other shapes -----------------------------------------------------------------------------------

FUNCTION = {"name": "f", "arguments": '{"x": 1}'}
ODD_CALLS = {
    "flat": [{"id": "a", "type": "function", "name": "f", "arguments": '{"x": 1}'}],
    "flat, with parameters": [{"id": "a", "name": "f", "parameters": {"x": 1}}],
    "flat, with an input": [{"id": "a", "type": "tool_use", "name": "f", "input": {"x": 1}}],
    "parameters": [{"id": "a", "function": {"name": "f", "parameters": {"x": 1}}}],
    "parameters beside nothing": [
        {"id": "a", "function": {"name": "f", "arguments": "", "parameters": {"x": 1}}}
    ],
    "a function as text": [{"id": "a", "function": '{"name": "f", "arguments": {"x": 1}}'}],
    "another type": [{"id": "a", "type": "tool_call", "function": FUNCTION}],
    "JSON in JSON": [{"id": "a", "function": {"name": "f", "arguments": '"{\\"x\\": 1}"'}}],
    "all as text": json.dumps([{"id": "a", "function": FUNCTION}]),
}


def as_bytes(answer: dict) -> bytes:
    return json.dumps(answer).encode()


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("shape", ODD_CALLS)
def test_calls_of_any_shape_are_openais(shape, stream):
    message = {"role": "assistant", "content": None, "tool_calls": ODD_CALLS[shape]}
    if stream:
        told = tell(event(message), END, DONE, stream=True)
        (found,) = told.events[0]["choices"][0]["delta"]["tool_calls"]
        assert found.pop("index") == 0
    else:
        told = tell(as_bytes({"choices": [{"message": message, "finish_reason": "stop"}]}), stream=False)
        (found,) = told.message["tool_calls"]
        assert told.answer["choices"][0]["finish_reason"] == "tool_calls"
    assert json.loads(found["function"].pop("arguments")) == {"x": 1}
    assert found == {"id": "a", "type": "function", "function": {"name": "f"}}


@pytest.mark.parametrize("indexes", [(None, None), (0, 1)])
@pytest.mark.parametrize("stream", [True, False])
def test_each_call_has_an_id_of_its_own(stream, indexes):
    calls = [
        {"id": "a", "type": "function", "function": {"name": name, "arguments": "{}"}}
        | ({} if index is None else {"index": index})
        for name, index in zip("fg", indexes, strict=True)
    ]
    if stream:
        told = tell(event({"tool_calls": calls}), END, DONE, stream=True)
        found = told.events[0]["choices"][0]["delta"]["tool_calls"]
        assert [one["index"] for one in found] == [0, 1]
    else:
        told = tell(as_bytes({"choices": [{"message": {"tool_calls": calls}}]}), stream=False)
        found = told.message["tool_calls"]
    assert [one["function"]["name"] for one in found] == ["f", "g"]
    assert found[0]["id"] == "a" and found[1]["id"] not in ("a", "")


def test_calls_beside_the_message_belong_to_it():
    choice = {"message": {"content": None}, "tool_calls": [{"id": "a", "function": FUNCTION}]}
    told = tell(as_bytes({"choices": [choice]}), stream=False)
    assert (
        told.message["tool_calls"][0]["function"] == FUNCTION
        and "tool_calls" not in told.answer["choices"][0]
    )


@pytest.mark.parametrize("arguments", ["", None])
def test_no_arguments_are_an_empty_object(arguments):
    call = {"id": "a", "function": {"name": "f", "arguments": arguments}}
    told = tell(as_bytes({"choices": [{"message": {"tool_calls": [call]}}]}), stream=False)
    assert told.message["tool_calls"][0]["function"]["arguments"] == "{}"
