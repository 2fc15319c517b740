"""Anthropic's official client, unmodified, at the running house: models that speak its dialect and models
that do not; errors, headers, limits and bills.
"""

import contextlib
from datetime import UTC, datetime
from decimal import Decimal

import anthropic
import httpx
import pytest
from asgiref.sync import sync_to_async

from tenants.context import tenant
from tests.doubles.anthropic import ROUTES, TEXT, THINKING
from tests.doubles.vendor import running_vendor
from tests.gateway.connecting import connected
from tests.gateway.limiting import RPM, bound, eventually
from tests.gateway.living import ONE, events_of
from usage.services import set_budget

pytestmark = pytest.mark.scope(None)
CLAUDE = "claude-opus-4-7"
HELLO = [{"role": "user", "content": "hello"}]
GO_ON = {"role": "user", "content": "Go on."}
TOOL = {"name": "weather", "input_schema": {"type": "object", "properties": {"at": {"type": "integer"}}}}
ASKED = {"max_tokens": 100, "messages": HELLO}


def client_of(house, **options) -> anthropic.AsyncAnthropic:
    """Its base address ends before `/v1`."""
    options = {"api_key": house.keys[ONE], "max_retries": 0, "timeout": 60} | options
    return anthropic.AsyncAnthropic(base_url=house.base_url.removesuffix("/v1"), **options)


def post(house, path: str = "messages", key: str | None = None, **body) -> httpx.Response:
    headers = {"x-api-key": house.keys[ONE] if key is None else key, "anthropic-version": "2023-06-01"}
    return httpx.post(f"{house.base_url}/{path}", headers=headers, json=body, timeout=60)


# -- Claude --------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def claude(house, **prices: Decimal):
    """Where its model is called, and a client."""
    async with (
        running_vendor(ROUTES) as vendor,
        connected("anthropic", f"{vendor.url}/v1", {CLAUDE: "chat"}, **prices),
        client_of(house) as client,
    ):
        yield vendor, client


async def stream_of(client: anthropic.AsyncAnthropic) -> tuple[str, anthropic.types.Message]:
    """The texts of an answer with thoughts, and the whole of it."""
    async with client.messages.stream(model=CLAUDE, thinking={"type": "adaptive"}, **ASKED) as stream:
        said = "".join([text async for text in stream.text_stream])
        return said, await stream.get_final_message()


async def test_anthropics_client_speaks_with_claude_through_the_house(house):
    prices = {"input": Decimal(1), "output": Decimal(2), "cached": Decimal("0.1"), "cache_write": Decimal(3)}
    async with claude(house, **prices) as (vendor, client):
        whole = await client.messages.create(model=CLAUDE, **ASKED)
        said, streamed = await stream_of(client)
    assert said == TEXT == whole.content[-1].text == streamed.content[-1].text
    assert streamed.content[0].model_dump(exclude_none=True) == THINKING
    assert (whole.model, streamed.model, streamed.stop_reason) == (CLAUDE, CLAUDE, "end_turn")
    for usage in (whole.usage, streamed.usage):
        counts = usage.cache_creation_input_tokens, usage.cache_read_input_tokens
        assert (usage.input_tokens, *counts, usage.output_tokens) == (17, 5, 30, 12)
    assert [one.path for one in vendor.asked] == ["/v1/messages"] * 2
    assert all(one.headers["x-api-key"] == "sk-1" and not one.key for one in vendor.asked)
    events = await sync_to_async(events_of)(ONE, 2)
    cost = Decimal(17 + 3 + 15 + 24) / 1_000_000
    billed = [(one.endpoint, one.total_tokens, one.cost, one.estimated) for one in events]
    assert billed == [("messages", 64, cost, False)] * 2


async def test_anthropics_client_gives_claude_its_thoughts_back_calls_tools_and_counts(house):
    async with claude(house) as (vendor, client):
        _said, streamed = await stream_of(client)
        history = [*HELLO, {"role": "assistant", "content": streamed.content}, GO_ON]
        asked = {"model": CLAUDE, "messages": history, "tools": [TOOL], "system": "Be kind."}
        called = await client.messages.create(max_tokens=100, **asked)
        counted = await client.messages.count_tokens(**asked)
    use = called.content[1]
    assert (called.stop_reason, use.name, use.input) == ("tool_use", "weather", {"at": 1})
    assert counted.input_tokens == 2095
    sent = vendor.bodies[1]
    assert sent["messages"][1]["content"][0] == THINKING and sent["system"] == "Be kind."
    assert [one.path for one in vendor.asked] == ["/v1/messages"] * 2 + ["/v1/messages/count_tokens"]


async def test_openais_client_gives_claude_its_thoughts_back(house):
    async with (
        running_vendor(ROUTES) as vendor,
        connected("anthropic", f"{vendor.url}/v1", {CLAUDE: "chat"}),
        house.async_client() as client,
    ):
        async with client.chat.completions.stream(
            model=CLAUDE, messages=HELLO, reasoning_effort="high", temperature=0.5
        ) as stream:
            async for _event in stream:
                pass
            first = (await stream.get_final_completion()).choices[0].message
        assert first.content == TEXT and first.reasoning_content == "Hm, so."
        answer = first.model_dump(exclude_none=True)
        await client.chat.completions.create(model=CLAUDE, messages=[*HELLO, answer, GO_ON])
    asked, again = vendor.bodies
    assert asked["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert asked["output_config"] == {"effort": "high"} and "temperature" not in asked
    assert again["messages"][1]["content"] == [THINKING, {"type": "text", "text": TEXT}]


# -- every other model ---------------------------------------------------------------------------------------


async def test_anthropics_client_speaks_with_any_model_of_the_house(house):
    async with client_of(house) as client:
        whole = await client.messages.create(model="mock", **ASKED)
        async with client.messages.stream(model="mock", **ASKED) as stream:
            said = "".join([text async for text in stream.text_stream])
            streamed = await stream.get_final_message()
        counted = await client.messages.count_tokens(model="mock", messages=HELLO, system="Be kind.")
        raw = await client.messages.with_raw_response.create(model="mock", **ASKED)
    assert whole.content[0].text and said == streamed.content[0].text
    assert (whole.type, whole.role, whole.stop_reason) == ("message", "assistant", "end_turn")
    assert whole.usage.input_tokens > 0 and whole.usage.output_tokens > 0
    assert streamed.usage.input_tokens > 0 and streamed.stop_reason == "end_turn"
    assert 5 < counted.input_tokens < 30
    assert raw.headers["request-id"] == raw.headers["x-request-id"]
    assert raw.headers["x-atrium-model"] == "mock" and "openai-version" not in raw.headers


async def test_a_bearer_and_the_beta_door_work_too(house):
    async with client_of(house, api_key=None, auth_token=house.keys[ONE]) as client:
        assert (await client.beta.messages.create(model="mock", **ASKED)).content[0].text


def test_an_estimate_says_that_it_is_one(house):
    told = post(house, "messages/count_tokens", model="mock", messages=HELLO)
    assert told.headers["x-atrium-estimated"] == "true" and told.json().keys() == {"input_tokens"}
    picture = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
    seen = [{"role": "user", "content": [{"type": "image", "source": picture}]}]
    assert post(house, "messages/count_tokens", model="mock", messages=seen).json()["input_tokens"] > 1_600


async def test_a_provider_that_does_not_count_is_estimated_and_its_no_is_told(house):
    said = {"/v1/messages": ROUTES["/v1/messages"]}

    def refuse(body):
        return 529, b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'

    async with (
        running_vendor(said | {"/v1/messages/count_tokens": refuse}) as vendor,
        connected("anthropic", f"{vendor.url}/v1", {CLAUDE: "chat"}),
        client_of(house) as client,
    ):
        counted = await client.messages.count_tokens(model=CLAUDE, messages=HELLO)
        assert 1 < counted.input_tokens < 20
    async with (
        running_vendor(ROUTES) as vendor,
        connected("anthropic", f"{vendor.url}/v1", {CLAUDE: "chat"}),
        client_of(house) as client,
    ):
        blank = [*HELLO, {"role": "assistant", "content": "Hi"}, {"role": "user", "content": " "}]
        with pytest.raises(anthropic.BadRequestError, match="non-whitespace text"):
            await client.messages.count_tokens(model=CLAUDE, messages=blank)


# -- models --------------------------------------------------------------------------------------------------


async def test_anthropics_client_lists_models_and_others_see_them_as_before(house):
    key = {"Authorization": f"Bearer {house.keys[ONE]}"}
    plain = httpx.get(f"{house.base_url}/models", headers=key).json()
    assert plain.keys() == {"object", "data"} and all("display_name" not in one for one in plain["data"])
    async with client_of(house) as client:
        page = await client.models.list(limit=2)
        listed = [one async for one in client.models.list(limit=2)]
        (first, *_others) = listed
        shown = await client.models.retrieve(first.id)
        with pytest.raises(anthropic.NotFoundError) as caught:
            await client.models.retrieve("nobody's")
    assert [one.id for one in listed] == [one["id"] for one in plain["data"]]
    assert (page.has_more, page.first_id, page.last_id) == (False, listed[0].id, listed[-1].id)
    assert all(one.type == "model" and one.display_name for one in listed)
    assert shown == first and int(first.created_at.timestamp()) == plain["data"][0]["created"]
    assert caught.value.body["error"]["type"] == "not_found_error"
    assert httpx.get(f"{house.base_url}/models/{first.id}", headers=key).json() == plain["data"][0]


# -- errors --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "key", "body", "status", "kind"),
    [
        ("messages", "", {}, 401, "authentication_error"),
        ("messages", "atr_nobody_12345678_" + "a" * 43, {}, 401, "authentication_error"),
        ("messages", None, {"model": "no-such-model", **ASKED}, 404, "not_found_error"),
        ("messages", None, {"model": "mock", "messages": HELLO}, 400, "invalid_request_error"),
        ("messages", None, {"model": "mock", **ASKED, "n": 2}, 400, "invalid_request_error"),
        ("messages", None, {"model": "mock", **ASKED, "system": "x" * 10_000_001}, 413, "request_too_large"),
        ("messages", None, {"model": "fault-500", **ASKED}, 502, "api_error"),
        ("messages/batches", None, {}, 404, "not_found_error"),
        ("messages/count_tokens", None, {"model": "nobody", "messages": HELLO}, 404, "not_found_error"),
        ("messages/count_tokens", None, {"model": "mock"}, 400, "invalid_request_error"),
    ],
)
def test_errors_have_anthropics_shape(house, path, key, body, status, kind):
    told = post(house, path, key, **body)
    assert told.status_code == status, told.text
    error = told.json()
    assert error.keys() == {"type", "error", "request_id"} and error["type"] == "error"
    assert error["error"].keys() == {"type", "message"} and error["error"]["type"] == kind
    assert error["error"]["message"]
    assert error["request_id"] == told.headers["request-id"] == told.headers["x-request-id"]


def test_other_methods_and_addresses_keep_the_shape_that_belongs_there(house):
    headers = {"x-api-key": house.keys[ONE]}
    told = httpx.get(f"{house.base_url}/messages", headers=headers)
    assert (told.status_code, told.headers["allow"]) == (405, "POST")
    assert told.json()["error"]["type"] == "invalid_request_error" and "request_id" in told.json()
    told = httpx.post(f"{house.base_url}/messagesx", headers=headers, json={})
    assert "code" in told.json()["error"] and "request-id" not in told.headers


async def test_an_error_in_the_middle_reaches_anthropics_client_as_one(house):
    async with client_of(house) as client:
        with pytest.raises(anthropic.APIStatusError) as caught:
            async with client.messages.stream(model="fault-reset-mid-stream-5", **ASKED) as stream:
                async for _text in stream.text_stream:
                    pass
    assert caught.value.body["error"]["type"] == "api_error"


def ask(place, path: str = "messages", **more) -> httpx.Response:
    return post(place.house, path, place.text, model="mock", messages=HELLO, **more)


def test_limits_bind_here_too_and_are_told_under_anthropics_names(place):
    bound(place, "user", RPM, 3)
    eventually(lambda: "anthropic-ratelimit-requests-limit" in ask(place, max_tokens=10).headers)

    def has_refused() -> bool:
        answers.append(ask(place, "messages/count_tokens"))
        return answers[-1].status_code == 429

    answers: list[httpx.Response] = []
    eventually(has_refused)
    refused = answers[-1]
    assert refused.json()["error"]["type"] == "rate_limit_error"
    assert refused.headers["anthropic-ratelimit-requests-limit"] == "3"
    assert refused.headers["anthropic-ratelimit-requests-remaining"] == "0"
    reset = datetime.fromisoformat(refused.headers["anthropic-ratelimit-requests-reset"])
    assert 0 <= (reset - datetime.now(UTC)).total_seconds() <= 61 and int(refused.headers["retry-after"]) > 0
    assert ask(place, max_tokens=10).status_code == 429


def test_a_budget_that_is_used_up_is_told_as_billing(place):
    with tenant(place.slug):
        set_budget(actor=None, level="tenant", limit=0)
    told = ask(place, max_tokens=10)
    assert (told.status_code, told.json()["error"]["type"]) == (402, "billing_error")
