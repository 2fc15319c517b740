"""Candidates that are left alone where another can be asked: for a limit, for what only an administrator can
change, and after waits in vain.
"""

import asyncio
from dataclasses import replace
from types import SimpleNamespace

import pytest

from gateway.state.breaker import (
    MAX_ASKED_REST_S,
    MAX_SLOW_REST_S,
    MISFIT_REST_S,
    PAUSE_S,
    SLOW_FAILURES,
    Breaker,
)
from gateway.steps.attempts import choose_first
from tenants.sealing import Secret
from tests.gateway.asking import FINE, ILL, WHOLE, ask, serving
from tests.gateway.calling import call_of, make_endpoint, make_route

pytestmark = pytest.mark.usefixtures("short_pauses")

LIMITED = (429, {"error": {"message": "slow down"}}, {"Retry-After": "60"})
AWAY = (503, {"error": {"message": "soon"}}, {"Retry-After": "60"})
NO_CREDIT = (402, {"error": {"message": "no credit"}})
ELSEWHERE = (403, {"error": {"code": "unsupported_country_region_territory", "message": "Not supported"}})
MISFITS = [(401, {}), (404, {}), NO_CREDIT, ELSEWHERE]
HOUR_S = 3_600.0


@pytest.fixture
def clock():
    return SimpleNamespace(s=1_000.0)


@pytest.fixture
def breaker(clock):
    return Breaker(clock=lambda: clock.s)


async def ask_in_turn(route, breaker: Breaker, times: int, stream: bool = True) -> list[bytes]:
    said = []
    for _number in range(times):
        call = call_of(route, stream=stream)
        choose_first(call, breaker)
        said.append(await ask(call, breaker=breaker))
    return said


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("refusal", "rest_s"), [(LIMITED, 60.0), (AWAY, 60.0), *((one, MISFIT_REST_S) for one in MISFITS)]
)
def test_who_refuses_rests_while_another_can_be_asked(breaker, clock, refusal, rest_s, stream):
    async def run() -> None:
        async with serving(refusal) as first, serving(FINE if stream else WHOLE) as second:
            route = make_route([make_endpoint(first.url), make_endpoint(second.url)])
            assert all(b"Hello" in said for said in await ask_in_turn(route, breaker, 3, stream))
            assert (len(first.seen), len(second.seen)) == (1, 3)
            clock.s += rest_s + 1
            await ask_in_turn(route, breaker, 1, stream)
            assert len(first.seen) == 2

    asyncio.run(run())


def test_a_server_is_not_left_alone_for_as_long_as_it_likes(breaker, clock):
    async def run() -> None:
        forever = (*LIMITED[:2], {"Retry-After": "3600"})
        async with serving(forever) as first, serving(FINE) as second:
            route = make_route([make_endpoint(first.url), make_endpoint(second.url)])
            await ask_in_turn(route, breaker, 2)
            clock.s += MAX_ASKED_REST_S + 1
            await ask_in_turn(route, breaker, 1)
            assert (len(first.seen), len(second.seen)) == (2, 3)

    asyncio.run(run())


@pytest.mark.parametrize("refusal", [LIMITED, (401, {})])
def test_who_rests_is_asked_where_nobody_else_is(breaker, refusal):
    async def run() -> None:
        async with serving(refusal, FINE) as only:
            route = make_route([make_endpoint(only.url)])
            said = await ask_in_turn(route, breaker, 2)
            assert len(only.seen) == 2 and b"Hello" in said[1]
        async with serving(refusal, FINE) as first, serving(FINE, ILL) as second:
            route = make_route([make_endpoint(first.url), make_endpoint(second.url)])
            said = await ask_in_turn(route, breaker, 2)
            assert b"Hello" in said[1] and len(second.seen) == 4, "after the repeats at the other one"

    asyncio.run(run())


def test_others_answers_do_not_end_a_rest_that_was_asked_for(breaker):
    """Calls that were under way already come to their end."""
    call = call_of(make_route([make_endpoint("http://nowhere/v1")]))
    call.asked_pause_s = 60.0
    breaker.note(call, "upstream_rate_limited")
    breaker.note(call, "")
    assert not breaker.is_ready(call, call.candidate)


def test_a_changed_key_is_tried_at_once(breaker):
    async def run() -> None:
        async with serving((401, {}), FINE) as first, serving(FINE) as second:
            endpoints = [make_endpoint(first.url, secret=Secret("old")), make_endpoint(second.url)]
            await ask_in_turn(make_route(endpoints), breaker, 1)
            same = [replace(endpoints[0], secret=Secret("old"), has_answered=True), endpoints[1]]
            await ask_in_turn(make_route(same), breaker, 1)
            assert len(first.seen) == 1, "read anew, and looked at meanwhile"
            changed = [replace(endpoints[0], secret=Secret("new")), endpoints[1]]
            await ask_in_turn(make_route(changed), breaker, 1)
            assert len(first.seen) == 2

    asyncio.run(run())


# -- waits in vain -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["upstream_timeout", "upstream_idle", "upstream_unreachable"])
@pytest.mark.parametrize(("waited_s", "rest_s"), [(0, PAUSE_S), (60, 60), (HOUR_S, MAX_SLOW_REST_S)])
def test_waits_in_vain_count_however_far_apart(breaker, clock, code, waited_s, rest_s):
    call = call_of(make_route([make_endpoint("http://nowhere/v1")]))
    call.attempt_started_s -= waited_s
    for _number in range(SLOW_FAILURES):
        assert breaker.is_ready(call, call.candidate)
        breaker.begin(call)
        clock.s += HOUR_S
        breaker.note(call, code)
    assert not breaker.is_ready(call, call.candidate) and not breaker.wait_s(call, call.candidate)
    clock.s += rest_s - 1
    assert not breaker.is_ready(call, call.candidate)
    clock.s += 2
    assert breaker.is_ready(call, call.candidate)
    breaker.begin(call)
    assert not breaker.is_ready(call, call.candidate), "one tries, the others do not wait with it"
    breaker.note(call, "")
    assert breaker.is_ready(call, call.candidate)


@pytest.mark.parametrize("between", ["context_length_exceeded", "upstream_rate_limited"])
def test_an_answer_between_waits_in_vain_starts_their_count_anew(breaker, clock, between):
    call = call_of(make_route([make_endpoint("http://nowhere/v1")]))
    call.asked_pause_s = 1.0
    for _number in range(3):
        for _failure in range(SLOW_FAILURES - 1):
            breaker.note(call, "upstream_timeout")
        clock.s += 2
        assert breaker.is_ready(call, call.candidate)
        breaker.note(call, between)
