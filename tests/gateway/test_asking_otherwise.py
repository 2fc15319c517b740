"""Asking once more without what a server does not know: fields and bounds that we add unasked."""

import asyncio
from dataclasses import replace

import pytest

from foundation.errors import InvalidInput
from gateway.answers.usage import TEMPLATE_TOKENS
from gateway.operations import chat_completions
from gateway.state.quirks import Quirks
from models_registry.providers.table import PROVIDERS
from tests.gateway.asking import FINE, WHOLE, Answer, ask, serving
from tests.gateway.calling import call_of, make_call, make_endpoint, make_route


def refuses(field: str, message: str) -> Answer:
    def answer(body: dict) -> tuple[int, object]:
        if field in body:
            return 400, {"error": {"message": message, "type": "invalid_request_error", "param": field}}
        return FINE if body.get("stream") else WHOLE

    return answer


def test_a_server_without_stream_options_is_asked_without_them_and_remembered():
    async def run() -> None:
        quirks = Quirks()
        async with serving(refuses("stream_options", "Unrecognized argument: stream_options")) as server:
            first = make_call(server.url)
            assert b"Hello" in await ask(first, quirks=quirks)
            again = replace(first, candidates=first.candidates)
            assert b"Hello" in await ask(again, quirks=quirks)
            assert ["stream_options" in body for body in server.seen] == [True, False, False]
            other = call_of(make_route([first.candidate.endpoint], "another model"))
            await ask(other, quirks=quirks)
            assert "stream_options" in server.seen[3], "known of this model only"

    asyncio.run(run())


def test_options_of_a_stream_that_are_null_are_none():
    async def run() -> None:
        async with serving(refuses("stream_options", "Unrecognized argument: stream_options")) as server:
            call = call_of(make_route([make_endpoint(server.url)]), stream_options=None)
            assert b"Hello" in await ask(call)

    asyncio.run(run())


NO_TOOLS = {"tools": [], "parallel_tool_calls": True}


@pytest.mark.parametrize(
    ("body", "left"),
    [
        ({"stop": None, "user": None, "max_tokens": None, "stream_options": None}, set()),
        (NO_TOOLS, set()),
        (NO_TOOLS | {"tool_choice": "auto"}, set()),
        (NO_TOOLS | {"tool_choice": "none"}, set()),
        ({"tools": None, "tool_choice": "none"}, set()),
        ({"tool_choice": "auto"}, set()),
        ({"tool_choice": None, "parallel_tool_calls": True}, set()),
        ({"functions": []}, set()),
        ({"functions": None, "function_call": "auto"}, set()),
        ({"tools": [{"type": "function"}], "parallel_tool_calls": True, "seed": 0}, ...),
    ],
)
def test_what_says_nothing_is_not_passed_on(body, left):
    """DeepSeek and llama.cpp refuse an empty list of tools and fields that are null."""

    async def run() -> None:
        async with serving(WHOLE) as server:
            call = call_of(make_route([make_endpoint(server.url)]), stream=False)
            call.body |= body
            call.operation.check(call)
            assert b"Hello" in await ask(call)
            sent = server.seen[0].keys() & body.keys() - {"max_tokens"}
            assert sent == (body.keys() if left is ... else left)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("tool_choice", NO_TOOLS | {"tool_choice": "required"}),
        ("tool_choice", {"tool_choice": {"type": "function", "function": {"name": "f"}}}),
        ("tool_choice", {"tool_choice": "any", "functions": [{"name": "f"}]}),
        ("function_call", {"function_call": {"name": "f"}}),
    ],
)
def test_a_call_of_tools_that_are_not_there_is_refused(name, more):
    call = call_of(make_route([make_endpoint("http://localhost")]), **more)
    with pytest.raises(InvalidInput) as refused:
        call.operation.check(call)
    assert refused.value.param == name


REFUSALS = [
    "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens'.",
    "body.max_tokens: Extra inputs are not permitted",
    "unknown field max_tokens",
]


@pytest.mark.parametrize("message", REFUSALS)
@pytest.mark.parametrize("stream", [True, False])
def test_the_other_name_of_the_limit_is_tried_once_and_remembered(message, stream):
    async def run() -> None:
        quirks = Quirks()
        async with serving(refuses("max_tokens", message)) as server:
            for _number in range(2):
                call = call_of(make_route([make_endpoint(server.url, id=ID)]), stream=stream)
                assert b"Hello" in await ask(call, quirks=quirks)
        names = [{"max_tokens", "max_completion_tokens"} & body.keys() for body in server.seen]
        assert names == [{"max_tokens"}, {"max_completion_tokens"}, {"max_completion_tokens"}]

    asyncio.run(run())


ID = make_endpoint("http://nowhere/v1").id


def test_a_server_that_knows_the_older_name_only():
    async def run() -> None:
        old = refuses(
            "max_completion_tokens", "Unrecognized request argument supplied: max_completion_tokens"
        )
        async with serving(old) as server:
            call = make_call(server.url, kind="openai")
            assert b"Hello" in await ask(call)
            assert server.seen[-1]["max_tokens"] == 100

    asyncio.run(run())


def test_a_limit_that_is_too_high_is_the_callers_and_not_asked_again():
    async def run() -> None:
        high = (400, {"error": {"message": "max_tokens is too large: 100. At most 50 completion tokens."}})
        async with serving(high) as server:
            call = make_call(server.url)
            call.body["max_tokens"] = 100
            assert await ask(call) == b"upstream_invalid_request" and len(server.seen) == 1

    asyncio.run(run())


def test_a_connection_says_under_which_name_its_server_knows_the_limit():
    async def run() -> None:
        async with serving(FINE) as server:
            await ask(make_call(server.url, token_limit_name="max_completion_tokens"))
            assert "max_tokens" not in server.seen[0] and server.seen[0]["max_completion_tokens"] == 100

    asyncio.run(run())


@pytest.mark.parametrize("asked", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("kind", sorted(PROVIDERS.keys() - {"anthropic", "cohere"}))  # APIs of their own
def test_a_server_gets_the_limit_under_the_name_that_its_kind_honours(kind, asked):
    """Under the other one it may be left out without a word, and the answer has no end (Ollama)."""

    async def run() -> None:
        async with serving(WHOLE) as server:
            call = call_of(make_route([make_endpoint(server.url, kind=kind)]), stream=False, **{asked: 100})
            await ask(call)
            sent = {"max_tokens", "max_completion_tokens"} & server.seen[0].keys()
            newer = kind in ("openai", "azure", "groq")
            assert sent == {"max_completion_tokens" if newer else "max_tokens"}

    asyncio.run(run())


TOO_HIGH = {
    "'max_tokens' or 'max_completion_tokens' is too large: {sent}. This model's maximum context length is "
    "2048 tokens and your request has 20 input tokens ({sent} > 2048 - 20).": 2048 - 20 - TEMPLATE_TOKENS,
    "`inputs` tokens + `max_new_tokens` must be <= 2,048. Given: 20 and {sent} `max_new_tokens`": None,
    "max_tokens: {sent} > 1024, which is the maximum allowed number of output tokens for this model": 1024,
    "max_tokens is too large: {sent}. This model supports at most 1000 completion tokens": 1000,
    "Range of max_tokens should be [1, 2000]": 2000,
}


@pytest.mark.parametrize(("message", "lowered"), TOO_HIGH.items())
@pytest.mark.parametrize("stream", [True, False])
def test_a_bound_of_ours_that_is_too_high_is_lowered_and_remembered(message, lowered, stream):
    """The caller set none: it is not for them to hear that it is too high, nor that “hi” is too long."""

    def answer(body: dict) -> tuple[int, object]:
        if body["max_tokens"] > (lowered or 2_028):
            return 400, {"error": {"message": message.format(sent=body["max_tokens"]), "code": 400}}
        return FINE if stream else WHOLE

    async def run() -> None:
        quirks = Quirks()
        async with serving(answer) as server:
            for _number in range(2):
                call = call_of(
                    make_route([make_endpoint(server.url, id=ID)]), stream=stream, max_tokens=4_096
                )
                assert b"Hello" in await ask(call, quirks=quirks)
        first, second, third = (body["max_tokens"] for body in server.seen)
        assert first == 4_096 and second == (lowered or second) and 1_000 <= third <= 2_000

    asyncio.run(run())


def test_what_does_not_fit_in_truth_is_said():
    async def run() -> None:
        long = "This model's maximum context length is 2048 tokens and your request has 2040 input tokens."
        async with serving((400, {"error": {"message": long}})) as server:
            call = call_of(make_route([make_endpoint(server.url)]), max_tokens=4_096)
            assert await ask(call) == b"context_length_exceeded" and len(server.seen) == 1

    asyncio.run(run())


def test_a_known_window_keeps_room_for_the_prompt():
    route = make_route(
        [make_endpoint("http://nowhere/v1")], context_window=2_048, default_max_output_tokens=4_096
    )
    longest = chat_completions.OPERATION.longest_answer
    assert 1_900 < longest(call_of(route), route) < 2_048 - TEMPLATE_TOKENS
    assert longest(call_of(route, content="word " * 5_000), route) == 512
    asked = call_of(route)
    asked.body["max_tokens"] = 2_000
    assert longest(asked, route) == 2_000


def test_a_callers_own_fault_teaches_nothing_about_the_server():
    """All tenants are asked for as it was learnt: their reports of usage and their bounds would be lost."""

    def answer(body: dict) -> tuple[int, object]:
        if "x" in body.get("stream_options", {}):
            return 400, {"error": {"message": "Unknown parameter: 'stream_options.x'."}}
        if body["max_tokens"] > 1_000:
            return 400, {"error": {"message": "max_tokens: larger values are not supported"}}
        return FINE

    async def run() -> None:
        quirks = Quirks()
        async with serving(answer) as server:
            route = make_route([make_endpoint(server.url, id=ID)])
            assert (
                await ask(call_of(route, stream_options={"x": 1}), quirks=quirks)
                == b"upstream_invalid_request"
            )
            high = call_of(route, max_tokens=20_000)
            high.body["max_tokens"] = 20_000
            assert await ask(high, quirks=quirks) == b"upstream_invalid_request"
            assert b"Hello" in await ask(call_of(route), quirks=quirks)
        assert len(server.seen) == 3 and {"stream_options", "max_tokens"} <= server.seen[-1].keys()

    asyncio.run(run())


def test_a_server_that_takes_nothing_of_ours_is_asked_until_it_answers():
    def answer(body: dict) -> tuple[int, object]:
        for field in ("stream_options", "max_tokens"):
            if field in body:
                return 400, {"error": {"message": f"unknown field {field}"}}
        if body["max_completion_tokens"] > 1_000:
            return 400, {"error": {"message": "at most 1000 completion tokens"}}
        return FINE

    async def run() -> None:
        async with serving(answer) as server:
            call = call_of(make_route([make_endpoint(server.url)]), max_tokens=4_096)
            assert b"Hello" in await ask(call) and len(server.seen) == 4

    asyncio.run(run())


def test_a_server_that_knows_neither_is_not_asked_for_ever():
    async def run() -> None:
        def neither(body: dict) -> tuple[int, object]:
            name = next(iter({"max_tokens", "max_completion_tokens", "stream_options"} & body.keys()))
            return 422, {"detail": [{"loc": ["body", name], "msg": "Extra inputs are not permitted"}]}

        async with serving(neither) as server:
            assert await ask(make_call(server.url)) == b"upstream_invalid_request"
            assert len(server.seen) <= 4

    asyncio.run(run())
