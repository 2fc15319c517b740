"""OpenAI's requests as Anthropic's Messages API gets them, by its published description; nobody has asked the
vendor. The double refuses what it refuses.
"""

import asyncio
import copy

import pytest

from foundation.egress import PRIVATE
from foundation.egress.data_plane import open_session
from foundation.errors import AtriumError, InvalidInput
from gateway import pipeline
from tenants.sealing import Secret
from tests.doubles.anthropic import answer_messages, error
from tests.doubles.vendor import running_vendor
from tests.gateway.calling import call_of, collaborators, make_endpoint, make_route
from tests.gateway.connecting import connected
from tests.gateway.telling import whole

PATH, OPENAIS_PATH = "/v1/messages", "/v1/chat/completions"
SONNET, OPUS = "claude-sonnet-4-5-20250929", "claude-opus-4-7"
FUNCTION = {"name": "f", "description": "F.", "parameters": {"type": "object", "properties": {"a": {}}}}
CALLS = [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}]
USER, HELLO = {"role": "user", "content": "hi"}, {"role": "assistant", "content": "Hello"}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "42"}
PNG = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
USED = {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}}
MARK = {"cache_control": {"type": "ephemeral"}}
KNOWN = {"tools": [{"name": "f", "input_schema": {"type": "object", "properties": {}}}]}


def text(said: str, **more) -> dict:
    return {"type": "text", "text": said, **more}


def result(content: object = "42", **more) -> dict:
    return {"type": "tool_result", "tool_use_id": "c1", "content": content, **more}


def sent(model: str = SONNET, **body) -> dict:
    """The request as it arrives; raises what the caller is told."""

    async def run() -> dict:
        async with running_vendor({PATH: answer_messages}) as vendor, open_session(PRIVATE) as client:
            fields = {"kind": "anthropic", "secret": Secret("sk-ant-0123456789"), "origin": "tenant"}
            there = make_endpoint(f"{vendor.url}/v1", **fields)
            call = call_of(make_route([there], model), **{"stream": False, "messages": [USER]} | body)
            call.operation.check(call)
            before = copy.deepcopy(call.body)
            await pipeline.complete(call, collaborators(client))
            assert call.body == before, "another candidate gets OpenAI's"
            (asked,) = vendor.asked
            assert asked.headers["x-api-key"] == "sk-ant-0123456789" and not asked.key
            assert asked.headers["anthropic-version"] == "2023-06-01"
            return asked.body

    return asyncio.run(run())


def refusal(**body) -> AtriumError:
    with pytest.raises(AtriumError) as caught:
        sent(**body)
    return caught.value


# -- messages ------------------------------------------------------------------------------------------------

ASSISTANT_CALLS = {"role": "assistant", "content": [USED]}
RESULTS = {"role": "user", "content": [result()]}
TURNS = {
    "calls and null": (
        [USER, {**HELLO, "content": None, "tool_calls": CALLS}, RESULT],
        [USER, ASSISTANT_CALLS, RESULTS],
    ),
    "calls and white space": (
        [USER, {**HELLO, "content": " \n", "tool_calls": CALLS}, RESULT],
        [USER, ASSISTANT_CALLS, RESULTS],
    ),
    "calls and empty parts": (
        [USER, {**HELLO, "content": [text("")], "tool_calls": CALLS}, RESULT],
        [USER, ASSISTANT_CALLS, RESULTS],
    ),
    "text and calls": (
        [USER, {**HELLO, "tool_calls": CALLS}, RESULT, USER],
        [USER, {"role": "assistant", "content": [text("Hello"), USED]}, RESULTS, USER],
    ),
    "several results": (
        [
            USER,
            {**HELLO, "content": None, "tool_calls": [*CALLS, {**CALLS[0], "id": "functions.f:2"}]},
            RESULT,
            {**RESULT, "tool_call_id": "functions.f:2", "content": [text("7"), PNG]},
            USER,
        ],
        [
            USER,
            {"role": "assistant", "content": [USED, {**USED, "id": "functions_f_2"}]},
            {
                "role": "user",
                "content": [result(), result([text("7"), IMAGE]) | {"tool_use_id": "functions_f_2"}],
            },
            USER,
        ],
    ),
    "a call of the kind before tools": (
        [
            USER,
            {**HELLO, "content": None, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "42"},
        ],
        [
            USER,
            {"role": "assistant", "content": [{**USED, "id": "function_1", "input": {}}]},
            {"role": "user", "content": [result() | {"tool_use_id": "function_1"}]},
        ],
    ),
    "an answer that came to nothing": ([USER, {**HELLO, "content": None}, USER], [USER, USER]),
    "an answer of white space": ([USER, {**HELLO, "content": "\n\n"}, USER], [USER, USER]),
    "an empty question before another": ([{**USER, "content": ""}, USER], [USER]),
    "an empty part beside others": (
        [{"role": "user", "content": [text(""), PNG, text("what?"), text("\n")]}],
        [{"role": "user", "content": [IMAGE, text("what?")]}],
    ),
    "an image at an address": (
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a.example/b"}}]}],
        [
            {
                "role": "user",
                "content": [{"type": "image", "source": {"type": "url", "url": "https://a.example/b"}}],
            }
        ],
    ),
    "files": (
        [
            {
                "role": "user",
                "content": [
                    {
                        "type": "file",
                        "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="},
                    },
                    {"type": "file", "file": {"file_data": "data:text/plain;base64,aGk="}},
                ],
            }
        ],
        [
            {
                "role": "user",
                "content": [
                    {
                        "type": "document",
                        "title": "a.pdf",
                        "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
                    },
                    {
                        "type": "document",
                        "source": {"type": "text", "media_type": "text/plain", "data": "hi"},
                    },
                ],
            }
        ],
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
    "a refusal": (
        [USER, {**HELLO, "content": [{"type": "refusal", "refusal": "No."}]}, USER],
        [USER, {**HELLO, "content": [text("No.")]}, USER],
    ),
    "names and what answers have": (
        [{**USER, "name": "Ada"}, {**HELLO, "annotations": [], "refusal": None, "audio": None}, USER],
        [USER, HELLO, USER],
    ),
    "marks for the cache": (
        [
            {"role": "user", "content": [text("long", cache_control={"type": "ephemeral", "ttl": "1h"})]},
            HELLO,
            {**USER, **MARK},
        ],
        [
            {"role": "user", "content": [text("long", **MARK)]},
            HELLO,
            {"role": "user", "content": [text("hi", **MARK)]},
        ],
    ),
    "a result with a mark and an error": (
        [USER, {**HELLO, "content": None, "tool_calls": CALLS}, {**RESULT, **MARK, "is_error": True}],
        [USER, ASSISTANT_CALLS, {"role": "user", "content": [result(is_error=True, **MARK)]}],
    ),
}


@pytest.mark.parametrize(("given", "expected"), TURNS.values(), ids=TURNS)
def test_messages_become_turns(given, expected):
    assert sent(messages=given)["messages"] == expected


SYSTEM = {
    "one": ([{"role": "system", "content": "Be kind."}, USER], "Be kind."),
    "a developer's": ([{"role": "developer", "content": "Be kind."}, USER], "Be kind."),
    "several, and late ones": (
        [{"role": "system", "content": "One."}, USER, {"role": "system", "content": [text("Two.", **MARK)]}],
        [text("One."), text("Two.", **MARK)],
    ),
    "an empty one": ([{"role": "system", "content": ""}, USER], None),
    "a blank one": ([{"role": "developer", "content": [text(" ")]}, USER], None),
}


@pytest.mark.parametrize(("given", "expected"), SYSTEM.values(), ids=SYSTEM)
def test_instructions_stand_apart(given, expected):
    body = sent(messages=given)
    assert body.get("system") == expected and body["messages"] == [USER]


@pytest.mark.parametrize("nothing", ["", " ", [text("")], []])
def test_a_tool_may_have_given_nothing(nothing):
    messages = [USER, {**HELLO, "content": None, "tool_calls": CALLS}, {**RESULT, "content": nothing}]
    assert sent(messages=messages)["messages"][2]["content"] == [{"type": "tool_result", "tool_use_id": "c1"}]


@pytest.mark.parametrize(
    "given",
    [[{**USER, "content": ""}], [USER, HELLO, {**USER, "content": " "}], [{**HELLO, "content": " "}]],
)
def test_an_empty_question_is_refused_rather_than_another_one_answered(given):
    with pytest.raises(InvalidInput, match="The provider says: messages"):
        sent(messages=given)


WRONG = {
    "arguments that are no JSON": (
        [
            USER,
            {**HELLO, "tool_calls": [{**CALLS[0], "function": {"name": "f", "arguments": '{"a'}}]},
            RESULT,
        ],
        "messages[1].tool_calls[0].function.arguments",
    ),
    "arguments that are no object": (
        [
            USER,
            {**HELLO, "tool_calls": [{**CALLS[0], "function": {"name": "f", "arguments": "[1]"}}]},
            RESULT,
        ],
        "messages[1].tool_calls[0].function.arguments",
    ),
    "a call of nothing": (
        [USER, {**HELLO, "tool_calls": [{"id": "c1"}]}, RESULT],
        "messages[1].tool_calls[0]",
    ),
    "an image that is none": (
        [{"role": "user", "content": [text("a"), {"type": "image_url", "image_url": {"url": "cat.png"}}]}],
        "messages[0].content[1].image_url.url",
    ),
    "sound": (
        [
            {
                "role": "user",
                "content": [
                    {
                        "type": "input_audio",
                        "input_audio": {"data": "UklGRiQAAABXQVZFZm10IA==", "format": "wav"},
                    }
                ],
            }
        ],
        "messages[0].content[0].type",
    ),
    "a file that stands elsewhere": (
        [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}],
        "messages[0].content[0].file.file_data",
    ),
}


@pytest.mark.parametrize(("messages", "place"), WRONG.values(), ids=WRONG)
def test_what_it_cannot_be_asked_is_told_with_its_place(messages, place):
    told = refusal(messages=messages)
    assert isinstance(told, InvalidInput) and told.param == place and place in str(told.message)


# -- thoughts that come back ---------------------------------------------------------------------------------

THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": "Eq"}
HIDDEN = {"type": "redacted_thinking", "data": "Em"}


def test_signed_thoughts_go_back_before_what_was_said():
    unsigned = [{"type": "thinking", "thinking": "x"}, {**THOUGHT, "signature": ""}, {"type": ["x"]}, "x"]
    given = [{**THOUGHT, "index": 0}, HIDDEN, *unsigned]
    messages = [
        USER,
        {**HELLO, "reasoning_content": "Hm.", "thinking_blocks": given, "tool_calls": CALLS},
        RESULT,
    ]
    assert sent(messages=messages)["messages"][1]["content"] == [THOUGHT, HIDDEN, text("Hello"), USED]


def test_blocks_of_another_order_go_back_as_they_came():
    blocks = [THOUGHT, text("One."), {**THOUGHT, "signature": "Er"}, USED]
    given = {**HELLO, "thinking_blocks": [THOUGHT], "tool_calls": CALLS, "content_blocks": [*blocks, IMAGE]}
    assert sent(messages=[USER, given, RESULT])["messages"][1]["content"] == blocks


def test_other_servers_get_no_thoughts_and_the_messages_as_they_are():
    async def run() -> list[dict]:
        routes = {OPENAIS_PATH: lambda body: (200, whole("Hello"))}
        async with running_vendor(routes) as vendor, open_session(PRIVATE) as client:
            there = make_endpoint(f"{vendor.url}/v1")
            messages = [USER, {**HELLO, "content": " ", "thinking_blocks": [THOUGHT], "content_blocks": []}]
            await pipeline.complete(
                call_of(make_route([there]), stream=False, messages=messages), collaborators(client)
            )
            return vendor.bodies[0]["messages"]

    assert asyncio.run(run()) == [USER, {**HELLO, "content": " "}]


# -- fields --------------------------------------------------------------------------------------------------

TOOL = {"type": "function", "function": FUNCTION}
THEIR_TOOL = {"name": "f", "description": "F.", "input_schema": FUNCTION["parameters"]}
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
        {"tools": [{**THEIR_TOOL, "strict": True, **MARK}]},
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
    body = sent(model, reasoning_effort=effort, max_tokens=20_000, temperature=0.3, top_p=0.5)
    thinks = expected.get("thinking", {}).get("type") in ("enabled", "adaptive")
    assert {name: body.get(name) for name in ("thinking", "output_config") if name in body} == expected
    assert ("temperature" in body) == (not thinks)
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


@pytest.mark.parametrize(
    ("model", "wanted"),
    [(SONNET, form()), ("claude-3-7-sonnet-20250219", form(strict=True)), (SONNET, {"type": "json_object"})],
)
def test_where_it_cannot_it_is_told_in_words(model, wanted):
    body = sent(model, response_format=wanted, messages=[{"role": "system", "content": "Be kind."}, USER])
    assert "output_config" not in body and body["system"][0] == text("Be kind.")
    said = body["system"][1]["text"]
    assert "JSON" in said and ('"additionalProperties":false' in said) == (wanted["type"] == "json_schema")


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


def test_no_file_of_an_account_is_read_by_its_id():
    """It may be anybody's who shares the account; the other door refuses it, too."""
    for kind in ("document", "image"):
        part = {"type": kind, "source": {"type": "file", "file_id": "file_011"}}
        refused = refusal(messages=[USER, {**USER, "content": [part]}])
        assert refused.param == "messages[1].content[0].source.type"
