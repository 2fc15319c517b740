"""Arguments of tool calls: of functions that take none, that come late, and that end in the middle."""

import asyncio
import json

import openai
import pytest

from gateway.answers import stream
from gateway.deltas import Finish, Text, ToolCall
from tests.gateway.hearing import ROLE, Heard, choice, hear
from tests.gateway.streaming import DONE, event, server, whole
from tests.gateway.telling import tell
from tests.gateway.test_tool_calls import END, A, B, as_client, piece, pieces_of, said

# -- functions that take nothing -----------------------------------------------------------------------------

NONE = piece("", "f", id="a", type="function", index=0)
STOPPED = choice(delta={}, finish_reason="stop")
WITHOUT_ARGUMENTS = {
    "nothing more": [said(NONE), END],
    "nothing at all": [said({"index": 0, "id": "a", "function": {"name": "f"}}), END],
    "empty pieces": [said(NONE), said(piece("", index=0)), said(piece(None, index=0)), END],
    "white space": [said(NONE), said(piece(" ", index=0)), END],
    "one event": [choice(delta={"tool_calls": [NONE]}, finish_reason="tool_calls")],
    "called a stop": [said(NONE), STOPPED],
    "no reason": [said(NONE)],
    "a report behind": [said(NONE), END, event({}, usage={"prompt_tokens": 2, "completion_tokens": 2})],
    "two reasons": [said(NONE), END, END],
    "text behind": [said(NONE), END, event({"content": "so"})],
}
NO_END = {"closed": {}, "open": {"then_wait": True}}


@pytest.mark.parametrize("parts", WITHOUT_ARGUMENTS.values(), ids=WITHOUT_ARGUMENTS)
def test_a_call_without_arguments_ends_with_an_empty_object(parts):
    heard = hear([ROLE, *parts, DONE])
    ((_id, name, arguments),) = as_client(heard)
    assert (name, json.loads(arguments)) == ("f", {}) and heard.error is None
    inner = "".join(delta.arguments for delta in heard.deltas if isinstance(delta, ToolCall))
    assert json.loads(inner) == {}


@pytest.mark.parametrize("end", NO_END.values(), ids=NO_END)
@pytest.mark.parametrize("rest", [[], [event({}, usage={"prompt_tokens": 2, "completion_tokens": 2})]])
def test_so_it_does_where_no_mark_of_the_end_follows_the_reason(rest, end, monkeypatch):
    monkeypatch.setattr(stream, "AFTER_FINISH_S", 0.2)
    monkeypatch.setattr(stream, "AFTER_USAGE_S", 0.1)
    heard = hear([ROLE, said(NONE), END, *rest], **end)
    assert [call[1:] for call in as_client(heard)] == [("f", "{}")] and heard.error is None
    assert heard.deltas[-1] == Finish("tool_calls") and heard.call.finish_reason == "tool_calls"


def test_the_report_stays_the_last():
    report = event({}, usage={"prompt_tokens": 2, "completion_tokens": 2})
    bare = b'data: {"choices": [], "usage": {"prompt_tokens": 2, "completion_tokens": 2}}\n\n'
    for last in (report, bare):
        heard = hear([ROLE, said(NONE), END, last, DONE], wants_usage=True)
        told = [bool(one["choices"] and one["choices"][0]["finish_reason"]) for one in heard.chunks]
        assert told[-2:] == [True, False] and heard.chunks[-1]["usage"]["completion_tokens"] == 2


def test_no_other_choice_is_given_an_end_where_the_stream_just_closes():
    other = choice(index=1, delta={"content": "Hi"})
    heard = hear([other, said(NONE), END])
    ends = [(one["index"], one["finish_reason"]) for chunk in heard.chunks for one in chunk["choices"]]
    assert [one for one in ends if one[1]] == [(0, "tool_calls")]


LATE = {
    "at once": [said(NONE), END, said(piece(A, index=0))],
    "in pieces": [said(NONE), END, said(piece(A[:4], index=0)), said(piece(A[4:], index=0)), END],
    "in its event": [
        choice(
            delta={"tool_calls": [NONE, piece(A[:4], index=0), piece(A[4:], index=0)]},
            finish_reason="tool_calls",
        )
    ],
}


@pytest.mark.parametrize("parts", LATE.values(), ids=LATE)
def test_arguments_may_come_as_late_as_the_reason_and_later(parts):
    heard = hear([*parts, DONE])
    assert [call[1:] for call in as_client(heard)] == [("f", A)] and heard.error is None
    reasons = [one["choices"][0]["finish_reason"] for one in heard.chunks]
    assert [reason for reason in reasons if reason] == ["tool_calls"], "told once"
    assert reasons[-1], "the client reads the arguments when it comes"
    told = tell(*parts, DONE, stream=False)
    assert told.message["tool_calls"][0]["function"] == {"name": "f", "arguments": A}


def test_no_piece_of_a_call_is_left_out_beside_one_without_arguments():
    pieces = [piece(A[:4], "g", id="b", type="function", index=1), piece(A[4:], index=1)]
    heard = hear([said(NONE), choice(delta={"tool_calls": pieces}, finish_reason="tool_calls"), DONE])
    assert as_client(heard) == [("a", "f", "{}"), ("b", "g", A)]
    assert "".join(one.arguments for one in heard.deltas if isinstance(one, ToolCall)) == A + "{}"


def test_a_program_that_checks_arguments_gets_them_before_the_reason():
    """The official client reads those of a strict tool as soon as it is told why the answer ended."""
    nothing = {"type": "object", "properties": {}, "additionalProperties": False, "required": []}
    tool = {"type": "function", "function": {"name": "f", "strict": True, "parameters": nothing}}
    frames = hear([said(NONE), END, DONE]).frames

    async def ask() -> object:
        async with server([frames]) as port:
            client = openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{port}", api_key="sk-any", max_retries=0)
            async with (
                client,
                client.chat.completions.stream(model="ours", messages=[], tools=[tool]) as answer,
            ):
                return [one async for one in answer if one.type == "tool_calls.function.arguments.done"]

    (done,) = asyncio.run(ask())
    assert done.arguments == "{}" and done.parsed_arguments == {}


def test_an_answer_made_of_a_stream_has_an_empty_object_too():
    told = tell(ROLE, said(NONE), END, DONE, stream=False)
    assert told.message["tool_calls"][0]["function"] == {"name": "f", "arguments": "{}"}


def test_of_several_calls_those_without_arguments_alone():
    """The arguments of the first may come after the second has begun: only at the end is it known."""
    other, third = piece("", "g", id="b", index=1), piece("", "h", id="c", index=2)
    heard = hear(
        [said(NONE, other, third), said(piece(A[:4], index=1)), said(piece(A[4:], index=1)), END, DONE]
    )
    written = {name: json.loads(arguments) for _id, name, arguments in as_client(heard)}
    assert written == {"f": {}, "g": json.loads(A), "h": {}}


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_a_call_that_was_cut_is_not_made_whole(reason):
    heard = hear([ROLE, said(NONE), choice(delta={}, finish_reason=reason), DONE])
    assert "".join(tool["function"].get("arguments", "") for tool in pieces_of(heard)) == ""


def test_a_call_of_another_type_gets_no_function():
    custom = {"index": 0, "id": "a", "type": "custom", "custom": {"name": "f", "input": ""}}
    heard = hear([said(custom), END, DONE])
    assert pieces_of(heard) == [custom]


def test_each_choice_ends_its_own_calls():
    parts = [choice(index=number, delta={"tool_calls": [NONE]}) for number in (0, 1)]
    ends = [choice(index=number, delta={}, finish_reason="tool_calls") for number in (1, 0)]
    heard = hear([*parts, *ends, DONE])
    told = [
        (one["index"], tool["index"])
        for chunk in heard.chunks
        for one in chunk["choices"]
        for tool in one["delta"].get("tool_calls") or ()
        if tool["function"]["arguments"] == "{}"
    ]
    assert told == [(0, 0), (1, 0)]


@pytest.mark.parametrize(
    "frame",
    [
        {},
        {"index": 0},
        {"index": 0, "id": "", "type": "function", "function": {"name": "", "arguments": ""}},
        {"index": None, "id": None, "type": None, "function": None},
        {"index": 0, "function": {"name": None, "arguments": None}},
    ],
)
def test_the_frame_of_a_call_is_none(frame):
    """Some servers put one beside each text."""
    texts = [event({"content": text, "tool_calls": [dict(frame)]}) for text in ("hel", "lo")]
    heard = hear([ROLE, *texts, choice(delta={}, finish_reason="stop"), DONE])
    assert heard.deltas == [Text("hel"), Text("lo"), Finish("stop")] and pieces_of(heard) == []


@pytest.mark.parametrize("call", [{"id": "a", "type": "function"}, {"id": "a", "function": {"name": ""}}])
def test_a_whole_call_of_nothing_is_none(call):
    message = {"role": "assistant", "content": "hello", "tool_calls": [call]}
    told = tell(*whole(message), stream=False)
    (choice,) = told.answer["choices"]
    assert "tool_calls" not in choice["message"] and choice["finish_reason"] == "stop"


def test_two_whole_calls_under_one_id_and_number_are_two():
    twice = [said(piece(arguments, "grep", id="grep:3", index=0)) for arguments in (A, B)]
    heard = hear([ROLE, *twice, END, DONE])
    first, second = as_client(heard)
    assert (first[1:], second[1:]) == (("grep", A), ("grep", B)) and first[0] == "grep:3" != second[0]


# -- arguments that end in the middle ------------------------------------------------------------------------

CUT = [
    "{",
    '{"x": "ab',
    '{"x": "a\\\\\\"}',
    '{"x": 1',
    '{"x": [1, 2',
    '{"x": {"y": "}"}',
    ' {"x": "a", ',
]
NOT_CUT = [
    "{}",
    A,
    '{"x": "{[", "y": "\\\\"}',
    '{"x": "\\""}',
    '{"x": 1,}',
    "{'x': 1}",
    "[1",
    "Paris",
]
ENDS = ["tool_calls", "stop", None]


def first_call(arguments: str) -> dict:
    return piece(arguments, "f", id="a", type="function", index=0)


def reason_of(heard: Heard) -> str:
    (reason,) = [
        one["finish_reason"] for chunk in heard.chunks for one in chunk["choices"] if one["finish_reason"]
    ]
    assert heard.deltas[-1] == Finish(reason) and heard.call.finish_reason == reason
    return reason


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize(
    ("arguments", "reason"), [*((one, "length") for one in CUT), *((one, "tool_calls") for one in NOT_CUT)]
)
def test_a_call_that_was_cut_ends_as_what_it_is(arguments, reason, end):
    """Programs run what ends with `tool_calls`; OpenAI says `length`."""
    last = [choice(delta={}, finish_reason=end)] if end else []
    pieces = [
        said(first_call(arguments[:3])),
        *([said(piece(arguments[3:], index=0))] if arguments[3:] else []),
    ]
    heard = hear([ROLE, *pieces, *last, DONE])
    assert reason_of(heard) == reason
    assert "".join(tool["function"]["arguments"] for tool in pieces_of(heard)) == arguments
    message = {"role": "assistant", "content": None, "tool_calls": [first_call(arguments)]}
    answer = {"choices": [{"index": 0, "message": message, "finish_reason": end}]}
    for stream_asked in (True, False):
        told = tell(json.dumps(answer).encode(), stream=stream_asked)
        assert told.call.finish_reason == reason
        given = told.events[0] if stream_asked else told.answer
        assert given["choices"][0]["finish_reason"] == reason


def test_each_call_counts():
    pieces = [said(first_call(A)), said(piece('{"x": "ab', "g", id="b", index=1)), END]
    assert reason_of(hear([*pieces, DONE])) == "length"


@pytest.mark.parametrize("end", NO_END.values(), ids=NO_END)
def test_the_rest_of_arguments_may_come_behind_the_reason(end, monkeypatch):
    monkeypatch.setattr(stream, "AFTER_FINISH_S", 0.2)
    heard = hear([said(first_call(A[:6])), END, said(piece(A[6:], index=0)), END], **end)
    assert reason_of(heard) == "tool_calls" and [call[1:] for call in as_client(heard)] == [("f", A)]
    assert reason_of(hear([said(first_call(A[:6])), END], **end)) == "length"
