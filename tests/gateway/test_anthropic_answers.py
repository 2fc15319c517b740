"""What Anthropic's Messages API sends, by its published description; nobody has asked the vendor."""

import asyncio
import json

import pytest
from openai.lib.streaming._deltas import accumulate_delta

from foundation.egress import PRIVATE
from foundation.egress.data_plane import open_session
from foundation.errors import AtriumError, UpstreamError
from gateway import pipeline
from gateway.answers.billed import billed_usage
from gateway.calls import Call
from gateway.deltas import Finish, Reasoning, Text, ToolCall
from gateway.operations.chat_completions import chunks as chunks_module
from gateway.operations.messages.errors import as_error_object, status_of
from tests.doubles.anthropic import (
    ANSWER,
    CALL,
    HIDDEN,
    PING,
    SPOKEN,
    START,
    THINKING,
    THOUGHT,
    TOOLS,
    WHOLE,
    WHOLE_TOOLS,
    begun,
    end,
    error,
    said,
    sent,
    stop,
    text,
    whole,
)
from tests.doubles.vendor import running_vendor
from tests.gateway.calling import call_of, collaborators, make_endpoint, make_route
from tests.gateway.hearing import hear
from tests.gateway.speaking import read_events, speak

USED = {"input": 17, "cached": 30, "cache_write": 5, "output": 12}
WEATHER = {"id": "toolu_01", "type": "function", "function": {"name": "weather", "arguments": '{"at":1}'}}


def ask(content: bytes, *, stream: bool = False) -> tuple[dict, Call]:
    """The whole answer, or an error's code."""

    async def run() -> tuple[dict, Call]:
        routes = {"/v1/messages": lambda body: (200, content)}
        async with running_vendor(routes) as vendor, open_session(PRIVATE) as client:
            endpoint = make_endpoint(f"{vendor.url}/v1", kind="anthropic")
            call = call_of(make_route([endpoint]), stream=stream)
            try:
                if not stream:
                    return json.loads(await pipeline.complete(call, collaborators(client))), call
                parts = [part async for part in pipeline.stream(call, collaborators(client))]
                return {"frames": b"".join(parts)}, call
            except AtriumError as exc:
                return {"code": exc.code}, call

    return asyncio.run(run())


def message_of(heard) -> dict:
    """As OpenAI's client puts the pieces together."""
    message: dict = {}
    for chunk in heard.chunks:
        for choice in chunk["choices"]:
            message = accumulate_delta(message, choice["delta"])
    return message


# -- streams -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wants_usage", [True, False])
def test_its_events_become_chunks_and_deltas(wants_usage):
    heard = hear(ANSWER, wants_usage=wants_usage, kind="anthropic")
    assert (heard.text(), heard.text("reasoning_content"), heard.error) == ('Paris "à"', "Hm, so.", None)
    spoken = [Reasoning("Hm, "), Reasoning("so."), Text("Par"), Text("is"), Text(' "à"'), Finish("stop")]
    assert heard.deltas == spoken
    assert heard.chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert {one["id"] for one in heard.chunks} == {"msg_01XFDUDYJgAACzvnptvVoYEL"}
    assert len({one["model"] for one in heard.chunks}) == 1
    told = [one["usage"] for one in heard.chunks if one.get("usage")]
    counts = [(one["prompt_tokens"], one["completion_tokens"], one["total_tokens"]) for one in told]
    assert counts == [(52, 12, 64)] * wants_usage
    usage, is_estimated = billed_usage(heard.call)
    assert (usage.quantities, is_estimated) == (USED, False)


@pytest.mark.parametrize("nonsense", ["[1, 2]", '"many"', "17", "null"])
def test_a_beginning_that_counts_in_nonsense_is_a_beginning(nonsense):
    told = json.loads(START.partition(b"data: ")[2])
    told["message"]["usage"] = json.loads(nonsense)
    start = b"event: message_start\ndata: " + json.dumps(told).encode() + b"\n\n"
    heard = hear([start, *SPOKEN, *end()], kind="anthropic")
    assert heard.text() == 'Paris "à"' and heard.error is None


def test_openais_client_gets_the_thought_with_its_signature():
    message = message_of(hear(ANSWER, kind="anthropic"))
    assert message["reasoning_content"] == "Hm, so." and message["content"] == 'Paris "à"'
    assert message["thinking_blocks"] == [{"index": 0, **THINKING}]


def test_thoughts_are_numbered_without_gaps():
    hidden = [begun(2, json.dumps(HIDDEN)), stop(2)]
    silent = begun(3, '{"type":"thinking","thinking":"","signature":""}')
    second = [silent, said(3, "signature_delta", "signature", "Er"), stop(3)]
    heard = hear([START, *THOUGHT, *SPOKEN, *hidden, *second, *end()], kind="anthropic")
    assert message_of(heard)["thinking_blocks"] == [
        {"index": 0, **THINKING},
        {"index": 1, **HIDDEN},
        {"index": 2, "type": "thinking", "signature": "Er"},
    ]


@pytest.mark.parametrize("size", [1, 7, 4_000])
def test_packets_may_end_anywhere(size):
    stream = b"".join(ANSWER)
    heard = hear([stream[place : place + size] for place in range(0, len(stream), size)], kind="anthropic")
    assert heard.text() == heard.inner_text == 'Paris "à"'
    assert billed_usage(heard.call)[0].quantities == USED


def test_tools_come_piece_by_piece_in_openais_shape():
    heard = hear(TOOLS, kind="anthropic")
    assert heard.deltas == [
        Text("I will look."),
        ToolCall(0, "toolu_01", "weather"),
        ToolCall(0),
        ToolCall(0, arguments='{"at": '),
        ToolCall(0, arguments="1}"),
        ToolCall(1, "toolu_02", "clock"),
        ToolCall(1),
        ToolCall(1, arguments="{}"),
        Finish("tool_calls"),
    ]
    calls = [one["choices"][0]["delta"].get("tool_calls") for one in heard.chunks]
    function = {"name": "weather", "arguments": ""}
    assert next(one for one in calls if one) == [
        {"index": 0, "id": "toolu_01", "type": "function", "function": function}
    ]


@pytest.mark.parametrize(
    ("theirs", "ours", "told"),
    [
        ("end_turn", "stop", None),
        ("max_tokens", "length", None),
        ("model_context_window_exceeded", "length", "model_context_window_exceeded"),
        ("refusal", "content_filter", "refusal"),
        ("pause_turn", "stop", "pause_turn"),
    ],
)
def test_ends_are_named_as_openai_does(theirs, ours, told):
    heard = hear([START, *SPOKEN, *end(theirs)], kind="anthropic")
    assert heard.deltas[-1] == Finish(ours)
    last = heard.chunks[-1]["choices"][0]
    assert (last["finish_reason"], last.get("native_finish_reason")) == (ours, told)


def test_the_sequence_that_ended_it_is_told():
    heard = hear([START, *SPOKEN, *end("stop_sequence", '"END"')], kind="anthropic")
    last = heard.chunks[-1]["choices"][0]
    assert (last["finish_reason"], last["stop_reason"]) == ("stop", "END")


@pytest.mark.parametrize("padding", ["", "   "])
def test_pieces_of_text_pass_unread(padding, monkeypatch):
    """All but the first, which teaches how they look, however they are padded."""
    read = []
    usual = chunks_module.ChatChunkReader.read
    monkeypatch.setattr(
        chunks_module.ChatChunkReader,
        "read",
        lambda self, event, size: read.append(event) or usual(self, event, size),
    )
    words = [text(1, f"word{number} ", padding * (number % 3)) for number in range(50)]
    heard = hear([START, begun(1, '{"type":"text","text":""}'), *words, stop(1), *end()], kind="anthropic")
    assert heard.text() == heard.inner_text == "".join(f"word{number} " for number in range(50))
    contents = [one["choices"][0]["delta"].get("content") for one in read if one.get("choices")]
    in_both = len([one for one in contents if one])
    assert 51 <= in_both < 60, "the house's own reader reads each, that of clients only some"
    assert len({one["id"] for one in heard.chunks}) == 1


def test_a_text_that_could_hide_something_is_read():
    odd = ['a"b', "c\\d", "e\nf", "}\n\n", '"},"x":{"text":"']
    words = [text(1, one) for one in ("one ", "two ", *odd, "three")]
    heard = hear([START, begun(1, '{"type":"text","text":""}'), *words, stop(1), *end()], kind="anthropic")
    assert heard.text() == heard.inner_text == "one two " + "".join(odd) + "three"


def test_a_prompt_is_counted_when_the_client_leaves_before_the_end():
    heard = hear([START, PING, SPOKEN[0], SPOKEN[1]], kind="anthropic")
    assert heard.call.error_code == "upstream_incomplete"
    usage, is_estimated = billed_usage(heard.call)
    assert usage.quantities == {"input": 17, "cached": 30, "cache_write": 5, "output": 1} and is_estimated


def test_an_error_in_the_middle_ends_the_answer_and_what_came_is_billed():
    late = b"event: error\ndata: " + error("overloaded_error", "Overloaded at 10.0.0.7") + b"\n\n"
    heard = hear([START, *SPOKEN[:3], late], kind="anthropic")
    assert heard.text() == heard.inner_text == "Paris"
    assert "Overloaded" in heard.error["message"] and "10.0.0.7" not in heard.error["message"]
    assert heard.call.error_code == "upstream_error" and isinstance(heard.deltas[-1], UpstreamError)


@pytest.mark.parametrize(
    ("status", "kind", "told"),
    [
        (529, "overloaded_error", (529, "overloaded_error")),
        (429, "rate_limit_error", (429, "rate_limit_error")),
    ],
)
def test_who_is_overloaded_is_told_so_in_anthropics_words(status, kind, told):
    answer = error(kind, "No.")
    spoken = speak(lambda _body: (status, answer), kind="anthropic")
    assert spoken.error is not None and spoken.error.http_status == 429, "as OpenAI's clients read it"
    body = as_error_object(spoken.error, spoken.call.request_id)
    assert (status_of(spoken.error), body["error"]["type"]) == told


@pytest.mark.parametrize("kind", ["overloaded_error", "api_error"])
def test_who_is_overloaded_in_the_middle_says_so(kind):
    late = b"event: error\ndata: " + error(kind, "No.") + b"\n\n"
    spoken = speak(lambda _body: (200, b"".join([START, *SPOKEN[:3], late])), kind="anthropic", stream=True)
    assert read_events(spoken.body)[-1]["error"]["type"] == kind


@pytest.mark.parametrize(
    "odd",
    [
        said(1, "text_delta", "text", "x").replace(b'"x"', b"7"),
        sent("content_block_delta", ',"index":1'),
        sent("content_block_delta", ',"index":1,"delta":"x"'),
        sent("message_start"),
        b'data: ["content_block_delta"]\n\n',
    ],
)
def test_an_event_of_another_shape_is_nonsense(odd):
    heard = hear([odd, *ANSWER], kind="anthropic")
    assert heard.text() == "" and heard.call.error_code == "upstream_invalid_response"
    heard = hear([START, *SPOKEN[:3], odd, *SPOKEN[3:], *end()], kind="anthropic")
    assert heard.text() == 'Paris "à"' and billed_usage(heard.call)[0].quantities == USED


def test_an_event_of_another_shape_among_calls_ends_the_answer():
    heard = hear([*TOOLS[:7], sent("content_block_delta", ',"index":1'), *TOOLS[7:]], kind="anthropic")
    assert heard.call.error_code == "upstream_invalid_response"


@pytest.mark.parametrize("new", ["debug", "content_block_flagged"])
def test_events_and_blocks_that_say_nothing_to_openais_clients_are_left_out(new):
    odd = [
        sent(new, ',"prompt":"x"'),
        begun(2, '{"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{}}'),
        said(1, "citations_delta", "citation", "x"),
    ]
    heard = hear([START, *SPOKEN[:3], *odd, *SPOKEN[3:], *end()], kind="anthropic")
    assert heard.text() == 'Paris "à"' and len(heard.chunks) == 5


# -- whole answers -------------------------------------------------------------------------------------------


def test_a_whole_answer():
    answer, call = ask(WHOLE)
    (choice,) = answer["choices"]
    assert choice == {
        "index": 0,
        "message": {
            "role": "assistant",
            "content": 'Paris "à"',
            "reasoning_content": "Hm, so.",
            "thinking_blocks": [THINKING, HIDDEN],
        },
        "finish_reason": "stop",
    }
    assert (answer["object"], answer["model"]) == ("chat.completion", "ours")
    assert answer["usage"]["prompt_tokens"] == 52
    assert answer["usage"]["prompt_tokens_details"]["cached_tokens"] == 30
    assert billed_usage(call)[0].quantities == USED


@pytest.mark.parametrize("stream", [True, False])
def test_whole_tools_also_where_a_stream_was_asked_for(stream):
    answer, call = ask(WHOLE_TOOLS, stream=stream)
    if stream:
        answer = json.loads(answer["frames"].split(b"\n\n")[0].removeprefix(b"data: "))
        assert answer["choices"][0]["delta"]["tool_calls"] == [{"index": 0, **WEATHER}]
    else:
        message = answer["choices"][0]["message"]
        assert message == {"role": "assistant", "content": "I will look.", "tool_calls": [WEATHER]}
    assert call.finish_reason == "tool_calls" and billed_usage(call)[0].quantities == USED


def test_blocks_of_another_order_are_kept():
    blocks = [THINKING, {"type": "text", "text": "One."}, THINKING, CALL]
    message = ask(whole(*blocks, reason="tool_use"))[0]["choices"][0]["message"]
    assert message["content_blocks"] == blocks and message["tool_calls"] == [WEATHER]


def test_nothing_is_an_answer():
    answer, call = ask(whole())
    assert answer["choices"][0]["message"]["content"] == "" and billed_usage(call)[0].quantities == USED


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (error("overloaded_error", "Overloaded"), "upstream_rate_limited"),
        (error("api_error", "out of memory"), "upstream_error"),
        (b'{"type":"message","content":7}', "upstream_invalid_response"),
        (b'{"type":"message","content":[{"type":"text","text":7}]}', "upstream_invalid_response"),
        (b'{"type":"message","content":[{"type":"tool_use"}]}', "upstream_invalid_response"),
        (b'{"type":"completion","completion":"x"}', "upstream_invalid_response"),
    ],
)
def test_what_comes_in_place_of_an_answer_is_an_error(content, code):
    assert ask(content)[0]["code"] == code
