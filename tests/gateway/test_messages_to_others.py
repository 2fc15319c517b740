"""Anthropic's dialect at our own door, for models that speak OpenAI's."""

import json

import pytest

from foundation.errors import InvalidInput
from gateway.operations.chat_completions import chunks as chunks_module
from gateway.operations.messages import events as events_module
from tests.doubles.anthropic import (
    START,
    THOUGHT,
    begun,
    end,
    said,
    stop,
)
from tests.doubles.anthropic import text as piece
from tests.gateway.speaking import (
    FULL,
    GIVEN,
    OPENAIS_TOOL,
    TOOL,
    USED,
    assemble,
    read_events,
    speak,
    text,
    turn,
)
from tests.gateway.streaming import DONE, END, event, usage_event
from tests.gateway.telling import whole as openais_whole

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
        {"role": "tool", "tool_call_id": "t1", "content": "Error: 42"},
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


def test_what_a_search_among_tools_has_found_is_told_in_words():
    found = {**GIVEN, "content": [text("Found:"), {"type": "tool_reference", "tool_name": "f"}]}
    messages = [turn("user", text("hi")), turn("assistant", USED), turn("user", found)]
    spoken = speak(openais_whole("Hi"), messages=messages, tools=[{**TOOL, "defer_loading": True}])
    assert spoken.sent["messages"][-1]["content"] == "Found:\n\nTool: f"
    assert spoken.sent["tools"] == [OPENAIS_TOOL]


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
    "the name behind the id": (
        [
            call_piece(0, "", id="c0", type="function", name=""),
            event({"tool_calls": [{"index": 0, "function": {"name": "f"}}]}),
            call_piece(0, '{"a": 1}'),
        ],
        [("f", {"a": 1})],
    ),
    "the name behind the arguments": (
        [
            call_piece(0, '{"a":', id="c0", type="function", name=""),
            call_piece(0, " 1}"),
            event({"tool_calls": [{"index": 0, "function": {"name": "f"}}]}),
            call_piece(1, '{"b": 2}', id="c1", type="function", name="g"),
        ],
        [("f", {"a": 1}), ("g", {"b": 2})],
    ),
    "the name behind all arguments, without a number": (
        [
            event({"tool_calls": [{"id": "c0", "function": {"name": "", "arguments": '{"a": 1}'}}]}),
            event({"tool_calls": [{"function": {"name": "f"}}]}),
        ],
        [("f", {"a": 1})],
    ),
    "a call without a name beside one with a name": (
        [
            call_piece(0, '{"a": 1}', id="c0", type="function", name=""),
            call_piece(1, '{"b": 2}', id="c1", type="function", name="g"),
        ],
        [("g", {"b": 2})],
    ),
}


@pytest.mark.parametrize(("parts", "expected"), AT_ONCE.values(), ids=AT_ONCE)
def test_calls_that_are_told_at_once_become_blocks_one_after_the_other(parts, expected):
    stream = [event({"role": "assistant", "content": ""}), *parts, ended("tool_calls"), usage_event(5), DONE]
    blocks = speak(b"".join(stream), stream=True, tools=[TOOL]).blocks
    told = [one["text"] if one["type"] == "text" else (one["name"], one["input"]) for one in blocks]
    assert told == expected


def test_a_call_without_a_name_is_left_out_beside_others_and_alone_no_answer():
    nameless, named = (
        {"id": name, "type": "function", "function": {"name": name.strip("-"), "arguments": '{"a": 1}'}}
        for name in ("-", "f")
    )

    def telling_calls(*calls: dict) -> bytes:
        message = {"content": None, "tool_calls": list(calls)}
        return json.dumps({"choices": [{"message": message, "finish_reason": "tool_calls"}]}).encode()

    (block,) = speak(telling_calls(nameless, named), tools=[TOOL]).blocks
    assert block["name"] == "f"
    assert speak(telling_calls(nameless), tools=[TOOL]).error is not None
    parts = [
        call_piece(0, "{}", id="c0", type="function", name=""),
        ended("tool_calls"),
        usage_event(5),
        DONE,
    ]
    assert read_events(speak(b"".join(parts), stream=True, tools=[TOOL]).body)[-1]["type"] == "error"


def test_what_waits_for_a_name_is_bounded(monkeypatch):
    monkeypatch.setattr(events_module, "MOST_WAITING", 50)
    begun_call = call_piece(0, '{"a":', id="c0", type="function", name="")
    texts = [call_piece(0, " ") for _number in range(60)]
    texts.append(call_piece(1, "{}", id="c1", type="function", name="g"))
    body = speak(b"".join([begun_call, *texts, ended("tool_calls"), DONE]), stream=True, tools=[TOOL]).body
    assert read_events(body)[-1]["type"] == "error"


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


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("signed", [[], [{"type": "thinking", "thinking": "Other", "signature": "s"}]])
def test_thoughts_that_anybody_else_has_signed_are_told_as_text(signed, stream):
    thought = {"reasoning_content": "Hm", "thinking_blocks": signed}
    said = b"".join([event(thought), event({"content": "Hi"}), END, usage_event(9), DONE])
    whole = {"choices": [{"message": {"content": "Hi", **thought}, "finish_reason": "stop"}]}
    blocks = speak(said if stream else json.dumps(whole).encode(), stream=stream).blocks
    assert blocks == [{"type": "thinking", "thinking": "Hm", "signature": ""}, text("Hi")]


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
