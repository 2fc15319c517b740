"""Addresses that are meant, though not written, as documented; and what `/v1` says of its answers."""

import re

import httpx
import pytest

from gateway.trace import continue_trace
from tests.gateway.living import events_of
from tests.live import TENANTS

pytestmark = pytest.mark.scope(None)
ONE = TENANTS[0]
BODY = {"model": "mock", "messages": [{"role": "user", "content": "hello there"}]}
TRACE = "0af7651916cd43dd8448eb211c80319c"
GIVEN = f"00-{TRACE}-b7ad6b7169203331-01"


def ask(house, method: str, path: str, headers: dict | None = None, host: str = "localhost", **options):
    """Redirects are not followed."""
    key = {"Authorization": f"Bearer {house.keys[ONE]}"}
    return httpx.request(
        method,
        f"http://127.0.0.1:{house.port}{path}",
        headers={"Host": host, **key, **(headers or {})},
        **options,
    )


@pytest.mark.parametrize("host", ["localhost", f"{ONE}.localhost", "10.1.2.3:9000"])
@pytest.mark.parametrize(
    "path",
    [
        "/v1/chat/completions",
        "//v1/chat/completions",
        "/v1//chat/completions",
        "/v1/v1/chat/completions",
        "/v1/chat/completions/",
        "/chat/completions",
        "//chat/completions/",
    ],
)
def test_a_call_is_answered_at_every_address_that_is_clear(house, path, host):
    answer = ask(house, "POST", path, host=host, json=BODY)
    assert (answer.status_code, answer.json().get("object")) == (200, "chat.completion"), answer.text


@pytest.mark.parametrize(
    "path", ["/v1/models/", "/models", "/v1/models/mock/", "//v1//models/mock", "/models/mock"]
)
def test_so_are_the_models(house, path):
    answer = ask(house, "GET", path)
    assert answer.status_code == 200 and "mock" in answer.text


@pytest.mark.parametrize(
    "path", ["/api/v1/me", "//api/v1/me/", "/api/v1/v1/me", "/api//v1/me", "/api/v1/openapi.json"]
)
def test_so_is_the_management_api(house, path):
    assert ask(house, "GET", path).status_code == 200
    listed = ask(house, "GET", "/api/v1/api-keys?limit=1")
    assert listed.status_code == 200 and len(listed.json()["results"]) == 1


def test_a_body_is_not_lost_to_a_redirect(house):
    made = ask(house, "POST", "/api/v1/api-keys", json={"name": "made without a slash"})
    assert made.status_code == 201 and made.json()["name"] == "made without a slash"


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/", "/complete", "/openai/deployments/x", "/v1/nothing", "/keys/"]
)
def test_whoever_shows_a_key_gets_json_that_says_what_there_is(house, path):
    for host in ("localhost", f"{ONE}.localhost"):
        answer = ask(house, "POST", path, host=host, json=BODY)
        assert answer.status_code == 404, path
        assert answer.json()["error"]["code"] == "unknown_url" and "chat/completions" in answer.text


def test_a_key_of_somebody_else_is_heard_at_addresses_of_v1_only(house):
    """A proxy that logs people in sends a bearer with every page."""
    stranger = {"Authorization": "Bearer eyJhbGciOiJub25lIn0.e30."}
    host = f"{ONE}.localhost"
    assert (
        ask(house, "GET", "/accounts/login/", stranger, host=host)
        .headers["content-type"]
        .startswith("text/html")
    )
    assert (
        ask(house, "POST", "/chat/completions", stranger, host=host).json()["error"]["code"]
        == "invalid_api_key"
    )


@pytest.mark.parametrize("host", ["localhost", f"{ONE}.localhost", "nobody.localhost"])
@pytest.mark.parametrize("path", ["/chat/completions", "/api/nothing", "/api/v1/nothing/", "/nothing/"])
def test_a_program_without_a_key_gets_json_too(house, path, host):
    headers = {"Host": host, "Accept": "application/json"}
    answer = httpx.post(f"http://127.0.0.1:{house.port}{path}", headers=headers, json=BODY)
    assert answer.status_code in (401, 404) and answer.headers["content-type"] == "application/problem+json"
    page = httpx.get(
        f"http://127.0.0.1:{house.port}/nothing/", headers=headers | {"Accept": "text/html, */*"}
    )
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    if host != "nobody.localhost" and not path.startswith("/api/v1"):
        assert "/v1/chat/completions" in answer.json()["detail"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["mock", "nothing"])
def test_every_answer_says_its_id_its_version_and_its_time(house, stream, model):
    answer = ask(house, "POST", "/v1/chat/completions", json=BODY | {"model": model, "stream": stream})
    assert answer.headers["openai-version"] == "2020-10-01"
    assert int(answer.headers["openai-processing-ms"]) >= 1
    assert re.fullmatch(r"req_[0-9a-f]{32}", answer.headers["x-request-id"])


@pytest.mark.parametrize("stream", [False, True])
def test_a_trace_goes_on_at_the_provider_and_comes_back(house, stream):
    answer = ask(
        house, "POST", "/v1/chat/completions", {"traceparent": GIVEN}, json=BODY | {"stream": stream}
    )
    ours = answer.headers["traceparent"]
    assert re.fullmatch(f"00-{TRACE}-[0-9a-f]{{16}}-01", ours) and ours != GIVEN
    assert house.mock.ledger()[-1]["headers"]["traceparent"] == ours
    assert events_of(ONE)[0].trace_id == TRACE


def test_without_a_trace_there_is_none(house):
    for headers in ({}, {"traceparent": "00-nonsense"}):
        answer = ask(house, "POST", "/v1/chat/completions", headers, json=BODY)
        assert "traceparent" not in answer.headers
        assert "traceparent" not in house.mock.ledger()[-1]["headers"]
        assert events_of(ONE)[0].trace_id == ""


def test_only_what_the_standard_allows_is_a_trace():
    assert continue_trace(GIVEN.encode()).flags == 1
    assert continue_trace(f"00-{TRACE}-b7ad6b7169203331-ff".encode()).header.endswith("-03")
    assert continue_trace(f"01-{TRACE}-b7ad6b7169203331-01-later".encode()).header.startswith(f"00-{TRACE}-")
    for wrong in (
        "",
        GIVEN.upper(),
        GIVEN + "-later",
        GIVEN + " ",
        GIVEN[:-1],
        "ff" + GIVEN[2:],
        f"01-{TRACE}-b7ad6b7169203331-01later",
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-{TRACE}-{'0' * 16}-01",
        GIVEN.replace("-", "_"),
    ):
        assert continue_trace(wrong.encode()) is None, wrong
