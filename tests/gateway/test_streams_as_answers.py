"""Streams where an answer in one piece was asked for, and streams of another form where one was."""

import json
import tracemalloc

import pytest

from foundation.errors import UpstreamError
from gateway.operations.chat_completions.assembly import MAX_EVENTS
from tests.gateway.calling import make_call
from tests.gateway.streaming import DONE, END, event, usage_event
from tests.gateway.telling import data, tell

ROLE = event({"role": "assistant", "content": ""}, id="c1", created=7, system_fingerprint="fp")
HELLO = [ROLE, event({"content": "Hel"}), event({"content": "lo"}), END, usage_event(2), DONE]


def objects(*events: bytes) -> list[bytes]:
    return [one.removeprefix(b"data: ").strip() for one in events if one != DONE]


@pytest.mark.parametrize("kind", ["text/event-stream", "application/json", "text/plain"])
@pytest.mark.parametrize(
    "begin", [b"", b": ping\n\n", b"\n", b"\xef\xbb\xbf", b"event: message\n", b"id: 1\n"]
)
def test_events_are_put_together(begin, kind):
    told = tell(begin + HELLO[0], *HELLO[1:], stream=False, headers={"Content-Type": kind})
    assert told.message == {"role": "assistant", "content": "Hello"}
    answer = told.answer
    assert (answer["object"], answer["model"], answer["choices"][0]["finish_reason"]) == (
        "chat.completion",
        "ours",
        "stop",
    )
    if begin in (b"", b"\n"):
        assert (answer["id"], answer["created"], answer["system_fingerprint"]) == ("c1", 7, "fp")
    assert answer["usage"]["completion_tokens"] == 2
    usage, is_estimated = told.bill
    assert (usage.total_output, is_estimated) == (2, False)


def test_tool_calls_reasoning_and_log_probabilities_are_put_together():
    def call(**piece) -> dict:
        return {"tool_calls": [piece]}

    told = tell(
        event({"role": "assistant", "reasoning_content": "H"}),
        event({"reasoning_content": "m"}),
        event(call(index=0, id="a", type="function", function={"name": "f", "arguments": ""})),
        event(call(index=0, function={"arguments": '{"x"'})),
        event(call(index=1, id="b", type="function", function={"name": "g", "arguments": "{}"})),
        event(call(index=0, function={"arguments": ": 1}"})),
        data({"choices": [{"index": 0, "delta": {}, "logprobs": {"content": [{"token": "a"}]}}]}),
        data({"choices": [{"index": 0, "delta": {}, "logprobs": {"content": [{"token": "b"}]}}]}),
        data({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}),
        DONE,
        stream=False,
    )
    assert told.message == {
        "role": "assistant",
        "content": None,
        "reasoning_content": "Hm",
        "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}},
            {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
        ],
    }
    choice = told.answer["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["logprobs"] == {"content": [{"token": "a"}, {"token": "b"}]}


def test_several_choices_are_kept_apart():
    told = tell(
        data({"choices": [{"index": 1, "delta": {"content": "B"}}]}),
        data({"choices": [{"index": 0, "delta": {"content": "A"}}]}),
        data({"choices": [{"index": number, "delta": {}, "finish_reason": "stop"} for number in (0, 1)]}),
        DONE,
        stream=False,
    )
    assert [one["message"]["content"] for one in told.answer["choices"]] == ["A", "B"]


def test_a_stream_that_breaks_off_is_no_answer_and_is_paid():
    told = tell(*HELLO[:3], stream=False)
    assert told.error.code == "upstream_incomplete"
    usage, is_estimated = told.bill
    assert is_estimated and usage.total_output == 2


def test_an_error_in_its_middle_is_told():
    told = tell(*HELLO[:2], data({"error": {"message": "it crashed"}}), stream=False)
    assert told.error.code == "upstream_error" and "it crashed" in told.error.message


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("done", [b"", b"[DONE]\n"])
def test_objects_one_to_a_line_are_a_stream(stream, done):
    told = tell(*(one + b"\n" for one in objects(*HELLO)), done, stream=stream, wants_usage=stream)
    assert told.text == "Hello" and told.bill[0].total_output == 2


def test_more_objects_than_an_answer_has_are_not_copied():
    """Each would become a text of its own, and then a frame."""
    call, raw = make_call("http://nowhere/v1", stream=False), b"{}\n" * (MAX_EVENTS + 2)
    tracemalloc.start()
    with pytest.raises(UpstreamError):
        call.operation.read_answer(call, raw)
    _now, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 4 * len(raw)


OLLAMA = [
    {"model": "m", "message": {"role": "assistant", "content": "Hel"}, "done": False},
    {"model": "m", "message": {"role": "assistant", "content": "lo"}, "done": False},
    {"model": "m", "message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "length"},
]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("framed", [True, False])
def test_ollamas_own_lines_are_one(stream, framed):
    last = OLLAMA[2] | {"prompt_eval_count": 3, "eval_count": 2}
    lines = [json.dumps(one).encode() for one in (*OLLAMA[:2], last)]
    told = tell(*(b"data: " + one + b"\n\n" if framed else one + b"\n" for one in lines), stream=stream)
    assert told.text == "Hello" and told.bill[0].total_tokens == 5
    ends = [one["choices"][0]["finish_reason"] for one in (told.events if stream else [told.answer])]
    assert ends[-1] == "length"


def test_ollamas_older_lines_do_not_say_why_they_end():
    lines = [json.dumps(one).encode() + b"\n" for one in (*OLLAMA[:2], {"message": {}, "done": True})]
    told = tell(*lines, stream=False)
    assert told.text == "Hello" and told.answer["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("stream", [True, False])
def test_a_list_of_chunks_is_a_stream(stream):
    assert tell(b"[" + b",\n".join(objects(*HELLO)) + b"]", stream=stream).text == "Hello"


@pytest.mark.parametrize("stream", [True, False])
def test_events_that_no_empty_line_sets_apart_are_events(stream):
    lines = [one.strip() + b"\n" for one in HELLO]
    assert tell(*lines, stream=stream).text == "Hello"


@pytest.mark.parametrize("stream", [True, False])
def test_events_that_were_framed_twice_are_unpacked(stream):
    """`sse_starlette` frames what it is given, empty lines too."""
    framed = [b"data: " + one.strip() + b"\r\ndata: \r\ndata: \r\n\r\n" for one in HELLO]
    assert tell(*framed, stream=stream).text == "Hello"


def test_an_event_over_several_lines_is_one():
    lines = json.dumps({"choices": [{"index": 0, "delta": {"content": "Hello"}}]}, indent=1).splitlines()
    one = b"".join(b"data: " + line.encode() + b"\n" for line in lines) + b"\n"
    assert tell(one, END, DONE, stream=True).text == "Hello"


@pytest.mark.parametrize(
    "end", [b"event: done\ndata: {}\n\n", b"event: done\n\n", b'data: {"done": true}\n\n']
)
def test_an_end_has_other_marks(end):
    told = tell(event({"content": "Hello"}), end, stream=True)
    assert told.text == "Hello" and told.call.status == "ok"
    assert told.events[-1]["choices"][0]["finish_reason"] == "stop"


def test_signs_of_life_of_zeros_are_none():
    assert (
        tell(
            b"\0", event({"content": "Hel"}), b"\0\n\n\0", event({"content": "lo"}), END, DONE, stream=True
        ).text
        == "Hello"
    )


def test_a_message_beside_the_pieces_repeats_them():
    """Perplexity's chunks hold all that was said until then; others' last one does."""
    one = data({"choices": [{"index": 0, "delta": {"content": "Hel"}, "message": {"content": "Hel"}}]})
    two = data({"choices": [{"index": 0, "delta": {"content": "lo"}, "message": {"content": "Hello"}}]})
    last = {"index": 0, "delta": {}, "message": {"content": "Hello"}, "finish_reason": "stop"}
    told = tell(one, two, data({"choices": [last]}), DONE, stream=True)
    assert told.text == "Hello" and told.bill[0].total_output == 2
    assert all("message" not in one["choices"][0] for one in told.events)


def test_a_role_in_every_piece_is_told_once():
    pieces = [event({"role": "assistant", "content": text}) for text in ("Hel", "l", "o")]
    told = tell(*pieces, END, DONE, stream=True)
    roles = [one["choices"][0]["delta"].get("role") for one in told.events]
    assert told.text == "Hello" and roles == ["assistant", None, None, None]


def test_a_reason_inside_the_delta_is_the_choices():
    told = tell(event({"content": "Hello"}), event({"finish_reason": "length"}), DONE, stream=True)
    assert [one["choices"][0]["finish_reason"] for one in told.events] == [None, "length"]
    assert told.events[-1]["choices"][0]["delta"] == {}


def test_a_report_behind_the_mark_of_the_end_counts():
    told = tell(event({"content": "Hello"}), END + DONE + usage_event(9), stream=True, wants_usage=True)
    assert told.bill[0].total_output == 9 and not told.bill[1]
    assert told.events[-1]["usage"]["completion_tokens"] == 9
