"""What `/v1` says to requests that come in at the wrong door, or in a form that it does not take: a real
server, asked by raw requests and by the official client.
"""

import gzip
import socket
import zlib

import httpx
import openai
import orjson
import pytest

from tests.live import TENANTS

pytestmark = pytest.mark.scope(None)
ONE, TWO = TENANTS
HELLO = [{"role": "user", "content": "hello there"}]
BODY = {"model": "mock", "messages": HELLO}
RAW = orjson.dumps(BODY)


def ask(house, method: str, path: str, headers=(), key: str | None = "", **options) -> httpx.Response:
    shown = {} if key is None else {"Authorization": f"Bearer {key or house.keys[ONE]}"}
    url = f"http://127.0.0.1:{house.port}{path}"
    return httpx.request(method, url, headers={"Host": "localhost", **shown, **dict(headers)}, **options)


def error_of(answer: httpx.Response) -> dict:
    return answer.json()["error"]


# -- the base address, heads, wrong addresses ----------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1", "/v1/", "//v1//", "/V1", "/openai/v1/", "/openai"])
@pytest.mark.parametrize("key", ["", None])
def test_the_base_address_says_what_stands_here(house, path, key):
    answer = ask(house, "GET", path, key=key)
    assert answer.status_code == 200 and {
        "POST /v1/chat/completions",
        "POST /v1/embeddings",
        "GET /v1/models",
        "GET /v1/models/{model}",
    } <= set(answer.json()["routes"])


@pytest.mark.parametrize("path", ["/v1", "/v1/models", "/v1/models/mock"])
def test_a_head_is_what_a_get_would_bring_without_its_body(house, path):
    head, whole = ask(house, "HEAD", path), ask(house, "GET", path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == whole.headers["content-length"]
    assert ask(house, "HEAD", "/v1/models/nothing").status_code == 404
    assert ask(house, "HEAD", "/v1/models", key="sk-1").status_code == 401


def test_what_is_not_allowed_says_what_is(house):
    refused = ask(house, "POST", "/v1/models", json=BODY)
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")
    assert error_of(refused)["message"] == "Use GET here."
    assert error_of(refused)["type"] == "invalid_request_error"
    assert ask(house, "HEAD", "/v1/chat/completions").headers["allow"] == "POST"


SIMILAR = {
    "/v1/chat/completions/chat/completions": "/v1/chat/completions",
    "/v1/chat/completions/x": "/v1/chat/completions",
    "/v2/completions": "/v1/completions",
    "/v1/chat": "/v1/chat/completions",
    "/v2/embeddings": "/v1/embeddings",
    "/v1/engines/mock/embeddings": "/v1/embeddings",
    "/openai/chat/completions/x": "/v1/chat/completions",
}


@pytest.mark.parametrize(("path", "meant"), SIMILAR.items())
def test_a_wrong_address_names_the_one_that_is_probably_meant(house, path, meant):
    answer = ask(house, "POST", path, json=BODY)
    assert (answer.status_code, error_of(answer)["code"]) == (404, "unknown_url")
    message = error_of(answer)["message"]
    assert f"“{path}” here. Perhaps you mean “{meant}”" in message
    assert ("base addresses" in message) == (path != "/v1/chat/completions/x"), "its base address is right"


def test_what_lies_below_an_address_is_told_in_its_dialect_and_not_to_change_the_base_address(house):
    error = ask(house, "POST", "/v1/messages/batches", json=BODY).json()["error"]
    told = "There is no “/v1/messages/batches” here. Perhaps you mean “/v1/messages”."
    assert (error["type"], error["message"]) == ("not_found_error", told)


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/nothing", "/v1/realtime", "/openai/deployments/mock"])
def test_an_address_like_none_names_all_as_they_are_written(house, path):
    message = error_of(ask(house, "POST", path, json=BODY))["message"]
    assert "/v1/messages, /v1/messages/count_tokens, /v1/models, /v1/models/{model}, /v1/rerank" in message


def test_who_sends_json_to_a_page_gets_json(house):
    """Without a key nobody knows that a program asks, but for what it sends."""
    answer = ask(house, "POST", "/chat/completions", key=None, json=BODY)
    assert answer.headers["content-type"] == "application/problem+json"
    assert "/v1/chat/completions" in answer.json()["detail"]


# -- Azure's clients -----------------------------------------------------------------------------------------


def azure(house, **options) -> openai.AzureOpenAI:
    options = {"api_key": house.keys[ONE], "azure_endpoint": f"http://localhost:{house.port}"} | options
    return house.stack.enter_context(
        openai.AzureOpenAI(api_version="2024-10-21", max_retries=0, timeout=30, **options)
    )


def test_azures_client_calls_models_as_its_deployments(house):
    client = azure(house)
    answer = client.chat.completions.create(model="mock", messages=HELLO)
    assert answer.choices[0].message.content.startswith("w0 w1")
    streamed = client.chat.completions.create(model="mock", messages=HELLO, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in streamed if chunk.choices)
    assert "mock" in [model.id for model in client.models.list()]
    with pytest.raises(openai.NotFoundError, match="nothing"):
        client.chat.completions.create(model="nothing", messages=HELLO)


def test_the_deployment_of_the_address_is_the_model_whatever_the_body_says(house):
    client = azure(house, azure_deployment="mock")
    client.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert house.mock.ledger()[-1]["body"]["model"] == "mock"
    path = "/openai/deployments/mock/chat/completions?api-version=2024-10-21"
    for body in ({"messages": HELLO}, BODY | {"model": "nothing"}):
        assert ask(house, "POST", path, json=body).status_code == 200, body
    marked = b"\xef\xbb\xbf" + orjson.dumps({"messages": HELLO})
    assert ask(house, "POST", path, content=marked).status_code == 200
    empty = ask(house, "POST", path, content=b"{}")
    assert error_of(empty)["param"] == "messages"


def test_a_deployments_name_may_have_slashes(house):
    answer = ask(house, "POST", "/openai/deployments/some/model/chat/completions", json=BODY)
    assert answer.status_code == 404 and "“some/model”" in error_of(answer)["message"]


def test_azures_new_addresses_are_openais(house):
    client = openai.OpenAI(
        base_url=f"http://localhost:{house.port}/openai/v1/", api_key=house.keys[ONE], max_retries=0
    )
    with client:
        assert client.chat.completions.create(model="mock", messages=HELLO).choices


# -- keys ----------------------------------------------------------------------------------------------------


def test_a_missing_key_a_misplaced_one_and_a_wrong_one_are_told_apart(house):
    good, other = house.keys[ONE], house.keys[TWO]
    cases = [
        ("missing_api_key", "didn't provide an API key", {}, ""),
        ("missing_api_key", "didn't provide an API key", {"Authorization": "Bearer"}, ""),
        ("missing_api_key", "didn't provide an API key", {"x-api-key": ""}, ""),
        ("missing_api_key", "in “authorization”, where none is read", {"Authorization": good}, ""),
        ("missing_api_key", "in “authorization”, where", {"Authorization": f"Token {good}"}, ""),
        ("missing_api_key", "in “x-goog-api-key”, where", {"x-goog-api-key": good}, ""),
        ("missing_api_key", "in “?api_key=”, where", {}, f"?a=b&api_key={good}"),
        ("missing_api_key", "“Authorization” holds no API key", {"Authorization": "Basic eDp5"}, ""),
        ("invalid_api_key", "two different", {"Authorization": f"Bearer {good}", "x-api-key": other}, ""),
        ("invalid_api_key", "begin with “atr_”", {"Authorization": f'Bearer "{good}"'}, ""),
        ("invalid_api_key", "begin with “atr_”", {"Authorization": "Bearer sk-1"}, ""),
    ]
    for code, words, headers, query in cases:
        answer = ask(house, "GET", f"/v1/models{query}", headers, key=None)
        assert (answer.status_code, error_of(answer)["code"]) == (401, code), headers
        assert words in error_of(answer)["message"], headers
        assert answer.headers["www-authenticate"] == "Bearer" and "openai-processing-ms" not in answer.headers
        assert good[-20:] not in answer.text


# -- bodies --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(RAW)),
        ("deflate", zlib.compress(RAW)),
        ("br", RAW),
        ("identity, gzip", gzip.compress(RAW)),
        ("GZIP", gzip.compress(RAW)),
    ],
)
def test_a_compressed_body_is_refused_in_words(house, coding, body):
    answer = ask(house, "POST", "/v1/chat/completions", {"Content-Encoding": coding}, content=body)
    assert (answer.status_code, error_of(answer)["code"]) == (415, "unsupported_media_type")
    assert error_of(answer)["type"] == "invalid_request_error"
    assert "compressed" in error_of(answer)["message"] and answer.headers["accept-encoding"] == "identity"
    plain = ask(house, "POST", "/v1/chat/completions", {"Content-Encoding": "identity"}, content=RAW)
    assert plain.status_code == 200


def test_so_it_is_by_the_management_api(house):
    for coding, status in (("gzip", 415), ("identity", 201)):
        answer = ask(
            house,
            "POST",
            "/api/v1/api-keys/",
            {"Content-Encoding": coding, "Content-Type": "application/json"},
            content=gzip.compress(b'{"name": "x"}') if status == 415 else b'{"name": "compressed"}',
        )
        assert answer.status_code == status
        assert status != 415 or answer.json()["code"] == "unsupported_media_type"


def tell(house, *lines: str, body: bytes = b"") -> bytes:
    """The beginning of the answer to a request that no client would write."""
    head = ["POST /v1/chat/completions HTTP/1.1", "Host: localhost", "Content-Type: application/json", *lines]
    with socket.create_connection(("127.0.0.1", house.port), timeout=20) as client:
        client.sendall(
            "\r\n".join([*head, f"Authorization: Bearer {house.keys[ONE]}", "", ""]).encode() + body
        )
        return client.recv(1_000)


@pytest.mark.parametrize(("coding", "status"), [("gzip, chunked", b"415"), ("chunked", b"200")])
def test_a_coding_of_the_transfer_is_none_that_is_undone(house, coding, status):
    body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(RAW), RAW)
    assert tell(house, f"Transfer-Encoding: {coding}", body=body).startswith(b"HTTP/1.1 " + status)


def test_a_form_is_told_to_be_json(house):
    for options in ({"data": {"model": "mock"}}, {"files": {"file": b"abc"}, "data": {"model": "mock"}}):
        answer = ask(house, "POST", "/v1/chat/completions", **options)
        assert answer.status_code == 415 and "application/json" in error_of(answer)["message"]
    # what curl says of `-d '{…}'` unless it is told otherwise
    curl = {"Content-Type": "application/x-www-form-urlencoded"}
    assert ask(house, "POST", "/v1/chat/completions", curl, content=b"\n" + RAW).status_code == 200


def test_a_body_that_says_it_is_too_large_is_not_awaited(house):
    """Nothing of it is sent here: an answer could not come otherwise."""
    assert tell(house, "Content-Length: 50000000").startswith(b"HTTP/1.1 413 ")


# -- models and attempts -------------------------------------------------------------------------------------


def test_a_model_called_at_the_address_of_another_kind_is_told_its_own(house):
    chat = ask(house, "POST", "/v1/embeddings", json={"model": "mock", "input": "x"})
    assert (chat.status_code, error_of(chat)["param"]) == (404, "model")
    assert "Call it at /v1/chat/completions." in error_of(chat)["message"]
    vectors = ask(house, "POST", "/v1/chat/completions", json=BODY | {"model": "mock-embedding"})
    assert "Call it at /v1/embeddings." in error_of(vectors)["message"]
    assert (
        "does not exist"
        in error_of(ask(house, "POST", "/v1/embeddings", json={"model": "no", "input": "x"}))["message"]
    )


@pytest.mark.parametrize("stream", [False, True])
def test_an_error_after_attempts_counts_them(house, stream):
    failed = ask(house, "POST", "/v1/chat/completions", json=BODY | {"model": "fault-400", "stream": stream})
    assert failed.status_code == 400 and failed.headers["x-atrium-attempts"] == "1"
    unknown = ask(house, "POST", "/v1/chat/completions", json=BODY | {"model": "nothing", "stream": stream})
    assert "x-atrium-attempts" not in unknown.headers
