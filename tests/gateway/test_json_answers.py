"""`response_format`: the schema is checked; models that keep it are handed it, and others are held to it."""

import asyncio
import json
import tracemalloc
from contextlib import suppress
from decimal import Decimal

import openai
import orjson
import pydantic
import pytest

from foundation.errors import InvalidInput, QuotaExceeded
from gateway.answers.billed import billed_usage
from gateway.answers.usage import estimate_input_tokens
from gateway.calls import Chunk
from gateway.operations.chat_completions import ChatCompletions
from gateway.operations.chat_completions.assembly import Gathered
from gateway.operations.chat_completions.schemas import MAX_PARTS, MAX_SCHEMA_BYTES
from gateway.operations.chat_completions.validation import (
    CLOSED_THOUGHTS,
    CannotTell,
    NotKept,
    Work,
    is_quick,
    read_json,
)
from gateway.steps.reserve import highest_price
from tests.gateway.asking import ask, serving
from tests.gateway.calling import call_of, make_endpoint, make_route
from tests.gateway.test_estimates import DONE, END, event, usage_event
from tests.gateway.test_lost_attempts import Bills
from tests.gateway.test_parse import parse
from tests.gateway.test_v1 import HELLO, ONE, events_of
from usage.pricing import Price

pytestmark = pytest.mark.scope(None)
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "count": {"type": "integer"}},
    "required": ["name", "count"],
    "additionalProperties": False,
}
GOOD = '{"name": "w0", "count": 1}'
BAD = '{"name": "w0"}'
PLACE = "response_format.json_schema.schema"


def of(schema, **more) -> dict:
    return {"type": "json_schema", "json_schema": {"name": "thing", "schema": schema, **more}}


def verified(wanted):
    """The form of a request that wants this, checked. Raises InvalidInput."""
    form = parse(response_format=wanted).form
    form.verify()
    return form


# -- the schema itself ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "param"),
    [
        ("json", "response_format"),
        ({}, "response_format.type"),
        ({"type": "json"}, "response_format.type"),
        ({"type": ["text"]}, "response_format.type"),
        ({"type": "json_schema"}, "response_format.json_schema"),
        ({"type": "json_schema", "json_schema": []}, "response_format.json_schema"),
        ({"type": "json_schema", "json_schema": {"schema": {}}}, "response_format.json_schema.name"),
        ({"type": "json_schema", "json_schema": {"name": "a b"}}, "response_format.json_schema.name"),
        (of([]), PLACE),
        (of({"type": "strin"}), f"{PLACE}.type"),
        (of({"type": "object", "properties": {"a": {"type": 7}}}), f"{PLACE}.properties.a.type"),
        (of({"type": "object", "required": "a"}), f"{PLACE}.required"),
        (of({"$ref": "https://example.com/schema.json"}), f"{PLACE}.$ref"),
        (of({"properties": {"a": {"$ref": "file:///etc/passwd"}}}), f"{PLACE}.properties.a.$ref"),
        (of({"properties": {"default": {"$ref": "http://x/"}}}), f"{PLACE}.properties.default.$ref"),
        (of({"$ref": "#/$defs/missing"}), f"{PLACE}.$ref"),
        (of({"enum": ["x" * MAX_SCHEMA_BYTES]}), PLACE),
        (of({"allOf": [{}] * MAX_PARTS}), PLACE),
    ],
)
def test_what_is_no_schema_is_named_by_its_place(wanted, param):
    with pytest.raises(InvalidInput) as caught:
        verified(wanted)
    assert caught.value.param == param and caught.value.http_status == 400


def required(schema) -> dict:
    return {"type": "object", "properties": {"a": schema}, "required": ["a"]}


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        (required(False), ".properties.a"),
        (required({"enum": []}), ".properties.a.enum"),
        (required({"type": "string", "enum": [1, 2]}), ".properties.a.enum"),
        (required({"type": "integer", "const": 1.5}), ".properties.a.const"),
        (required({"type": "boolean", "const": 1}), ".properties.a.const"),
        (required({"type": "string", "minLength": 5, "maxLength": 2}), ".properties.a.minLength"),
        (required({"minimum": 5, "maximum": 2}), ".properties.a.minimum"),
        (required({"type": "array", "minItems": 1, "items": False}), ".properties.a.items"),
        (required({"anyOf": [False, {"enum": []}]}), ".properties.a.anyOf[0]"),
        (required({"allOf": [True, False]}), ".properties.a.allOf[1]"),
        (required({"$ref": "#"}), ".properties.a.$ref"),
        ({"$ref": "#"}, ".$ref"),
        ({"type": "object", "required": ["b"], "additionalProperties": False}, ".required[0]"),
    ],
)
def test_a_schema_that_no_answer_can_keep_is_named_by_its_place(schema, place):
    with pytest.raises(InvalidInput) as caught:
        verified(of(schema))
    assert caught.value.param == PLACE + place and caught.value.code == "invalid_json_schema"


@pytest.mark.parametrize(
    "schema",
    [
        SCHEMA,
        {},
        {"type": "object", "properties": {"a": False}},
        required({"type": ["string", "null"], "enum": ["a", None]}),
        required({"anyOf": [False, {"type": "string"}]}),
        required({"type": "integer", "const": 1.0}),
        {
            "$defs": {"tree": required({"type": "array", "items": {"$ref": "#/$defs/tree"}})},
            "$ref": "#/$defs/tree",
        },
        {"$schema": "http://json-schema.org/draft-07/schema#", **SCHEMA},
        required({"type": "string", "pattern": "^\\p{L}+$"}),
        {"type": "object", "properties": {"$ref": {"type": "string"}, "enum": {"type": "array"}}},
    ],
)
def test_a_schema_that_can_be_kept_passes(schema):
    assert verified(of(schema)).is_known


def test_other_forms_are_none_of_ours():
    assert parse(response_format={"type": "text"}).form is None
    assert parse(response_format=None).form is None


# -- reading answers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"\n {GOOD} \n",
        f"```json\n{GOOD}\n```",
        f"Here it is:\n```\n{GOOD}\n```\nAnything else?",
        f"Sure! {GOOD} That is all.",
        f"<think>maybe {{}} or so</think>\n{GOOD}",
    ],
)
def test_json_is_found_in_what_models_put_around_it(text):
    assert read_json(text, SCHEMA) == GOOD


@pytest.mark.parametrize("mark", CLOSED_THOUGHTS)
@pytest.mark.parametrize("around", ["%s", "```json\n%s\n```", "%s That is all."])
def test_json_may_speak_of_the_marks_that_close_thoughts(mark, around):
    good = json.dumps({"name": f"uses {mark} here", "count": 1}, ensure_ascii=False)
    assert read_json(around % good, SCHEMA) == good


@pytest.mark.parametrize("text", ["", "w0 w1", BAD, '{"name": "a", "count": "1"}', "[1]", GOOD[:-1], "NaN"])
def test_what_is_no_such_json_is_refused_with_a_reason(text):
    with pytest.raises(NotKept) as caught:
        read_json(text, SCHEMA)
    assert str(caught.value)


def test_patterns_that_are_quick_are_checked():
    schema = {"type": "string", "pattern": "^[A-Z]{3}-\\d+$"}
    assert read_json('"ABC-12"', schema) == '"ABC-12"'
    with pytest.raises(NotKept):
        read_json('"abc"', schema)


@pytest.mark.parametrize(
    ("pattern", "quick"),
    [
        ("^a+$", True),
        ("^\\d{4}-\\d{2}$", True),
        ("^(?:a|b)c?$", True),
        ("a+b", True),
        ("(a+)+$", False),
        ("(?:a*)*", False),
        ("(a|a)*$", False),
        ("^(.{1,9}){9}$", False),
        ("a*b*c*", False),
        ("^a+b+c+$", False),
        ("(a)\\1", False),
        ("(?P<x>a)", False),
        ("a?" * 9, False),
        ("\\p{L}", False),
    ],
)
def test_patterns_that_could_take_long_are_told_apart(pattern, quick):
    assert is_quick(pattern) is quick


DOUBLING = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(30)}
HARD = [
    ({"$defs": {**DOUBLING, "d30": {"type": "object"}}, "$ref": "#/$defs/d0"}, "{}"),
    (  # a dialect named inside would go on uncounted
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "allOf": [{"properties": {"a": {"$ref": "#"}}}] * 2,
            "type": "object",
        },
        '{"a":' * 30 + "{}" + "}" * 30,
    ),
    ({"items": {"pattern": "^.*x.*$"}}, orjson.dumps(["y" * 2_000 + "x"] * 40).decode()),
]


@pytest.mark.parametrize(("schema", "text"), HARD, ids=["references", "depth", "patterns"])
def test_checking_ends_whatever_the_schema(schema, text):
    with pytest.raises(CannotTell):
        read_json(text, schema)


# What the library does without a check of its own, each of which costs a step
DOUBLING = {
    f"a{number}": {"dependentSchemas": {name: {"$ref": f"#/$defs/a{number + 1}"} for name in "xy"}}
    for number in range(16)
}
NUMBERS = list(range(10_000))


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        # what is left over is looked for behind all references
        (
            {"unevaluatedProperties": False, "$ref": "#/$defs/a0", "$defs": {**DOUBLING, "a16": {}}},
            {"x": 1, "y": 1},
        ),
        # and then each item in a list of those that were seen
        ({"allOf": [{"items": True}], "unevaluatedItems": False}, [1] * 8_000),
        # each value is compared with each of the choice
        ({"items": {"enum": NUMBERS}}, [9_999] * 60),
        ({"allOf": [{"$ref": "#/$defs/c"}] * 60, "$defs": {"c": {"const": [NUMBERS]}}}, [NUMBERS]),
        # each name is looked for
        ({"items": {"anyOf": [{"required": list(map(str, NUMBERS))}, True]}}, [{}] * 10),
        # each error tells all of the value
        ({"anyOf": [{"allOf": [False] * 1_000}, True]}, "a" * 100_000),
        ({"anyOf": [{"allOf": [{"type": "number"}] * 1_000}, True]}, [["a" * 100_000]]),
        ({"allOf": [{"uniqueItems": True}] * 1_000}, [["a" * 100_000]]),
    ],
)
def test_no_work_is_left_uncounted(schema, value):
    with pytest.raises(CannotTell):
        read_json(json.dumps(value), schema)


def test_the_texts_of_one_answer_share_what_may_be_done():
    schema, text = {"items": {"enum": list(range(1_000))}}, json.dumps([999] * 250)
    assert read_json(text, schema) == text
    few, many = Work(4), Work(128)
    assert [read_json(text, schema, few) for _number in range(4)] == [text] * 4
    with pytest.raises(CannotTell):
        for _number in range(128):
            read_json(text, schema, many)


def test_long_answers_by_usual_schemas_are_checked():
    of_kind = [
        {
            "type": "object",
            "properties": {"kind": {"const": f"k{number}"}, "land": {"enum": [f"l{n}" for n in range(250)]}},
            "required": ["kind", "land"],
            "unevaluatedProperties": False,
        }
        for number in range(4)
    ]
    value = [{"kind": "k3", "land": "l249"}] * 200
    assert read_json(json.dumps(value), {"items": {"anyOf": of_kind}}) == json.dumps(value)
    with pytest.raises(NotKept):
        read_json(json.dumps([*value, {"kind": "k3", "land": "l250"}]), {"items": {"anyOf": of_kind}})


def test_what_is_nested_too_deep_is_no_answer():
    with pytest.raises(NotKept, match="too deep"):
        read_json("[" * 300 + "]" * 300, {"uniqueItems": True})


def test_a_pattern_beyond_counting_is_left_out():
    assert read_json('"a"', {"pattern": "a{99999999999}"}) == '"a"'


@pytest.mark.parametrize("dialect", ["draft-03", "draft-04"])
def test_no_choice_of_a_schema_is_compared_value_by_value(dialect):
    """The library compares each with each where they cannot be sorted, of 12,000 for 20 seconds: the words of
    the reason are ours.
    """
    address = f"http://json-schema.org/{dialect}/schema#"
    schema = {"$schema": address, "properties": {"a": {"enum": [7, "a", 7]}}}
    with pytest.raises(InvalidInput, match="two items that are alike") as raised:
        verified(of(schema))
    assert raised.value.param == f"{PLACE}.properties.a.enum"


def test_a_dialect_that_is_no_address_is_none():
    assert verified(of({"$schema": "http://[", "type": "object"})).is_known


def test_references_may_be_written_as_in_addresses():
    schema = {"$ref": "#/$defs/a%20b", "$defs": {"a b": {"type": "object"}}}
    assert verified(of(schema)).is_known
    assert read_json("{}", schema) == "{}"


def test_a_long_list_without_doubles_is_told_apart_in_one_pass():
    items = [{"a": number} for number in range(5_000)]
    assert read_json(json.dumps(items), {"uniqueItems": True})
    with pytest.raises(NotKept):
        read_json(json.dumps([*items, {"a": 7}]), {"uniqueItems": True})


# -- asking --------------------------------------------------------------------------------------------------


def answer(text: str, reason: str = "stop", **usage) -> tuple[int, object]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": reason}
    report = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15} | usage
    return 200, {"choices": [choice], "usage": report}


def streamed(text: str) -> tuple[int, object]:
    pieces = b"".join(event({"content": text[place : place + 4]}) for place in range(0, len(text), 4))
    return 200, pieces + END + usage_event(5) + DONE


def calling(url: str, wanted, *, stream: bool, kind: str = "siliconflow", capabilities=(), messages=None):
    """A call of a server that keeps no schema, unless its kind or the model's capabilities say so."""
    price = Price("EUR", input=Decimal(1), output=Decimal(1))
    route = make_route([make_endpoint(url, kind=kind)], price=price, capabilities=frozenset(capabilities))
    checked = parse(response_format=wanted, **({"messages": messages} if messages else {}))
    call = call_of(route, stream=stream, **{"messages": checked.body["messages"], "response_format": wanted})
    call.form, call.size_bytes = checked.form, checked.size_bytes
    return call


def told(*answers, wanted=None, stream: bool = False, **more):
    """The call, the text that came, and what the server was asked."""

    async def run():
        async with serving(*answers) as server:
            call = calling(server.url, wanted or of(SCHEMA), stream=stream, **more)
            return call, await ask(call), server.seen

    return asyncio.run(run())


def text_of(said: bytes, *, stream: bool) -> str:
    if not stream:
        return orjson.loads(said)["choices"][0]["message"]["content"]
    chunks = [orjson.loads(line[6:]) for line in said.split(b"\n") if line.startswith(b"data: {")]
    return "".join(one["choices"][0]["delta"].get("content") or "" for one in chunks if one["choices"])


def saying(text: str, *, stream: bool) -> tuple[int, object]:
    return streamed(text) if stream else answer(text)


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_keeps_the_schema_passes_at_once(stream):
    call, said, seen = told(saying(f"Sure: {GOOD}", stream=stream), stream=stream)
    assert text_of(said, stream=stream) == GOOD
    (sent,) = seen
    assert sent["response_format"] == {"type": "json_object"}, "the most that this provider keeps"
    system, question = sent["messages"]
    assert system["role"] == "system" and orjson.dumps(SCHEMA).decode() in system["content"]
    assert question == {"role": "user", "content": "hi"} and call.attempts == []


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_breaks_it_goes_back_once_and_both_are_paid(stream):
    call, said, seen = told(saying(BAD, stream=stream), saying(GOOD, stream=stream), stream=stream)
    assert text_of(said, stream=stream) == GOOD
    *earlier, wrong, correction = seen[1]["messages"]
    assert earlier == seen[0]["messages"] and wrong == {"role": "assistant", "content": BAD}
    assert correction["role"] == "user" and "'count' is a required property" in correction["content"]
    (lost,) = call.attempts
    assert lost.error_code == "upstream_broken_form" and lost.usage.total_tokens > 0 and lost.cost > 0
    assert billed_usage(call)[0].total_tokens > 0


@pytest.mark.parametrize("stream", [False, True])
def test_one_that_breaks_it_twice_is_an_error_and_nobody_is_asked_again(stream):
    call, said, seen = told(saying(BAD, stream=stream), stream=stream)
    assert said == b"upstream_broken_form", "as a status of its own: nothing has gone out"
    assert len(seen) == 2 and call.status == "error" and len(call.attempts) == 1


def test_a_stream_that_waits_for_its_check_takes_no_more_than_its_text():
    """Events as objects took a kilobyte each: one long answer, or eight at once, took the process."""
    event_of = json.dumps({"id": "c", "choices": [{"index": 0, "delta": {"content": "%d"}}]})
    gathered = Gathered()
    tracemalloc.start()
    for number in range(10_000):
        gathered.write(Chunk(json.loads(event_of % number), is_changed=True), b"")
    size, _peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < 2_000_000


def test_a_stream_that_waits_for_its_check_is_no_longer_than_an_answer(monkeypatch):
    monkeypatch.setattr(ChatCompletions, "max_answer_bytes", 10_000)
    pieces = [event({"content": "x" * 100}) for _number in range(200)]
    _call, said, _seen = told((200, b"".join([*pieces, END, DONE])), stream=True)
    assert said == b"upstream_endless"


def test_the_hold_covers_the_second_try_before_it_is_sent():
    class Books:
        def __init__(self):
            self.followed = []

        def mark(self, *_mark):
            pass

        async def follow(self, _slug, attempt):
            self.followed.append(attempt)

    async def run():
        books = Books()
        async with serving(answer(BAD), answer(GOOD)) as server:
            call = calling(server.url, of(SCHEMA), stream=False)
            before = call.size_bytes
            await ask(call, ledger=books)
            return call, before, books.followed

    call, before, (followed,) = asyncio.run(run())
    assert call.size_bytes >= before + len(BAD), "what was said is read again"
    assert followed.amount > call.attempts[0].cost and followed.attempts == tuple(call.attempts)


@pytest.mark.parametrize("no", [QuotaExceeded("no", code="insufficient_quota"), asyncio.CancelledError()])
def test_a_second_try_that_is_not_sent_leaves_the_bill_of_the_first_alone(no):
    async def run():
        books = Bills(no)
        async with serving((200, {"choices": answer(BAD)[1]["choices"]})) as server:
            call = calling(server.url, of(SCHEMA), stream=False)
            call.held, tokens = highest_price(call), estimate_input_tokens(call)
            with suppress(asyncio.CancelledError):
                await ask(call, ledger=books)
            return books, tokens, server.seen

    books, tokens, seen = asyncio.run(run())
    (bill,) = books.bills
    assert len(seen) == len(books.followed) == 1 and not bill.attempts
    assert bill.usage.input_tokens == tokens


@pytest.mark.parametrize("text", ["{", '{"name": "w'])
def test_an_answer_that_was_cut_says_so_itself(text):
    _call, said, seen = told(answer(text, reason="length"))
    (choice,) = orjson.loads(said)["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == (text, "length") and len(seen) == 1


def test_the_system_message_is_gone_on_with():
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]
    _call, _said, seen = told(answer(GOOD), messages=messages)
    system, question = seen[0]["messages"]
    assert system["content"].startswith("Be brief.\n\n") and question["content"] == "hi"


@pytest.mark.parametrize(
    ("kind", "capabilities", "wanted", "sent"),
    [
        ("vllm", (), of(SCHEMA), of(SCHEMA)),
        ("ollama", (), of(SCHEMA), of(SCHEMA)),
        ("openai_compatible", ("json_schema",), of(SCHEMA), of(SCHEMA)),
        ("openai_compatible", (), {"type": "json_object"}, {"type": "json_object"}),
        ("embedded", (), {"type": "json_object"}, None),
        ("embedded", (), of(SCHEMA), None),
        ("lmstudio", (), {"type": "json_object"}, None),
    ],
)
def test_who_keeps_a_form_is_asked_for_it_and_others_in_words(kind, capabilities, wanted, sent):
    _call, said, seen = told(answer(GOOD), wanted=wanted, kind=kind, capabilities=capabilities)
    assert seen[0].get("response_format") == sent
    assert (len(seen[0]["messages"]) == 1) is (sent is not None)
    assert text_of(said, stream=False) == GOOD


def test_a_model_that_keeps_a_form_is_not_checked_and_its_stream_is_not_held_back():
    _call, said, seen = told(streamed(BAD), stream=True, kind="vllm")
    assert text_of(said, stream=True) == BAD and said.count(b'"content"') > 2 and len(seen) == 1


def test_a_schema_that_cannot_be_checked_is_the_callers():
    _call, said, seen = told(answer("{}"), wanted=of(HARD[0][0]))
    assert said == InvalidInput.code.encode() and len(seen) == 1


# -- through the house ---------------------------------------------------------------------------------------


class Thing(pydantic.BaseModel):
    name: str
    count: int


@pytest.mark.parametrize(("model", "attempts"), [("mock-json", 1), ("mock-json-late", 2)])
def test_the_official_client_parses_answers_of_models_that_keep_no_schema(house, model, attempts):
    answer = house.client().chat.completions.with_raw_response.parse(
        model=model, messages=HELLO, response_format=Thing
    )
    assert answer.headers["x-atrium-attempts"] == str(attempts)
    assert answer.parse().choices[0].message.parsed == Thing(name="w0", count=1)
    event = events_of(ONE)[0]
    assert event.status == "ok" and len(event.attempts or []) == attempts - 1


def test_streams_are_parsed_too(house):
    with house.client().chat.completions.stream(
        model="mock-json-late", messages=HELLO, response_format=Thing
    ) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.parsed == Thing(name="w0", count=1)


def test_a_model_that_never_keeps_it_is_told_as_that(house):
    with pytest.raises(openai.APIStatusError) as caught:
        house.client().chat.completions.create(
            model="mock-json-never", messages=HELLO, response_format=of(SCHEMA)
        )
    assert caught.value.status_code == 502 and caught.value.code == "upstream_broken_form"
    assert caught.value.response.headers["x-should-retry"] == "false", "both answers are paid for"
    event = events_of(ONE)[0]
    assert event.status == "error" and event.total_tokens > 0 and len(event.attempts) == 1


def test_a_schema_that_nobody_can_keep_is_refused_before_anybody_is_asked(house):
    before = len(house.mock.ledger())
    answer = house.post({"model": "mock", "messages": HELLO, "response_format": of(required(False))})
    assert answer.status_code == 400 and answer.json()["error"]["param"] == f"{PLACE}.properties.a"
    assert len(house.mock.ledger()) == before
