"""What a provider does not know: fields that change the meaning of an answer are a 400 which names them,
wishes go unheeded and are told in a header.
"""

import json

import pytest
from asgiref.sync import sync_to_async

from foundation.errors import InvalidInput
from gateway.calls import MOST_DROPPED
from gateway.request import headers_of
from gateway.steps.capable import keep_capable
from tests.doubles.anthropic import answer_messages
from tests.doubles.vendor import running_vendor
from tests.gateway.asking import WHOLE, ask, serving
from tests.gateway.calling import call_of, make_endpoint, make_route
from tests.gateway.connecting import connected
from tests.gateway.living import HELLO, ONE, events_of
from tests.gateway.speaking import speak
from tests.gateway.telling import whole

pytestmark = pytest.mark.scope(None)
ASKING = {
    "logprobs": True,
    "logit_bias": {"50256": -100},
    "modalities": ["text", "audio"],
    "audio": {"voice": "a", "format": "wav"},
}
OF_NOTHING = {"logprobs": False, "logit_bias": {}, "modalities": ["text"], "audio": None}
SMALLER = {
    "anthropic": ASKING,
    "cohere": ASKING,
    "mistral": ASKING,
    "groq": ASKING,
    "embedded": ASKING,
    "ollama": {name: ASKING[name] for name in ("logit_bias", "modalities", "audio")},
}


def routes(*kinds: str):
    return [make_route([make_endpoint("http://nowhere/v1", kind=kind)], name=kind) for kind in kinds]


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in SMALLER for name in SMALLER[kind]])
def test_what_changes_an_answer_is_refused_by_its_name(kind, name):
    with pytest.raises(InvalidInput) as caught:
        keep_capable(call_of(*routes(kind), **{name: ASKING[name]}))
    assert (caught.value.code, caught.value.param) == ("unsupported_value", name)
    assert kind in str(caught.value.message)


def test_who_can_do_it_answers_and_nobody_is_refused_for_nothing():
    call = call_of(*routes("anthropic", "openai"), logprobs=True)
    keep_capable(call)
    assert [one.route.name for one in call.candidates] == ["openai"]
    call = call_of(*routes(*SMALLER), **OF_NOTHING)
    keep_capable(call)
    assert len(call.candidates) == len(SMALLER)


def dropped(call) -> str:
    return dict(headers_of(call)).get(b"x-atrium-dropped-params", b"").decode()


async def test_wishes_that_claude_does_not_know_are_told(house):
    async with (
        running_vendor({"/v1/messages": answer_messages}) as vendor,
        connected("anthropic", f"{vendor.url}/v1", {"claude-sonnet-4-5": "chat"}),
    ):
        body = {"model": "claude-sonnet-4-5", "messages": HELLO}
        wishes = {
            "seed": 0,
            "frequency_penalty": 0.5,
            "presence_penalty": 0,
            "min_p": 0.1,
            "temperature": 1.5,
        }
        told = await sync_to_async(house.post)(body | wishes | {"service_tier": "flex"})
        refused = await sync_to_async(house.post)(body | {"logprobs": True, "top_logprobs": 2})
        usual = await sync_to_async(house.post)(
            body | {"temperature": 0.3, "top_p": 1, "n": 1, "user": "u", "stop": ["x"], "max_tokens": 9}
        )
        stream = await sync_to_async(house.post)(body | {"seed": 7, "stream": True})
    assert told.status_code == 200, told.text
    header = "x-atrium-dropped-params"
    assert told.headers[header] == "frequency_penalty, min_p, seed, service_tier, temperature"
    assert header not in usual.headers and stream.headers[header] == "seed"
    assert refused.status_code == 400 and refused.json()["error"]["param"] == "logprobs"
    assert len(vendor.bodies) == 3, "what is refused is not sent"
    billed = await sync_to_async(events_of)(ONE, 3)
    assert [one.dropped_params for one in reversed(billed)] == [
        told.headers[header].split(", "),
        None,
        ["seed"],
    ]


def test_wishes_of_claudes_clients_are_told_where_others_answer():
    said = whole("Hello")
    assert (
        dropped(speak(said, thinking={"type": "adaptive"}, top_k=5, speed="fast").call) == "speed, thinking"
    )
    assert dropped(speak(said, kind="mistral", top_k=5).call) == "top_k"
    assert dropped(speak(said, metadata={"user_id": "u"}).call) == ""


def test_a_header_holds_no_more_than_names():
    call = call_of(*routes("anthropic"))
    call.dropped = ["a\r\nset-cookie: b", "ü", "x" * 100, "seed"]
    assert dropped(call) == "seed"
    call.dropped = [f"x{number:04}" for number in range(1_000)]
    assert dropped(call).split(", ") == call.dropped[:MOST_DROPPED]


@pytest.mark.parametrize(
    ("content", "read"),
    [
        ("No such file", "Error: No such file"),
        ("error: no such file", "error: no such file"),
        ("", "Error"),
        ([{"type": "text", "text": "gone"}], "Error: gone"),
    ],
)
def test_that_a_tool_failed_is_read_by_all_models(content, read):
    used = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "t", "is_error": True, "content": content}
    messages = [{"role": "assistant", "content": [used]}, {"role": "user", "content": [result]}]
    tools = [{"name": "f", "input_schema": {"type": "object"}}]
    (sent,) = [
        one
        for one in speak(whole("So"), messages=messages, tools=tools).sent["messages"]
        if one["role"] == "tool"
    ]
    assert sent["content"] == read and "is_error" not in json.dumps(sent)


async def test_that_a_tool_failed_is_read_also_where_openais_clients_say_it():
    call = {"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    result = {
        "role": "tool",
        "tool_call_id": "t",
        "is_error": True,
        "content": [{"type": "text", "text": "gone"}],
    }
    messages = [*HELLO, {"role": "assistant", "content": None, "tool_calls": [call]}, result]
    async with serving(WHOLE) as server:
        route = make_route([make_endpoint(server.url)])
        await ask(call_of(route, stream=False, messages=messages))
    (body,) = server.seen
    assert body["messages"][-1]["content"] == [{"type": "text", "text": "Error"}, *result["content"]]
    assert "is_error" not in body["messages"][-1]
