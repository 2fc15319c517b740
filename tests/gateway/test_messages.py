"""Anthropic's dialect at our own door, for models that speak it and for those that speak OpenAI's."""

import json

import pytest

from foundation.errors import InvalidInput
from gateway.answers.billed import billed_usage
from gateway.operations.chat_completions import chunks as chunks_module
from gateway.operations.messages import events as events_module
from tests.doubles.anthropic import (
    ANSWER,
    CALL,
    HIDDEN,
    SPOKEN,
    START,
    THINKING,
    THOUGHT,
    TOOLS,
    WHOLE,
    WHOLE_TOOLS,
    answer_messages,
    begun,
    end,
    said,
    stop,
    whole,
)
from tests.doubles.anthropic import text as piece
from tests.gateway.speaking import USER, assemble, parse, read_events, speak
from tests.gateway.telling import whole as openais_whole
from tests.gateway.test_estimates import DONE, END, event, usage_event

MARK = {"cache_control": {"type": "ephemeral"}}
PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
PDF = {
    "type": "document",
    "title": "A",
    "citations": {"enabled": True},
    "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
}
THOUGHT_BLOCK = {"type": "thinking", "thinking": "Hm.", "signature": "Eq"}
USED = {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}}
GIVEN = {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "42"}, PNG]}
TOOL = {"name": "f", "description": "F.", "input_schema": {"type": "object", "properties": {"a": {}}}}
OPENAIS_TOOL = {
    "type": "function",
    "function": {"name": "f", "description": "F.", "parameters": TOOL["input_schema"]},
}


def text(said: str, **more) -> dict:
    return {"type": "text", "text": said, **more}


def turn(role: str, *content: dict) -> dict:
    return {"role": role, "content": list(content)}


# -- to Claude and back: nothing is lost ---------------------------------------------------------------------

HISTORY = [
    turn("user", text("Look.", **MARK), PNG, PDF),
    turn("assistant", THOUGHT_BLOCK, {"type": "redacted_thinking", "data": "Em"}, text("I look."), USED),
    turn("user", GIVEN | {"is_error": True, **MARK}, text("And?")),
]
FULL = {
    "system": [text("Be kind.", **MARK), text("Be short.")],
    "messages": HISTORY,
    "max_tokens": 5_000,
    "stop_sequences": ["END"],
    "top_p": 0.95,
    "tools": [TOOL | MARK],
    "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 2_000},
    "metadata": {"user_id": "u-1"},
}


@pytest.mark.parametrize("stream", [True, False])
def test_a_request_reaches_claude_as_it_was_written(stream):
    spoken = speak(answer_messages, kind="anthropic", stream=stream, **FULL)
    user_id = spoken.sent["metadata"].pop("user_id")
    assert len(user_id) == 64, "a name that the tenant gives is its own in an account that others share"
    first, second, results, rest = spoken.sent["messages"]
    assert [first, second] == HISTORY[:2]
    assert results["content"] + rest["content"] == HISTORY[2]["content"]
    expected = {name: value for name, value in FULL.items() if name not in ("messages", "metadata")}
    got = {name: spoken.sent[name] for name in expected}
    assert got == expected
    assert spoken.sent.keys() == {*FULL, "model", "stream"}


def test_blocks_in_another_order_reach_claude_in_theirs():
    odd = turn("assistant", THOUGHT_BLOCK, text("One."), THOUGHT_BLOCK | {"signature": "Er"}, USED)
    spoken = speak(answer_messages, kind="anthropic", tools=[TOOL], messages=[USER, odd, HISTORY[2]])
    assert spoken.sent["messages"][1] == odd


def test_an_hour_in_the_cache_becomes_five_minutes():
    marked = text("Be kind.", cache_control={"type": "ephemeral", "ttl": "1h"})
    assert speak(answer_messages, kind="anthropic", system=[marked]).sent["system"] == [
        text("Be kind.", **MARK)
    ]


LONG = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}


def test_no_hour_is_left_anywhere():
    """It costs more than was held for it."""
    inner = [text("x", **LONG)]
    messages = [
        turn(
            "user",
            text("Look.", **LONG),
            PNG | LONG,
            {"type": "document", "source": {"type": "content", "content": inner}, **LONG},
            {"type": "search_result", "source": "s", "title": "t", "content": inner, **LONG},
        ),
        turn("assistant", text("I look.", **LONG), USED | LONG),
        turn("user", GIVEN | {"content": inner, **LONG}),
    ]
    body = {"system": [text("Be kind.", **LONG)], "tools": [TOOL | LONG], "messages": messages, **LONG}
    sent = json.dumps(speak(answer_messages, kind="anthropic", **body).sent)
    assert "ttl" not in sent and sent.count("cache_control") == json.dumps(body).count("cache_control")


def test_a_schema_and_an_effort_reach_claude_in_its_words():
    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    config = {"format": {"type": "json_schema", "schema": schema}}
    assert speak(answer_messages, kind="anthropic", output_config=config).sent["output_config"] == config


USAGE = {
    "input_tokens": 17,
    "cache_creation_input_tokens": 5,
    "cache_read_input_tokens": 30,
    "output_tokens": 12,
}


@pytest.mark.parametrize("stream", [True, False])
def test_claudes_answer_is_told_as_claude_gave_it(stream):
    spoken = speak(b"".join(ANSWER) if stream else WHOLE, kind="anthropic", stream=stream)
    message = spoken.message
    hidden = [] if stream else [HIDDEN]
    assert message["content"] == [THINKING, *hidden, text('Paris "à"')]
    assert (message["type"], message["role"], message["model"]) == ("message", "assistant", "ours")
    assert message["id"] == "msg_01XFDUDYJgAACzvnptvVoYEL"
    assert (message["stop_reason"], message["stop_sequence"]) == ("end_turn", None)
    assert message["usage"] == USAGE
    assert billed_usage(spoken.call)[0].total_tokens == sum(USAGE.values())


def test_the_beginning_of_claudes_stream_tells_the_prompt():
    first = read_events(speak(b"".join(ANSWER), kind="anthropic", stream=True).body)[0]
    assert first["message"]["usage"] == USAGE | {"output_tokens": 0}
    assert first["message"]["content"] == [] and first["message"]["stop_reason"] is None


@pytest.mark.parametrize("stream", [True, False])
def test_claudes_calls_are_told_as_claude_made_them(stream):
    spoken = speak(b"".join(TOOLS) if stream else WHOLE_TOOLS, kind="anthropic", stream=stream, tools=[TOOL])
    clock = {"type": "tool_use", "id": "toolu_02", "name": "clock", "input": {}}
    assert spoken.blocks == [text("I will look."), CALL, *([clock] if stream else [])]
    assert spoken.message["stop_reason"] == "tool_use"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("reason", "sequence"),
    [
        ("max_tokens", None),
        ("stop_sequence", "END"),
        ("refusal", None),
        ("pause_turn", None),
        ("model_context_window_exceeded", None),
    ],
)
def test_claudes_reasons_come_through(reason, sequence, stream):
    told = "null" if sequence is None else f'"{sequence}"'
    streamed = b"".join([START, *SPOKEN, *end(reason, told)])
    answer = streamed if stream else whole(text("Hi"), reason=reason, sequence=sequence)
    message = speak(answer, kind="anthropic", stream=stream).message
    assert (message["stop_reason"], message["stop_sequence"]) == (reason, sequence)


def test_hidden_thoughts_and_late_ones_keep_their_places_in_a_stream():
    blocks = [
        begun(1, json.dumps(HIDDEN)),
        stop(1),
        *[one.replace(b'"index":1', b'"index":2') for one in SPOKEN],
    ]
    late = [one.replace(b'"index":0', b'"index":3') for one in THOUGHT]
    spoken = speak(b"".join([START, *THOUGHT, *blocks, *late, *end()]), kind="anthropic", stream=True)
    assert spoken.blocks == [THINKING, HIDDEN, text('Paris "à"'), THINKING]


def test_blocks_in_another_order_come_back_in_theirs():
    blocks = [THINKING, text("One."), THINKING, CALL]
    assert speak(whole(*blocks, reason="tool_use"), kind="anthropic").blocks == blocks


# -- to all others -------------------------------------------------------------------------------------------


def test_others_get_what_they_know():
    spoken = speak(openais_whole("Hello"), **FULL | {"output_config": {"effort": "max"}})
    assert spoken.sent["messages"] == [
        {"role": "system", "content": "Be kind.\n\nBe short."},
        {
            "role": "user",
            "content": [
                text("Look."),
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
                {
                    "type": "file",
                    "file": {"filename": "A", "file_data": "data:application/pdf;base64,JVBERi0="},
                },
            ],
        },
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [
                {"id": "t1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "t1", "content": "42"},
        {
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}],
        },
        {"role": "user", "content": "And?"},
    ]
    assert spoken.sent["tools"] == [OPENAIS_TOOL] and spoken.sent["tool_choice"] == "auto"
    assert spoken.sent["parallel_tool_calls"] is False and spoken.sent["stop"] == ["END"]
    assert (spoken.sent["max_tokens"], spoken.sent["reasoning_effort"]) == (5_000, "xhigh")
    assert not spoken.sent.keys() & {"thinking", "user", "metadata", "system", "cache_control"}


@pytest.mark.parametrize(
    ("kind", "is_sent"), [("openai", False), ("mistral", False), ("openai_compatible", True), ("vllm", True)]
)
def test_a_field_that_openai_refuses_goes_to_those_that_know_it(kind, is_sent):
    assert ("top_k" in speak(openais_whole("Hello"), kind=kind, top_k=5).sent) == is_sent


FORCED = {"type": "function", "function": {"name": "f"}}


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [({"type": "any"}, "required"), ({"type": "none"}, "none"), ({"type": "tool", "name": "f"}, FORCED)],
)
def test_which_tool_is_called(theirs, ours):
    assert speak(openais_whole("Hello"), tools=[TOOL], tool_choice=theirs).sent["tool_choice"] == ours


def test_documents_of_text_become_text():
    note = {
        "type": "document",
        "title": "Note",
        "source": {"type": "text", "media_type": "text/plain", "data": "x"},
    }
    parts = {"type": "document", "source": {"type": "content", "content": [text("y"), text("z")]}}
    found = {"type": "search_result", "source": "s", "title": "t", "content": [text("u")]}
    (message,) = speak(openais_whole("Hi"), messages=[turn("user", note, parts, found)]).sent["messages"]
    assert message["content"] == "Note\nx\n\ny\nz\n\nt\ns\nu"


def test_a_document_that_nobody_has_is_refused():
    far = {"type": "document", "source": {"type": "url", "url": "https://a.example/b.pdf"}}
    spoken = speak(openais_whole("Hi"), messages=[turn("user", far)])
    assert isinstance(spoken.error, InvalidInput) and not spoken.sent


def test_a_word_in_the_middle_stands_in_its_place():
    told = {"type": "mid_conv_system", "content": [text("Now in French.")]}
    messages = [turn("user", text("hi"), told), {"role": "system", "content": "Short."}]
    sent = speak(openais_whole("Hi"), messages=messages).sent["messages"]
    assert [(one["role"], one["content"]) for one in sent] == [
        ("user", "hi"),
        ("system", "Now in French."),
        ("system", "Short."),
    ]


@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_of_openais_kind_is_told_in_blocks(stream):
    usage = {"prompt_tokens": 50, "completion_tokens": 12, "prompt_tokens_details": {"cached_tokens": 30}}
    if stream:
        parts = [event({"role": "assistant", "content": ""}), event({"reasoning_content": "Hm, "})]
        parts += [
            event({"reasoning_content": "so."}),
            event({"content": "Par"}),
            event({"content": 'is "à"'}),
            END,
        ]
        parts += [b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + b"\n\n", DONE]
        spoken = speak(b"".join(parts), stream=True)
    else:
        message = {"role": "assistant", "content": 'Paris "à"', "reasoning_content": "Hm, so."}
        body = {"id": "x", "choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}
        spoken = speak(json.dumps(body).encode())
    thought = {"type": "thinking", "thinking": "Hm, so.", "signature": ""}
    assert spoken.blocks == [thought, text('Paris "à"')]
    assert spoken.message["id"] == f"msg_{spoken.call.request_id.hex}"
    assert spoken.message["usage"] == {
        "input_tokens": 20,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 30,
        "output_tokens": 12,
    }


def call_piece(number: int, arguments: str, **more) -> bytes:
    function = {**({"name": more.pop("name")} if "name" in more else {}), "arguments": arguments}
    return event({"tool_calls": [{"index": number, **more, "function": function}]})


CALLED = event({}).replace(b'"finish_reason": null', b'"finish_reason": "tool_calls"')


def ended(reason: str, **more) -> bytes:
    choice = {"index": 0, "delta": {}, "finish_reason": reason, **more}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


def test_calls_of_openais_kind_become_blocks():
    parts = [
        event({"role": "assistant", "content": "I look."}),
        call_piece(0, "", id="c1", type="function", name="f"),
        call_piece(0, '{"a": '),
        call_piece(0, "1}"),
        call_piece(1, "", id="c2", type="function", name="g"),
        ended("tool_calls"),
        usage_event(5),
        DONE,
    ]
    spoken = speak(b"".join(parts), stream=True, tools=[TOOL])
    first = {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}}
    second = {"type": "tool_use", "id": "c2", "name": "g", "input": {}}
    assert spoken.blocks == [text("I look."), first, second] and spoken.message["stop_reason"] == "tool_use"


OF_NAME = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
FORM = {"format": {"type": "json_schema", "schema": OF_NAME}}


@pytest.mark.parametrize("stream", [True, False])
def test_a_model_that_keeps_no_schema_is_held_to_it_here_too(stream):
    said = iter(['{"nam": 1}', 'Here: {"name": "a"}'])

    def answer(_body: dict) -> tuple[int, bytes]:
        return 200, streamed_whole(next(said)) if stream else openais_whole(next(said))

    spoken = speak(answer, kind="siliconflow", stream=stream, output_config=FORM)
    assert spoken.blocks == [text('{"name": "a"}')]
    assert len(spoken.call.attempts) == 1, "both are paid"
    assert "nam" in spoken.sent["messages"][-2]["content"]


def test_a_form_that_is_never_kept_is_told_in_the_callers_words():
    spoken = speak(openais_whole("Hello"), kind="siliconflow", output_config=FORM)
    assert spoken.error.code == "upstream_broken_form" and "output_config.format" in str(spoken.error.message)
    slow = {"$defs": {"a": {"enum": list(range(9_000))}}, "items": {"$ref": "#/$defs/a"}}
    form = {"format": {"type": "json_schema", "schema": slow}}
    spoken = speak(openais_whole(json.dumps([8_999] * 60)), kind="siliconflow", output_config=form)
    assert isinstance(spoken.error, InvalidInput) and spoken.error.param == "output_config.format"


def streamed_whole(said: str) -> bytes:
    return event({"role": "assistant", "content": said}) + END + usage_event(5) + DONE


AT_ONCE = {
    "in turns": (
        [
            call_piece(0, "", id="c0", type="function", name="f"),
            call_piece(1, "", id="c1", type="function", name="g"),
            call_piece(0, '{"a": '),
            call_piece(1, '{"b": '),
            event({"content": "Both."}),
            call_piece(2, '{"c": 3}', id="c2", type="function", name="h"),
            call_piece(1, "2}"),
            call_piece(0, "1}"),
        ],
        [("f", {"a": 1}), ("g", {"b": 2}), "Both.", ("h", {"c": 3})],
    ),
    "the first without arguments": (
        [
            call_piece(0, "", id="c0", type="function", name="f"),
            call_piece(1, '{"b": 2}', id="c1", type="function", name="g"),
        ],
        [("f", {}), ("g", {"b": 2})],
    ),
    "one after the other": (
        [
            call_piece(0, '{"a": {}}', id="c0", type="function", name="f"),
            call_piece(1, '{"b":', id="c1", type="function", name="g"),
            call_piece(1, " 2}"),
            event({"content": "Both."}),
        ],
        [("f", {"a": {}}), ("g", {"b": 2}), "Both."],
    ),
}


@pytest.mark.parametrize(("parts", "expected"), AT_ONCE.values(), ids=AT_ONCE)
def test_calls_that_are_told_at_once_become_blocks_one_after_the_other(parts, expected):
    stream = [event({"role": "assistant", "content": ""}), *parts, ended("tool_calls"), usage_event(5), DONE]
    blocks = speak(b"".join(stream), stream=True, tools=[TOOL]).blocks
    told = [one["text"] if one["type"] == "text" else (one["name"], one["input"]) for one in blocks]
    assert told == expected


def test_what_waits_for_a_call_is_bounded(monkeypatch):
    monkeypatch.setattr(events_module, "MOST_WAITING", 50)
    begun_call = call_piece(0, '{"a":', id="c0", type="function", name="f")
    texts = [event({"content": "x"}) for _number in range(60)]
    body = speak(b"".join([begun_call, *texts, ended("tool_calls"), DONE]), stream=True, tools=[TOOL]).body
    assert read_events(body)[-1]["type"] == "error"


def test_a_call_is_told_while_it_is_made():
    """Only what would have to go on later is held back."""
    parts = [*AT_ONCE["one after the other"][0], ended("tool_calls"), usage_event(5), DONE]
    events = read_events(speak(b"".join(parts), stream=True, tools=[TOOL]).body)
    pieces = [one["delta"]["partial_json"] for one in events if one.get("delta", {}).get("partial_json")]
    assert pieces == ['{"a": {}}', '{"b":', " 2}"]


@pytest.mark.parametrize("arguments", ['{"a": 1', "[1]", "seven"])
def test_arguments_that_are_none_are_told_as_they_are(arguments):
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": arguments}}
    body = {"choices": [{"message": {"content": None, "tool_calls": [call]}, "finish_reason": "tool_calls"}]}
    (block,) = speak(json.dumps(body).encode(), tools=[TOOL]).blocks
    assert block["input"] == {"INVALID_JSON": arguments}


@pytest.mark.parametrize(
    ("ours", "more", "theirs"),
    [
        ("stop", {}, ("end_turn", None)),
        ("stop", {"stop_reason": "END"}, ("stop_sequence", "END")),
        ("stop", {"matched_stop": "END"}, ("stop_sequence", "END")),
        ("stop", {"stop_reason": 151645}, ("end_turn", None)),
        ("length", {}, ("max_tokens", None)),
        ("content_filter", {}, ("refusal", None)),
        ("stop", {"native_finish_reason": "completed"}, ("end_turn", None)),
    ],
)
def test_reasons_of_openais_kind_are_named_as_anthropic_does(ours, more, theirs):
    parts = [event({"content": "Hi"}), ended(ours, **more), usage_event(2), DONE]
    message = speak(b"".join(parts), stream=True).message
    assert (message["stop_reason"], message["stop_sequence"]) == theirs


@pytest.mark.parametrize("kind", ["openai_compatible", "anthropic"])
def test_pieces_of_text_pass_unread_here_too(kind, monkeypatch):
    read = []
    usual = chunks_module.ChatChunkReader.read
    monkeypatch.setattr(
        chunks_module.ChatChunkReader,
        "read",
        lambda self, event, size: read.append(event) or usual(self, event, size),
    )
    words = [f"word{number} " for number in range(50)]
    if kind == "anthropic":
        pieces = [piece(1, word, " " * (number % 3)) for number, word in enumerate(words)]
        parts = [START, *THOUGHT, begun(1, '{"type":"text","text":""}'), *pieces, stop(1), *end()]
    else:
        parts = [event({"reasoning_content": "Hm, so."}), *(event({"content": word}) for word in words)]
        parts += [END, usage_event(9), DONE]
    blocks = speak(parts, kind=kind, stream=True).blocks
    assert blocks[1:] == [text("".join(words))] and blocks[0]["thinking"] == "Hm, so."
    assert len(read) < 25, "most are not looked into"


def test_a_text_behind_a_call_is_no_piece_of_the_one_before_it():
    """The events of both look alike but for what stands around their text."""
    call = [
        begun(1, '{"type":"tool_use","id":"t1","name":"f","input":{}}'),
        said(1, "input_json_delta", "partial_json", '{"a":1}'),
        stop(1),
    ]
    first = [begun(0, '{"type":"text","text":""}'), *(piece(0, word) for word in "abc"), stop(0)]
    second = [begun(2, '{"type":"text","text":""}'), *(piece(2, word) for word in "def"), stop(2)]
    spoken = speak([START, *first, *call, *second, *end()], kind="anthropic", stream=True)
    assert spoken.blocks == [text("abc"), USED, text("def")]
    call = [call_piece(0, '{"a":1}', id="t1", type="function", name="f")]
    first, second = ([event({"content": word}) for word in words] for words in ("abc", "def"))
    spoken = speak([*first, *call, *second, END, usage_event(9), DONE], stream=True)
    assert spoken.blocks == [text("abc"), USED, text("def")]


def test_a_thought_beside_a_text_is_never_lost():
    parts = [event({"reasoning_content": "Hm", "content": word}) for word in "abcd"]
    blocks = speak([*parts, END, usage_event(9), DONE], stream=True).blocks
    assert " ".join(block.get("text") or block["thinking"] for block in blocks) == "Hm a Hm b Hm c Hm d"


def test_a_stream_that_breaks_ends_with_an_error_in_anthropics_shape():
    spoken = speak(b"".join([event({"content": "Par"}), event({"content": "is"})]), stream=True)
    *before, last = read_events(spoken.body)
    assert last["type"] == "error" and last["error"]["type"] == "api_error"
    assert last["error"]["message"] and last["request_id"].startswith("req_")
    assert [one["type"] for one in before][:2] == ["message_start", "content_block_start"]
    assert not {"message_delta", "message_stop"} & {one["type"] for one in before}


def test_an_answer_of_nothing_is_well_formed():
    spoken = speak(b"".join([ended("stop"), usage_event(1), DONE]), stream=True)
    assert spoken.blocks == [] and assemble(read_events(spoken.body))["stop_reason"] == "end_turn"


# -- what is refused -----------------------------------------------------------------------------------------

BAD = {"type": "base64", "media_type": "image/png", "data": "aGVsbG8="}
WRONG = {
    "no bound": ({"max_tokens": None}, "max_tokens"),
    "a bound of nothing": ({"max_tokens": 0}, "max_tokens"),
    "a bound that is none": ({"max_tokens": "7"}, "max_tokens"),
    "a field of OpenAI's": ({"n": 2}, "n"),
    "a field of nobody's": ({"x" * 200: 1}, "x" * 120),
    "a container": ({"container": "c"}, "container"),
    "servers of tools": ({"mcp_servers": []}, "mcp_servers"),
    "a region": ({"inference_geo": "us"}, "inference_geo"),
    "other models": ({"fallbacks": ["a"]}, "fallbacks"),
    "no messages": ({"messages": []}, "messages"),
    "messages that are none": ({"messages": {"role": "user"}}, "messages"),
    "a message that is none": ({"messages": ["hi"]}, "messages[0]"),
    "a role": ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
    "no content": ({"messages": [USER, {"role": "assistant"}]}, "messages[1].content"),
    "content that is none": ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content"),
    "a block that is none": ({"messages": [turn("user", text("a"), "b")]}, "messages[0].content[1]"),
    "a kind of block": ({"messages": [turn("user", {"type": "video"})]}, "messages[0].content[0].type"),
    "a block in the wrong turn": ({"messages": [turn("user", USED)]}, "messages[0].content[0].type"),
    "a server's tool": (
        {"messages": [turn("assistant", {"type": "server_tool_use", "id": "s", "name": "n", "input": {}})]},
        "messages[0].content[0].type",
    ),
    "a text that is none": ({"messages": [turn("user", text(7))]}, "messages[0].content[0].text"),
    "an image that is none": (
        {"messages": [turn("user", text("a"), {"type": "image", "source": BAD})]},
        "messages[0].content[1].source.data",
    ),
    "an image that is broken, behind a system": (
        {
            "system": "s",
            "messages": [turn("user", {"type": "image", "source": PNG["source"] | {"data": "iVBORw0KGgo!"}})],
        },
        "messages[0].content[0].source.data",
    ),
    "a document that is broken": (
        {"messages": [turn("user", {**PDF, "source": {"type": "base64", "data": "JVBERi0!"}})]},
        "messages[0].content[0].source.data",
    ),
    "an image of no kind": (
        {"messages": [turn("user", {"type": "image", "source": BAD | {"media_type": "image/tiff"}})]},
        "messages[0].content[0].source.media_type",
    ),
    "an image that stands elsewhere": (
        {"messages": [turn("user", {"type": "image", "source": {"type": "file", "file_id": "f"}})]},
        "messages[0].content[0].source.type",
    ),
    "an image of this machine": (
        {
            "messages": [
                turn("user", {"type": "image", "source": {"type": "url", "url": "file:///etc/passwd"}})
            ]
        },
        "messages[0].content[0].source.url",
    ),
    "a document that is none": (
        {"messages": [turn("user", {**PDF, "source": {"type": "base64", "data": "aGVsbG8="}})]},
        "messages[0].content[0].source.data",
    ),
    "a picture in a result": (
        {"messages": [turn("user", {**GIVEN, "content": [{"type": "image", "source": BAD}]})]},
        "messages[0].content[0].content[0].source.data",
    ),
    "a result of no call": (
        {"messages": [turn("user", {"type": "tool_result", "content": "x"})]},
        "messages[0].content[0].tool_use_id",
    ),
    "a call without input": (
        {"messages": [turn("assistant", {**USED, "input": "{}"})]},
        "messages[0].content[0].input",
    ),
    "a thought without a signature": (
        {"messages": [turn("assistant", {"type": "thinking", "thinking": "x"})]},
        "messages[0].content[0].signature",
    ),
    "a system that is none": ({"system": [PNG]}, "system[0].type"),
    "a warmth": ({"temperature": 1.5}, "temperature"),
    "stops that are none": ({"stop_sequences": ["a", 7]}, "stop_sequences[1]"),
    "a tool of theirs": ({"tools": [TOOL, {"type": "web_search_20250305", "name": "w"}]}, "tools[1].type"),
    "a tool without a schema": ({"tools": [{"name": "f"}]}, "tools[0].input_schema"),
    "a tool without a name": ({"tools": [TOOL | {"name": ""}]}, "tools[0].name"),
    "a choice of nothing": ({"tool_choice": {"type": "any"}}, "tool_choice"),
    "a choice that is none": ({"tools": [TOOL], "tool_choice": {"type": "some"}}, "tool_choice.type"),
    "a choice of no name": ({"tools": [TOOL], "tool_choice": {"type": "tool"}}, "tool_choice.name"),
    "a thought of no kind": ({"thinking": {"type": "hard"}}, "thinking.type"),
    "a small budget": ({"thinking": {"type": "enabled", "budget_tokens": 10}}, "thinking.budget_tokens"),
    "a large budget": (
        {"thinking": {"type": "enabled", "budget_tokens": 2_000}, "max_tokens": 2_000},
        "thinking.budget_tokens",
    ),
    "an effort": ({"output_config": {"effort": "huge"}}, "output_config.effort"),
    "a form": ({"output_config": {"format": {"type": "xml"}}}, "output_config.format.type"),
    "a schema that nobody can keep": (
        {"output_config": {"format": {"type": "json_schema", "schema": {"enum": []}}}},
        "output_config.format.schema.enum",
    ),
    "a schema that is none": (
        {"output_config": {"format": {"type": "json_schema", "schema": []}}},
        "output_config.format.schema",
    ),
    "whose call": ({"metadata": {"user_id": 7}}, "metadata.user_id"),
    "too many messages": ({"messages": [USER] * 2_001}, "messages"),
}


@pytest.mark.parametrize(("body", "place"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_told_with_its_place(body, place):
    with pytest.raises(InvalidInput) as caught:
        parse(**body)
    assert caught.value.param == place and place in str(caught.value.message)


@pytest.mark.parametrize("name", ["service_tier", "context_management", "speed"])
def test_what_a_server_may_do_without_is_left_out(name):
    assert name not in speak(answer_messages, kind="anthropic", **{name: "x"}).sent


def test_pictures_are_held_for_as_such():
    assert parse(messages=[turn("user", PNG)]).has_media
    assert parse(messages=[turn("user", GIVEN)]).has_media
    assert not parse(messages=[turn("user", text("hi"))]).has_media
