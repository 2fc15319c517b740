"""Step 2: what a request must look like, and which parameter an error names."""

import sys

import orjson
import pytest

from foundation.errors import InvalidInput
from foundation.ids import uuid7
from gateway.calls import Call
from gateway.operations.body import OTHER_MODELS
from gateway.operations.chat_completions import OPERATION
from gateway.operations.chat_completions.request import MAX_MESSAGES, OTHER_LENGTHS
from gateway.operations.embeddings import OPERATION as EMBEDDINGS
from tests.gateway.parsing import GOOD, PRINCIPAL, parse


@pytest.mark.parametrize(
    "name",
    [
        "cache_salt",
        "service_tier",
        "web_search_options",
        "enable_search",
        "search_options",
        "search_parameters",
        "plugins",
        "provider",
        "prompt_cache_retention",
        "lora",
    ],
)
def test_what_reaches_beyond_the_model_and_its_price_is_not_passed_on(name):
    assert name not in parse(**{name: 1}).body


def test_a_plain_request_is_understood():
    call = parse()
    assert (call.body["model"], call.wants_stream, call.wants_usage) == ("m", False, False)


@pytest.mark.parametrize(("depth", "is_fine"), [(200, True), (240, True), (400, False), (900, False)])
def test_what_is_nested_too_deep_is_refused_before_it_fails_on_its_way(depth, is_fine):
    raw = orjson.dumps(GOOD)[:-1] + b',"x":' + b"[" * depth + b"]" * depth + b"}"
    if is_fine:
        assert orjson.dumps(OPERATION.parse(raw, PRINCIPAL, uuid7()).body)
        return
    with pytest.raises(InvalidInput) as caught:
        OPERATION.parse(raw, PRINCIPAL, uuid7())
    assert caught.value.code == "invalid_json"


def test_unknown_fields_pass_through():
    assert parse(x_provider={"a": 1}, tools=[{"type": "function"}]).body["x_provider"] == {"a": 1}


@pytest.mark.parametrize("name", [*OTHER_MODELS, *OTHER_LENGTHS, "n_cmpl", "best_of"])
def test_no_other_model_and_no_other_length_than_those_that_are_held_and_billed(name):
    """OpenRouter and others would answer with it: a dearer one, or one that the key may not call; llama.cpp
    would answer at the length of n_predict.
    """
    with pytest.raises(InvalidInput) as caught:
        parse(**{name: ["dear/model"]})
    assert caught.value.param == name
    assert parse(**{name: None}).body["model"] == "m"


def test_one_answer_may_be_asked_for_by_any_name():
    assert parse(n=1, best_of=1, n_cmpl=1).body["best_of"] == 1
    for name in ("best_of", "n_cmpl"):
        with pytest.raises(InvalidInput):
            parse(**{name: 2})


def test_stream_options_are_read():
    call = parse(stream=True, stream_options={"include_usage": True})
    assert call.wants_stream and call.wants_usage


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"model": "DROP"}, "model"),
        ({"model": ""}, "model"),
        ({"model": 7}, "model"),
        ({"messages": "DROP"}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [{"role": "wizard", "content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": [], "content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": ["hi"]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{"type": ["text"]}]}]}, "messages[0].content[0].type"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": 5}]}]},
            "messages[0].content[0].text",
        ),
        ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": "x"}] * 2_001}, "messages"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"max_tokens": 10**19}, "max_tokens"),
        ({"max_completion_tokens": True}, "max_completion_tokens"),
        ({"temperature": 3}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_p": -0.1}, "top_p"),
        ({"n": 0}, "n"),
        ({"tools": {}}, "tools"),
    ],
)
def test_a_wrong_field_is_named(changes, param):
    with pytest.raises(InvalidInput) as caught:
        parse(**changes)
    assert caught.value.param == param and caught.value.http_status == 400


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b'"x"', b"\xff", b'{"model": NaN}', b"[" * 5000, b'{"a":1e400}']
)
def test_what_is_not_a_json_object_is_400(raw):
    with pytest.raises(InvalidInput):
        OPERATION.parse(raw, PRINCIPAL, uuid7())


@pytest.mark.parametrize(
    ("content", "has_media"),
    [
        ("hi", False),
        ([{"type": "text", "text": "hi"}], False),
        ([{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}], True),
        ([{"type": "of_another_kind"}], True),
        ([{"type": "refusal", "refusal": "no", "image_url": None}], False),
        ([{"type": "text", "text": "x", "uuid": "u", "image_url": "https://example.com/a.png"}], True),
        ([{"type": "text", "text": "x", "input_audio": {"data": "AAAA", "format": "wav"}}], True),
    ],
)
def test_media_are_noticed(content, has_media):
    assert parse(messages=[{"role": "user", "content": content}]).has_media is has_media


def test_a_call_has_no_more_messages_than_may_be_whoever_makes_it():
    many = GOOD | {"messages": GOOD["messages"] * (MAX_MESSAGES + 1)}
    from_inside = Call(PRINCIPAL, dict(many), 1, OPERATION)
    for make in (lambda: parse(**many), lambda: OPERATION.check(from_inside)):
        with pytest.raises(InvalidInput) as caught:
            make()
        assert caught.value.param == "messages" and str(MAX_MESSAGES) in str(caught.value.message)


def told_of(raw: bytes, operation=OPERATION) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        operation.parse(raw, PRINCIPAL, uuid7())
    return caught.value


def text_of(escaped: bytes) -> str:
    raw = b'{"model": "m", "messages": [{"role": "user", "content": "' + escaped + b'"}]}'
    return OPERATION.parse(raw, PRINCIPAL, uuid7()).body["messages"][0]["content"]


@pytest.mark.parametrize(
    ("escaped", "text"),
    [
        (rb"a\ud83d", "a\ufffd"),
        (rb"\uDE00b", "\ufffdb"),
        (rb"\ud83d\ud83d\ude00", "\ufffd😀"),
        (rb"\ud83d\ude00\ude00", "😀\ufffd"),
        (rb"\ud83d\\ud83d\"", '\ufffd\\ud83d"'),
        (rb"\ud83d\n\u00e4", "\ufffd\nä"),
    ],
)
def test_half_an_emoji_is_read_as_a_sign_that_stands_for_one(escaped, text):
    """Clients cut texts at a length."""
    assert text_of(escaped) == text


@pytest.mark.parametrize(
    "tool", [{"type": "web_search"}, {"type": "code_interpreter", "container": "x"}, {"type": None}, "search"]
)
def test_tools_that_the_provider_would_run_are_refused(tool):
    """They cost what no price knows."""
    function = {"type": "function", "function": {"name": "f"}}
    OPERATION.parse(orjson.dumps(GOOD | {"tools": [function]}), PRINCIPAL, uuid7())
    with pytest.raises(InvalidInput) as refused:
        OPERATION.parse(orjson.dumps(GOOD | {"tools": [function, tool]}), PRINCIPAL, uuid7())
    assert refused.value.param == "tools[1].type"


@pytest.mark.parametrize("escape", [rb"\n", rb"\\\\", rb"\ud83d\ude00", rb"\ud800"])
def test_a_body_full_of_escapes_takes_no_step_for_each(escape):
    """One half makes it unreadable, and each step would hold up everybody else."""
    steps = 0

    def count(_frame, event, _argument) -> None:
        nonlocal steps
        steps += event in ("call", "c_call")

    raw = b'{"model": "x", "messages": "\\ud83d ' + escape * 200_000 + b'"}'
    sys.setprofile(count)
    try:
        with pytest.raises(InvalidInput):
            OPERATION.parse(raw, PRINCIPAL, uuid7())
    finally:
        sys.setprofile(None)
    assert steps < 80_000


def test_a_byte_order_mark_is_no_part_of_a_body():
    raw = b"\xef\xbb\xbf" + orjson.dumps(GOOD)
    assert OPERATION.parse(raw, PRINCIPAL, uuid7()).body == GOOD


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "has no body"),
        (b" \n", "has no body"),
        (orjson.dumps(GOOD).decode().encode("utf-16"), "no UTF-8"),
        (b'{"model": "\xe4"}', "no UTF-8"),
        (b'{"model": "m",}', "line 1 column 14"),
    ],
)
def test_what_is_no_json_is_told_in_words(raw, words):
    assert words in str(told_of(raw).message)


@pytest.mark.parametrize(
    ("operation", "given", "wanted"),
    [
        (OPERATION, "prompt", "messages"),
        (OPERATION, "input", "messages"),
        (EMBEDDINGS, "messages", "input"),
        (EMBEDDINGS, "prompt", "input"),
    ],
)
def test_who_writes_for_another_address_is_told_what_to_write_here(operation, given, wanted):
    error = told_of(orjson.dumps({"model": "m", given: "hi"}), operation)
    assert (error.param, error.code) == (wanted, "missing_required_parameter")
    assert f"instead of “{given}”" in str(error.message)


@pytest.mark.parametrize(("value", "whole"), [(3.0, 3), (1e3, 1_000), (3.5, None), (1e300, None)])
def test_a_whole_number_may_be_written_as_a_fraction(value, whole):
    if whole is None:
        assert told_of(orjson.dumps(GOOD | {"max_tokens": value})).param == "max_tokens"
    else:
        taken = parse(max_tokens=value).body["max_tokens"]
        assert (taken, type(taken)) == (whole, int)
