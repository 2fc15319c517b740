"""What an attempt costs that another one follows: what its provider may have charged is part of the bill, at
its own price, and covered before the next one is sent. What a provider refused is free.
"""

import asyncio
import contextlib
import json
from decimal import Decimal

import pytest
from aiohttp import web

from foundation.errors import QuotaExceeded, Unavailable
from gateway.answers.usage import estimate_input_tokens
from gateway.calls import Call
from gateway.steps import admit, attempts
from gateway.steps.reserve import highest_cost_of, highest_price
from tests.gateway.asking import BUSY, DEAD, FINE, ILL, WHOLE, ask, serving
from tests.gateway.bills import CHEAP, DEAR, Bills
from tests.gateway.calling import call_of, make_endpoint, make_route
from tests.gateway.streaming import event
from usage.ledger.bookings import Settlement
from usage.pricing import Price, Usage, cost

pytestmark = pytest.mark.usefixtures("short_pauses")

NONSENSE = (200, {"choices": "x" * 400})
PATIENCE_S = 30


def two_models(first, second, stream: bool, **fields) -> Call:
    """A dear model that is asked first, a cheap one that stands in; the hold is there."""
    call = call_of(
        make_route([make_endpoint(first.url, **fields)], price=DEAR),
        make_route([make_endpoint(second.url)], name="other", price=CHEAP),
        stream=stream,
    )
    call.held = highest_price(call)
    return call


def good(stream: bool):
    return FINE if stream else WHOLE


@contextlib.asynccontextmanager
async def silent_server(headers_first: bool = False):
    """One that takes a request and says nothing."""

    async def reply(request: web.Request) -> web.StreamResponse:
        if headers_first:
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await response.prepare(request)
        await asyncio.sleep(PATIENCE_S)
        raise web.HTTPInternalServerError

    app = web.Application()
    app.router.add_post("/v1/chat/completions", reply)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield type("Silent", (), {"url": f"http://127.0.0.1:{runner.addresses[0][1]}/v1"})
    finally:
        await runner.cleanup()


def check_sum(bill: Settlement, call: Call, lost: Decimal, price: Price = CHEAP) -> None:
    assert [one.cost for one in bill.attempts] == [lost]
    assert bill.cost == lost + cost(price, bill.usage) == call.cost and bill.cost > lost
    assert bill.answered is not None and bill.answered.price == price


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("failure", [DEAD, NONSENSE], ids=["cut", "nonsense"])
def test_what_was_sent_and_lost_is_part_of_the_bill_at_its_own_price(failure, stream):
    async def run() -> None:
        async with serving(failure) as first, serving(good(stream)) as second:
            call, ledger = two_models(first, second, stream), Bills()
            alone = cost(DEAR, Usage(estimate_input_tokens(call)))
            assert b"Hello" in await ask(call, ledger=ledger)
            (bill,), (told,) = ledger.bills, ledger.followed
            (lost,) = bill.attempts
            assert lost.cost >= alone > 0 and lost.cost == cost(DEAR, lost.usage)
            check_sum(bill, call, lost.cost)
            assert bill.estimated and bill.usage != lost.usage
            assert told.amount == lost.cost + highest_cost_of(call, call.route)

    asyncio.run(run())


@pytest.mark.parametrize("stream", [True, False])
def test_what_timed_out_costs_what_it_would_have_cost_alone(stream):
    async def run() -> None:
        limits = {"first_byte_timeout_s": 0.2, "total_timeout_s": 0.2}
        async with silent_server() as first, serving(good(stream)) as second:
            alone = two_models(first, second, stream, **limits)
            alone.candidates = alone.candidates[:1]
            alone_bill = Bills()
            assert b"upstream_timeout" in await ask(alone, ledger=alone_bill)
            call, ledger = two_models(first, second, stream, **limits), Bills()
            assert b"Hello" in await ask(call, ledger=ledger)
            check_sum(ledger.bills[0], call, alone_bill.bills[0].cost)

    asyncio.run(run())


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("failure", [ILL, BUSY, (404, {}), (200, {"error": {"message": "boom"}})])
def test_what_a_provider_refused_is_free(failure, stream):
    async def run() -> None:
        async with serving(failure) as first, serving(good(stream)) as second:
            call, ledger = two_models(first, second, stream), Bills()
            assert b"Hello" in await ask(call, ledger=ledger)
            (bill,) = ledger.bills
            assert [one.cost for one in bill.attempts] == [0] and bill.cost == cost(CHEAP, bill.usage)

    asyncio.run(run())


@pytest.mark.parametrize("no", [QuotaExceeded("no", code="insufficient_quota"), Unavailable("no")])
@pytest.mark.parametrize("failure", [DEAD, NONSENSE])
def test_without_the_money_nothing_follows_and_what_was_lost_is_billed(failure, no):
    async def run() -> None:
        async with serving(failure) as first, serving(WHOLE) as second:
            call, ledger = two_models(first, second, stream=False), Bills(no)
            assert (await ask(call, ledger=ledger)).startswith(b"upstream_")
            (bill,) = ledger.bills
            assert not second.seen and not bill.attempts and call.status == "error"
            assert bill.cost == cost(DEAR, bill.usage) > 0
            assert bill.answered.price == DEAR, "the books may have taken the other one down already"

    asyncio.run(run())


def test_three_attempts_at_one_server_cost_three():
    async def run() -> None:
        async with serving(DEAD) as first:
            call, ledger = two_models(first, first, stream=True), Bills()
            call.candidates = call.candidates[:1]
            await ask(call, ledger=ledger)
            each = cost(DEAR, Usage(estimate_input_tokens(call)))
            (bill,) = ledger.bills
            assert len(first.seen) == 3 and [one.cost for one in bill.attempts] == [each] * 2
            assert bill.cost == 3 * each
            highest = highest_cost_of(call, call.route)
            assert [told.amount for told in ledger.followed] == [highest + each, highest + 2 * each]

    asyncio.run(run())


def test_who_leaves_in_the_pause_pays_for_what_was_lost(monkeypatch):
    monkeypatch.setattr(attempts, "PAUSES_S", (5.0, 5.0))
    monkeypatch.setattr(attempts, "MAX_PAUSE_S", 60.0)

    async def run() -> None:
        async with serving(DEAD) as first:
            call, ledger = two_models(first, first, stream=False), Bills()
            call.candidates = call.candidates[:1]
            task = asyncio.create_task(ask(call, ledger=ledger))
            async with asyncio.timeout(PATIENCE_S):
                while not call.attempts:
                    await asyncio.sleep(0.01)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            (bill,) = ledger.bills
            assert bill.cost == cost(DEAR, Usage(estimate_input_tokens(call))) and bill.status == "cancelled"
            assert not bill.usage.quantities, "the next attempt was not sent"

    asyncio.run(run())


def test_tokens_of_lost_attempts_count_in_limits():
    async def run() -> None:
        async with serving(DEAD) as first, serving(FINE) as second:
            call = two_models(first, second, stream=True)
            assert b"Hello" in await ask(call, ledger=Bills())
            lost = call.attempts[0].usage.total_tokens
            assert lost > 0 and admit._used_tokens(call) == lost + call.usage.total_tokens

    asyncio.run(run())


# -- time ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False])
def test_all_attempts_share_the_largest_total_limit(stream):
    """Two silent servers, one after the other: the last one gets what the first one has left."""

    async def run() -> None:
        async with silent_server() as silent:
            endpoints = [
                make_endpoint(silent.url, first_byte_timeout_s=limit_s, total_timeout_s=total_s)
                for limit_s, total_s in ((0.2, 0.2), (60, 60))
            ]
            call = call_of(make_route(endpoints), stream=stream)
            call.started_s -= 58
            assert b"upstream_timeout" in await ask(call)
            assert [one.error_code for one in call.attempts] == ["upstream_timeout"]
            assert call.left_s() <= 0 and call.candidate.endpoint is endpoints[1]

    asyncio.run(run())


def test_nothing_follows_when_the_time_is_over():
    async def run() -> None:
        def late(_body: dict) -> tuple[int, object]:
            call.started_s -= 10_000
            return ILL

        async with serving(late) as first, serving(FINE) as second:
            call = call_of(make_route([make_endpoint(first.url), make_endpoint(second.url)]))
            assert b"upstream_error" in await ask(call) and not second.seen

    asyncio.run(run())


@pytest.mark.parametrize(("stream", "half_s"), [(True, 800), (False, 300)])
@pytest.mark.parametrize("headers_first", [True, False])
def test_a_silent_server_leaves_half_of_the_time_to_the_next(stream, half_s, headers_first):
    """A call may take 1,600 seconds, of which a client waits 600 for an answer in one piece."""

    async def run() -> None:
        limits = dict.fromkeys(("first_byte_timeout_s", "idle_timeout_s", "total_timeout_s"), 1_600)
        async with silent_server(headers_first) as silent, serving(good(stream)) as second:
            call = call_of(
                make_route([make_endpoint(silent.url, **limits), make_endpoint(second.url, **limits)]),
                stream=stream,
            )
            begun_s = half_s - 0.5
            call.started_s -= begun_s
            call.attempt_started_s -= begun_s
            async with asyncio.timeout(PATIENCE_S):
                assert b"Hello" in await ask(call)
            assert [one.error_code for one in call.attempts] in (["upstream_timeout"], ["upstream_idle"])

    asyncio.run(run())


@pytest.mark.parametrize(("has_next", "asked"), [(True, 1), (False, 0)])
def test_who_alone_can_answer_has_all_the_time(has_next, asked):
    async def run() -> None:
        async with serving(WHOLE) as first, serving(WHOLE) as second:
            call = call_of(make_route([make_endpoint(first.url), make_endpoint(second.url)]), stream=False)
            call.candidates = call.candidates[: 1 + has_next]
            call.started_s -= 700
            call.attempt_started_s -= 700
            assert b"Hello" in await ask(call) and len(second.seen) == asked

    asyncio.run(run())


@contextlib.asynccontextmanager
async def living_server(first: bytes, sign: bytes, last: bytes, signs: int):
    """One that takes its time, and says that it lives."""

    async def reply(request: web.Request) -> web.StreamResponse:
        is_streamed = (await request.json()).get("stream")
        kind = "text/event-stream" if is_streamed else "application/json"
        response = web.StreamResponse(headers={"Content-Type": kind})
        await response.prepare(request)
        await response.write(first)
        for _number in range(signs):
            await asyncio.sleep(SIGN_EVERY_S)
            await response.write(sign)
        await response.write(last)
        return response

    app = web.Application()
    app.router.add_post("/v1/chat/completions", reply)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


ROLE, COMMENT, SIGN_EVERY_S = event({"role": "assistant"}), b": ping\n\n", 0.1


@pytest.mark.parametrize("has_next", [True, False])
def test_signs_of_life_prolong_the_wait_only_where_nobody_else_could_answer(has_next):
    async def run() -> None:
        limits = {"first_byte_timeout_s": 1.0, "total_timeout_s": 900}
        signs = 10_000 if has_next else 15
        async with living_server(ROLE, COMMENT, FINE[1], signs) as url, serving(FINE) as second:
            call = call_of(make_route([make_endpoint(url, **limits), make_endpoint(second.url, **limits)]))
            call.candidates = call.candidates[: 1 + has_next]
            async with asyncio.timeout(PATIENCE_S):
                assert b"Hello" in await ask(call)
            assert [one.error_code for one in call.attempts] == ["upstream_idle"] * has_next

    asyncio.run(run())


def test_pauses_in_an_answer_that_has_begun_are_longer_than_the_wait_for_it():
    async def run() -> None:
        limits = {"first_byte_timeout_s": 2.0, "total_timeout_s": 900}
        begun = event({"content": "Hel"})
        async with living_server(begun, COMMENT, FINE[1], 25) as url, serving(FINE) as second:
            call = call_of(make_route([make_endpoint(url, **limits), make_endpoint(second.url)]))
            assert b"Hello" in await ask(call) and not second.seen

    asyncio.run(run())


@pytest.mark.parametrize(("first", "asked"), [(b" ", 1), (b"{", 0)])
def test_white_space_before_a_whole_answer_is_a_sign_of_life(first, asked):
    async def run() -> None:
        rest = json.dumps(WHOLE[1]).encode().removeprefix(first)
        async with living_server(first, b" ", rest, 25) as url, serving(WHOLE) as second:
            call = call_of(make_route([make_endpoint(url), make_endpoint(second.url)]), stream=False)
            call.started_s -= 298
            call.attempt_started_s -= 298
            assert b"Hello" in await ask(call) and len(second.seen) == asked

    asyncio.run(run())


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("headers_first", [True, False])
def test_an_attempt_has_no_more_time_than_its_call(stream, headers_first):
    async def run() -> None:
        async with silent_server(headers_first) as silent:
            limits = dict.fromkeys(("first_byte_timeout_s", "idle_timeout_s", "total_timeout_s"), 900)
            call = call_of(make_route([make_endpoint(silent.url, **limits)]), stream=stream)
            call.started_s -= 899.5  # attempts before took so long
            async with asyncio.timeout(PATIENCE_S):
                assert (await ask(call)) in (b"upstream_timeout", b"upstream_idle")

    asyncio.run(run())


def test_the_time_to_the_first_byte_is_spent_once():
    """Headers come at once, or late; the first token has what is left of the same limit."""

    async def run() -> None:
        async with silent_server(headers_first=True) as silent:
            limits = {"first_byte_timeout_s": 900, "idle_timeout_s": 900}
            call = call_of(make_route([make_endpoint(silent.url, **limits)]))
            call.attempt_started_s -= 899.5  # so long it took to the headers
            async with asyncio.timeout(PATIENCE_S):
                assert b"upstream_idle" in await ask(call)

    asyncio.run(run())


def test_a_stream_whose_headers_came_late_goes_on_after_its_first_piece():
    async def run() -> None:
        async with serving(FINE) as server:
            call = call_of(
                make_route([make_endpoint(server.url, first_byte_timeout_s=600, idle_timeout_s=60)])
            )
            call.attempt_started_s -= 500
            assert b"Hello" in await ask(call)

    asyncio.run(run())
