"""Whatever stands in whatever field of an answer: its client gets an answer or a clear error, in its own
dialect, and nothing of ours breaks on it. By day each place gets every third kind of nonsense.
"""

import copy
import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from foundation.egress import PRIVATE
from foundation.egress.data_plane import open_session
from foundation.errors import AtriumError, UpstreamError
from gateway import pipeline
from gateway.calls import Call, Operation, Principal
from gateway.operations import chat_completions, embeddings, messages, rerank
from models_registry.routes import Candidate
from tests.doubles.anthropic import ANSWER, TOOLS, WHOLE, WHOLE_TOOLS
from tests.doubles.vendor import running_vendor
from tests.gateway.calling import collaborators, make_endpoint, make_route
from tests.gateway.test_nonsense_in_fields import places_of, tried_at

THOUGHT = {"type": "thinking", "thinking": "t", "signature": "s"}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":'}}
USAGE = {
    "prompt_tokens": 5,
    "completion_tokens": 5,
    "total_tokens": 10,
    "prompt_tokens_details": {"cached_tokens": 1},
    "completion_tokens_details": {"reasoning_tokens": 1},
}


def chunk(reason: str | None = None, **delta: Any) -> dict:
    choice = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


OPENAIS = [
    chunk(role="assistant", content="Hi", reasoning_content="t", thinking_blocks=[THOUGHT], refusal=None),
    chunk(tool_calls=[{"index": 0, **CALL}]),
    chunk(tool_calls=[{"index": 0, "function": {"arguments": "1}"}}]),
    chunk("tool_calls"),
    {"choices": [], "usage": USAGE},
]
MESSAGE = {
    "role": "assistant",
    "content": "Hi",
    "reasoning_content": "t",
    "thinking_blocks": [THOUGHT],
    "tool_calls": [CALL],
    "refusal": None,
}
OPENAIS_WHOLE = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": MESSAGE, "finish_reason": "tool_calls", "stop_reason": "x"}],
    "usage": USAGE,
}
BODIES = {
    embeddings.OPERATION: {"input": "a"},
    rerank.OPERATION: {"query": "a", "documents": ["b"]},
}
NONSENSE = (None, "x", [], [None], {}, 7)
COHERES = {
    "id": "c",
    "message": {
        "role": "assistant",
        "content": [{"type": "thinking", "thinking": "t"}, {"type": "text", "text": "Hi"}],
        "tool_plan": "p",
        "tool_calls": [CALL],
    },
    "finish_reason": "TOOL_CALL",
    "usage": {"billed_units": {"input_tokens": 1, "output_tokens": 1}, "tokens": {"input_tokens": 2}},
}
CUSTOM = {"id": "c2", "type": "custom", "function": {"name": "f", "arguments": "{}"}}
CUSTOM_WHOLE = {"choices": [{"message": {"content": None, "tool_calls": [CALL, CUSTOM]}}], "usage": USAGE}
VECTORS = {"embeddings": {"float": [[0.5]]}, "meta": {"billed_units": {"input_tokens": 1}}, "id": "v"}
EMBEDDED = {"data": [{"index": 0, "embedding": [0.5]}], "usage": {"prompt_tokens": 1, "total_tokens": 1}}
RANKED = {"results": [{"index": 0, "relevance_score": 0.5}], "meta": {"billed_units": {"search_units": 1}}}


def events_of(stream: list[bytes]) -> list[dict]:
    return [json.loads(event.split(b"data: ", 1)[1]) for event in stream]


ANSWERS = {
    "Claude's thoughts": ("anthropic", True, events_of(ANSWER)),
    "Claude's calls": ("anthropic", True, events_of(TOOLS)),
    "Claude's whole answer": ("anthropic", False, [json.loads(WHOLE)]),
    "Claude's whole calls": ("anthropic", False, [json.loads(WHOLE_TOOLS)]),
    "Claude's whole calls for a stream": ("anthropic", True, [json.loads(WHOLE_TOOLS)]),
    "OpenAI's stream": ("openai_compatible", True, OPENAIS),
    "OpenAI's whole answer": ("openai_compatible", False, [OPENAIS_WHOLE]),
    "OpenAI's whole answer for a stream": ("openai_compatible", True, [OPENAIS_WHOLE]),
    "OpenAI's whole answer of Claude": ("anthropic", False, [OPENAIS_WHOLE | {"content_blocks": []}]),
    "Custom calls": ("openai_compatible", False, [CUSTOM_WHOLE]),
    "Cohere's whole answer": ("cohere", False, [COHERES]),
}


def with_nonsense(events: list[dict], by_day: int = 1) -> Iterator[tuple[Any, list]]:
    for number, event in enumerate(events):
        for turn, place in enumerate(places_of(event)):
            for nonsense in tried_at(turn, NONSENSE, by_day):
                changed = copy.deepcopy(events)
                inner: Any = changed[number]
                for name in place[:-1]:
                    inner = inner[name]
                inner[place[-1]] = nonsense
                yield (number, place, nonsense), changed


def write(events: list[dict]) -> bytes:
    if len(events) == 1:
        return json.dumps(events[0]).encode()
    frames = [b"data: " + json.dumps(event).encode() + b"\n\n" for event in events]
    return b"".join([*frames, b"data: [DONE]\n\n"])


def make_call(operation: Operation, url: str, kind: str, *, stream: bool) -> Call:
    body = BODIES.get(operation, {"max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]})
    body = {"model": "ours", **body}
    principal = Principal("acme", uuid4(), uuid4())
    call = operation.parse(json.dumps(body | {"stream": stream}).encode(), principal, uuid4())
    route = make_route([make_endpoint(url, kind=kind)], "claude-sonnet-4-5")
    call.candidates = [Candidate(route, target, route.name) for target in route.targets]
    call.begin_attempt(call.candidates[0])
    return call


async def hear(call: Call, client: Any) -> str:
    """What broke; nothing, where an answer came or an error that says why not."""
    try:
        if not call.wants_stream:
            json.loads(await pipeline.complete(call, collaborators(client)))
            return ""
        body = b"".join([part async for part in pipeline.stream(call, collaborators(client))])
        for line in body.decode().splitlines():
            if line.startswith("data: {"):
                json.loads(line.removeprefix("data: "))
    except AtriumError as exc:
        return exc.code if exc.http_status == 500 else ""
    except Exception as exc:
        return repr(exc)
    return ""


@pytest.mark.parametrize(("kind", "stream", "events"), ANSWERS.values(), ids=ANSWERS)
@pytest.mark.usefixtures("short_pauses")
async def test_no_nonsense_in_any_field_of_an_answer_breaks_anything(kind, stream, events):
    said = [b""]
    broken = []
    routes = dict.fromkeys(("/v1/messages", "/v1/chat/completions"), lambda _body: (200, said[0]))
    async with running_vendor(routes) as vendor, open_session(PRIVATE) as client:
        for place, changed in with_nonsense(events, by_day=3):
            said[0] = write(changed)
            for operation in (messages.OPERATION, chat_completions.OPERATION):
                call = make_call(operation, f"{vendor.url}/v1", kind, stream=stream)
                if what := await hear(call, client):
                    broken.append((operation.name, place, what))
    assert broken == []


@pytest.mark.parametrize(
    ("operation", "kind", "answer"),
    [
        (embeddings.OPERATION, "cohere", VECTORS),
        (embeddings.OPERATION, "openai_compatible", EMBEDDED),
        (rerank.OPERATION, "cohere", RANKED),
        (rerank.OPERATION, "openai_compatible", RANKED),
    ],
)
def test_no_nonsense_in_vectors_and_relevances_breaks_anything(operation, kind, answer):
    broken = []
    for place, changed in with_nonsense([answer]):
        call = make_call(operation, "http://nowhere/v1", kind, stream=False)
        try:
            json.loads(operation.read_answer(call, write(changed)))
        except AtriumError as exc:
            if exc.http_status == 500:
                broken.append((place, exc.code))
        except Exception as exc:
            broken.append((place, repr(exc)))
    assert broken == []


@pytest.mark.parametrize(
    "tool",
    [{"type": "custom", "function": "foo"}, {"type": "custom", "custom": {"name": "f"}}, {"type": "custom"}],
)
def test_a_call_of_nothing_is_no_answer_in_anthropics_dialect(tool):
    """Another endpoint is asked, if there is one."""
    call = make_call(messages.OPERATION, "http://nowhere/v1", "openai_compatible", stream=False)
    answer = {"choices": [{"message": {"content": None, "tool_calls": [tool]}}]}
    with pytest.raises(UpstreamError) as caught:
        messages.OPERATION.read_answer(call, json.dumps(answer).encode())
    assert caught.value.code == "upstream_invalid_response"
