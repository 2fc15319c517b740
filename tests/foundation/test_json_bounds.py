"""JSON of many small values is refused before anything reads it."""

from uuid import uuid4

import orjson
import pytest

from foundation import json_bounds
from foundation.errors import InvalidInput
from foundation.json_bounds import MAX_VALUES, check_value_count
from gateway.calls import Principal
from gateway.operations.chat_completions import OPERATION

PRINCIPAL = Principal("acme", uuid4(), uuid4())
MANY = [
    b"[" + b",".join([b"[]"] * MAX_VALUES) + b"]",
    b"[" + b",".join([b"1"] * (MAX_VALUES + 2)) + b"]",
    b'{"a":[' + b",".join([b'{"a":0}'] * MAX_VALUES) + b"]}",
    b"{" + b",".join(b'"%d":0' % number for number in range(MAX_VALUES)) + b"}",
    b'["\\"", ' + b",".join([b'""'] * (MAX_VALUES + 2)) + b"]",
    b"[" * (MAX_VALUES + 1),
]


@pytest.mark.parametrize("raw", MANY, ids=lambda raw: ascii(raw[:20]))
def test_many_small_values_are_refused_unread(raw, monkeypatch):
    monkeypatch.setattr("gateway.operations.body.orjson.loads", lambda raw: pytest.fail("it was read"))
    with pytest.raises(InvalidInput) as caught:
        OPERATION.parse(raw, PRINCIPAL, uuid4())
    assert caught.value.code == "invalid_json" and "100,000 values" in str(caught.value.message)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"' + b'\\"' * 1_000_000 + b"," * (MAX_VALUES + 1),
        b'{"model": "m", "messages": "' + b'\\\\\\"' * 1_000_000 + b"," * (MAX_VALUES + 1),
        b'"unclosed [' + b"[]," * MAX_VALUES,
    ],
    ids=["quotes", "backslashes", "values"],
)
def test_a_text_that_does_not_end_is_looked_at_once(raw):
    """And not from each of its quotes to its end: that would take hours, with everybody else waiting."""
    with pytest.raises(InvalidInput) as caught:
        OPERATION.parse(raw, PRINCIPAL, uuid4())
    assert caught.value.code == "invalid_json"


@pytest.mark.parametrize("text", ["[{," * 200_000, 'a "quoted", [text]: \\' * 50_000, "好，" * 200_000])
def test_what_stands_in_texts_does_not_count(text):
    body = {"model": "m", "messages": [{"role": "user", "content": text}]}
    assert OPERATION.parse(orjson.dumps(body), PRINCIPAL, uuid4()).body == body


def test_as_many_as_allowed_are_read():
    check_value_count(b"[" + b",".join([b"1"] * (MAX_VALUES - 1)) + b"]")


@pytest.mark.django_db
def test_the_management_api_refuses_them_too(acme, alice, monkeypatch):
    monkeypatch.setattr(json_bounds, "MAX_VALUES", 1_000)
    acme.login_as(alice)
    response = acme.post("/api/v1/api-keys/", b"[" + b"[]," * 2_000 + b"[]]", content_type="application/json")
    assert (response.status_code, response.json()["code"]) == (400, "invalid_json")
    assert acme.post("/api/v1/api-keys/", {"name": "new"}, content_type="application/json").status_code == 201
