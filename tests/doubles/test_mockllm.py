"""The mock upstream says what its rules promise, breaks what its catalogue promises, and its ledger knows."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from tests.doubles import MockLLM, running_mockllm
from tests.doubles.mock_faults import FAULTS

HELLO = [{"role": "user", "content": "Say hello twice"}]  # 1 + 3 prompt tokens
PLACE_AND_TIME = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": PLACE_AND_TIME}}
SILENT = {
    "hang-before-header",
    "hang-after-header",
    "hang-mid-stream",
    "hang-before-done",
    "endless",
    "open-after-done",
}


@pytest.fixture(scope="module")
def shared() -> Iterator[MockLLM]:
    with running_mockllm() as mock:
        yield mock


@pytest.fixture
def mock(shared: MockLLM) -> MockLLM:
    shared.reset()
    return shared


@pytest.fixture
def client(mock: MockLLM) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=mock.base_url, api_key="sk-secret", max_retries=0, timeout=5) as client:
        yield client


def exchange_raw(
    mock: MockLLM, model: str, *, stream: bool = False, until: bytes | None = None, timeout_s: float = 3.0
) -> bytes:
    """The bytes of an answer, to its end or until a mark appears."""
    body = json.dumps(
        {"model": model, "messages": HELLO, "stream": stream, "stream_options": {"include_usage": True}}
    ).encode()
    headers = (
        b"host: mock\r\nauthorization: Bearer sk-secret\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
        % len(body)
    )
    request = b"POST /v1/chat/completions HTTP/1.1\r\n" + headers
    received = b""
    with socket.create_connection(("127.0.0.1", mock.port), timeout=timeout_s) as connection:
        connection.sendall(request + body)
        try:
            while (data := connection.recv(1 << 20)) and not (until and until in received):
                received += data
        except (TimeoutError, ConnectionResetError):
            pass
    return received


def test_a_whole_answer_has_the_usage_the_rules_tell(client: openai.OpenAI, mock: MockLLM) -> None:
    answer = client.chat.completions.create(
        model="mock-tokens-5-0", messages=HELLO, extra_headers={"x-request-id": "req-1"}
    )
    assert answer.choices[0].message.content == "w0 w1 w2 w3 w4"
    assert answer.choices[0].finish_reason == "stop"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (4, 5)
    [entry] = mock.ledger()
    assert (entry["request_id"], entry["outcome"], entry["tokens_sent"], entry["status"]) == (
        "req-1",
        "complete",
        5,
        200,
    )
    assert entry["authorization"] == "Bearer sk-secret"
    assert entry["body"]["messages"] == HELLO


def test_a_stream_says_the_same_token_by_token(client: openai.OpenAI, mock: MockLLM) -> None:
    chunks = list(
        client.chat.completions.create(
            model="mock-tokens-5-2", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
    )
    assert [
        chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content
    ] == ["w0", " w1", " w2", " w3", " w4"]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage.total_tokens == 9
    assert mock.ledger()[0]["tokens_sent"] == 5


def test_a_stream_is_paced(client: openai.OpenAI) -> None:
    started = time.monotonic()
    stream = client.chat.completions.create(model="mock-tokens-10-10-100", messages=HELLO, stream=True)
    next(iter(stream))
    first = time.monotonic() - started
    list(stream)
    assert first > 0.09
    assert time.monotonic() - started > 0.18


def test_no_usage_chunk_unless_asked_for(client: openai.OpenAI) -> None:
    assert all(
        chunk.usage is None
        for chunk in client.chat.completions.create(model="mock", messages=HELLO, stream=True)
    )


def test_max_tokens_cuts_and_n_multiplies(client: openai.OpenAI, mock: MockLLM) -> None:
    answer = client.chat.completions.create(model="mock", messages=HELLO, max_tokens=3, n=2)
    assert [choice.message.content for choice in answer.choices] == ["w0 w1 w2"] * 2
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 6 == mock.ledger()[0]["tokens_sent"]


def test_usage_by_name(client: openai.OpenAI) -> None:
    usage = client.chat.completions.create(model="mock-usage-100-20-30-10", messages=HELLO).usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (100, 30, 130)
    assert (usage.prompt_tokens_details.cached_tokens, usage.completion_tokens_details.reasoning_tokens) == (
        20,
        10,
    )


def test_echo(client: openai.OpenAI) -> None:
    assert (
        client.chat.completions.create(model="mock-echo", messages=HELLO).choices[0].message.content
        == "Say hello twice"
    )


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_is_called_and_its_answer_told(client: openai.OpenAI, stream: bool) -> None:
    if stream:
        chunks = list(
            client.chat.completions.create(model="mock-tool", messages=HELLO, tools=[TOOL], stream=True)
        )
        calls = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or ()]
        name, arguments = calls[0].function.name, "".join(call.function.arguments for call in calls)
        assert chunks[-1].choices[0].finish_reason == "tool_calls"
    else:
        answer = client.chat.completions.create(model="mock-tool", messages=HELLO, tools=[TOOL])
        [call] = answer.choices[0].message.tool_calls
        name, arguments = call.function.name, call.function.arguments
    assert (name, json.loads(arguments)) == ("weather", {"city": "Say hello twice", "days": 1})
    told = client.chat.completions.create(
        model="mock-tool",
        tools=[TOOL],
        messages=[*HELLO, {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}],
    )
    assert told.choices[0].message.content == "Tool said: sunny"


def test_a_slow_answer_waits(client: openai.OpenAI) -> None:
    started = time.monotonic()
    client.chat.completions.create(model="mock-slow-120", messages=HELLO)
    assert time.monotonic() - started > 0.11


def test_an_unknown_model_is_404(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="gpt-0", messages=HELLO)


def test_the_catalogue_is_listed(client: openai.OpenAI) -> None:
    names = {model.id for model in client.models.list()}
    assert {"mock", "mock-echo", "fault-drip"} <= names
    assert len(FAULTS) >= 24


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_is_noticed(client: openai.OpenAI, mock: MockLLM, stream: bool) -> None:
    if stream:
        with client.chat.completions.create(
            model="mock-tokens-1000-5", messages=HELLO, stream=True
        ) as answer:
            for _ in range(10):
                next(answer)
    else:
        with pytest.raises(openai.APITimeoutError):
            client.chat.completions.create(model="mock-slow-60000", messages=HELLO, timeout=0.1)
    left_at = time.time()
    [entry] = mock.wait_for(lambda entries: entries[0]["outcome"] == "client_closed")
    assert abs(entry["closed_at"] - left_at) < 2
    assert 9 <= entry["tokens_sent"] < 1000 if stream else entry["tokens_sent"] == 0


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "name", sorted(set(FAULTS) - SILENT - {"long-line", "gzip-bomb", "drip", "drip-header"})
)
def test_each_fault_ends_and_is_booked(mock: MockLLM, name: str, stream: bool) -> None:
    received = exchange_raw(mock, f"fault-{name}", stream=stream)
    assert received or name in ("refuse", "close-before-header")
    mock.wait_for(lambda entries: entries[0]["outcome"] in ("complete", "aborted"))


@pytest.mark.parametrize("name", sorted(SILENT))
def test_silent_faults_last_until_the_client_leaves(mock: MockLLM, name: str) -> None:
    exchange_raw(mock, f"fault-{name}", stream=True, timeout_s=0.05, until=b"again")
    mock.wait_for(lambda entries: entries[0]["outcome"] == "client_closed")


@pytest.mark.parametrize(
    ("model", "stream", "mark"),
    [
        ("fault-429-7", False, b"retry-after: 7\r\n"),
        ("fault-429-date", False, b" GMT\r\n"),
        ("fault-503", True, b"HTTP/1.1 503"),
        ("fault-500-mid-stream", True, b'data: {"error"'),
        ("fault-no-usage", True, b"[DONE]"),
        ("fault-double-done", True, b"data: [DONE]\n\ndata: [DONE]"),
        ("fault-late-chunk", True, b" late"),
        ("fault-bad-utf8", True, b"\xff\xfe"),
        ("fault-echo-secret", False, b"Bearer sk-secret"),
        ("fault-echo-secret-mid-stream", True, b"Bearer sk-secret"),
        ("fault-gzip-lie", False, b"content-encoding: gzip"),
        ("fault-cut-tool-call", True, b" repub"),
        ("fault-huge-usage", False, b"1000000000000000000"),
        ("fault-negative-usage", True, b"-1000000"),
        ("fault-held-back", True, b'"completion_tokens":3,'),
        ("fault-held-back-0", False, b'"completion_tokens":0,'),
        ("fault-redirect", False, b"location: http://169.254.169.254/"),
        ("fault-drip-0", False, b"w0 w1 w2"),
        ("fault-drip-header-0", True, b"[DONE]"),
    ],
)
def test_faults_leave_their_mark(mock: MockLLM, model: str, stream: bool, mark: bytes) -> None:
    assert mark in exchange_raw(mock, model, stream=stream)


def test_split_characters_arrive_whole(client: openai.OpenAI) -> None:
    chunks = client.chat.completions.create(model="fault-split-utf8", messages=HELLO, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "春眠不觉晓处处闻啼鸟"


def test_a_flaky_upstream_recovers(client: openai.OpenAI) -> None:
    for _ in range(2):
        with pytest.raises(openai.InternalServerError):
            client.chat.completions.create(model="fault-flaky-2", messages=HELLO)
    assert client.chat.completions.create(model="fault-flaky-2", messages=HELLO).usage.completion_tokens == 8


def test_a_long_line_is_20_megabytes(mock: MockLLM) -> None:
    assert len(exchange_raw(mock, "fault-long-line", stream=True)) > 20 * 1024 * 1024


def test_a_refusing_url_refuses(mock: MockLLM) -> None:
    with (
        mock.refusing_url() as url,
        openai.OpenAI(base_url=url, api_key="x", max_retries=0) as client,
        pytest.raises(openai.APIConnectionError),
    ):
        client.models.list()


def test_the_ledger_file_has_a_line_per_request(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with running_mockllm("--ledger", str(path)) as mock:
        exchange_raw(mock, "mock")
        exchange_raw(mock, "fault-reset-mid-stream", stream=True)
        mock.wait_for(lambda entries: len(entries) == 2 and entries[1]["outcome"] == "aborted")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["model"], line["tokens_sent"]) for line in lines] == [
        ("mock", 8),
        ("fault-reset-mid-stream", 3),
    ]


@pytest.mark.parametrize("model", ["mock", "mock-slow-5", "mock-tokens-6-1-2"])
def test_answers_from_memory_are_the_same(mock: MockLLM, model: str) -> None:
    with running_mockllm("--fast") as fast:
        for stream in (False, True):
            texts = []
            for server in (mock, fast, fast, fast):  # the second time the fast one knows the body
                with openai.OpenAI(base_url=server.base_url, api_key="x", max_retries=0) as client:
                    if stream:
                        chunks = list(
                            client.chat.completions.create(
                                model=model,
                                messages=HELLO,
                                stream=True,
                                stream_options={"include_usage": True},
                            )
                        )
                        texts.append(
                            (
                                "".join(
                                    chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices
                                ),
                                chunks[-1].usage.total_tokens,
                            )
                        )
                    else:
                        answer = client.chat.completions.create(model=model, messages=HELLO)
                        texts.append((answer.choices[0].message.content, answer.usage.total_tokens))
            assert len(set(texts)) == 1
        assert fast.ledger() == []
