"""`/v1` from outside: a real server, a real upstream, the official client."""

import time
from decimal import Decimal
from pathlib import Path

import httpx
import openai
import pytest
from django.conf import settings

from gateway.state.snapshot import PROVEN_TIME_TO_LIVE_S
from tests.gateway.living import HELLO, ONE, TWO, events_of

pytestmark = pytest.mark.scope(None)


def test_a_chat_completion_is_answered_and_billed(house):
    answer = house.client().chat.completions.create(model="mock", messages=HELLO)
    assert answer.choices[0].message.content == "w0 w1 w2 w3 w4 w5 w6 w7"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (3, 8)
    event = events_of(ONE)[0]
    assert (event.input_tokens, event.output_tokens, event.status, event.source, event.model) == (
        3,
        8,
        "ok",
        "api",
        "mock",
    )
    assert event.cost == Decimal("0.000019") and not event.estimated, (
        "3 tokens at 1 and 8 at 2 EUR per million"
    )


@pytest.mark.parametrize("wants_usage", [True, False])
def test_a_streamed_completion_is_billed_before_done(house, wants_usage):
    options = {"stream_options": {"include_usage": True}} if wants_usage else {}
    chunks = list(
        house.client().chat.completions.create(
            model="mock-tokens-20-5", messages=HELLO, stream=True, **options
        )
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == " ".join(f"w{i}" for i in range(20))
    reports = [chunk.usage for chunk in chunks if chunk.usage]
    assert [report.completion_tokens for report in reports] == ([20] if wants_usage else [])
    event = events_of(ONE)[0]
    assert (event.output_tokens, event.estimated) == (20, False) and event.first_token_ms is not None


def test_the_list_of_models(house):
    names = [model.id for model in house.client().models.list()]
    auto, *named = names
    assert auto == "auto" and "mock" in named and named == sorted(named)
    assert house.client().models.retrieve("mock").id == "mock"
    with pytest.raises(openai.NotFoundError):
        house.client().models.retrieve("nothing")


def test_tools_pass_through(house):
    tool = {
        "type": "function",
        "function": {
            "name": "weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
    answer = house.client().chat.completions.create(model="mock-tool", messages=HELLO, tools=[tool])
    assert answer.choices[0].message.tool_calls[0].function.name == "weather"


def test_max_tokens_reaches_the_provider(house):
    answer = house.client().chat.completions.create(model="mock", messages=HELLO, max_tokens=3)
    assert answer.usage.completion_tokens == 3


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize(("asked", "told"), [(None, "4096"), (5_000, None), (3, None)])
def test_an_answer_says_that_we_bounded_it(house, asked, told, is_stream):
    answer = house.post({"model": "mock", "messages": HELLO, "max_tokens": asked, "stream": is_stream})
    assert answer.status_code == 200 and answer.headers.get("x-atrium-max-tokens") == told


@pytest.mark.parametrize(
    ("body", "status", "param", "code"),
    [
        (b"{", 400, None, "invalid_json"),
        ({"model": "mock"}, 400, "messages", "missing_required_parameter"),
        ({"model": "mock", "messages": "x"}, 400, "messages", "invalid_type"),
        ({"model": "nothing", "messages": HELLO}, 404, "model", "model_not_found"),
        (
            b'{"model": "mock", "messages": [{"role": "user", "content": "' + b"x" * 10_000_001 + b'"}]}',
            413,
            None,
            "request_too_large",
        ),
    ],
)
def test_bad_requests_say_what_is_wrong(house, body, status, param, code):
    response = house.post(body)
    error = response.json()["error"]
    assert (response.status_code, error["param"], error["code"]) == (status, param, code)
    assert error["message"] and error["type"] == "invalid_request_error"
    assert response.headers["x-request-id"].startswith("req_")


def test_errors_speak_the_callers_language(house):
    for language, word in (("de", "Modell"), ("zh-CN", "模型"), ("en", "model")):
        response = house.post({"model": "nothing", "messages": HELLO}, headers={"Accept-Language": language})
        assert word in response.json()["error"]["message"]


@pytest.mark.parametrize(
    "key", ["none", "sk-nothing", "atr_live-one_aaaaaaaa_" + "x" * 43, "atr_nobody_aaaaaaaa_" + "x" * 43]
)
def test_a_wrong_key_is_one_401(house, key):
    bodies = set()
    for path in ("models", "chat/completions"):
        response = httpx.request(
            "GET" if path == "models" else "POST",
            f"{house.base_url}/{path}",
            headers={"Authorization": f"Bearer {key}"},
            json={},
        )
        assert response.status_code == 401
        bodies.add(response.text)
    assert len(bodies) == 1 and "invalid_api_key" in bodies.pop()


def test_a_cookie_does_no_keys_work(house):
    assert (
        httpx.get(f"{house.base_url}/models", cookies={settings.SESSION_COOKIE_NAME: "x"}).status_code == 401
    )


def test_unknown_paths_methods_and_hosts(house):
    headers = {"Authorization": f"Bearer {house.keys[ONE]}"}
    assert httpx.get(f"{house.base_url}/nothing", headers=headers).json()["error"]["code"] == "unknown_url"
    refused = httpx.get(f"{house.base_url}/chat/completions", headers=headers)
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
    assert (
        httpx.get(f"{house.base_url}/models", headers=headers | {"Host": f"{TWO}.localhost"}).status_code
        == 401
    )
    assert (
        httpx.get(f"{house.base_url}/models", headers=headers | {"Host": f"{ONE}.localhost"}).status_code
        == 200
    )


def test_a_revoked_key_stops_long_before_its_entry_is_old(house):
    """How fast: S10."""
    from accounts.models import ApiKey
    from accounts.services import create_api_key, revoke_api_key
    from tenants.context import tenant

    with tenant(ONE):
        owner = ApiKey.objects.select_related("user").first().user
        row, text = create_api_key(actor=None, user=owner, name="short")
    client = house.client(key=text)
    assert client.models.list()
    with tenant(ONE):
        revoke_api_key(actor=None, key=row)
    end = time.monotonic() + PROVEN_TIME_TO_LIVE_S / 2
    with pytest.raises(openai.AuthenticationError):
        while time.monotonic() < end:
            client.models.list()
            time.sleep(0.05)


def test_a_key_sees_only_its_models_and_needs_its_scope(house):
    from accounts.models import ApiKey
    from accounts.services import create_api_key
    from tenants.context import tenant

    with tenant(ONE):
        owner = ApiKey.objects.select_related("user").first().user
        narrow = create_api_key(actor=None, user=owner, name="narrow", model_names=["mock"])[1]
        reader = create_api_key(actor=None, user=owner, name="reader", scopes=["read"])[1]
    client = house.client(key=narrow)
    assert [model.id for model in client.models.list()] == ["mock"]
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="mock-echo", messages=HELLO)
    with pytest.raises(openai.PermissionDeniedError):
        house.client(key=reader).models.list()


def test_a_limit_per_minute_answers_429_with_the_time_to_wait(house):
    from accounts.models import ApiKey
    from accounts.services import create_api_key
    from tenants.context import tenant

    with tenant(ONE):
        owner = ApiKey.objects.select_related("user").first().user
        text = create_api_key(actor=None, user=owner, name="slow", requests_per_minute=2)[1]
    headers, body = {"Authorization": f"Bearer {text}"}, {"model": "mock", "messages": HELLO}
    answers = [httpx.post(f"{house.base_url}/chat/completions", headers=headers, json=body) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert (
        answers[0].headers["x-ratelimit-limit-requests"] == "2"
        and answers[0].headers["x-ratelimit-remaining-requests"] == "1"
    )
    assert (
        answers[2].json()["error"]["code"] == "rate_limit_exceeded"
        and 1 <= int(answers[2].headers["retry-after"]) <= 61
    )


def test_a_budget_that_is_used_up_answers_429(house):
    from tenants.context import tenant
    from usage.services import remove_budget, set_budget

    with tenant(TWO):
        budget = set_budget(actor=None, level="tenant", limit=Decimal("0.000001"))
    try:
        with pytest.raises(openai.RateLimitError) as caught:
            house.client(TWO).chat.completions.create(model="mock", messages=HELLO)
        assert caught.value.code == "insufficient_quota"
    finally:
        with tenant(TWO):
            remove_budget(actor=None, budget=budget)
    assert house.client(TWO).chat.completions.create(model="mock", messages=HELLO)


def test_the_web_process_holds_no_tensors(house):
    """It starts in a moment and stays small: what it has mapped into its memory shows every library it has
    loaded.
    """
    house.post({"model": "mock", "messages": HELLO})
    libraries = Path(f"/proc/{house.web.pid}/maps").read_text()
    assert "uvloop" in libraries and "torch" not in libraries
