"""Asking once more: without what a server does not know, and after a failure before the first byte.

The servers here are real ones of this process, each told what to answer to which request.
"""

import asyncio
import contextlib
import json
import socket
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from aiohttp import web

from foundation.egress import PRIVATE
from foundation.egress.data_plane import open_session
from foundation.errors import AtriumError
from gateway import pipeline
from gateway.answers.usage import TEMPLATE_TOKENS
from gateway.calls import Call
from gateway.operations import chat_completions
from gateway.state.breaker import FAILURES
from gateway.state.quirks import Quirks
from gateway.steps import attempts
from gateway.steps.reserve import highest_cost_of, highest_price
from gateway.steps.settle import billed_usage
from models_registry.providers.table import PROVIDERS
from tests.gateway.calling import OpenBooks, call_of, collaborators, make_call, make_endpoint, make_route
from tests.gateway.test_estimates import DONE, END, event, usage_event
from usage.ledger.bookings import NextAttempt
from usage.pricing import Price

Answer = Callable[[dict], tuple[int, object]]  # of a request's body: status, and JSON or bytes of a stream
FINE = (200, event({"content": "Hello"}) + END + usage_event(2) + DONE)
WHOLE = (200, {"choices": [{"index": 0, "message": {"content": "Hello"}, "finish_reason": "stop"}]})
DEAR = Price("EUR", *map(Decimal, ("10", "10", "20", "20")))


class Server:
    """What it was asked, and where it listens."""

    def __init__(self, url: str, seen: list[dict]) -> None:
        self.url, self.seen = url, seen


@contextlib.asynccontextmanager
async def serving(*answers: Answer | tuple[int, object]):
    """A server that answers its requests in turn; the last answer stays."""
    seen: list[dict] = []

    async def reply(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        seen.append(body)
        answer = answers[min(len(seen), len(answers)) - 1]
        status, content, *headers = answer(body) if callable(answer) else answer
        headers = headers[0] if headers else {}
        if content is None:  # it dies in the middle
            request.transport.close()
            return web.Response()
        if isinstance(content, bytes):
            return web.Response(
                status=status, body=content, content_type="text/event-stream", headers=headers
            )
        return web.json_response(content, status=status, headers=headers)

    app = web.Application()
    app.router.add_post("/v1/chat/completions", reply)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield Server(f"http://127.0.0.1:{runner.addresses[0][1]}/v1", seen)
    finally:
        await runner.cleanup()


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    monkeypatch.setattr(attempts, "PAUSES_S", (0.01, 0.02))


async def ask(call: Call, **more) -> bytes:
    """The frames, or the answer; an error's code where there is none."""
    async with open_session(PRIVATE) as client:
        host = collaborators(client, **more)
        try:
            if not call.wants_stream:
                return await pipeline.complete(call, host)
            return b"".join([part async for part in pipeline.stream(call, host)])
        except AtriumError as exc:
            return exc.code.encode()


# -- what we add unasked -------------------------------------------------------------------------------------


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
        (NO_TOOLS | {"tool_choice": "required"}, {"tool_choice"}),
        ({"tools": [{"type": "function"}], "parallel_tool_calls": True, "seed": 0}, ...),
    ],
)
def test_what_says_nothing_is_not_passed_on(body, left):
    """DeepSeek and llama.cpp refuse an empty list of tools and fields that are null."""

    async def run() -> None:
        async with serving(WHOLE) as server:
            call = call_of(make_route([make_endpoint(server.url)]), stream=False, **body)
            call.operation.check(call)
            assert b"Hello" in await ask(call)
            sent = server.seen[0].keys() & body.keys() - {"max_tokens"}
            assert sent == (body.keys() if left is ... else left)

    asyncio.run(run())


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
@pytest.mark.parametrize("kind", sorted(PROVIDERS.keys() - {"cohere"}))  # it has an address of its own
def test_a_server_gets_the_limit_under_the_name_that_its_kind_honours(kind, asked):
    """Under the other one it may be left out without a word, and the answer has no end (Ollama)."""

    async def run() -> None:
        async with serving(WHOLE) as server:
            call = call_of(make_route([make_endpoint(server.url, kind=kind)]), stream=False, **{asked: 100})
            await ask(call)
            sent = {"max_tokens", "max_completion_tokens"} & server.seen[0].keys()
            assert sent == {"max_completion_tokens" if kind == "openai" else "max_tokens"}

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


# -- failures before the first byte --------------------------------------------------------------------------

ILL = (500, {"error": {"message": "boom"}})
DEAD = (200, None)
BUSY = (429, {"error": {"message": "slow down"}})


@pytest.mark.parametrize("stream", [True, False])
def test_the_books_are_told_who_answers_before_they_are_asked(stream):
    """If this process dies, the bill is that of another price and another model."""

    async def run() -> None:
        ledger = OpenBooks()

        def asked_second(_body: dict) -> tuple[int, object]:
            known.extend(ledger.followed)
            return FINE if stream else WHOLE

        known: list[NextAttempt] = []
        async with serving(ILL) as ill, serving(asked_second) as well:
            first = make_route([make_endpoint(ill.url)])
            second = make_route([make_endpoint(well.url)], price=DEAR)
            call = call_of(first, second, stream=stream)
            assert b"Hello" in await ask(call, ledger=ledger)
        (told,) = known
        assert told.request_id == call.request_id and told.amount == highest_cost_of(call, second)
        assert (told.facts.price, told.facts.connection_id) == (DEAR, second.targets[0].endpoint.id)
        assert [one.error_code for one in told.attempts] == ["upstream_error"]

    asyncio.run(run())


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("failure", [ILL, DEAD, BUSY, (503, b"<html>")])
def test_the_same_server_is_asked_three_times(stream, failure):
    async def run() -> None:
        fine = FINE if stream else WHOLE
        async with serving(failure, failure, fine) as server:
            call = make_call(server.url, stream=stream)
            assert b"Hello" in await ask(call)
            assert len(server.seen) == 3 and len(call.attempts) == 2 and call.status == "ok"
        async with serving(failure) as server:
            call = make_call(server.url, stream=stream)
            assert (await ask(call)).startswith(b"upstream_")
            assert len(server.seen) == 3 and call.status == "error"

    asyncio.run(run())


@pytest.mark.parametrize(
    "failure",
    [
        (400, {"error": {"message": "bad"}}),
        (401, {}),
        (404, {}),
        (
            429,
            {"error": {"message": "Request too large for m on tokens per min (TPM): Limit 1, Requested 2."}},
        ),
    ],
)
def test_what_will_not_be_better_in_a_moment_is_not_asked_again(failure):
    async def run() -> None:
        async with serving(failure) as server:
            await ask(make_call(server.url))
            assert len(server.seen) == 1

    asyncio.run(run())


@pytest.mark.parametrize(("wait", "asked"), [("1", 2), ("30", 1), ("Wed, 21 Oct 2099 07:28:00 GMT", 1)])
def test_a_server_says_when_it_wants_to_be_asked_again(monkeypatch, wait, asked):
    pauses = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(attempts.asyncio, "sleep", sleep)

    async def run() -> None:
        async with serving((*BUSY, {"Retry-After": wait}), FINE) as server:
            await ask(make_call(server.url))
            assert len(server.seen) == asked

    asyncio.run(run())
    assert [pause for pause in pauses if pause >= 1] == [1.0] * (asked - 1)


def test_a_pause_may_be_less_than_a_second(monkeypatch):
    pauses = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(attempts.asyncio, "sleep", sleep)

    async def run() -> None:
        async with serving((*BUSY, {"Retry-After-Ms": "300"}), FINE) as server:
            assert b"Hello" in await ask(make_call(server.url))

    asyncio.run(run())
    assert [pause for pause in pauses if pause >= 0.1] == [0.3]


NEVER = {"X-Should-Retry": "False"}


@pytest.mark.parametrize(("headers", "asked"), [(NEVER, 1), ({"X-Should-Retry": "true"}, 3)])
@pytest.mark.parametrize("failure", [ILL, BUSY, (200, {"error": {"message": "boom", "code": 500}})])
def test_a_server_says_that_the_same_will_fail_again(failure, headers, asked):
    """Another one is still asked: it does not know that one."""

    async def run() -> None:
        async with serving((*failure, headers)) as first, serving(WHOLE) as second:
            await ask(make_call(first.url, stream=False))
            assert len(first.seen) == asked
            call = call_of(make_route([make_endpoint(first.url), make_endpoint(second.url)]), stream=False)
            assert b"Hello" in await ask(call)

    asyncio.run(run())


def test_what_a_server_said_holds_for_its_own_attempt():
    async def run() -> None:
        async with serving((*ILL, NEVER)) as first, serving(DEAD, WHOLE) as second:
            call = call_of(make_route([make_endpoint(first.url), make_endpoint(second.url)]), stream=False)
            assert b"Hello" in await ask(call) and len(second.seen) == 2

    asyncio.run(run())


EMPTY = (400, {"error": {"message": "Your credit balance is too low to access the Anthropic API."}})

LARGE = {"message": "Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 46393."}
ELSEWHERE = (403, {"error": {"code": "unsupported_country_region_territory", "message": "Not supported"}})
OVER = [(status, {"error": LARGE | {"code": "rate_limit_exceeded"}}) for status in (413, 429)]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    "failure", [ILL, DEAD, BUSY, (401, {}), (404, {}), (200, {"choices": []}), EMPTY, ELSEWHERE, *OVER]
)
def test_another_endpoint_takes_over_at_once(stream, failure):
    async def run() -> None:
        async with serving(failure) as first, serving(FINE if stream else WHOLE) as second:
            route = make_route([make_endpoint(first.url), make_endpoint(second.url)])
            call = call_of(route, stream=stream)
            assert b"Hello" in await ask(call)
            assert (len(first.seen), len(second.seen)) == (1, 1)
            assert [one.connection_id for one in call.attempts] == [route.targets[0].endpoint.id]
            assert call.candidate.endpoint is route.targets[1].endpoint

    asyncio.run(run())


def test_an_endpoint_that_is_not_there_is_passed_over():
    async def run() -> None:
        async with serving(FINE) as second:
            with socket.create_server(("127.0.0.1", 0)) as nobody:
                closed = f"http://127.0.0.1:{nobody.getsockname()[1]}/v1"
            call = call_of(make_route([make_endpoint(closed), make_endpoint(second.url)]))
            assert b"Hello" in await ask(call) and call.attempts[0].error_code == "upstream_unreachable"

    asyncio.run(run())


def test_a_model_that_stands_in_answers_under_its_own_name_at_its_own_price():
    async def run() -> None:
        async with serving(ILL) as first, serving(FINE) as second:
            ours = make_route([make_endpoint(first.url)])
            other = make_route([make_endpoint(second.url)], name="other", price=DEAR, max_output_tokens=7)
            call = call_of(ours, other)
            assert highest_price(call) > 0, "the dearest candidate is held"
            frames = await ask(call)
            assert b'"model":"other"' in frames and b"ours" not in frames
            assert call.route is other and second.seen[0]["max_tokens"] == 7
            assert billed_usage(call)[0].output_tokens == 2

    asyncio.run(run())


LONG = (400, {"error": {"message": "This model's maximum context length is 2048 tokens."}})


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("window", "rooms", "asked"),
    [
        (2_048, [8_192], [1]),
        (2_048, [2_048, 1_024, 8_192], [0, 0, 1]),
        (2_048, [None], [0]),  # whether it has more room nobody knows
        (None, [8_192], [1]),
        (None, [100], [0]),  # less than the request is taken for
    ],
)
def test_what_is_too_long_for_a_model_goes_to_stand_ins_with_more_room_alone(stream, window, rooms, asked):
    async def run() -> None:
        async with serving(LONG) as small, contextlib.AsyncExitStack() as stack:
            fine = FINE if stream else WHOLE
            servers = [await stack.enter_async_context(serving(fine)) for _room in rooms]
            own = make_route([make_endpoint(small.url), make_endpoint(small.url)], context_window=window)
            others = [
                make_route([make_endpoint(server.url)], name="other", context_window=room)
                for server, room in zip(servers, rooms, strict=True)
            ]
            call = call_of(own, *others, stream=stream)
            call.body["max_tokens"] = 100  # the bound is not ours: the prompt is what is too long
            call.size_bytes = 1_000
            said = await ask(call)
            assert [len(server.seen) for server in servers] == asked and len(small.seen) == 1
            assert said == b"context_length_exceeded" if sum(asked) == 0 else b"Hello" in said

    asyncio.run(run())


def test_what_is_too_long_everywhere_is_said_by_the_last():
    async def run() -> None:
        async with serving(LONG) as small, serving(LONG) as large:
            own = make_route([make_endpoint(small.url)], context_window=1_024)
            other = make_route([make_endpoint(large.url)], name="other", context_window=2_048)
            call = call_of(own, other)
            call.body["max_tokens"] = 100
            assert await ask(call) == b"context_length_exceeded"
            assert (len(small.seen), len(large.seen)) == (1, 1)
            assert not any(one.cost for one in call.attempts), "a refusal is free"

    asyncio.run(run())


def test_what_has_begun_is_not_begun_again():
    async def run() -> None:
        begun = (200, event({"content": "Hel"}) + b'data: {"error": {"message": "boom"}}\n\n')
        async with serving(begun) as first, serving(FINE) as second:
            call = call_of(make_route([make_endpoint(first.url), make_endpoint(second.url)]))
            frames = await ask(call)
            assert b"Hel" in frames and b"upstream_error" in frames and b"Hello" not in frames
            assert not second.seen and not call.attempts

    asyncio.run(run())


def test_what_was_charged_for_is_not_asked_again():
    """The provider counted tokens before it failed: somebody pays for them, and not twice."""

    async def run() -> None:
        charged = {"error": {"message": "boom"}, "usage": {"prompt_tokens": 7, "completion_tokens": 60}}
        failing = (200, b"data: " + json.dumps(charged).encode() + b"\n\n")
        async with serving(failing) as first, serving(FINE) as second:
            call = call_of(make_route([make_endpoint(first.url), make_endpoint(second.url)]))
            assert await ask(call) == b"upstream_error" and not second.seen
            assert billed_usage(call)[0].output_tokens == 60

    asyncio.run(run())


def test_an_endpoint_that_failed_again_and_again_is_not_tried_first():
    async def run() -> None:
        async with serving(ILL) as first, serving(FINE) as second:
            route = make_route([make_endpoint(first.url), make_endpoint(second.url)])
            call = call_of(route)
            host = {"breaker": collaborators(None).breaker}
            for _number in range(FAILURES):
                call = call_of(route)
                assert b"Hello" in await ask(call, **host)
            assert len(first.seen) == FAILURES
            call = call_of(route)
            attempts.choose_first(call, host["breaker"])
            assert b"Hello" in await ask(call, **host)
            assert len(first.seen) == FAILURES and not call.attempts

    asyncio.run(run())
