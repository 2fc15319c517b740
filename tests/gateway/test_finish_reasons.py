"""Why answers ended: every answer that did says so, in a word that OpenAI's clients know."""

import json

import pytest

from gateway.deltas import Finish
from gateway.operations.chat_completions.finish import name_finish_reason
from tests.gateway import calling
from tests.gateway.hearing import ROLE, Heard, choice, hear
from tests.gateway.streaming import DONE, event, usage_event

FUNCTION = {"name": "f", "arguments": "{}"}
CALL = {"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": FUNCTION}]}
HELLO = event({"content": "Hello"})


def reasons(heard: Heard) -> list[str]:
    given = (one["finish_reason"] for chunk in heard.chunks for one in chunk["choices"])
    return [reason for reason in given if reason is not None]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("content_filter: PROHIBITED_CONTENT", "content_filter"),
        ("RECITATION", "content_filter"),
        ("SAFETY", "content_filter"),
        ("BLOCKLIST", "content_filter"),
        ({"type": "length", "length": 10}, "length"),
        ({"type": "stop", "matched": 2}, "stop"),
        ("stopped", "stop"),
        ("eos", "stop"),
        ("end_turn", "stop"),
        ("COMPLETE", "stop"),
        ("what nobody has heard of", "stop"),
        ("tool_use", "tool_calls"),
        ("function_call", "function_call"),
    ],
)
def test_every_word_becomes_one_that_clients_know(theirs, ours):
    heard = hear([HELLO, choice(delta={}, finish_reason=theirs), DONE])
    assert reasons(heard) == [ours] and heard.deltas[-1] == Finish(ours)
    assert heard.call.finish_reason == heard.inside.finish_reason == ours
    assert read_whole({"content": "Hello"}, theirs) == ours


@pytest.mark.parametrize("nothing", [None, "", "null", "None", "FINISH_REASON_UNSPECIFIED", {}, 7])
def test_what_says_nothing_is_no_end(nothing):
    assert name_finish_reason(nothing) is None


@pytest.mark.parametrize("reason", ["ERROR", "abort", {"type": "abort"}, "MALFORMED_FUNCTION_CALL"])
def test_an_error_stays_one(reason):
    assert name_finish_reason(reason) == "error"


# -- ends without a reason -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("delta", "reason"), [({"content": "Hello"}, "stop"), (CALL, "tool_calls")])
@pytest.mark.parametrize("empty", [None, "", "null"])
def test_a_stream_that_only_says_done_has_a_last_chunk_with_its_reason(delta, reason, empty):
    heard = hear([ROLE, choice(delta=delta, finish_reason=empty), DONE])
    last = heard.chunks[-1]
    assert last["choices"] == [{"index": 0, "delta": {}, "finish_reason": reason}]
    assert {name: last[name] for name in last if name != "choices"} == {
        name: heard.chunks[0][name] for name in ("id", "object", "created", "model")
    }
    assert reasons(heard) == [reason] and heard.deltas[-1] == Finish(reason) and heard.error is None
    assert heard.call.finish_reason == heard.inside.finish_reason == reason


@pytest.mark.parametrize("wants_usage", [True, False])
def test_it_comes_before_the_usage(wants_usage):
    heard = hear([HELLO, usage_event(22, prompt=11), DONE], wants_usage=wants_usage)
    told = [chunk["usage"]["total_tokens"] for chunk in heard.chunks if chunk.get("usage")]
    assert told == ([33] if wants_usage else []) and heard.usage == (11, 0, 22, 0)
    end = heard.chunks[-2] if wants_usage else heard.chunks[-1]
    assert end["choices"] == [{"index": 0, "delta": {}, "finish_reason": "stop"}]


def test_each_choice_has_its_own():
    parts = [
        choice(index=0, delta={"content": "Hello"}),
        choice(index=1, delta=CALL),
        choice(index=2, delta={"content": "Hello"}, finish_reason="length"),
    ]
    heard = hear([*parts, DONE])
    last = [(one["index"], one["finish_reason"]) for one in heard.chunks[-1]["choices"]]
    assert last == [(0, "stop"), (1, "tool_calls"), (2, "length")]
    assert len(reasons(heard)) == 3


def test_one_that_has_a_reason_gets_no_other():
    heard = hear([HELLO, choice(delta={}, finish_reason="length"), event({"content": ""}), DONE])
    assert reasons(heard) == ["length"]


def test_a_stream_that_says_nothing_but_done_says_nothing():
    assert hear([DONE]).chunks == []


# -- tool calls ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_apart", [True, False])
@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("stop", "tool_calls"), ("STOP", "tool_calls"), ("eos", "tool_calls"), ("length", "length")],
)
def test_an_answer_with_tool_calls_ends_with_them(theirs, ours, is_apart):
    parts = [event(CALL)] if is_apart else []
    heard = hear([*parts, choice(delta={} if is_apart else CALL, finish_reason=theirs), DONE])
    assert reasons(heard) == [ours] and heard.deltas[-1] == Finish(ours)


@pytest.mark.parametrize("tools", [None, []])
def test_no_calls_are_none(tools):
    heard = hear([event({"content": "Hello", "tool_calls": tools}), choice(delta={}, finish_reason="stop")])
    assert reasons(heard) == ["stop"]
    assert read_whole({"content": "Hello", "tool_calls": tools}, "stop") == "stop"


def read_whole(message: dict, reason) -> str:
    answer = {"choices": [{"index": 0, "message": message, "finish_reason": reason}]}
    call = calling.make_call("http://localhost", stream=False)
    told = json.loads(call.operation.read_answer(call, json.dumps(answer).encode()))["choices"][0]
    assert call.finish_reason == told["finish_reason"]
    return told["finish_reason"]


@pytest.mark.parametrize("theirs", ["stop", "STOP", "null", "", None])
def test_a_whole_answer_has_its_reason_too(theirs):
    assert read_whole({"content": "Hello"}, theirs) == "stop"
    assert read_whole({"content": None} | CALL, theirs) == "tool_calls"
