"""Who is asked how many tokens a request has, and who is left alone."""

import asyncio
import json
from types import SimpleNamespace
from uuid import uuid4

import pytest

from foundation.egress import PRIVATE
from foundation.egress.data_plane import open_session
from gateway import counting
from gateway.calls import Call, Principal
from gateway.operations.messages.count import OPERATION
from gateway.state.breaker import FAILURES, SLOW_FAILURES, Breaker
from gateway.state.load import Load
from models_registry.routes import Candidate, Route
from tests.doubles.anthropic import count_tokens
from tests.doubles.vendor import running_vendor
from tests.gateway.calling import call_of, collaborators, make_endpoint, make_route

PATH = "/v1/messages/count_tokens"
COUNTED = 2095
IN_FLIGHT = SimpleNamespace(enter=lambda _call: None, leave=lambda _call: None)


def ill(_body: dict) -> tuple[int, bytes]:
    return 500, b'{"type":"error","error":{"type":"api_error","message":"boom"}}'


async def hang(_body: dict) -> tuple[int, bytes]:
    await asyncio.sleep(60)
    return 200, b"{}"


def route_to(*vendors, kind: str = "anthropic", **fields) -> Route:
    return make_route([make_endpoint(f"{one.url}/v1", kind=kind) for one in vendors], **fields)


def counting_of(*routes: Route) -> Call:
    raw = json.dumps({"model": "ours", "messages": [{"role": "user", "content": "hi"}]}).encode()
    call = OPERATION.parse(raw, Principal("acme", uuid4(), uuid4()), uuid4())
    call.candidates = [Candidate(route, target, route.name) for route in routes for target in route.targets]
    call.candidate = call.candidates[0]
    return call


async def count(*routes: Route, **more) -> tuple[int, bool]:
    """What is told, and whether it is an estimate."""
    async with open_session(PRIVATE) as client:
        call = counting_of(*routes)
        told = json.loads(await counting.count(call, collaborators(client, in_flight=IN_FLIGHT, **more)))
        return told["input_tokens"], counting.ESTIMATED in call.headers


def test_another_endpoint_of_the_model_tells_where_one_does_not():
    async def run() -> None:
        async with running_vendor({PATH: ill}) as first, running_vendor({PATH: count_tokens}) as second:
            breaker = Breaker()
            for _number in range(4):  # whichever comes first
                assert await count(route_to(first, second), breaker=breaker) == (COUNTED, False)
            assert await count(route_to(first, first, first)) == (pytest.approx(6, abs=5), True)
            assert len(second.asked) == 4

    asyncio.run(run())


def test_stand_ins_have_other_tokens():
    async def run() -> None:
        async with running_vendor({PATH: ill}) as first, running_vendor({PATH: count_tokens}) as second:
            _told, is_estimated = await count(route_to(first), route_to(second, name="other"))
            assert is_estimated and not second.asked
            _told, is_estimated = await count(route_to(first, kind="openai"), route_to(second, name="other"))
            assert is_estimated and not second.asked

    asyncio.run(run())


def test_an_endpoint_that_fails_is_left_alone():
    async def run() -> None:
        async with running_vendor({PATH: ill}) as only:
            breaker, route = Breaker(), route_to(only)
            for _number in range(FAILURES + 2):
                assert (await count(route, breaker=breaker))[1]
            assert len(only.asked) == FAILURES
            asking = call_of(route)
            assert breaker.is_ready(asking, asking.candidate), "who cannot count may answer"

    asyncio.run(run())


def test_one_that_hangs_is_not_waited_for_by_each(monkeypatch):
    monkeypatch.setattr(counting, "PATIENCE_S", 0.2)

    async def run() -> None:
        async with running_vendor({PATH: hang}) as only:
            breaker, route = Breaker(), route_to(only)
            for _number in range(SLOW_FAILURES + 2):
                assert (await count(route, breaker=breaker))[1]
            assert len(only.asked) == SLOW_FAILURES

    asyncio.run(run())


def test_a_count_heals_nobody_who_cannot_answer():
    async def run() -> None:
        async with running_vendor({PATH: count_tokens}) as only:
            breaker, route = Breaker(), route_to(only)
            asking = call_of(route)
            for _number in range(SLOW_FAILURES):
                breaker.note(asking, "upstream_timeout")
            assert await count(route, breaker=breaker) == (COUNTED, False)
            assert not breaker.is_ready(asking, asking.candidate)

    asyncio.run(run())


def test_a_count_is_work_of_its_endpoint_while_it_lasts():
    load = Load()

    def in_work() -> int:
        return sum(one.in_work for one in load._all.values())

    async def run() -> None:
        seen = []
        async with running_vendor({PATH: lambda body: seen.append(in_work()) or count_tokens(body)}) as only:
            await count(route_to(only), load=load)
            assert (seen, in_work()) == ([1], 0)

    asyncio.run(run())
