"""Anthropic's door for OpenAI's clients as its errors in public reports describe it; nobody has asked the
vendor. The double refuses what it refuses.
"""

import asyncio
import copy

import orjson
import pytest

from foundation.egress import PRIVATE
from foundation.egress.data_plane import open_session
from foundation.errors import InvalidInput
from gateway import pipeline
from tests.doubles.vendor import running_vendor
from tests.gateway.calling import call_of, collaborators, make_endpoint, make_route
from tests.gateway.connecting import connected
from tests.gateway.telling import whole

PATH = "/v1/chat/completions"
CALLS = [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
USER, HELLO = {"role": "user", "content": "hi"}, {"role": "assistant", "content": "Hello"}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}


def text(said: str) -> dict:
    return {"type": "text", "text": said}


def blocks_of(message: dict) -> list[dict]:
    content = message.get("content")
    parts = [text(content)] if isinstance(content, str) else list(content or [])
    return [part["text"] for part in parts if part["type"] == "text"]


def answer(body: dict) -> tuple[int, bytes]:
    messages = body["messages"]
    wrong = ""
    for message in messages:
        said = blocks_of(message)
        is_result = message["role"] == "tool" and message["content"] == ""
        if not is_result and not all(one.strip() for one in said):
            wrong = "messages: text content blocks must contain non-whitespace text"
        if not is_result and not message.get("content") and not message.get("tool_calls"):
            wrong = "messages: all messages must have non-empty content"
    if messages[-1]["role"] == "assistant" and any(
        one != one.rstrip() for one in blocks_of(messages[-1])[-1:]
    ):
        wrong = "messages: final assistant content cannot end with trailing whitespace"
    error = {"error": {"message": wrong, "type": "invalid_request_error", "code": None, "param": None}}
    return (400, orjson.dumps(error)) if wrong else (200, whole("Hello"))


def sent(messages: list[dict]) -> list[dict]:
    """The messages as they arrive; raises what the caller is told."""

    async def run() -> list[dict]:
        async with running_vendor({PATH: answer}) as vendor, open_session(PRIVATE) as client:
            there = make_endpoint(f"{vendor.url}/v1", kind="anthropic")
            call = call_of(make_route([there]), stream=False, messages=messages)
            call.operation.check(call)
            before = copy.deepcopy(call.body)
            await pipeline.complete(call, collaborators(client))
            assert call.body == before, "another candidate gets OpenAI's"
            return vendor.bodies[-1]["messages"]

    return asyncio.run(run())


CASES = {
    "calls and null": ([USER, {**HELLO, "content": None, "tool_calls": CALLS}, USER], "no content"),
    "calls and an empty text": ([USER, {**HELLO, "content": "", "tool_calls": CALLS}, USER], "no content"),
    "calls and white space": ([USER, {**HELLO, "content": " \n", "tool_calls": CALLS}, USER], "no content"),
    "calls and empty parts": (
        [USER, {**HELLO, "content": [text("")], "tool_calls": CALLS}, USER],
        "no content",
    ),
    "calls in last place": ([USER, {**HELLO, "content": None, "tool_calls": CALLS}], "no content"),
    "an answer that came to nothing": ([USER, {**HELLO, "content": None}, USER], [USER, USER]),
    "an answer of white space": ([USER, {**HELLO, "content": "\n\n"}, USER], [USER, USER]),
    "an empty system's text": ([{"role": "system", "content": ""}, USER], [USER]),
    "a blank developer's text": ([{"role": "developer", "content": [text(" ")]}, USER], [USER]),
    "an empty question before another": ([{**USER, "content": ""}, USER], [USER]),
    "an empty part beside others": (
        [{"role": "user", "content": [text(""), IMAGE, text("what?"), text("\n")]}],
        [{"role": "user", "content": [IMAGE, text("what?")]}],
    ),
    "a begun answer": ([USER, {**HELLO, "content": "Hello, \n"}], [USER, {**HELLO, "content": "Hello,"}]),
    "a begun answer in parts": (
        [USER, {**HELLO, "content": [text("One "), text("two ")]}],
        [USER, {**HELLO, "content": [text("One "), text("two")]}],
    ),
    "a begun answer of nothing": ([USER, {**HELLO, "content": " "}], [USER]),
    "white space in the middle stays": (
        [USER, {**HELLO, "content": "Hello \n"}, USER],
        [USER, {**HELLO, "content": "Hello \n"}, USER],
    ),
    "two of one role": ([USER, USER, HELLO, HELLO, USER], [USER, USER, HELLO, HELLO, USER]),
}


@pytest.mark.parametrize(("given", "expected"), CASES.values(), ids=CASES)
def test_what_says_nothing_is_left_out(given, expected):
    if expected == "no content":
        expected = [
            {"role": "assistant", "tool_calls": CALLS} if "tool_calls" in one else one for one in given
        ]
    assert sent(given) == expected


@pytest.mark.parametrize("nothing", ["", " ", [text("")], []])
def test_a_tool_may_have_given_nothing(nothing):
    result = {"role": "tool", "tool_call_id": "c1", "content": nothing}
    messages = [USER, {**HELLO, "tool_calls": CALLS}, result]
    assert sent(messages) == [*messages[:2], {**result, "content": ""}]
    assert sent([*messages, USER])[2:] == [{**result, "content": ""}, USER]


@pytest.mark.parametrize(
    "given",
    [[{**USER, "content": ""}], [USER, HELLO, {**USER, "content": " "}], [{**HELLO, "content": " "}]],
)
def test_an_empty_question_is_refused_rather_than_another_one_answered(given):
    with pytest.raises(InvalidInput, match="The provider says: messages: "):
        sent(given)


def test_other_servers_get_the_messages_as_they_are():
    async def run() -> list[dict]:
        routes = {PATH: lambda body: (200, whole("Hello"))}
        async with running_vendor(routes) as vendor, open_session(PRIVATE) as client:
            there = make_endpoint(f"{vendor.url}/v1")
            messages = [USER, {**HELLO, "content": " "}]
            await pipeline.complete(
                call_of(make_route([there]), stream=False, messages=messages), collaborators(client)
            )
            return vendor.bodies[0]["messages"]

    assert asyncio.run(run()) == [USER, {**HELLO, "content": " "}]


@pytest.mark.scope(None)
async def test_the_official_client_sends_its_history_through_the_house(house):
    history = [
        {"role": "system", "content": ""},
        USER,
        {"role": "assistant", "content": None, "tool_calls": CALLS},
        {"role": "tool", "tool_call_id": "c1", "content": ""},
        {"role": "assistant", "content": "It is, "},
    ]
    async with (
        running_vendor({PATH: answer}) as vendor,
        connected("anthropic", f"{vendor.url}/v1", {"claude-x": "chat"}),
        house.async_client() as client,
    ):
        told = await client.chat.completions.create(model="claude-x", messages=history)
    assert told.choices[0].message.content == "Hello"
    (body,) = vendor.bodies
    assert [one["role"] for one in body["messages"]] == ["user", "assistant", "tool", "assistant"]
