"""What servers really send: each row a kind of public bug report, told byte for byte over a socket, and read
by the one reader that clients of `/v1` and the chat share.
"""

import json
import tracemalloc

import pytest

from foundation.errors import AtriumError
from gateway.answers.billed import NOTHING, billed_usage
from gateway.answers.frames import Frames
from gateway.answers.json_text import Halves, load_json, write_json
from gateway.answers.stream import AnswerEvents
from gateway.answers.usage import usage_body
from gateway.deltas import Finish, ToolCall
from tests.gateway import calling
from tests.gateway.hearing import PING, ROLE, choice, hear
from tests.gateway.streaming import DONE, END, event, usage_event
from tests.gateway.telling import tell

# -- events --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "odd",
    [
        PING,
        b"event: ping\ndata: {}\n\n",
        b'data: {"choices": null}\n\n',
        b'data: {"error": null, "id": "x"}\n\n',
        b'data: {"type": "content_block_start", "index": 0}\n\n',
        b": comment\n\n",
        b"data: null\n\n",
        b"data: []\n\n",
        b'data: "ping"\n\n',
        b"event: ping\ndata: ping\n\n",
        b"data: : OPENROUTER PROCESSING\n\n",
        b'data: {"choices": {}}\n\n',
        b'data: {"choices": [null]}\n\n',
    ],
)
def test_events_that_are_no_chunks_are_skipped(odd):
    heard = hear([odd, ROLE, odd, event({"content": "Hel"}), odd, event({"content": "lo"}), END, odd, DONE])
    assert (heard.text(), heard.inner_text, heard.error) == ("Hello", "Hello", None)
    assert all("choices" in chunk for chunk in heard.chunks)


@pytest.mark.parametrize("choices", ["missing", None, []])
def test_a_usage_event_of_any_shape_is_read(choices):
    report = {"usage": {"prompt_tokens": 11, "completion_tokens": 22, "total_tokens": 33}}
    if choices != "missing":
        report["choices"] = choices
    parts = [event({"content": "Hello"}), END, b"data: " + json.dumps(report).encode() + b"\n\n", DONE]
    heard = hear(parts, wants_usage=True)
    assert heard.usage == (11, 0, 22, 0) and heard.inner_text == "Hello"
    told = [one["usage"] for one in heard.chunks if one.get("usage")]
    assert [one["total_tokens"] for one in told] == [33] and heard.chunks[-1]["choices"] == []


@pytest.mark.parametrize(
    ("in_choice", "beside"),
    [
        ({"usage": {"prompt_tokens": 9, "completion_tokens": 45}}, {}),
        ({}, {"x_groq": {"usage": {"prompt_tokens": 9, "completion_tokens": 45}}}),
        ({}, {"usage": {"input_tokens": 9, "output_tokens": 45}}),
    ],
)
def test_usage_is_found_wherever_it_stands_and_told_in_openais_form(in_choice, beside):
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", **in_choice}], **beside}
    parts = [event({"content": "Hello"}), b"data: " + json.dumps(last).encode() + b"\n\n", DONE]
    heard = hear(parts, wants_usage=True)
    assert heard.usage == (9, 0, 45, 0)
    told = [one["usage"] for one in heard.chunks if one.get("usage")]
    assert told and told[-1]["prompt_tokens"] == 9 and told[-1]["total_tokens"] == 54


FALSE_REPORTS = [
    {"prompt_tokens": -5, "completion_tokens": -10, "total_tokens": -15},
    {"prompt_tokens": 10**18, "completion_tokens": 10**18, "total_tokens": 2 * 10**18},
    {"prompt_tokens": "few", "completion_tokens": "many", "total_tokens": None},
    [1, 2, 3],
]


@pytest.mark.parametrize("report", FALSE_REPORTS)
@pytest.mark.parametrize("choices", [[], [{"index": 0, "delta": {}, "finish_reason": "stop"}]])
def test_a_report_that_cannot_be_true_is_not_told(report, choices):
    last = b"data: " + json.dumps({"choices": choices, "usage": report}).encode() + b"\n\n"
    heard = hear([event({"content": "Hello"}), END, last, DONE], wants_usage=True)
    _usage, is_estimated = billed_usage(heard.call)
    assert is_estimated and heard.inner_text == "Hello" and heard.error is None
    assert all(one["choices"] and not one.get("usage") for one in heard.chunks)


@pytest.mark.parametrize("report", FALSE_REPORTS)
def test_a_whole_answer_does_not_tell_a_report_that_cannot_be_true_either(report):
    message = {"role": "assistant", "content": "Hello"}
    answer = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": report}
    told = tell(json.dumps(answer).encode(), stream=False)
    assert told.text == "Hello" and told.answer["usage"] == usage_body(told.bill[0]) and told.bill[1]


@pytest.mark.parametrize("field", ["message", "text"])
def test_a_message_or_a_text_where_a_delta_belongs(field):
    value = {"role": "assistant", "content": "Hello"} if field == "message" else "Hello"
    heard = hear([choice(**{field: value}), END, DONE])
    assert heard.text() == heard.inner_text == "Hello"


@pytest.mark.parametrize("delta", ["lo", {"content": [None, {"type": "text", "text": "lo"}]}])
def test_a_delta_that_is_nearly_one_is_mended(delta):
    nothing = choice(delta=[], finish_reason=None)
    heard = hear([event({"content": "Hel"}), nothing, choice(delta=delta), END, DONE])
    assert heard.text() == heard.inner_text == "Hello" and heard.error is None
    assert all(isinstance(one["choices"][0]["delta"], dict) for one in heard.chunks)


@pytest.mark.parametrize("begin", [[], [ROLE]])
@pytest.mark.parametrize("garbage", [b"data: Hello there\n\n", b"data: " + b"word " * 80 + b"\n\n"])
def test_nothing_but_what_is_no_chunk_is_nonsense(garbage, begin):
    heard = hear([*begin, garbage, garbage, DONE])
    assert heard.call.error_code == heard.inside.error_code == "upstream_invalid_response"


def test_what_is_skipped_is_bounded(monkeypatch):
    monkeypatch.setattr("gateway.answers.stream.MAX_SILENT_BYTES", 400)
    heard = hear([event({"content": "Hel"}), *[b"data: ping\n\n"] * 101])
    assert heard.call.error_code == "upstream_invalid_response"
    assert hear([event({"content": "Hello"}), *[b"data: ping\n\n"] * 100, END, DONE]).error is None


# -- content -------------------------------------------------------------------------------------------------


def test_parts_of_text_are_text_and_thinking_parts_are_reasoning():
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}
    heard = hear(
        [event({"content": [thinking]}), event({"content": [{"type": "text", "text": "Yes"}]}), END, DONE]
    )
    assert heard.text() == heard.inner_text == "Yes"
    assert heard.text("reasoning_content") == heard.inner_reasoning == "Hm"


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "thinking"])
def test_reasoning_has_many_names(name):
    heard = hear([event({name: "Hm"}), event({"content": "Yes"}), END, DONE])
    assert (heard.inner_reasoning, heard.inner_text) == ("Hm", "Yes")


CONTENTS = [
    (42, "42", ""),
    (4.5, "4.5", ""),
    (True, "", ""),
    ([{"type": "text", "text": {"value": "hi"}}], "hi", ""),
    ([{"type": "text", "text": "", "value": None}, {"type": "text", "text": "hi"}], "hi", ""),
    ([{"type": "thought", "thought": "Hm"}, {"type": "text", "text": "Yes"}], "Yes", "Hm"),
    ([{"type": "reasoning_text", "text": "Hm"}, {"type": "text", "text": "Yes"}], "Yes", "Hm"),
    ([{"type": "text", "text": "Hm", "thought": True}, {"type": "text", "text": "Yes"}], "Yes", "Hm"),
    ([{"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}]}], "", "Hm"),
]


def read_whole(message: dict) -> dict:
    answer = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    call = calling.make_call("http://localhost", stream=False)
    return json.loads(call.operation.read_answer(call, json.dumps(answer).encode()))["choices"][0]["message"]


@pytest.mark.parametrize(("content", "text", "thought"), CONTENTS)
def test_no_text_is_lost_whatever_it_comes_in(content, text, thought):
    heard = hear([ROLE, event({"content": content}), END, DONE])
    assert (heard.text(), heard.text("reasoning_content")) == (text, thought)
    assert (heard.inner_text, heard.inner_reasoning, heard.error) == (text, thought, None)
    told = read_whole({"content": content})
    assert (told["content"] or "", told.get("reasoning_content") or "") == (text, thought)


REASONINGS = [
    ({"reasoning_content": {"text": "Hm"}}, "reasoning_content", "Hm"),
    ({"reasoning": {"content": "Hm"}}, "reasoning", "Hm"),
    ({"reasoning": [{"type": "text", "text": "H"}, "m"]}, "reasoning", "Hm"),
    ({"reasoning": {}}, "reasoning", ""),
    ({"reasoning_details": [{"type": "reasoning.text", "text": "Hm"}]}, "reasoning_content", "Hm"),
    ({"reasoning_details": [{"type": "reasoning.summary", "summary": "Hm"}]}, "reasoning_content", "Hm"),
    ({"reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]}, "reasoning_content", ""),
    ({"reasoning_details": [{"text": "Hm"}], "reasoning": "Hm"}, "reasoning", "Hm"),
]


@pytest.mark.parametrize(("delta", "name", "thought"), REASONINGS)
def test_reasoning_of_any_shape_is_text(delta, name, thought):
    heard = hear([ROLE, event(delta), event({"content": "Yes"}), END, DONE])
    assert (heard.text(name), heard.inner_reasoning, heard.inner_text) == (thought, thought, "Yes")
    told = read_whole(delta | {"content": "Yes"})
    assert (told.get(name) or "", told["content"]) == (thought, "Yes")
    assert told.get("reasoning_details") == delta.get("reasoning_details")
    if "reasoning" in delta:
        assert "reasoning_content" not in told, "a thought is told once"


def test_tool_calls_come_piece_by_piece():
    first = {
        "tool_calls": [
            {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}}
        ]
    }
    more = {"tool_calls": [{"index": 0, "function": {"arguments": '{"a": 1}'}}]}
    heard = hear([event(first), event(more), choice(delta={}, finish_reason="tool_calls"), DONE])
    assert heard.deltas == [ToolCall(0, "c1", "f"), ToolCall(0, arguments='{"a": 1}'), Finish("tool_calls")]


def raw_text(text: bytes) -> bytes:
    return b'data: {"choices": [{"index": 0, "delta": {"content": "' + text + b'"}}]}\n\n'


def test_halves_of_an_emoji_are_joined():
    heard = hear([raw_text(rb"a\ud83d"), raw_text(rb"\ude00b"), END, DONE])
    assert heard.text() == heard.inner_text == "a😀b"


@pytest.mark.parametrize("end", [END, b""])
def test_a_half_that_lost_its_other_one_is_replaced(end):
    heard = hear([raw_text(rb"a\ud83d"), end, DONE])
    assert heard.text() == ("a\ufffd" if end else "a") and heard.error is None


def test_a_lone_half_in_a_whole_answer_is_replaced():
    assert (
        write_json(load_json(rb'{"a": ["x\udc00y", {"\ud83d": "\ud83d\ude00"}]}'))
        == json.dumps(
            {"a": ["x\ufffdy", {"\ufffd": "😀"}]}, ensure_ascii=False, separators=(",", ":")
        ).encode()
    )


def test_halves_of_different_texts_are_kept_apart():
    halves = Halves()
    assert [halves.join("a", "\ud83d"), halves.join("b", "x"), halves.join("a", "\ude00")] == ["", "x", "😀"]


def test_broken_utf_8_is_replaced_and_nan_is_nothing():
    assert load_json(b'{"a": "x\xffy", "b": NaN}') == {"a": "x\ufffdy", "b": None}
    with pytest.raises(ValueError):
        load_json(b"[" * 100_000)


def test_control_characters_inside_a_text_are_read():
    heard = hear([raw_text(b"a\tb\x01"), raw_text(b"c"), END, DONE])
    assert heard.text() == heard.inner_text == "a\tb\x01c" and heard.error is None


@pytest.mark.parametrize("cut", [0, 1, 2, 3, 4])
def test_a_byte_order_mark_is_dropped(cut):
    first = b"\xef\xbb\xbf" + event({"content": "Hello"})
    heard = hear([part for part in (first[:cut], first[cut:]) if part] + [END, DONE])
    assert heard.text() == heard.inner_text == "Hello"


@pytest.mark.parametrize("ends", [b"\r\n", b"\r", b"\n"])
def test_lines_end_in_any_way(ends):
    parts = [part.replace(b"\n", ends) for part in (event({"content": "Hello"}), END, DONE)]
    assert hear(parts).text() == "Hello"
    assert hear([bytes([byte]) for byte in b"".join(parts)]).text() == "Hello"


# -- ends ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("done", [b"[DONE] ", b" [DONE]", b'"[DONE]"', b"DONE", b"[done]"])
def test_the_mark_of_the_end_is_known_however_it_is_written(done):
    heard = hear(
        [event({"content": "Hello"}), END, usage_event(5), b"data: " + done + b"\n\n", b"data: {\n\n"]
    )
    assert heard.text() == "Hello" and heard.usage == (7, 0, 5, 0)
    assert heard.error is None and heard.call.status == heard.inside.status == "ok"


@pytest.mark.parametrize("empty", ["", "null", None])
def test_an_empty_reason_is_no_end(empty):
    piece = choice(delta={"content": "Hello"}, finish_reason=empty)
    heard = hear([piece, piece])
    assert heard.error is not None and heard.call.error_code == "upstream_incomplete"
    assert isinstance(heard.deltas[-1], AtriumError)
    assert {one["choices"][0]["finish_reason"] for one in heard.chunks} == {None}


@pytest.mark.parametrize(
    ("theirs", "ours"), [("STOP", "stop"), ("eos_token", "stop"), ("MAX_TOKENS", "length"), ("stop", "stop")]
)
def test_reasons_are_named_as_openai_does(theirs, ours):
    heard = hear([event({"content": "Hel"}), choice(delta={"content": "lo"}, finish_reason=theirs), DONE])
    assert heard.chunks[1]["choices"][0]["finish_reason"] == ours and heard.deltas[-1] == Finish(ours)


def test_what_was_good_goes_out_before_an_error_of_the_same_packet():
    error = b'data: {"error": {"message": "CUDA out of memory at http://10.0.0.7:8000/x"}}\n\n'
    heard = hear([ROLE + event({"content": "Hel"}) + event({"content": "lo"}) + error])
    assert heard.text() == heard.inner_text == "Hello"
    assert heard.error is not None and "CUDA out of memory" in heard.error["message"]
    assert "10.0.0.7" not in heard.error["message"]


@pytest.mark.parametrize(
    "error",
    [
        {"object": "error", "message": "maximum context length is 10 tokens", "type": "BadRequestError"},
        {"error": "prompt is too long"},
        {"error": {"message": json.dumps({"error": {"message": "context length exceeded"}})}},
        {"type": "error", "error": {"type": "invalid_request_error", "message": "input is too long"}},
    ],
)
def test_a_stream_that_begins_with_too_long_a_prompt_says_so(error):
    heard = hear([b"data: " + json.dumps(error).encode() + b"\n\n"])
    assert heard.call.error_code == heard.inside.error_code == "context_length_exceeded"
    assert billed_usage(heard.call) == (NOTHING, False)


def test_a_picture_of_megabytes_comes_in_one_event():
    picture = "data:image/png;base64," + "A" * 3_000_000
    content = event({"images": [{"type": "image_url", "image_url": {"url": picture}}], "content": "Here"})
    cuts = [content[place : place + 70_000] for place in range(0, len(content), 70_000)]
    heard = hear([*cuts, END, usage_event(5), DONE])
    assert heard.text() == "Here" and heard.error is None
    assert heard.chunks[0]["choices"][0]["delta"]["images"][0]["image_url"]["url"] == picture


def test_a_long_first_event_is_not_copied_with_each_of_its_pieces():
    call = calling.make_call("http://nowhere/v1")
    events = AnswerEvents(call, Frames(call))
    tracemalloc.start()
    for chunk in (b'data: {"images": "', *[b"A" * 65_536] * 64):
        assert not list(events.take(chunk))
    held_bytes, _peak = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    assert not list(events.take(b"A" * 1_000))
    _now, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held_bytes > 4_000_000 and peak_bytes - held_bytes < 1_000_000


# -- thoughts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 3, 100])
@pytest.mark.parametrize(
    ("said", "answer", "thoughts"),
    [
        ("<think>Hm, so</think>\n\nYes.", "Yes.", "Hm, so"),
        ("  <think>Hm</think>Yes", "Yes", "Hm"),
        ("<think>never ends", "", "never ends"),
        ("The tag <think> opens a thought.</think>", "The tag <think> opens a thought.</think>", ""),
        ("<thin ice", "<thin ice", ""),
        ("a < b </think> c", "a < b </think> c", ""),
        ("<think></think>Yes", "Yes", ""),
        ("<thinking>Hm</thinking>\nYes", "Yes", "Hm"),
        ("<reasoning>Hm</reasoning>Yes", "Yes", "Hm"),
        ("<thought>Hm</think></thought>Yes", "Yes", "Hm</think>"),
        ("[THINK]Hm[/THINK]Yes", "Yes", "Hm"),
        ("◁think▷Hm◁/think▷Yes", "Yes", "Hm"),
        ("<|channel|>analysis<|message|>Hm<|channel|>final<|message|>Yes", "Yes", "Hm"),
        ("<thinker> is no tag", "<thinker> is no tag", ""),
        # the opening tag stood in the prompt
        ("Okay, so.\n</think>\n\nYes, `</think>`\n", "Yes, `</think>`\n", "Okay, so.\n"),
        ("Okay, so.</think>  \r\nYes", "Yes", "Okay, so."),
        ("</think>\n\nYes", "Yes", ""),
        ("`x` < 3.\n</think>\nYes", "Yes", "`x` < 3.\n"),
        ("<think>Hm</think>It ends with\n</think>\nso", "It ends with\n</think>\nso", "Hm"),
        # what is quoted is no end of a thought
        ("It ends with `\n</think>\n`.", "It ends with `\n</think>\n`.", ""),
        ("```\nHm\n</think>\nYes\n```\n", "```\nHm\n</think>\nYes\n```\n", ""),
        ("So:\n\n    </think>\n\nends it", "So:\n\n    </think>\n\nends it", ""),
        ("First <think>\nthen\n</think>\nand", "First <think>\nthen\n</think>\nand", ""),
        ("It ends with </think>", "It ends with </think>", ""),
    ],
)
def test_thoughts_in_the_text_are_reasoning(said, answer, thoughts, size):
    pieces = [said[place : place + size] for place in range(0, len(said), size)]
    heard = hear([*(event({"content": piece}) for piece in pieces), END, DONE])
    assert (heard.inner_text, heard.inner_reasoning) == (answer, thoughts)
    assert heard.text() == said, "a program gets the text as it is"


@pytest.mark.parametrize("fault", [b"", b'data: {"error": {"message": "it crashed"}}\n\n'])
@pytest.mark.parametrize(
    ("said", "answer", "thoughts"),
    [
        (["so x", " <"], "so x <", ""),
        (["<thi"], "<thi", ""),
        (["<think>", "Hm</th"], "", "Hm</th"),
    ],
)
def test_what_waited_for_the_rest_of_a_tag_is_kept_where_a_stream_breaks_off(said, answer, thoughts, fault):
    heard = hear([*(event({"content": piece}) for piece in said), fault])
    assert (heard.inner_text, heard.inner_reasoning) == (answer, thoughts)
    assert isinstance(heard.deltas[-1], AtriumError) and "What arrived is kept" in heard.deltas[-1].message


@pytest.mark.parametrize(
    "raw", [b'{"' + b'\\"' * 400_000 + b"}", b'{"a": "' + b'\\\\\\"' * 200_000, b"{" + b", " * 400_000 + b"}"]
)
def test_a_text_that_does_not_end_is_looked_at_once(raw):
    """A server may cut an answer anywhere, and looking again from each of its quotes would hold up everybody
    for minutes.
    """
    with pytest.raises(ValueError):
        load_json(raw)
