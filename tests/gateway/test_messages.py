"""Anthropic's dialect at our own door, for models that speak it, and what is refused there."""

import json

import pytest

from foundation.errors import InvalidInput
from gateway.answers.billed import billed_usage
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
    stop,
    whole,
)
from tests.gateway.speaking import (
    FULL,
    GIVEN,
    HISTORY,
    MARK,
    PDF,
    PNG,
    THOUGHT_BLOCK,
    TOOL,
    USED,
    USER,
    parse,
    read_events,
    speak,
    text,
    turn,
)

# -- to Claude and back: nothing is lost ---------------------------------------------------------------------


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


def test_turns_are_counted_and_not_what_becomes_of_them():
    """Each result of a tool is a message of its own."""
    turns = [turn("assistant", USED, USED | {"id": "t2"}), turn("user", GIVEN, GIVEN | {"tool_use_id": "t2"})]
    assert len(parse(messages=[USER, *turns * 800]).body["messages"]) > 2_000


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


# -- what is refused -----------------------------------------------------------------------------------------

BAD = {"type": "base64", "media_type": "image/png", "data": "aGVsbG8="}
WRONG = {
    "no bound": ({"max_tokens": None}, "max_tokens"),
    "a bound of nothing": ({"max_tokens": 0}, "max_tokens"),
    "a bound that is none": ({"max_tokens": "7"}, "max_tokens"),
    "a bound beyond any model": ({"max_tokens": 10_000_001}, "max_tokens"),
    "more turns than may be": ({"messages": [USER] * 2_001}, "messages"),
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
    "a result that is a number": (
        {"messages": [turn("user", {**GIVEN, "content": 0})]},
        "messages[0].content[0].content",
    ),
    "a result that is no": (
        {"messages": [turn("user", {**GIVEN, "content": False})]},
        "messages[0].content[0].content",
    ),
    "a result that is an object": (
        {"messages": [turn("user", {**GIVEN, "content": {}})]},
        "messages[0].content[0].content",
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
        parse(**body).form.verify()
    assert caught.value.param == place and place in str(caught.value.message)


def test_beside_tools_a_budget_may_be_larger_than_one_answer():
    """As with the beta of thoughts between calls, where it holds for all of them together."""
    budget = {"type": "enabled", "budget_tokens": 8_000}
    spoken = speak(answer_messages, kind="anthropic", thinking=budget, max_tokens=2_000, tools=[TOOL])
    assert spoken.sent["thinking"] == {"type": "enabled", "budget_tokens": 1_999}


def test_addresses_are_read_whatever_their_case():
    source = {"type": "url", "url": "HTTPS://example.com/a.png"}
    sent = speak(
        answer_messages, kind="anthropic", messages=[turn("user", {"type": "image", "source": source})]
    )
    assert sent.sent["messages"][0]["content"] == [{"type": "image", "source": source}]
    for url in ("ftp://example.com/a.png", "a.png"):
        with pytest.raises(InvalidInput, match="begins with http:// or https://"):
            parse(messages=[turn("user", {"type": "image", "source": {"type": "url", "url": url}})])


@pytest.mark.parametrize("content", [None, "", []])
def test_a_result_of_nothing_is_one(content):
    parse(messages=[turn("user", {**GIVEN, "content": content})])


FOUND = {"type": "tool_reference", "tool_name": "f"}
SEARCHED = [USER, turn("assistant", USED), turn("user", {**GIVEN, "content": [FOUND]})]


def test_what_a_search_among_tools_has_found_reaches_claude_as_it_is():
    later = {**TOOL, "defer_loading": True}
    spoken = speak(answer_messages, kind="anthropic", messages=SEARCHED, tools=[TOOL, later])
    assert spoken.sent["messages"] == SEARCHED and spoken.sent["tools"] == [TOOL, later]
    assert not spoken.call.has_media and not spoken.call.has_sound


def test_a_reference_to_no_tool_is_told_with_its_place():
    wrong = turn("user", {**GIVEN, "content": [{"type": "tool_reference"}]})
    with pytest.raises(InvalidInput) as caught:
        parse(messages=[wrong])
    assert caught.value.param == "messages[0].content[0].content[0].tool_name"


@pytest.mark.parametrize("name", ["service_tier", "context_management", "speed"])
def test_what_a_server_may_do_without_is_left_out(name):
    assert name not in speak(answer_messages, kind="anthropic", **{name: "x"}).sent


def test_pictures_are_held_for_as_such():
    assert parse(messages=[turn("user", PNG)]).has_media
    assert parse(messages=[turn("user", GIVEN)]).has_media
    assert not parse(messages=[turn("user", text("hi"))]).has_media
