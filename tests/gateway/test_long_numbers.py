"""Whole numbers that have no place in 64 bits: refused on their way in, kept to the last digit on their way
out.
"""

import json
import tracemalloc

import openai
import orjson
import pytest

from foundation.errors import InvalidInput
from foundation.ids import uuid7
from foundation.json_numbers import find_long_number, may_have_long_number
from gateway.operations.chat_completions import OPERATION
from gateway.operations.embeddings import OPERATION as EMBEDDINGS
from tests.gateway.living import HELLO
from tests.gateway.parsing import GOOD, PRINCIPAL
from tests.gateway.streaming import DONE, END, event
from tests.gateway.telling import tell

LONG = 12345678901234567890123
FITS = [2**64 - 1, -(2**63), 2**63, 0]
TOO_LONG = [str(2**64), str(-(2**63) - 1), str(LONG), "9" * 300]


def tool(**schema) -> dict:
    return {"type": "function", "function": {"name": "f", "parameters": {"properties": {"id": schema}}}}


PLACES = {
    "seed": lambda number: {"seed": number},
    "x.y[1]": lambda number: {"x": {"y": [1.5, number]}},
    "tools[1].function.parameters.properties.id.maximum": lambda number: {
        "tools": [tool(), tool(maximum=number)]
    },
    "messages[0].content[0].n": lambda number: {
        "messages": [{"role": "user", "content": [{"type": "text", "text": "x", "n": number}]}]
    },
}


def parse(body: dict, **form):
    """Its field `digits` stands where `#` does."""
    digits = str(body.pop("digits"))
    raw = json.dumps(GOOD | body, **form).replace('"#"', digits).encode()
    return OPERATION.parse(raw, PRINCIPAL, uuid7()).body


@pytest.mark.parametrize("form", [{}, {"indent": 2}, {"separators": (",", ":")}])
@pytest.mark.parametrize("number", TOO_LONG, ids=["64 bits", "signed", "longer", "300 digits"])
@pytest.mark.parametrize("place", PLACES)
def test_a_request_with_a_longer_number_is_refused_by_its_place(place, number, form):
    with pytest.raises(InvalidInput) as caught:
        parse(PLACES[place]("#") | {"digits": number}, **form)
    assert caught.value.param == place and place in caught.value.message
    assert "64" in caught.value.message


@pytest.mark.parametrize("number", FITS)
@pytest.mark.parametrize("place", PLACES)
def test_what_has_a_place_arrives_as_it_was_written(place, number):
    expected = json.loads(json.dumps(PLACES[place](number)))
    body = parse(PLACES[place]("#") | {"digits": number})
    assert {name: json.loads(orjson.dumps(body[name])) for name in expected} == expected


@pytest.mark.parametrize("text", [str(LONG), f"[{LONG}, {LONG}]", f'{{"a": {LONG}}}', f'\\", "x": {LONG}'])
def test_digits_in_a_text_are_text(text):
    body = GOOD | {"messages": [{"role": "user", "content": text}], "temperature": 0.1234567890123456789012}
    assert (
        OPERATION.parse(json.dumps(body).encode(), PRINCIPAL, uuid7()).body["messages"][0]["content"] == text
    )


def test_tokens_and_names_of_any_shape_are_looked_at_too():
    with pytest.raises(InvalidInput) as caught:
        EMBEDDINGS.parse(b'{"model": "m", "input": [[1, 99999999999999999999]]}', PRINCIPAL, uuid7())
    assert caught.value.param == "input[0][1]"
    raw = orjson.dumps(GOOD)[:-1] + b',"' + b"n" * 5_000 + b'":99999999999999999999}'
    with pytest.raises(InvalidInput) as caught:
        OPERATION.parse(raw, PRINCIPAL, uuid7())
    assert len(caught.value.param) < 200


@pytest.mark.parametrize(("where", "place"), [(b'"":%d', '""'), (b'"x":{"":[%d]}', 'x.""[0]')])
def test_a_name_may_be_empty(where, place):
    with pytest.raises(InvalidInput) as caught:
        OPERATION.parse(orjson.dumps(GOOD)[:-1] + b"," + where % LONG + b"}", PRINCIPAL, uuid7())
    assert caught.value.param == place and f"“{place}”" in caught.value.message


@pytest.mark.parametrize("rest", [b"1", b"%d" % LONG], ids=["none", "the last"])
def test_looking_for_one_builds_no_more_than_the_body_is_long(rest):
    """A name stands once in it, whatever number of values stand under it."""
    digits = b"1234567890123456789 " * 2  # in a text: the search goes through everything
    many = b"[" + b"1," * 4_000 + rest + b"]"
    raw = orjson.dumps(GOOD)[:-1] + b',"user":"' + digits + b'","' + b"k" * 40_000 + b'":{"a":' + many + b"}}"
    tracemalloc.start()
    try:
        find_long_number(raw)
        _now, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 10 * len(raw)


def test_what_nobody_reads_may_be_nested_deep_without_harm():
    """Of two members with one name the last counts, but a reader goes through both."""
    deep = b',"x":' + b"[" * 990 + b"]" * 990 + b',"x":[%d]}' % LONG
    with pytest.raises(InvalidInput) as caught:
        OPERATION.parse(orjson.dumps(GOOD)[:-1] + deep, PRINCIPAL, uuid7())
    assert caught.value.code in ("invalid_json", "invalid_value")


def test_what_orjson_would_change_is_looked_for_and_nothing_else():
    """The look before the parser may be vain, never short."""
    for number in TOO_LONG:
        for around in (b"[%d]", b'{"a":%d}', b'{"a": %d}', b"[1,\n%d]", b"%d"):
            raw = around.replace(b"%d", number.encode())
            assert may_have_long_number(b" " + raw)
    assert not may_have_long_number(b"[0.12345678901234567890,-0.00012345678901234567]")


# -- answers -------------------------------------------------------------------------------------------------


def a_call(arguments) -> dict:
    return {"id": "a", "type": "function", "function": {"name": "f", "arguments": arguments}}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("number", [LONG, -LONG, 2**64])
def test_arguments_that_come_as_an_object_keep_their_digits(stream, number):
    arguments = {"id": number, "half": "\ud83d", "share": 0.5}
    if stream:
        told = tell(event({"tool_calls": [a_call(arguments) | {"index": 0}]}), END, DONE, stream=True)
        (found,) = told.events[0]["choices"][0]["delta"]["tool_calls"]
    else:
        message = {"role": "assistant", "tool_calls": [a_call(arguments)]}
        told = tell(json.dumps({"choices": [{"message": message}]}).encode(), stream=False)
        (found,) = told.message["tool_calls"]
    expected = {"id": number, "half": "\ufffd", "share": 0.5}
    assert json.loads(found["function"]["arguments"]) == expected


@pytest.mark.parametrize("stream", [True, False])
def test_fields_that_pass_unread_keep_their_digits(stream):
    more = {"x_id": LONG, "created": LONG}
    if stream:
        told = tell(event({"content": "Hello"}, **more), END, DONE, stream=True)
        (found, *_) = told.events
    else:
        choice = {"message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}
        told = tell(json.dumps({"choices": [choice], **more}).encode(), stream=False)
        found = told.answer
    assert {name: found[name] for name in more} == more and told.text == "Hello"


def test_a_number_that_nobody_can_read_is_refused():
    with pytest.raises(InvalidInput) as caught:
        parse({"seed": "#", "digits": "9" * 5_000})
    assert caught.value.code == "invalid_json"


def test_an_answer_with_a_number_that_nobody_can_read_is_none():
    told = tell(b'{"choices": [], "x": ' + b"9" * 5_000 + b"}", stream=False)
    assert told.error is not None and told.error.code == "upstream_invalid_response"


@pytest.mark.scope(None)
def test_the_official_client_is_told_the_place(house):
    with pytest.raises(openai.BadRequestError) as caught:
        house.client().chat.completions.create(model="mock", messages=HELLO, tools=[tool(maximum=LONG)])
    assert caught.value.param == "tools[0].function.parameters.properties.id.maximum"
