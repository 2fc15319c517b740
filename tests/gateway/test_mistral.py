"""Mistral AI as its documentation and public reports of its users show it; nobody has asked the vendor."""

import asyncio
import json

import orjson
import pytest

from foundation.egress import PRIVATE
from foundation.egress.data_plane import open_session
from gateway import pipeline
from gateway.answers.billed import billed_usage
from gateway.calls import Call
from gateway.deltas import Finish, Reasoning, Text, ToolCall
from gateway.operations import embeddings
from models_registry.providers.table import PROVIDERS
from tenants.sealing import Secret
from tests.doubles.vendor import Vendor, running_vendor
from tests.gateway.calling import call_of, collaborators, make_endpoint, make_route
from tests.gateway.hearing import hear

KNOWN = {
    "/v1/chat/completions": {
        "model", "messages", "temperature", "top_p", "max_tokens", "stream", "stop", "random_seed",
        "metadata", "response_format", "tools", "tool_choice", "presence_penalty", "frequency_penalty",
        "n", "prediction", "parallel_tool_calls", "reasoning_effort", "prompt_mode", "guardrails",
        "prompt_cache_key", "safe_prompt",
    },
    "/v1/embeddings": {
        "model", "metadata", "input", "output_dimension", "output_dtype", "encoding_format",
    },
}  # fmt: skip
KNOWN_OF_MESSAGES = {"role", "content", "tool_calls", "prefix", "tool_call_id", "name"}
WHOLE = (
    b'{"id":"cmpl-e5cc70bb28c444948073e77776eb30ef","object":"chat.completion","created":1702256327,'
    b'"model":"magistral-medium-latest","choices":[{"index":0,"message":{"role":"assistant",'
    b'"tool_calls":null,"content":[{"type":"thinking","thinking":[{"type":"text","text":"Hm."}],'
    b'"closed":true},{"type":"text","text":"Paris."}]},"finish_reason":"model_length"}],'
    b'"usage":{"prompt_tokens":16,"completion_tokens":34,"total_tokens":50}}'
)
VECTORS = (
    b'{"id":"cf79f7daaee244b1a0ae5c7b1444424a","object":"list","data":[{"object":"embedding",'
    b'"embedding":[-7,64,127],"index":0},{"object":"embedding","embedding":[1,2,3],"index":1}],'
    b'"model":"codestral-embed","usage":{"prompt_tokens":15,"total_tokens":15,"completion_tokens":0}}'
)


def chunk(delta: str, finish: str = "null", usage: str = "") -> bytes:
    return (
        'data: {"id":"b7a1","object":"chat.completion.chunk","created":1757000000,'
        f'"model":"magistral-medium-2509","choices":[{{"index":0,"delta":{delta},'
        f'"finish_reason":{finish}}}]{usage}}}\n\n'
    ).encode()


THINKING = [
    chunk('{"role":"assistant","content":""}'),
    chunk('{"content":[{"type":"thinking","thinking":[{"type":"text","text":"Hm, "}]}]}'),
    chunk('{"content":[{"type":"thinking","thinking":[{"type":"text","text":"so."}]}]}'),
    chunk('{"content":[{"type":"text","text":"Par"}]}'),
    chunk('{"content":"is"}'),
    chunk('{"content":"."}'),
    chunk(
        '{"content":""}',
        '"model_length"',
        ',"usage":{"prompt_tokens":16,"total_tokens":50,"completion_tokens":34}',
    ),
    b"data: [DONE]\n\n",
]
TOOLS = chunk(
    '{"content":"","tool_calls":[{"id":"D681PevKs","function":{"name":"weather","arguments":"{\\"at\\": 1}"},'
    '"index":0}]}',
    '"tool_calls"',
    ',"usage":{"prompt_tokens":90,"total_tokens":114,"completion_tokens":24}',
)


def refuse_unknown(path: str, body: dict) -> bytes:
    """What it says of fields that it does not know; nothing if there are none."""
    wrong = [["body", name] for name in body.keys() - KNOWN[path]]
    for place, message in enumerate(body.get("messages", ())):
        wrong += [["body", "messages", place, name] for name in message.keys() - KNOWN_OF_MESSAGES]
    detail = [
        {"type": "extra_forbidden", "loc": place, "msg": "Extra inputs are not permitted"} for place in wrong
    ]
    error = {"object": "error", "message": {"detail": detail}, "type": "invalid_request_error"}
    return orjson.dumps(error | {"param": None, "code": None}) if wrong else b""


def answer_chat(body: dict) -> tuple[int, bytes]:
    if refused := refuse_unknown("/v1/chat/completions", body):
        return 422, refused
    return 200, b"".join(THINKING) if body.get("stream") else WHOLE


def answer_vectors(body: dict) -> tuple[int, bytes]:
    if refused := refuse_unknown("/v1/embeddings", body):
        return 422, refused
    packed = body.get("encoding_format") == "base64"  # of bytes, where 8-bit numbers are asked for
    return 200, VECTORS.replace(b"[-7,64,127]", b'"+UB/"').replace(
        b"[1,2,3]", b'"AQID"'
    ) if packed else VECTORS


def make_call(vendor: Vendor, **body) -> Call:
    endpoint = make_endpoint(f"{vendor.url}/v1", kind="mistral", secret=Secret("ms-0123456789"))
    return call_of(make_route([endpoint], "magistral-medium-latest"), **body)


def ask(**body) -> tuple[dict, Call, Vendor]:
    """The whole answer, or the chunks of the stream as its `chunks`."""

    async def run() -> tuple[dict, Call, Vendor]:
        routes = {"/v1/chat/completions": answer_chat, "/v1/embeddings": answer_vectors}
        async with running_vendor(routes) as vendor, open_session(PRIVATE) as client:
            call = make_call(vendor, **body)
            if "input" in body:
                call.operation = embeddings.OPERATION
                call.body = {name: call.body[name] for name in ("model", *body) if name != "stream"}
                call.operation.check(call)
            if call.wants_stream:
                parts = [part async for part in pipeline.stream(call, collaborators(client))]
                return {"chunks": b"".join(parts)}, call, vendor
            return json.loads(await pipeline.complete(call, collaborators(client))), call, vendor

    return asyncio.run(run())


def test_what_a_model_thinks_is_reasoning_and_the_usage_of_its_last_piece_is_read():
    heard = hear(THINKING, wants_usage=True, kind="mistral")
    assert (heard.text(), heard.text("reasoning_content")) == ("Paris.", "Hm, so.")
    assert heard.chunks[-2]["choices"][0]["finish_reason"] == "length"
    assert heard.usage == (16, 0, 34, 0) and heard.chunks[-1]["usage"]["total_tokens"] == 50
    assert heard.deltas == [
        Reasoning("Hm, "),
        Reasoning("so."),
        Text("Par"),
        Text("is"),
        Text("."),
        Finish("length"),
    ]


def test_tools_come_in_one_piece():
    heard = hear([TOOLS, b"data: [DONE]\n\n"], kind="mistral")
    assert heard.deltas == [ToolCall(0, "D681PevKs", "weather", '{"at": 1}'), Finish("tool_calls")]


def test_a_whole_answer_in_parts():
    answer, call, _vendor = ask(stream=False)
    (choice,) = answer["choices"]
    assert (choice["message"]["content"], choice["message"]["reasoning_content"]) == ("Paris.", "Hm.")
    assert choice["finish_reason"] == "length" and billed_usage(call)[0].total_tokens == 50


def test_fields_of_openais_are_written_as_it_knows_them_and_it_is_asked_once():
    unsaid = {"refusal": None, "annotations": [], "reasoning_content": "x", "reasoning": "x"}
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "assistant", "content": "Hm", **unsaid},
        {"role": "user", "content": "hi"},
    ]
    options = {"user": "u", "store": False, "service_tier": "auto", "stream_options": {"include_usage": True}}
    answer, call, vendor = ask(messages=messages, max_completion_tokens=70, seed=7, **options)
    assert b'"Par"' in answer["chunks"] and call.status == "ok"
    (asked,) = vendor.asked
    assert asked.key == "Bearer ms-0123456789" and asked.path == "/v1/chat/completions"
    assert (asked.body["max_tokens"], asked.body["random_seed"]) == (100, 7)
    assert [message["role"] for message in asked.body["messages"]] == ["system", "assistant", "user"]
    assert call.body["messages"] is messages and "refusal" in messages[1], "another candidate gets OpenAI's"


@pytest.mark.parametrize(("form", "first"), [("float", [-7, 64, 127]), ("base64", "AADgwAAAgEIAAP5C")])
def test_vectors_of_the_length_and_type_that_were_asked_for(form, first):
    """The official client always asks for base64, and reads it as 32-bit floats."""
    answer, call, vendor = ask(
        input=["a", "b"], dimensions=3, output_dtype="int8", encoding_format=form, user="u", stream=False
    )
    assert [one["index"] for one in answer["data"]] == [0, 1] and answer["data"][0]["embedding"] == first
    assert billed_usage(call)[0].total_input == 15
    (body,) = vendor.bodies
    assert (body["output_dimension"], body["output_dtype"]) == (3, "int8")


def test_its_catalogue_says_what_a_model_can_do():
    def card(name: str, **capabilities: bool) -> dict:
        can = {"completion_chat": False, "function_calling": False, "vision": False, **capabilities}
        card = {"id": name, "object": "model", "created": 1757000000, "owned_by": "mistralai"}
        return card | {"capabilities": can, "max_context_length": 131_072, "aliases": [], "type": "base"}

    cards = [
        card("mistral-large-latest", completion_chat=True, vision=True),
        card("mistral-embed"),
        card("codestral-embed"),
        card("mistral-ocr-latest", ocr=True),
        card("mistral-moderation-latest", moderation=True),
        card("voxtral-mini-latest", audio_transcription=True),
        {"id": "ft:open-mistral-7b:x", "object": "model", "max_context_length": 32_768},
    ]
    catalogue = PROVIDERS["mistral"].read_catalogue({"object": "list", "data": cards})
    assert [(one.name, one.kind, one.context_window) for one in catalogue.models] == [
        ("mistral-large-latest", "chat", 131_072),
        ("mistral-embed", "embedding", 131_072),
        ("codestral-embed", "embedding", 131_072),
        ("voxtral-mini-latest", "transcription", 131_072),
        ("ft:open-mistral-7b:x", "chat", 32_768),
    ]
    assert catalogue.skipped == 2
