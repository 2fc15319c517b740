"""Endpoints that are left alone are asked by us, and tried as soon as they answer."""

import asyncio
import contextlib
from dataclasses import replace
from types import SimpleNamespace

import pytest
from aiohttp import web

from foundation.egress import PRIVATE, PUBLIC
from foundation.egress.data_plane import open_session
from gateway.probes import AT_ONCE, FIRST_PAUSE_S, LAST_PAUSE_S, Probes
from gateway.state.breaker import FAILURES, MAX_SLOW_REST_S, PAUSE_S, SLOW_FAILURES, Breaker
from tenants.sealing import Secret
from tests.gateway.calling import call_of, make_endpoint, make_route


@contextlib.asynccontextmanager
async def catalogue(status: int = 200, health: int = 200, **headers: str):
    """A server that says this of its models and of its health; gives its address and the requests that
    came.
    """
    seen: list[web.Request] = []

    async def reply(request: web.Request) -> web.Response:
        seen.append(request)
        told = health if request.path == "/health" else status
        return web.json_response({"data": []}, status=told, headers=headers)

    app = web.Application()
    app.router.add_get("/v1/models", reply)
    app.router.add_get("/health", reply)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1", seen
    finally:
        await runner.cleanup()


class Watch:
    """A breaker with its probes, at a time that stands still."""

    def __init__(self, client) -> None:
        self.now = SimpleNamespace(s=1_000.0)
        self.breaker = Breaker(clock=lambda: self.now.s)
        self.asked: list = []

        def client_for(endpoint):
            self.asked.append(endpoint)
            return client

        self.probes = Probes(self.breaker, client_for, lambda: self.now.s, jitter=lambda _low, _high: 1.0)

    def fail(self, call, code: str = "upstream_error", times: int = FAILURES) -> None:
        for _number in range(times):
            self.breaker.note(call, code)

    async def look_until(self, passed_s: float) -> None:
        """Each tenth of a second of the clock."""
        end_s = self.now.s + passed_s
        while self.now.s < end_s:
            await self.probes.look()
            self.now.s += 0.1


@contextlib.asynccontextmanager
async def watching(policy=PRIVATE):
    async with open_session(policy) as client:
        yield Watch(client)


@pytest.mark.parametrize(
    ("status", "may_try"), [(200, True), (401, True), (404, True), (500, False), (503, False)]
)
def test_one_call_may_try_once_the_server_answers(status, may_try):
    async def run() -> None:
        async with catalogue(status) as (url, _seen), watching() as watch:
            call = call_of(make_route([make_endpoint(url)]))
            watch.fail(call)
            assert not watch.breaker.is_ready(call, call.candidate)
            await watch.look_until(FIRST_PAUSE_S + 0.5)
            assert watch.breaker.is_ready(call, call.candidate) is may_try
            if may_try:
                watch.breaker.begin(call)
                assert not watch.breaker.is_ready(call, call.candidate), "the others wait for this one"
                watch.breaker.note(call, "upstream_error")
                assert not watch.breaker.is_ready(call, call.candidate), (
                    "an answer of its catalogue is no cure"
                )

    asyncio.run(run())


@pytest.mark.parametrize(("health", "may_try"), [(503, False), (200, True)])
def test_a_server_that_lists_its_model_while_that_loads_is_asked_for_its_health(health, may_try):
    async def run() -> None:
        async with catalogue(200, health) as (url, seen), watching() as watch:
            call = call_of(make_route([make_endpoint(url, kind="llamacpp")]))
            watch.fail(call)
            await watch.look_until(FIRST_PAUSE_S + 0.5)
            assert [one.path for one in seen] == ["/health"]
            assert watch.breaker.is_ready(call, call.candidate) is may_try

    asyncio.run(run())


def test_it_is_asked_as_its_connection_says_and_no_further():
    async def run() -> None:
        async with (
            catalogue() as (there, followed),
            catalogue(307, Location=f"{there}/models") as (url, seen),
            watching() as watch,
        ):
            call = call_of(make_route([make_endpoint(url, secret=Secret("sk-1"))]))
            watch.fail(call)
            await watch.look_until(FIRST_PAUSE_S + 0.5)
            assert seen[0].headers["Authorization"] == "Bearer sk-1" and len(seen) == 1 and not followed

    asyncio.run(run())


def test_the_egress_policy_binds():
    async def run() -> None:
        async with catalogue() as (url, seen), watching(PUBLIC) as watch:
            call = call_of(make_route([make_endpoint(url)]))
            watch.fail(call)
            await watch.look_until(FIRST_PAUSE_S + 0.5)
            assert watch.asked and not seen and not watch.breaker.is_ready(call, call.candidate)

    asyncio.run(run())


def test_pauses_between_probes_grow_up_to_a_limit():
    async def run() -> None:
        async with catalogue(500) as (url, seen), watching() as watch:
            call = call_of(make_route([make_endpoint(url)]))
            for _turn in range(40):  # who tries before the pause is over fails, and it stays closed
                watch.fail(call)
                await watch.look_until(PAUSE_S - 1)
            assert 10 <= len(seen) <= 5 + 360 / LAST_PAUSE_S

    asyncio.run(run())


def test_pauses_grow_while_it_answers_probes_and_fails_its_calls():
    async def run() -> None:
        async with catalogue() as (url, seen), watching() as watch:
            call = call_of(make_route([make_endpoint(url)]))
            watch.fail(call)
            gaps, tried_s = [], watch.now.s
            while len(gaps) < 3:
                await watch.look_until(0.1)
                if watch.breaker.is_ready(call, call.candidate):  # each call that may try fails
                    gaps.append(watch.now.s - tried_s)
                    tried_s = watch.now.s
                    await watch.look_until(0.2)  # until one comes
                    watch.breaker.begin(call)
                    watch.fail(call, times=1)
            first, second, third = gaps
            assert second > 1.5 * first and third > 1.5 * second and len(seen) == 3
            watch.breaker.note(call, "")
            await watch.probes.look()
            watch.fail(call)
            await watch.look_until(FIRST_PAUSE_S + 0.5)
            assert len(seen) == 4, "an answer to a call starts anew"

    asyncio.run(run())


def test_a_rest_after_waits_in_vain_is_not_ended_by_a_catalogue():
    """What hangs lists its models still: each call that tried would wait as long again."""

    async def run() -> None:
        async with catalogue() as (url, seen), watching() as watch:
            call = call_of(make_route([make_endpoint(url)]))
            call.attempt_started_s -= MAX_SLOW_REST_S
            watch.fail(call, "upstream_timeout", SLOW_FAILURES)
            await watch.look_until(MAX_SLOW_REST_S - 1)
            assert not seen and not watch.breaker.is_ready(call, call.candidate)
            watch.fail(call, "upstream_timeout")  # so often in a row that it is closed, too
            await watch.look_until(FIRST_PAUSE_S + 0.5)
            assert seen and not watch.breaker.wait_s(call, call.candidate), "closed no longer"
            assert not watch.breaker.is_ready(call, call.candidate), "and at rest"

    asyncio.run(run())


def test_who_is_well_rests_on_request_or_fits_not_is_not_asked():
    async def run() -> None:
        async with catalogue() as (url, _seen), watching() as watch:
            well, limited, misfit = (call_of(make_route([make_endpoint(url)])) for _number in range(3))
            watch.breaker.note(well, "")
            limited.asked_pause_s = 60.0
            watch.breaker.note(limited, "upstream_rate_limited")
            watch.breaker.note(misfit, "upstream_credentials")
            await watch.look_until(20)
            assert watch.asked == []

    asyncio.run(run())


def test_one_server_is_asked_once_for_all_and_few_at_a_time():
    async def run() -> None:
        async with catalogue() as (url, _seen), watching() as watch:
            calls = [call_of(make_route([make_endpoint(url)])) for _number in range(AT_ONCE + 2)]
            other = replace(calls[0], principal=replace(calls[0].principal, tenant="globex"))
            for call in (*calls, other):
                watch.fail(call)
            watch.now.s += 0.1
            await watch.probes.look()
            watch.now.s += FIRST_PAUSE_S + 0.1
            await watch.probes.look()
            assert len(watch.asked) == AT_ONCE == len({endpoint.id for endpoint in watch.asked})
            await watch.look_until(PAUSE_S / 4)
            assert all(watch.breaker.is_ready(call, call.candidate) for call in (*calls, other))

    asyncio.run(run())
