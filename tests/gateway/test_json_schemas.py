"""`response_format`: which schemas are taken, and how an answer is judged by one."""

import json

import orjson
import pytest

from foundation.errors import InvalidInput
from gateway.operations.chat_completions.schemas import MAX_PARTS, MAX_SCHEMA_BYTES
from gateway.operations.chat_completions.validation import (
    CLOSED_THOUGHTS,
    CannotTell,
    NotKept,
    Work,
    is_quick,
    read_json,
)
from tests.gateway.parsing import parse
from tests.gateway.schemas import ENDLESS, PLACE, SCHEMA, of, required

pytestmark = pytest.mark.scope(None)
GOOD = '{"name": "w0", "count": 1}'
BAD = '{"name": "w0"}'


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


HARD = [
    (ENDLESS, "{}"),
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
