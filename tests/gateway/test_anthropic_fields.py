"""Fields of OpenAI's requests as Anthropic's Messages API gets them, how long to think, the form of the
answer, and its refusals. By its published description; nobody has asked the vendor.
"""

import asyncio
import json

import pytest

from foundation.egress import PRIVATE
from foundation.egress.data_plane import open_session
from foundation.errors import AtriumError
from gateway import pipeline
from models_registry.routes import Candidate
from tests.doubles.anthropic import START, THINKING, THOUGHT, answer_messages, begun, end, error, stop, whole
from tests.doubles.anthropic import text as piece
from tests.doubles.vendor import running_vendor
from tests.gateway.asking import ask
from tests.gateway.calling import call_of, collaborators, make_endpoint, make_route
from tests.gateway.connecting import connected
from tests.gateway.speaking import parse
from tests.gateway.test_anthropic import (
    CALLS,
    FUNCTION,
    HELLO,
    KNOWN,
    MARK,
    OPUS,
    PATH,
    RESULT,
    SONNET,
    USER,
    sent,
    text,
)

# -- fields --------------------------------------------------------------------------------------------------

TOOL = {"type": "function", "function": FUNCTION}
THEIR_TOOL = {"name": "f", "description": "F.", "input_schema": FUNCTION["parameters"]}
CLOSED = {**FUNCTION["parameters"], "additionalProperties": False}
FORCED = {"type": "function", "function": {"name": "f"}}
ANY = {"type": "any", "disable_parallel_tool_use": True}
FIELDS = {
    "the bound of the answer": ({"max_tokens": 7}, {"max_tokens": 7}),
    "a stop": ({"stop": "END"}, {"stop_sequences": ["END"]}),
    "stops, one of white space": ({"stop": ["\n\n", "END"]}, {"stop_sequences": ["END"]}),
    "a temperature": ({"temperature": 0.2, "top_k": 5}, {"temperature": 0.2, "top_k": 5}),
    "one beside the other": ({"temperature": 0.2, "top_p": 0.5}, {"temperature": 0.2}),
    "the other alone": ({"temperature": 1, "top_p": 0.5}, {"top_p": 0.5}),
    "one that it does not know": ({"temperature": 1.7, "top_p": 1}, {}),
    "whose call it is": ({"user": "u-1"}, {"metadata": {"user_id": "u-1"}}),
    "what it does not know": (
        {
            "seed": 1,
            "n": 1,
            "presence_penalty": 0.5,
            "logprobs": True,
            "metadata": {"a": "b"},
            "container": "c",
            "inference_geo": "us",
            "mcp_servers": [],
        },
        {},
    ),
    "tools": (
        {"tools": [TOOL], "tool_choice": "auto"},
        {"tools": [THEIR_TOOL], "tool_choice": {"type": "auto"}},
    ),
    "tools of the kind before": ({"functions": [FUNCTION]}, {"tools": [THEIR_TOOL]}),
    "a tool with a mark, and kept to its schema": (
        {"tools": [{**TOOL, "function": {**FUNCTION, "strict": True}, **MARK}]},
        {"tools": [{**THEIR_TOOL, "strict": True, "input_schema": CLOSED, **MARK}]},
    ),
    "a tool without fields": (
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"tools": [{"name": "f", "input_schema": {"type": "object", "properties": {}}}]},
    ),
    "a tool whose schema has no type": (
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"properties": {"a": {}}}}}]},
        {"tools": [{"name": "f", "input_schema": {"type": "object", "properties": {"a": {}}}}]},
    ),
    "a call that must be": (
        {"tools": [TOOL], "tool_choice": "required", "parallel_tool_calls": False},
        {"tools": [THEIR_TOOL], "tool_choice": ANY},
    ),
    "one call at once": (
        {"tools": [TOOL], "parallel_tool_calls": False},
        {"tools": [THEIR_TOOL], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
    ),
    "the call that must be": (
        {"tools": [TOOL], "tool_choice": FORCED},
        {"tools": [THEIR_TOOL], "tool_choice": {"type": "tool", "name": "f"}},
    ),
    "no call": (
        {"tools": [TOOL], "tool_choice": "none", "parallel_tool_calls": False},
        {"tools": [THEIR_TOOL], "tool_choice": {"type": "none"}},
    ),
}


@pytest.mark.parametrize(("given", "expected"), FIELDS.values(), ids=FIELDS)
def test_fields_are_named_as_it_names_them(given, expected):
    body = sent(**given)
    assert body == {"model": SONNET, "messages": [USER], "stream": False, "max_tokens": 100, **expected}


def test_elder_models_take_both_ways_to_sample():
    body = sent("claude-3-5-haiku-20241022", temperature=0.2, top_p=0.5)
    assert (body["temperature"], body["top_p"]) == (0.2, 0.5)


@pytest.mark.parametrize("model", [OPUS, "claude-opus-4-8", "claude-sonnet-5", "claude-next"])
def test_the_newest_are_asked_without_ways_to_sample(model):
    body = sent(model, temperature=0.2, top_p=0.5, top_k=5)
    assert body.keys() == {"model", "messages", "stream", "max_tokens"}


def test_a_history_with_calls_brings_its_tools():
    body = sent(messages=[USER, {**HELLO, "tool_calls": [*CALLS]}, RESULT, USER])
    assert body["tools"] == KNOWN["tools"] and body["tool_choice"] == {"type": "none"}


# -- thinking ------------------------------------------------------------------------------------------------

ADAPTIVE = {"type": "adaptive", "display": "summarized"}
EFFORTS = {
    "by budget": (SONNET, "medium", {"thinking": {"type": "enabled", "budget_tokens": 10_000}}),
    "at least": (SONNET, "minimal", {"thinking": {"type": "enabled", "budget_tokens": 2_000}}),
    "not at all, by budget": (SONNET, "none", {}),
    "too old": ("claude-3-5-haiku-20241022", "high", {}),
    "the first that thinks": (
        "claude-3-7-sonnet-20250219",
        "low",
        {"thinking": {"type": "enabled", "budget_tokens": 4_000}},
    ),
    "a date is no number": (
        "claude-sonnet-4-20250514",
        "high",
        {"thinking": {"type": "enabled", "budget_tokens": 16_000}},
    ),
    "by itself": ("claude-opus-4-6", "xhigh", {"thinking": ADAPTIVE, "output_config": {"effort": "high"}}),
    "newer": (OPUS, "xhigh", {"thinking": ADAPTIVE, "output_config": {"effort": "xhigh"}}),
    "minimal": (OPUS, "minimal", {"thinking": ADAPTIVE, "output_config": {"effort": "low"}}),
    "not at all": (OPUS, "none", {"thinking": {"type": "disabled"}}),
    "one that cannot rest": ("claude-fable-5-1", "none", {"output_config": {"effort": "low"}}),
    "unknown": ("claude-next", "low", {"thinking": ADAPTIVE, "output_config": {"effort": "low"}}),
}


@pytest.mark.parametrize(("model", "effort", "expected"), EFFORTS.values(), ids=EFFORTS)
def test_how_long_to_think_is_said_in_the_models_own_way(model, effort, expected):
    body = sent(model, reasoning_effort=effort, max_tokens=20_000, temperature=0.3, top_p=0.5, top_k=5)
    thinks = expected.get("thinking", {}).get("type") in ("enabled", "adaptive")
    assert {name: body.get(name) for name in ("thinking", "output_config") if name in body} == expected
    takes_any = not (thinks or model in (OPUS, "claude-fable-5-1"))
    assert ("temperature" in body, "top_k" in body) == (takes_any, takes_any)
    assert ("top_p" in body) == (not thinks and model.startswith("claude-3"))


@pytest.mark.parametrize(
    "more",
    [
        {"max_tokens": 1_024},
        {"tools": [TOOL], "tool_choice": "required"},
        {"messages": [USER, HELLO]},
    ],
)
def test_it_does_not_think_where_that_is_refused(more):
    assert "thinking" not in sent(reasoning_effort="high", **{"max_tokens": 5_000} | more)


def test_a_callers_own_field_is_kept_below_the_bound():
    budget = {"type": "enabled", "budget_tokens": 3_000}
    assert sent(thinking=budget, max_tokens=3_001)["thinking"] == budget
    assert sent(thinking=budget, max_tokens=2_000)["thinking"]["budget_tokens"] == 1_999
    assert "thinking" not in sent(thinking=budget, max_tokens=1_000)


# -- the form of the answer ----------------------------------------------------------------------------------

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False}


def form(**named) -> dict:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA, **named}}


def test_a_schema_that_is_to_be_kept_is():
    body = sent(response_format=form(strict=True))
    assert body["output_config"] == {"format": {"type": "json_schema", "schema": SCHEMA}}
    assert "system" not in body
    body = sent(OPUS, response_format=form(strict=True), reasoning_effort="low")
    assert body["output_config"].keys() == {"format", "effort"}


BOUNDED = {
    "type": "object",
    "properties": {
        "n": {"type": "integer", "minimum": 1, "maximum": 9, "description": "How many."},
        "s": {"type": "array", "items": {"type": "string", "minLength": 2, "format": "date"}, "minItems": 2},
        "t": {"oneOf": [{"$ref": "#/$defs/t"}, {"type": "null"}]},
    },
    "$defs": {"t": {"type": "object", "properties": {}, "maxProperties": 3}},
}
NARROWED = {
    "type": "object",
    "properties": {
        "n": {"type": "integer", "description": 'How many.\n\n{"minimum":1,"maximum":9}'},
        "s": {
            "type": "array",
            "items": {"type": "string", "format": "date", "description": '{"minLength":2}'},
            "description": '{"minItems":2}',
        },
        "t": {"anyOf": [{"$ref": "#/$defs/t"}, {"type": "null"}]},
    },
    "$defs": {
        "t": {
            "type": "object",
            "properties": {},
            "additionalProperties": False,
            "description": '{"maxProperties":3}',
        }
    },
    "additionalProperties": False,
}
MAP = {"type": "object", "properties": {"a": {"type": "object", "additionalProperties": {"type": "string"}}}}


def test_what_anthropic_does_not_hold_to_is_told_and_checked():
    said = ['{"n": 10}', '{"n": 9}']
    call, message, (first, again) = held(*said, wanted=form(strict=True, schema=BOUNDED))
    assert first["output_config"] == again["output_config"]
    assert first["output_config"]["format"]["schema"] == NARROWED and "system" not in first
    assert "10 is greater than the maximum of 9" in again["messages"][-1]["content"]
    assert message["content"] == said[1] and len(call.attempts) == 1


def test_a_strict_tool_is_told_as_much():
    strict = {"name": "f", "strict": True, "parameters": BOUNDED}
    (tool,) = sent(tools=[{"type": "function", "function": strict}])["tools"]
    assert tool["strict"] is True and tool["input_schema"] == NARROWED
    (tool,) = sent(tools=[{"type": "function", "function": {**strict, "parameters": MAP}}])["tools"]
    assert "strict" not in tool and tool["input_schema"] == MAP


def test_a_schema_that_leaves_fields_open_is_asked_for_in_words():
    said = ['{"a": {"b": 1}}', '{"a": {"b": "c"}}']
    _call, message, (first, _again) = held(*said, wanted=form(strict=True, schema=MAP))
    assert "output_config" not in first and message["content"] == said[1]


OLD = "claude-3-7-sonnet-20250219"
LOOSE = [
    (SONNET, form()),
    (OLD, form(strict=True)),
    (SONNET, {"type": "json_object"}),
    (SONNET, {"type": "json_schema", "json_schema": {"name": "x", "strict": True}}),
]


def saying(*said: str, stream: bool):
    """Claude, who thinks and then says these, one after the other."""
    texts = iter(said)

    def answer(_body: dict) -> tuple[int, bytes]:
        block = text(next(texts))
        if not stream:
            return 200, whole(THINKING, block)
        spoken = [begun(1, '{"type":"text","text":""}'), piece(1, block["text"]), stop(1)]
        return 200, b"".join([START, *THOUGHT, *spoken, *end()])

    return answer


def held(*said: str, wanted: dict, model: str = SONNET, stream: bool = False, capabilities=()):
    """The call, the message (or the error's code), and what was asked."""

    async def run():
        async with running_vendor({PATH: saying(*said, stream=stream)}) as vendor:
            there = make_endpoint(f"{vendor.url}/v1", kind="anthropic")
            route = make_route([there], model, capabilities=frozenset(capabilities))
            call = call_of(route, stream=stream, messages=[USER], response_format=wanted)
            call.operation.check(call)
            return call, await ask(call), vendor.bodies

    call, answer, bodies = asyncio.run(run())
    if not answer.startswith((b"{", b"data:")):
        return call, answer.decode(), bodies
    if not stream:
        return call, json.loads(answer)["choices"][0]["message"], bodies
    chunks = [json.loads(line[6:]) for line in answer.split(b"\n") if line.startswith(b"data: {")]
    deltas = [one["choices"][0]["delta"] for one in chunks if one["choices"]]
    blocks = [block for delta in deltas for block in delta.get("thinking_blocks") or ()]
    blocks = [{name: value for name, value in block.items() if name != "index"} for block in blocks]
    return (
        call,
        {"content": "".join(one.get("content") or "" for one in deltas), "thinking_blocks": blocks},
        bodies,
    )


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("model", "wanted"), LOOSE)
@pytest.mark.parametrize("capabilities", [(), ("json_schema",)])
def test_where_it_keeps_no_form_it_is_asked_in_words_and_checked(model, wanted, stream, capabilities):
    """Whatever the model is said to keep: Anthropic holds it to nothing that it is not told."""
    said = ['```json\n{"a": 1\n```', 'Here it is:\n```json\n{"a": "x"}\n```']
    call, message, (first, again) = held(
        *said, wanted=wanted, model=model, stream=stream, capabilities=capabilities
    )
    assert "output_config" not in first and "JSON" in first["system"]
    assert ('"additionalProperties":false' in first["system"]) == ("schema" in wanted.get("json_schema", {}))
    assert again["messages"][1:-1] == [{"role": "assistant", "content": said[0]}]
    assert "not valid JSON" in again["messages"][-1]["content"]
    assert message["content"] == '{"a": "x"}' and message["thinking_blocks"] == [THINKING]
    assert [one.error_code for one in call.attempts] == ["upstream_broken_form"]


def test_what_breaks_the_schema_twice_is_no_answer():
    _call, code, bodies = held('{"a": 1}', '{"a": 2}', wanted=form())
    assert (code, len(bodies)) == ("upstream_broken_form", 2)


def test_a_form_that_anthropic_keeps_passes_unchecked():
    _call, message, (asked,) = held("as it was said", wanted=form(strict=True), stream=True)
    assert message["content"] == "as it was said" and "output_config" in asked and "system" not in asked


def test_an_answer_in_pieces_is_told_as_it_was_checked():
    async def run():
        blocks = [text("```json\n"), THINKING, text('{"a": "x"}\n```')]
        async with running_vendor({PATH: lambda _body: (200, whole(*blocks))}) as vendor:
            route = make_route([make_endpoint(f"{vendor.url}/v1", kind="anthropic")], OLD)
            call = parse(output_config={"format": {"type": "json_schema", "schema": SCHEMA}})
            call.candidates = [Candidate(route, target, route.name) for target in route.targets]
            call.begin_attempt(call.candidates[0])
            return json.loads(await ask(call))

    assert asyncio.run(run())["content"] == [THINKING, text('{"a": "x"}')]


# -- refusals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind", "message", "code"),
    [
        (529, "overloaded_error", "Overloaded", "upstream_rate_limited"),
        (429, "rate_limit_error", "Number of request tokens has exceeded", "upstream_rate_limited"),
        (401, "authentication_error", "invalid x-api-key", "upstream_credentials"),
        (403, "permission_error", "Your API key does not have permission", "upstream_credentials"),
        (404, "not_found_error", "model: claude-x", "upstream_not_found"),
        (500, "api_error", "Internal server error", "upstream_error"),
        (
            400,
            "invalid_request_error",
            "prompt is too long: 210000 tokens > 200000 maximum",
            "context_length_exceeded",
        ),
        (
            400,
            "invalid_request_error",
            "input length and `max_tokens` exceed context limit: 195000 + 8192 > 200000",
            "context_length_exceeded",
        ),
        (
            400,
            "invalid_request_error",
            "Your credit balance is too low to access the Anthropic API.",
            "upstream_quota",
        ),
    ],
)
@pytest.mark.parametrize("is_late", [False, True])
def test_its_errors_are_known(status, kind, message, code, is_late):
    """Also in place of a stream's first event, where no status tells them."""

    async def run() -> str:
        told, once = error(kind, message), {"X-Should-Retry": "false"}
        said = (200, b"event: error\ndata: " + told + b"\n\n", once) if is_late else (status, told, once)
        async with running_vendor({PATH: lambda body: said}) as vendor, open_session(PRIVATE) as client:
            there = make_endpoint(f"{vendor.url}/v1", kind="anthropic")
            call = call_of(make_route([there]), stream=is_late, messages=[USER])
            with pytest.raises(AtriumError) as caught:
                if is_late:
                    [part async for part in pipeline.stream(call, collaborators(client))]
                await pipeline.complete(call, collaborators(client))
            assert call.usage is None
            return caught.value.code

    assert asyncio.run(run()) == code


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
        running_vendor({PATH: answer_messages}) as vendor,
        connected("anthropic", f"{vendor.url}/v1", {"claude-x": "chat"}),
        house.async_client() as client,
    ):
        told = await client.chat.completions.create(model="claude-x", messages=history)
    assert told.choices[0].message.content == 'Paris "à"'
    (body,) = vendor.bodies
    assert [one["role"] for one in body["messages"]] == ["user", "assistant", "user", "assistant"]
