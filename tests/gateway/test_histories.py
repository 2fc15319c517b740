"""What clients send back of an answer that they got is taken, and reaches every server in a form it knows."""

import asyncio

import pytest
from openai.types.chat import ChatCompletionMessage

from foundation.errors import InvalidInput
from gateway.operations.chat_completions import OPERATION
from models_registry.providers.table import PROVIDERS
from tests.gateway.asking import WHOLE, ask, serving
from tests.gateway.calling import call_of, make_endpoint, make_route
from tests.gateway.parsing import parse
from tests.live import TENANTS

TOOL_CALLS = [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]


def sent_on(**fields):
    """An assistant's message as the provider gets it."""
    user = {"role": "user", "content": "hi"}
    call = parse(messages=[user, {"role": "assistant", **fields}, user])
    call.max_output_tokens = 5
    first, message, last = OPERATION.write_body(call, "max_tokens", asks_for_usage=True)["messages"]
    assert first == last == user
    return {name: value for name, value in message.items() if name != "role"}


CUSTOM = {"id": "c2", "type": "custom", "custom": {"name": "g", "input": ""}}
CASES = {
    "a refusal": ({"content": None, "refusal": "No."}, {"content": "No."}),
    "a refusal alone": ({"refusal": "No."}, {"content": "No."}),
    "a refusal as a part": (
        {"content": [{"type": "refusal", "refusal": "No."}]},
        {"content": [{"type": "text", "text": "No."}]},
    ),
    "a refusal of another shape": ({"content": None, "refusal": {"a": 1}}, {"content": ""}),
    "a refusal beside text": ({"content": "x", "refusal": "No."}, {"content": "x", "refusal": "No."}),
    "tool calls": ({"content": None, "tool_calls": TOOL_CALLS}, {"content": None, "tool_calls": TOOL_CALLS}),
    "tool calls alone": ({"tool_calls": TOOL_CALLS}, {"tool_calls": TOOL_CALLS}),
    "tool calls without arguments": (
        {"tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": ""}}, CUSTOM]},
        {"tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": "{}"}}, CUSTOM]},
    ),
    "sound": ({"content": None, "audio": {"id": "a"}}, {"content": None, "audio": {"id": "a"}}),
    "an answer that came to nothing": ({"content": None, "tool_calls": []}, {"content": ""}),
    "thoughts alone": (
        {"content": None, "reasoning_content": "hm"},
        {"content": "", "reasoning_content": "hm"},
    ),
    "annotations": (
        {"content": "x", "annotations": [{"type": "url_citation"}]},
        {"content": "x", "annotations": [{"type": "url_citation"}]},
    ),
    "fields that say nothing": (
        {"content": "x"} | dict.fromkeys(("refusal", "audio", "function_call", "name")) | {"annotations": []},
        {"content": "x"},
    ),
    "an empty text": ({"content": ""}, {"content": ""}),
}


@pytest.mark.parametrize(("given", "expected"), CASES.values(), ids=CASES)
def test_what_an_assistant_said_is_taken(given, expected):
    assert sent_on(**given) == expected


@pytest.mark.parametrize("name", [None, "refusal"])
def test_what_the_official_client_keeps_of_an_answer_is_taken(name):
    message = ChatCompletionMessage(
        role="assistant", content=None if name else "x", refusal="x" if name else None
    )
    assert sent_on(**message.model_dump()) == {"content": "x"}


@pytest.mark.parametrize("role", ["system", "developer", "user", "tool", "function"])
def test_fields_that_are_null_are_left_out_of_every_message(role):
    """The official client writes them where nothing was said; some servers refuse them."""
    message = {"role": role, "content": "x", "name": None, "tool_call_id": None}
    call = parse(messages=[message | {"name": "bob"}, message])
    assert call.body["messages"] == [
        {"role": role, "content": "x", "name": "bob"},
        {"role": role, "content": "x"},
    ]


DEVELOPERS = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "hi"}]


@pytest.mark.parametrize(
    "kind", PROVIDERS.keys() - {"anthropic", "cohere"}
)  # whose own APIs have their own tests
def test_only_openai_is_told_of_developers(kind):
    """Others, DeepSeek among them, refuse a role that they do not know."""

    async def run() -> None:
        async with serving(WHOLE) as server:
            route = make_route([make_endpoint(server.url, kind=kind)])
            call = call_of(route, stream=False, messages=DEVELOPERS)
            await ask(call)
            (body,) = server.seen
            role = "developer" if kind == "openai" else "system"
            assert [one["role"] for one in body["messages"]] == [role, "user"]
            assert call.body["messages"] is DEVELOPERS and DEVELOPERS[0]["role"] == "developer"

    asyncio.run(run())


def test_what_the_client_holds_is_left_as_it_is():
    """Calls of the house share their messages with who made them."""
    from gateway.calls import Call
    from tests.gateway.parsing import GOOD, PRINCIPAL

    messages = [{"role": "assistant", "content": None, "refusal": "No."}]
    call = Call(principal=PRINCIPAL, body=GOOD | {"messages": messages}, size_bytes=9, operation=OPERATION)
    OPERATION.check(call)
    assert call.body["messages"][0]["content"] == "No." and messages[0]["content"] is None


@pytest.mark.parametrize(
    "message",
    [
        {"role": "assistant"},
        {"role": "assistant", "text": "hi"},
        {"role": "user", "content": None},
        {"role": "user", "content": None, "refusal": "No."},
        {"role": "tool", "content": None, "tool_call_id": "c1"},
        {"role": "system", "content": None},
    ],
)
def test_what_was_forgotten_is_told_still(message):
    with pytest.raises(InvalidInput) as caught:
        parse(messages=[message])
    assert caught.value.param == "messages[0].content"


@pytest.mark.scope(None)
def test_the_official_client_goes_on_with_its_own_answers(house):
    client, messages = house.client(TENANTS[0]), [{"role": "user", "content": "hello there"}]
    for _turn in range(2):
        answer = client.chat.completions.create(model="mock", messages=messages).choices[0].message
        messages += [answer, answer.model_dump() | {"content": None, "refusal": "No."}, messages[0]]
    seen = house.mock.ledger()[-1]["body"]["messages"]
    assert [message.get("content") for message in seen if message["role"] == "assistant"] == [
        answer.content,
        "No.",
    ]
    assert all(set(message) == {"role", "content"} for message in seen)
