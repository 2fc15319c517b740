"""Vendors that speak OpenAI's API with words of their own, as their documentation and public reports show
them: doubles refuse what the vendors refuse, and nobody has asked the vendors themselves.
"""

import asyncio
import json
from dataclasses import replace

import pytest

from foundation.egress import PRIVATE
from foundation.egress.data_plane import open_session
from foundation.errors import AtriumError, InvalidInput
from gateway import pipeline
from gateway.answers.billed import billed_usage
from gateway.answers.refusals import refusal
from gateway.calls import Call
from gateway.operations import messages
from models_registry.providers.openai_compatible.errors import read_error
from models_registry.providers.table import PROVIDERS
from tenants.sealing import Secret
from tests.doubles import vendor as doubles
from tests.doubles.vendors import (
    AZURE,
    DEEPSEEK,
    GROQ,
    LLAMACPP,
    MOONSHOT,
    TEXT,
    THOUGHT,
    TOO_LONG,
    VENDORS,
    XAI,
    Vendor,
)
from tests.gateway.calling import call_of, collaborators, make_endpoint, make_route
from tests.gateway.hearing import hear

ALL = pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.kind)
HELLO = {"role": "user", "content": "hi"}
CALLED = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"at": 1}'}}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "rain"}
CALLING = {"role": "assistant", "content": "", "tool_calls": [CALLED]}
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
PATHS = ("/openai/deployments/our-gpt/chat/completions", "/openai/deployments/other/chat/completions")
FORM = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": SCHEMA}}


def ask(
    vendor: Vendor, *, operation=None, base: str = "", model: str = "theirs", **body
) -> tuple[dict, Call, doubles.Asked]:
    """The whole answer, or the chunks of the stream as its `chunks`; and the only request that came."""

    async def run() -> tuple[dict, Call, list[doubles.Asked]]:
        routes = vendor.routes | dict.fromkeys(PATHS if base else (), vendor.answer)
        async with doubles.running_vendor(routes) as running, open_session(PRIVATE) as client:
            address = f"{running.url}{base or vendor.base}"
            fields = {"kind": vendor.kind, "secret": Secret("key-0123456789"), "origin": "tenant"}
            endpoint = make_endpoint(address, **fields)
            call = call_of(make_route([endpoint], model), **body)
            if operation is not None:
                call.operation = operation
            call.operation.check(call)
            if call.wants_stream:
                parts = [part async for part in pipeline.stream(call, collaborators(client))]
                return {"chunks": b"".join(parts)}, call, running.asked
            return json.loads(await pipeline.complete(call, collaborators(client))), call, running.asked

    answer, call, (asked,) = asyncio.run(run())
    return answer, call, asked


# -- what they send ------------------------------------------------------------------------------------------


@ALL
def test_a_stream_is_read_and_billed_as_the_vendor_counts(vendor):
    heard = hear(vendor.stream, wants_usage=True, kind=vendor.kind)
    assert (heard.text(), heard.inner_text, heard.error) == (TEXT, TEXT, None)
    assert heard.inner_reasoning == (THOUGHT if vendor.thoughts else "")
    assert heard.usage == vendor.usage
    chunks = [chunk for chunk in heard.chunks if chunk["choices"]]
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert all("delta" in chunk["choices"][0] for chunk in chunks)


@ALL
def test_a_whole_answer_is_read_and_billed_as_the_vendor_counts(vendor):
    answer, call, _asked = ask(vendor, stream=False)
    message = answer["choices"][0]["message"]
    assert message["content"] == TEXT
    assert not vendor.thoughts or message[vendor.thoughts] == THOUGHT
    usage, is_estimated = billed_usage(call)
    counted = usage.input_tokens, usage.cached_tokens, usage.output_tokens, usage.reasoning_tokens
    assert counted == vendor.usage and not is_estimated


@ALL
def test_its_key_travels_as_it_wants(vendor):
    _answer, _call, asked = ask(vendor)
    keys = {name: asked.headers.get(name) for name in ("Authorization", "api-key")}
    theirs = {"api-key": "key-0123456789"} if vendor is AZURE else {"Authorization": "Bearer key-0123456789"}
    assert keys == {"Authorization": None, "api-key": None} | theirs
    assert asked.path == f"{vendor.base}{vendor.path}"


@ALL
def test_schemas_are_kept_by_the_vendor_or_by_us(vendor):
    """DeepSeek refuses them; the JSON that it can promise is asked for, and the schema in words."""
    kept = PROVIDERS[vendor.kind].kept_formats
    assert ("json_schema" in kept) is (vendor in (XAI, AZURE, LLAMACPP))
    assert "json_object" in kept


# -- xAI -----------------------------------------------------------------------------------------------------


def test_xai_is_not_told_what_asks_for_nothing():
    nothing = {"presence_penalty": 0, "frequency_penalty": 0.0, "stop": []}
    _answer, call, asked = ask(XAI, temperature=0, **nothing)
    assert call.status == "ok" and not asked.body.keys() & nothing.keys() and asked.body["temperature"] == 0


def test_what_xai_refuses_is_told_in_its_words():
    with pytest.raises(InvalidInput) as caught:
        ask(XAI, presence_penalty=0.5)
    assert "does not support parameter presencePenalty" in str(caught.value.message)


def test_xais_wrong_key_is_not_the_callers_fault_nor_shown():
    body = {
        "code": "Client specified an invalid argument",
        "error": "Incorrect API key provided: xai-0123***89. You can obtain an API key from the console.",
    }
    told = refusal(400, read_error(json.dumps(body).encode()), {}, make_endpoint("https://api.x.ai/v1"))
    assert told.code == "upstream_credentials" and "xai-" not in str(told.message)
    body["error"] = "Argument not supported: xai-0123456789ab"
    told = refusal(400, read_error(json.dumps(body).encode()), {}, make_endpoint("https://api.x.ai/v1"))
    assert isinstance(told, InvalidInput) and "xai-" not in str(told.message)


def test_xai_lists_the_models_that_chat():
    listed = {
        "id": "grok-4.5",
        "object": "model",
        "input_modalities": ["text"],
        "output_modalities": ["text"],
    }
    provider = PROVIDERS["xai"]
    assert provider.catalogue_url(provider.base_url).endswith("/v1/language-models")
    assert [one.name for one in provider.read_catalogue({"models": [listed]}).models] == ["grok-4.5"]


# -- DeepSeek and Moonshot: what was thought before a call of tools is wanted back ---------------------------


@pytest.mark.parametrize("vendor", [DEEPSEEK, MOONSHOT], ids=lambda vendor: vendor.kind)
def test_clients_that_keep_no_thoughts_go_on_after_a_call_of_tools(vendor):
    history = [HELLO, dict(CALLING), RESULT]
    _answer, call, asked = ask(vendor, messages=history)
    assert call.status == "ok" and history[1] == CALLING, "another candidate gets what the caller sent"
    if vendor is DEEPSEEK:  # it answers without thinking
        assert asked.body["thinking"] == {"type": "disabled"}
    else:  # some of its models cannot but think
        assert asked.body["messages"][1]["reasoning_content"] == " " and "thinking" not in asked.body


@pytest.mark.parametrize("vendor", [DEEPSEEK, MOONSHOT], ids=lambda vendor: vendor.kind)
def test_thoughts_that_a_client_sends_back_arrive(vendor):
    _answer, _call, asked = ask(vendor, messages=[HELLO, {**CALLING, "reasoning_content": THOUGHT}, RESULT])
    assert asked.body["messages"][1]["reasoning_content"] == THOUGHT and "thinking" not in asked.body


@pytest.mark.parametrize("vendor", [DEEPSEEK, MOONSHOT], ids=lambda vendor: vendor.kind)
def test_thoughts_in_anthropics_dialect_arrive_as_text(vendor):
    thought = {"type": "thinking", "thinking": THOUGHT, "signature": ""}
    history = [HELLO, {**CALLING, "thinking_blocks": [thought]}, RESULT]
    _answer, _call, asked = ask(vendor, operation=messages.OPERATION, messages=history)
    said = asked.body["messages"][1]
    assert said["reasoning_content"] == THOUGHT and "thinking_blocks" not in said


def test_thoughts_in_anthropics_dialect_reach_nobody_else():
    thought = {"type": "thinking", "thinking": THOUGHT, "signature": ""}
    history = [HELLO, {**CALLING, "thinking_blocks": [thought]}, RESULT]
    _answer, _call, asked = ask(LLAMACPP, operation=messages.OPERATION, messages=history)
    assert "reasoning_content" not in asked.body["messages"][1]


@pytest.mark.parametrize("vendor", [DEEPSEEK, MOONSHOT], ids=lambda vendor: vendor.kind)
def test_no_effort_is_no_thinking(vendor):
    _answer, _call, asked = ask(vendor, reasoning_effort="none")
    assert asked.body["thinking"] == {"type": "disabled"} and "reasoning_effort" not in asked.body
    _answer, _call, asked = ask(vendor, reasoning_effort="high")
    assert asked.body["reasoning_effort"] == "high" and "thinking" not in asked.body
    _answer, _call, asked = ask(vendor, reasoning_effort="none", thinking={"type": "enabled"})
    assert asked.body["thinking"] == {"type": "enabled"}, "whoever knows the field is left alone"


def test_deepseek_gets_a_schema_in_words():
    given, _call, asked = ask(replace(DEEPSEEK, text='{"a": 1}'), stream=False, response_format=FORM)
    assert asked.body["response_format"] == {"type": "json_object"}
    assert '"required":["a"]' in asked.body["messages"][0]["content"]
    assert json.loads(given["choices"][0]["message"]["content"]) == {"a": 1}


def test_moonshot_goes_on_with_an_answer_that_has_begun():
    begun = {"role": "assistant", "content": "One, two"}
    _answer, _call, asked = ask(MOONSHOT, messages=[HELLO, begun])
    assert asked.body["messages"] == [HELLO, {**begun, "partial": True}]


def test_moonshots_empty_account_is_no_limit_that_waiting_helps():
    message = "Your account org-1 <ak-1> is suspended, please recharge your account"
    body = {"error": {"message": message, "type": "exceeded_current_quota_error"}}
    told = refusal(429, read_error(json.dumps(body).encode()), {}, make_endpoint("https://x.example/v1"))
    assert told.code == "upstream_quota"
    body["error"]["type"] = "engine_overloaded_error"
    told = refusal(429, read_error(json.dumps(body).encode()), {}, make_endpoint("https://x.example/v1"))
    assert told.code == "upstream_rate_limited"


# -- Groq ----------------------------------------------------------------------------------------------------


def test_groq_gets_no_field_that_it_refuses_and_that_changes_nothing():
    said = {"role": "assistant", "content": "Hm", "name": "bob", "reasoning": "x", "reasoning_content": "x"}
    _answer, call, asked = ask(
        GROQ, messages=[HELLO, said, HELLO], safety_identifier="u", user="u", prompt_cache_key="k"
    )
    assert call.status == "ok" and asked.body["messages"][1] == {"role": "assistant", "content": "Hm"}
    assert asked.body["max_completion_tokens"] == 100 and "max_tokens" not in asked.body


def test_what_groq_does_not_know_is_refused_by_name():
    with pytest.raises(InvalidInput) as caught:
        ask(GROQ, logprobs=True)
    assert "property 'logprobs' is unsupported" in str(caught.value.message)


def test_a_stream_that_groq_stops_is_told_as_broken_off():
    broken = [*GROQ.stream[:3], b'data: {"choices":[],"x_groq":{"id":"r","error":"over capacity"}}\n\n']
    heard = hear(broken, kind="groq")
    assert heard.text() == "Paris " and "over capacity" in heard.error["message"]


def test_groqs_catalogue_tells_voices_and_what_cannot_be_called():
    def card(name: str, **more) -> dict:
        return {"id": name, "object": "model", "active": True, "context_window": 131_072, **more}

    cards = [
        card("openai/gpt-oss-120b", max_completion_tokens=65_536),
        card("whisper-large-v3"),
        card("canopylabs/orpheus-v1-english"),
        card("old", active=False),
    ]
    models = PROVIDERS["groq"].read_catalogue({"object": "list", "data": cards}).models
    assert [(one.name, one.kind, one.max_output_tokens) for one in models] == [
        ("openai/gpt-oss-120b", "chat", 65_536),
        ("whisper-large-v3", "transcription", None),
        ("canopylabs/orpheus-v1-english", "speech", None),
    ]


# -- Azure ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "path"),
    [("/openai", PATHS[0]), ("/openai/deployments", PATHS[0]), ("/openai/deployments/other", PATHS[1])],
)
def test_azures_older_api_has_the_deployment_in_its_path_and_a_version(base, path):
    _answer, call, asked = ask(AZURE, base=base, model="our-gpt")
    assert (asked.path, asked.query, call.status) == (path, "api-version=2024-10-21", "ok")


def test_azures_newer_api_has_the_deployment_in_the_body_and_no_version():
    _answer, _call, asked = ask(AZURE, model="our-gpt")
    assert (asked.path, asked.query, asked.body["model"]) == ("/openai/v1/chat/completions", "", "our-gpt")


def test_a_deployment_is_one_piece_of_the_path():
    address = PROVIDERS["azure"].operation_url("https://x.example/openai", "embeddings", "../a?b")
    assert address == "https://x.example/openai/deployments/..%2Fa%3Fb/embeddings?api-version=2024-10-21"


def test_what_azures_filter_refuses_is_told_with_its_code_and_without_addresses():
    with pytest.raises(InvalidInput) as caught:
        ask(AZURE, messages=[{"role": "user", "content": "violence"}])
    assert (caught.value.code, caught.value.param) == ("content_filter", "prompt")
    assert "content management policy" in str(caught.value.message)
    assert "https://" not in str(caught.value.message)


def test_notes_are_not_sent_to_azure():
    _answer, call, asked = ask(AZURE, metadata={"a": "b"})
    assert call.status == "ok" and "metadata" not in asked.body


@pytest.mark.parametrize(
    ("base", "address"),
    [
        ("https://x.example/openai/v1", "https://x.example/openai/v1/models"),
        ("https://x.example/openai", "https://x.example/openai/models?api-version=2024-10-21"),
        ("https://x.example/openai/deployments/a", "https://x.example/openai/models?api-version=2024-10-21"),
    ],
)
def test_azure_lists_what_may_be_deployed_which_offers_nothing(base, address):
    provider = PROVIDERS["azure"]
    found = provider.read_catalogue({"data": [{"id": "gpt-4o", "capabilities": {"inference": True}}]})
    assert provider.catalogue_url(base) == address
    assert (found.models, found.skipped, found.is_whole) == ([], 1, False)
    with pytest.raises(AtriumError):
        provider.read_catalogue({"error": {"code": "401"}})


# -- llama.cpp -----------------------------------------------------------------------------------------------


def test_llamacpp_finds_the_schema_in_both_places_where_it_may_look():
    saying = replace(LLAMACPP, text='{"a": 1}')
    _answer, _call, asked = ask(saying, stream=False, response_format=FORM)
    assert asked.body["response_format"] == {**FORM, "schema": SCHEMA}
    _answer, _call, asked = ask(LLAMACPP, response_format={"type": "json_object"})
    assert asked.body["response_format"] == {"type": "json_object"}


def test_llamacpps_refusal_of_too_long_a_request_is_known():
    told = refusal(400, read_error(json.dumps(TOO_LONG).encode()), {}, make_endpoint("http://x.example/v1"))
    assert told.code == "context_length_exceeded"


def test_llamacpps_grammar_passes():
    _answer, _call, asked = ask(LLAMACPP, grammar='root ::= "yes" | "no"')
    assert asked.body["grammar"] == 'root ::= "yes" | "no"'
