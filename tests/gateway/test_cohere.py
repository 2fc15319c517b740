"""What Cohere (version 2) sends, by its published description; nobody has asked
the vendor.
"""

import asyncio
import json

import pytest

from foundation.egress import PRIVATE
from foundation.egress.data_plane import open_session
from foundation.errors import AtriumError, InvalidInput, UpstreamError
from gateway import pipeline
from gateway.answers.billed import billed_usage
from gateway.calls import Call
from gateway.deltas import Finish, Reasoning, Text, ToolCall
from gateway.operations import embeddings
from tenants.sealing import Secret
from tests.doubles.cohere import (
    ANSWER,
    DONE,
    TOOLS,
    WHOLE_ERROR,
    WHOLE_TOOLS,
    answer_chat,
    answer_vectors,
    end,
    said,
    sent,
)
from tests.doubles.vendor import Vendor, running_vendor
from tests.gateway.calling import call_of, collaborators, make_endpoint, make_route
from tests.gateway.hearing import hear


def ask(answer=None, **body) -> tuple[dict, Call, Vendor]:
    """The whole answer, the bytes of a stream as its `frames`, or an error's code as its `code`."""

    async def run() -> tuple[dict, Call, Vendor]:
        routes = {"/v2/chat": answer or answer_chat, "/v2/embed": answer or answer_vectors}
        async with running_vendor(routes) as vendor, open_session(PRIVATE) as client:
            endpoint = make_endpoint(f"{vendor.url}/v2", kind="cohere", secret=Secret("co-0123456789"))
            call = call_of(make_route([endpoint], "command-a-03-2025"), **body)
            if "input" in body:
                call.operation = embeddings.OPERATION
                call.body = {name: call.body[name] for name in ("model", *body) if name != "stream"}
            try:
                call.operation.check(call)
                if call.wants_stream:
                    parts = [part async for part in pipeline.stream(call, collaborators(client))]
                    return {"frames": b"".join(parts)}, call, vendor
                return json.loads(await pipeline.complete(call, collaborators(client))), call, vendor
            except AtriumError as exc:
                return {"code": exc.code, "message": str(exc.message), "error": exc}, call, vendor

    return asyncio.run(run())


# -- streams -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("last", [b"", DONE])
@pytest.mark.parametrize("wants_usage", [True, False])
def test_its_events_become_chunks_and_deltas(wants_usage, last):
    heard = hear([*ANSWER, last] if last else ANSWER, wants_usage=wants_usage, kind="cohere")
    assert (heard.text(), heard.text("reasoning_content"), heard.error) == ('Paris "à"', "Hm, so.", None)
    said = [Reasoning("Hm, "), Reasoning("so."), Text("Par"), Text("is"), Text(' "à"'), Finish("stop")]
    assert heard.deltas == said
    assert heard.chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    reasons = [choice["finish_reason"] for one in heard.chunks for choice in one["choices"]]
    assert reasons == [None] * 6 + ["stop"]
    for name, count in (("id", 1), ("model", 1), ("object", 1)):
        assert len({one[name] for one in heard.chunks}) == count
    told = [one["usage"] for one in heard.chunks if one.get("usage")]
    assert [(one["prompt_tokens"], one["total_tokens"]) for one in told] == [(17, 29)] * wants_usage
    assert heard.usage == (17, 0, 12, 0) and heard.call.is_usage_final


@pytest.mark.parametrize("size", [1, 7, 4_000])
def test_packets_may_end_anywhere(size):
    stream = b"".join(ANSWER)
    heard = hear([stream[place : place + size] for place in range(0, len(stream), size)], kind="cohere")
    assert heard.text() == heard.inner_text == 'Paris "à"' and heard.usage == (17, 0, 12, 0)


def test_tools_come_piece_by_piece_in_openais_shape():
    heard = hear(TOOLS, kind="cohere")
    assert heard.deltas == [
        Reasoning("I will"),
        Reasoning(" look."),
        ToolCall(0, "weather_1", "weather"),
        ToolCall(0, arguments='{"at": '),
        ToolCall(0, arguments="1}"),
        ToolCall(1, "clock_2", "clock"),
        ToolCall(1, arguments="{}"),
        Finish("tool_calls"),
    ]
    calls = [one["choices"][0]["delta"].get("tool_calls") for one in heard.chunks]
    assert next(one for one in calls if one) == [
        {
            "index": 0,
            "id": "weather_1",
            "type": "function",
            "function": {"name": "weather", "arguments": ""},
        }
    ]


@pytest.mark.parametrize(
    ("theirs", "ours"), [("MAX_TOKENS", "length"), ("STOP_SEQUENCE", "stop"), ("COMPLETE", "stop")]
)
def test_ends_are_named_as_openai_does(theirs, ours):
    heard = hear([*ANSWER[:-1], end(theirs)], kind="cohere")
    assert heard.deltas[-1] == Finish(ours)


@pytest.mark.parametrize("reason", ["ERROR", "TIMEOUT"])
def test_an_answer_that_ends_in_an_error_is_one_and_what_came_is_billed(reason):
    heard = hear([*ANSWER[:-1], end(reason, ',"error":"the model is ill at 10.0.0.7"')], kind="cohere")
    assert heard.text() == heard.inner_text == 'Paris "à"' and heard.usage == (17, 0, 12, 0)
    assert "the model is ill" in heard.error["message"] and "10.0.0.7" not in heard.error["message"]
    assert heard.call.error_code == "upstream_error" and isinstance(heard.deltas[-1], UpstreamError)
    assert all(one["choices"][0]["finish_reason"] is None for one in heard.chunks)


def test_a_stream_without_its_end_is_incomplete_and_estimated():
    heard = hear(ANSWER[:-1], kind="cohere")
    assert heard.call.error_code == "upstream_incomplete" and billed_usage(heard.call)[1]


@pytest.mark.parametrize(
    "odd",
    [
        said("content-delta", '{"content":7}', 1),
        said("content-delta", "{}", 1),
        sent("content-delta", ',"delta":"x"'),
        b'data: ["content-delta"]\n\n',
    ],
)
def test_an_event_of_another_shape_is_nonsense(odd):
    heard = hear([odd, *ANSWER], kind="cohere")
    assert heard.text() == "" and heard.call.error_code == "upstream_invalid_response"
    heard = hear([*ANSWER[:8], odd, *ANSWER[8:]], kind="cohere")
    assert heard.text() == 'Paris "à"' and heard.usage == (17, 0, 12, 0)


def test_a_call_of_another_shape_ends_an_answer_that_has_begun():
    odd = said("tool-call-start", '{"tool_calls":null}', 0)
    heard = hear([*ANSWER[:8], odd, *ANSWER[8:]], kind="cohere")
    assert heard.text() == "Paris" and heard.call.error_code == "upstream_invalid_response"


@pytest.mark.parametrize("new", ["debug", "message-flagged"])
def test_events_that_say_nothing_to_openais_clients_are_left_out(new):
    heard = hear([*ANSWER[:8], sent(new, ',"prompt":"x"'), *ANSWER[8:]], kind="cohere")
    assert heard.text() == 'Paris "à"' and len(heard.chunks) == 7


def test_an_error_in_place_of_a_stream():
    heard = hear([b'data: {"message":"too many tokens: the limit is 10","id":"x"}\n\n'], kind="cohere")
    assert heard.call.error_code == heard.inside.error_code == "context_length_exceeded"


# -- whole answers -------------------------------------------------------------------------------------------


def test_a_whole_answer():
    answer, call, _vendor = ask(stream=False)
    (choice,) = answer["choices"]
    assert choice == {
        "index": 0,
        "message": {"role": "assistant", "content": "Paris.", "reasoning_content": "Hm."},
        "finish_reason": "length",
    }
    assert (answer["object"], answer["model"]) == ("chat.completion", "ours")
    assert answer["usage"]["prompt_tokens"] == 17 == billed_usage(call)[0].input_tokens


@pytest.mark.parametrize("stream", [True, False])
def test_whole_tools_also_where_a_stream_was_asked_for(stream):
    answer, call, _vendor = ask(lambda body: (200, WHOLE_TOOLS), stream=stream)
    tool = {
        "id": "weather_1",
        "type": "function",
        "function": {"name": "weather", "arguments": '{"at": 1}'},
    }
    if stream:
        answer = json.loads(answer["frames"].split(b"\n\n")[0].removeprefix(b"data: "))
        assert answer["choices"][0]["delta"]["tool_calls"] == [{"index": 0, **tool}]
    else:
        message = answer["choices"][0]["message"]
        assert message["tool_calls"] == [tool] and message["reasoning_content"] == "I will look."
        assert message["content"] is None
    assert call.finish_reason == "tool_calls" and billed_usage(call)[0].total_tokens == 29


@pytest.mark.parametrize(
    ("status", "content", "code"),
    [
        (200, WHOLE_ERROR, "upstream_error"),
        (200, b'{"message": {"content": 7}}', "upstream_invalid_response"),
        (200, b'{"message": "out of memory", "id": "x"}', "upstream_error"),
        (400, b'{"message": "too many tokens: max 128000", "id": "x"}', "context_length_exceeded"),
        (401, b'{"message": "invalid api token", "id": "x"}', "upstream_credentials"),
        (404, b'{"message": "model \'x\' not found", "id": "x"}', "upstream_not_found"),
    ],
)
def test_its_errors_are_errors(status, content, code):
    assert ask(lambda body: (status, content), stream=False)[0]["code"] == code


def test_its_reasons_are_passed_on():
    refusal = b'{"id":"x","message":"invalid request: temperature must be between 0 and 1.0 inclusive."}'
    answer, call, _vendor = ask(lambda body: (400, refusal), temperature=2)
    assert isinstance(answer["error"], InvalidInput) and "between 0 and 1.0" in answer["message"]
    assert call.was_refused
