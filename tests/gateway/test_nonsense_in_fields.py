"""Whatever stands in whatever field of a request: it is refused by its place or reaches the provider, and
nothing of ours breaks on it.

By day each place gets every third kind of nonsense, its neighbours the others; `ATRIUM_PROOF=night` tries
all of them at each.
"""

import copy
import json
import os
from collections.abc import Iterator, Sequence
from typing import Any

import orjson
import pytest

from foundation.errors import AtriumError
from foundation.ids import uuid7
from gateway.operations import chat_completions, completions, embeddings, messages, rerank
from gateway.operations.messages.count import OPERATION as COUNT
from gateway.operations.messages.count import estimate
from gateway.state.quirks import USUAL
from gateway.steps.auto import list_needs
from gateway.steps.choose import find_beginning
from gateway.steps.dispatch import upstream_body
from models_registry.providers import table
from models_registry.routes import Candidate
from tests.gateway.calling import make_endpoint, make_route
from tests.gateway.parsing import PRINCIPAL

PNG = "iVBORw0KGgo="
MARK = {"type": "ephemeral", "ttl": "1h"}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
FUNCTION = {"name": "f", "description": "F.", "parameters": SCHEMA, "strict": True}
OPENAIS = {
    "model": "ours",
    "messages": [
        {"role": "system", "content": "s"},
        {
            "role": "user",
            "name": "n",
            "content": [
                {"type": "text", "text": "t", "cache_control": MARK},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "low"}},
                {"type": "file", "file": {"filename": "f", "file_data": "data:text/plain;base64,aGk="}},
            ],
        },
        {
            "role": "assistant",
            "content": "c",
            "refusal": "r",
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            "function_call": {"name": "f", "arguments": "{}"},
            "thinking_blocks": [{"type": "thinking", "thinking": "t", "signature": "s"}],
            "reasoning_content": "t",
        },
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "t"}]},
        {"role": "assistant", "content_blocks": [{"type": "text", "text": "t"}], "content": "t"},
        {"role": "user", "content": "u"},
    ],
    "tools": [{"type": "function", "function": FUNCTION, "cache_control": MARK}],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "functions": [FUNCTION],
    "function_call": {"name": "f"},
    "parallel_tool_calls": False,
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "n", "schema": SCHEMA, "strict": True},
    },
    "stream": True,
    "stream_options": {"include_usage": True},
    "stop": ["x"],
    "temperature": 1,
    "top_p": 1,
    "top_k": 5,
    "n": 1,
    "logprobs": True,
    "top_logprobs": 2,
    "logit_bias": {"1": 1},
    "max_tokens": 2_000,
    "max_completion_tokens": 2_000,
    "reasoning_effort": "high",
    "thinking": {"type": "enabled", "budget_tokens": 1_024},
    "cache_control": MARK,
    "metadata": {"a": "b"},
    "modalities": ["text"],
    "user": "u",
    "safety_identifier": "s",
    "prompt_cache_key": "k",
}
ANTHROPICS = {
    "model": "ours",
    "max_tokens": 2_000,
    "system": [{"type": "text", "text": "s", "cache_control": MARK}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "t", "cache_control": MARK, "citations": []},
                {
                    "type": "image",
                    "source": {"type": "base64", "media_type": "image/png", "data": PNG},
                    "cache_control": MARK,
                },
                {
                    "type": "document",
                    "source": {"type": "content", "content": [{"type": "text", "text": "t"}]},
                    "title": "t",
                    "context": "c",
                    "citations": {"enabled": True},
                },
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "d"}},
                {
                    "type": "document",
                    "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
                },
                {
                    "type": "search_result",
                    "source": "s",
                    "title": "t",
                    "content": [{"type": "text", "text": "t"}],
                },
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "t", "signature": "s"},
                {"type": "redacted_thinking", "data": "d"},
                {"type": "text", "text": "t"},
                {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}},
                {"type": "text", "text": "t"},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "c1",
                    "is_error": True,
                    "content": [
                        {"type": "text", "text": "t"},
                        {
                            "type": "image",
                            "source": {"type": "base64", "media_type": "image/png", "data": PNG},
                        },
                    ],
                },
                {"type": "mid_conv_system", "content": "s"},
            ],
        },
    ],
    "tools": [
        {"name": "f", "description": "d", "input_schema": SCHEMA, "strict": True, "cache_control": MARK}
    ],
    "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 1_024},
    "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": SCHEMA}},
    "stop_sequences": ["x"],
    "temperature": 1,
    "top_p": 1,
    "top_k": 5,
    "stream": True,
    "metadata": {"user_id": "u"},
    "cache_control": MARK,
    "service_tier": "auto",
}
SOUND = [{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "flac"}}]
CALLED = {
    "model": "ours",
    "messages": [
        {
            "role": "assistant",
            "content_blocks": [{"type": "text", "text": "t"}],
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            "function_call": {"name": "f", "arguments": "{}"},
        },
        {"role": "user", "content": "u"},
    ],
}
HEARD = {
    **OPENAIS,
    "audio": {"voice": "v", "format": "wav"},
    "messages": [{"role": "user", "content": SOUND}, {"role": "assistant", "audio": {"id": "a"}}],
}
TEXTS = {
    "model": "ours",
    "prompt": ["a", "b"],
    "max_tokens": 5,
    "n": 2,
    "best_of": 2,
    "echo": True,
    "logprobs": 2,
    "suffix": "s",
    "stop": ["x"],
    "user": "u",
    "logit_bias": {"1": 1},
    "model_tokens": True,
}
RANKED = {
    "model": "ours",
    "query": "q",
    "documents": ["a", {"text": "b"}],
    "top_n": 1,
    "return_documents": True,
    "user": "u",
}
EMBEDDED = {
    "model": "ours",
    "input": ["a", "b"],
    "dimensions": 5,
    "encoding_format": "base64",
    "user": "u",
    "model_tokens": True,
}
BODIES = {
    "chat_completions": (chat_completions.OPERATION, OPENAIS),
    "calls without tools": (chat_completions.OPERATION, CALLED),
    "sound": (chat_completions.OPERATION, HEARD),
    "messages": (messages.OPERATION, ANTHROPICS),
    "count_tokens": (COUNT, ANTHROPICS),
    "completions": (completions.OPERATION, TEXTS),
    "rerank": (rerank.OPERATION, RANKED),
    "embeddings": (embeddings.OPERATION, EMBEDDED),
}
NONSENSE = (
    None,
    True,
    0,
    -1,
    1.5,
    10**18,
    "",
    " ",
    "x",
    "\ud800",
    [],
    {},
    [None],
    [[]],
    [{}],
    ["x"],
    {"": 1},
)


def places_of(value: Any, place: tuple = ()) -> Iterator[tuple]:
    if isinstance(value, dict | list):
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield (*place, name)
            yield from places_of(inner, (*place, name))


def tried_at(number: int, nonsense: Sequence, by_day: int) -> Sequence:
    """What stands in the place of this number: by night everything, by day one of so many, in turn."""
    return nonsense if os.environ.get("ATRIUM_PROOF") == "night" else nonsense[number % by_day :: by_day]


def with_nonsense(body: dict, place: tuple, nonsense: Any) -> bytes:
    body = copy.deepcopy(body)
    inner = body
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = nonsense
    return json.dumps(body).encode()


def go_through(operation: Any, raw: bytes) -> None:
    """What the steps do with a body before it is sent, at each kind of provider."""
    call = operation.parse(raw, PRINCIPAL, uuid7())
    if call.form is not None:
        call.form.verify()
    list_needs(call)
    find_beginning(call)
    if operation is COUNT:
        estimate(call.body)
    for kind, provider in table.PROVIDERS.items():
        if operation.upstream_name not in provider.paths and operation is not COUNT:
            continue
        if operation is COUNT and kind != "anthropic":
            continue
        for model in ("claude-opus-4-7", "claude-sonnet-4-5") if kind == "anthropic" else ("theirs",):
            route = make_route([make_endpoint("http://x/v1", kind=kind)], model)
            call.candidates = [Candidate(route, target, "ours") for target in route.targets]
            call.begin_attempt(call.candidates[0])
            try:
                upstream_body(call, "max_tokens", USUAL, 2_000)
            except AtriumError:
                continue


@pytest.mark.parametrize("name", BODIES)
def test_no_nonsense_in_any_field_breaks_anything(name):
    operation, body = BODIES[name]
    broken = []
    go_through(operation, orjson.dumps(body))
    for number, place in enumerate(places_of(body)):
        for nonsense in tried_at(number, NONSENSE, 3):
            try:
                go_through(operation, with_nonsense(body, place, nonsense))
            except AtriumError as exc:
                if exc.http_status >= 500:
                    broken.append((place, nonsense, exc.code))
            except Exception as exc:
                broken.append((place, nonsense, repr(exc)))
    assert broken == []
