"""What Cohere (version 2) is sent, and what it lists, by its published description; nobody has asked
the vendor.
"""

import base64
import json
import struct

import pytest

from foundation.errors import InvalidInput, UpstreamError
from gateway.answers.billed import billed_usage
from models_registry import services
from models_registry.platform.models import Model
from models_registry.providers.table import PROVIDERS
from tests.gateway.test_cohere import ask
from tests.models_registry.provider import running_provider

WEATHER = {"type": "function", "function": {"name": "weather", "strict": True, "description": "of a place"}}
CLOCK = {"type": "function", "function": {"name": "clock", "parameters": {"type": "object"}}}


# -- requests ------------------------------------------------------------------------------------------------


def test_openais_messages_are_written_as_it_knows_them():
    said = {
        "role": "assistant",
        "content": None,
        "refusal": "no",
        "annotations": [],
        "reasoning_content": "x",
    }
    use = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "hi"}], "name": "bob"},
        said | {"tool_calls": [use], "reasoning": "x"},
        {"role": "tool", "tool_call_id": "c1", "content": "3 °C"},
    ]
    _answer, call, vendor = ask(messages=messages)
    (asked,) = vendor.asked
    assert call.status == "ok" and asked.body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "hi"}]},
        {"role": "assistant", "tool_calls": [use]},
        {"role": "tool", "tool_call_id": "c1", "content": "3 °C"},
    ]
    assert messages[1]["name"] == "bob" and messages[2]["content"] is None, "another candidate gets OpenAI's"


def test_openais_fields_are_written_as_it_knows_them():
    unsaid = {"n": 1, "user": "u", "store": False, "service_tier": "auto", "metadata": {}}
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
    _answer, call, vendor = ask(
        max_completion_tokens=70,
        top_p=1,
        top_k=5,
        stop="END",
        seed=3,
        response_format=schema,
        reasoning_effort="none",
        stream_options={"include_usage": True},
        **unsaid,
    )
    asked, again = vendor.asked  # its double speaks no JSON
    assert again.body["response_format"] == asked.body["response_format"]
    assert call.error_code == "upstream_broken_form"
    assert (asked.path, asked.key) == ("/v2/chat", "Bearer co-0123456789")
    assert asked.body == {
        "model": "command-a-03-2025",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "max_tokens": 100,
        "p": 0.99,
        "k": 5,
        "stop_sequences": ["END"],
        "seed": 3,
        "response_format": {"type": "json_object", "json_schema": {"type": "object"}},
        "thinking": {"type": "disabled"},
    }


@pytest.mark.parametrize(
    ("choice", "theirs", "names"),
    [
        (None, None, ["weather", "clock"]),
        ("auto", None, ["weather", "clock"]),
        ("none", "NONE", ["weather", "clock"]),
        ("required", "REQUIRED", ["weather", "clock"]),
        ({"type": "function", "function": {"name": "clock"}}, "REQUIRED", ["clock"]),
    ],
)
def test_tools_and_which_of_them_is_called(choice, theirs, names):
    more = {} if choice is None else {"tool_choice": choice}
    _answer, call, vendor = ask(tools=[WEATHER, CLOCK], **more)
    (body,) = vendor.bodies
    assert call.finish_reason == "tool_calls" and body.get("tool_choice") == theirs
    assert [one["function"]["name"] for one in body["tools"]] == names
    assert all(one["function"]["parameters"]["type"] == "object" for one in body["tools"])
    assert body.get("strict_tools", False) is ("weather" in names) and WEATHER["function"]["strict"] is True


@pytest.mark.parametrize(
    "broken",
    [
        {"tools": [{"type": "function"}]},
        {"tools": [CLOCK], "tool_choice": {"type": "function", "function": {"name": "none"}}},
        {"tools": [CLOCK], "tool_choice": {"type": "custom"}},
    ],
)
def test_tools_of_another_shape_are_for_cohere_to_refuse(broken):
    refusal = b'{"id":"x","message":"invalid request: no valid tools"}'
    answer, _call, vendor = ask(lambda body: (422, refusal), **broken)
    assert isinstance(answer["error"], InvalidInput) and "no valid tools" in answer["message"]
    assert vendor.bodies[0].items() >= broken.items()


# -- vectors -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("texts", ["one", ["one", "two"]])
def test_vectors_of_texts(texts):
    answer, call, vendor = ask(input=texts, dimensions=2, user="u", stream=False)
    count = len(texts) if isinstance(texts, list) else 1
    assert [one["embedding"] for one in answer["data"]] == [[0.5, 0.25]] * count
    assert answer["usage"]["prompt_tokens"] == 5 == billed_usage(call)[0].total_input
    assert vendor.bodies == [
        {
            "model": "command-a-03-2025",
            "texts": texts if isinstance(texts, list) else [texts],
            "input_type": "search_document",
            "embedding_types": ["float"],
            "truncate": "NONE",
            "output_dimension": 2,
        }
    ]


@pytest.mark.parametrize(("kinds", "vector"), [(["int8"], [1, 2]), (["int8", "float"], [0.5, 0.25])])
def test_vectors_of_the_kind_that_was_asked_for_also_in_base64(kinds, vector):
    own = {"input_type": "search_query", "embedding_types": kinds, "truncate": "END"}
    answer, _call, vendor = ask(input="one", encoding_format="base64", stream=False, **own)
    packed = base64.b64decode(answer["data"][0]["embedding"])
    assert list(struct.unpack("<2f", packed)) == vector
    assert vendor.bodies[0].items() >= own.items()


@pytest.mark.parametrize("tokens", [[1, 2], [[1], [2]], ["a", [1]]])
def test_tokens_are_refused_before_it_is_asked(tokens):
    answer, call, vendor = ask(input=tokens, stream=False)
    assert isinstance(answer["error"], InvalidInput) and answer["error"].param == "input"
    assert vendor.asked == [] and not call.was_dispatched


# -- its list of models --------------------------------------------------------------------------------------

LISTED = {
    "models": [
        {"name": "command-a-03-2025", "endpoints": ["generate", "chat"], "context_length": 288_000},
        {"name": "embed-v4.0", "endpoints": ["embed", "classify"], "context_length": 8_192},
        {"name": "rerank-v3.5", "endpoints": ["rerank"], "context_length": 4_096.0},
        {"name": "5ad1-ft", "endpoints": ["classify"], "context_length": 512},
        {"name": "c4ai-aya-expanse-32b", "endpoints": [], "context_length": 128_000},
        "none",
    ],
    "next_page_token": "",
}


@pytest.mark.scope("platform")
def test_its_models_are_listed_by_another_version_than_they_are_asked_by(db):
    with running_provider() as provider:
        provider.body = json.dumps(LISTED).encode()
        address = provider.base_url.replace("/v1", "/v2")
        row = services.add_connection(
            actor=None,
            name="Cohere",
            kind="cohere",
            base_url=address,
            allow_private=True,
            secret="co-0123456789",
        )
        report = services.sync_catalogue(actor=None, connection=row)
        assert provider.paths == ["/v1/models?page_size=1000"] and report.skipped == 2
        assert provider.seen[0]["authorization"] == "Bearer co-0123456789"
    models = {row.name: (row.kind, row.context_window) for row in Model.objects.all()}
    assert models == {
        "command-a-03-2025": ("chat", 288_000),
        "embed-v4.0": ("embedding", 8_192),
        "rerank-v3.5": ("rerank", 4_096),
        "c4ai-aya-expanse-32b": ("chat", 128_000),
    }


@pytest.mark.parametrize("body", [{}, [], {"models": None}, {"data": [{"id": "x"}]}])
def test_what_is_no_list_of_its_models(body):
    with pytest.raises(UpstreamError):
        PROVIDERS["cohere"].read_catalogue(body)
