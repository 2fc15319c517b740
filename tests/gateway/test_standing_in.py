"""After a failure before the first byte: other endpoints of the model, and models that stand in for it."""

import asyncio
import contextlib
import json
import socket
from decimal import Decimal

import pytest

from gateway.answers.billed import billed_usage
from gateway.state.breaker import FAILURES
from gateway.steps import attempts
from gateway.steps.reserve import highest_cost_of, highest_price
from tests.gateway.asking import BUSY, DEAD, FINE, ILL, WHOLE, ask, serving
from tests.gateway.calling import OpenBooks, call_of, collaborators, make_endpoint, make_route
from tests.gateway.streaming import event
from usage.ledger.bookings import NextAttempt
from usage.pricing import Price

pytestmark = pytest.mark.usefixtures("short_pauses")

DEAR = Price("EUR", *map(Decimal, ("10", "10", "20", "20")))
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
