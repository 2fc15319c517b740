"""Which of a model's endpoints takes a call: by weight, by what it has in work, and by how the call begins.
Counted, not timed.
"""

import asyncio
import contextlib
import os
import random
import signal
from collections import Counter
from uuid import uuid4

import pytest

from foundation.egress import PRIVATE
from foundation.egress.data_plane import open_session
from foundation.errors import AtriumError
from gateway import pipeline
from gateway.calls import Call, Principal
from gateway.operations import chat_completions
from gateway.state.breaker import Breaker
from gateway.state.in_flight import InFlight
from gateway.state.load import FREE_PLACES, MAX_LEAD, Load
from gateway.steps.choose import MAX_ATTEMPTS, arrange, find_beginning
from models_registry.routes import Candidate, Route, Target
from tests.doubles import MockLLM, running_mockllm
from tests.gateway.calling import collaborators, make_endpoint, make_route, snapshot

TWELVE = 12


def route_of(*weights: int) -> Route:
    """Endpoints of these weights, called by their numbers."""
    targets = [
        Target(make_endpoint("http://nowhere/v1"), str(number), weight)
        for number, weight in enumerate(weights)
    ]
    return make_route([], targets=tuple(targets))


def a_call(route: Route, text: str = "hi", tenant: str = "acme", **body) -> Call:
    body = {"model": "ours", "messages": [{"role": "user", "content": text}]} | body
    call = Call(Principal(tenant, uuid4(), uuid4()), body, 100, chat_completions.OPERATION)
    call.candidates = [Candidate(route, target, route.name) for target in route.targets]
    return call


class Traffic:
    """Calls of one model, so many at once, each in work as long as the others."""

    def __init__(self, route: Route, at_once: int = 1) -> None:
        self.route = route
        self.at_once = at_once
        self.load = Load()
        self.breaker = Breaker()
        self.running: list[Call] = []
        self.seen: Counter[str] = Counter()
        self.most: Counter[str] = Counter()  # in work at the same time

    def send(self, text: str, **fields) -> str:
        if len(self.running) >= self.at_once:
            self.load.leave(self.running.pop(0))
        call = a_call(self.route, text, **fields)
        arrange(call, self.breaker, self.load)
        call.begin_attempt(call.candidates[0])
        self.load.move(call)
        self.running.append(call)
        name = call.candidate.upstream_name
        self.seen[name] += 1
        in_work = Counter(one.candidate.upstream_name for one in self.running)
        self.most[name] = max(self.most[name], in_work[name])
        return name


def assert_shares(seen: Counter, route: Route, of: int, by: float = 0.15) -> None:
    total = sum(target.weight for target in route.targets)
    for target in route.targets:
        share = of * target.weight / total
        assert abs(seen[target.upstream_name] - share) <= by * share, (target.upstream_name, seen)


# -- weights -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at_once", [1, 7, 60])
@pytest.mark.parametrize("weights", [(1,) * TWELVE, (6, 3, 1)])
@pytest.mark.parametrize("kind", ["conversations", "no conversation"])
def test_endpoints_share_the_calls_by_their_weights(weights, at_once, kind):
    traffic = Traffic(route_of(*weights), at_once)
    for number in range(1_200):
        traffic.send(f"question {number}", **({} if kind == "conversations" else {"messages": None}))
    assert_shares(traffic.seen, traffic.route, of=1_200)


def test_weight_0_is_asked_in_need_only():
    route = route_of(0, 1, 1)
    call = a_call(route)
    breaker = Breaker()
    arrange(call, breaker, Load())
    assert [one.upstream_name for one in call.candidates][-1] == "0"
    for candidate in call.candidates[:2]:
        call.begin_attempt(candidate)
        call.asked_pause_s = 60.0
        breaker.note(call, "upstream_rate_limited")
    arrange(call, breaker, Load())
    assert call.candidates[0].upstream_name == "0"


def test_one_that_hung_is_not_flooded_when_it_answers_again():
    """What it missed is not made up for."""
    traffic = Traffic(route_of(*(1,) * 4), at_once=8)
    stuck = []
    for _number in range(400):
        traffic.send("", messages=None)
        if traffic.running[-1].candidate.upstream_name == "0":
            stuck.append(traffic.running.pop())
    for call in stuck:
        traffic.load.leave(call)
    traffic.seen.clear()
    for _number in range(400):
        traffic.send("", messages=None)
    assert len(stuck) < 10 and traffic.seen["0"] <= 100 + 2 * MAX_LEAD


# -- what is in work -----------------------------------------------------------------------------------------


def test_who_answers_slowly_gets_no_more_than_it_does():
    """The first keeps all that it gets."""
    traffic = Traffic(route_of(1, 1, 1), at_once=9)
    stuck = []
    for number in range(300):
        traffic.send(str(number), messages=None)
        if traffic.running[-1].candidate.upstream_name == "0":
            stuck.append(traffic.running.pop())
    assert len(stuck) <= 8, "a quarter more than its share of all that is in work, or a few"
    assert_shares(traffic.seen, make_route([], targets=traffic.route.targets[1:]), of=300 - len(stuck))


def test_a_call_is_in_work_at_one_endpoint_and_then_nowhere():
    """Seen by whom the next calls would go to: one that is full is passed over."""
    route, load = route_of(1, 1), Load()
    calls = [a_call(route) for _number in range(FREE_PLACES)]

    def next_ones(count: int) -> set[str]:
        order = [load.arrange(calls[0].candidates, None) for _number in range(count)]
        return {candidates[0].upstream_name for candidates in order}

    for _turn in range(2):
        for call in calls:
            first, second = call.candidates
            for candidate in (second, first):
                call.begin_attempt(candidate)
                load.move(call)
        assert next_ones(2) == {"1"}
        for call in (*calls, *calls):
            load.leave(call)
        assert next_ones(8) == {"0", "1"}


# -- how a call begins ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("at_once", [1, 60])
def test_the_turns_of_a_conversation_mostly_go_to_one_endpoint(at_once):
    """Among those of 200 others; each endpoint has its share none the less."""
    traffic, seen, again = Traffic(route_of(*(1,) * TWELVE), at_once), set(), 0
    turns = [number for number in range(200) for _turn in range(6)]
    random.Random(17).shuffle(turns)
    lengths = Counter()
    for number in turns:
        lengths[number] += 1
        messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": f"q {number}"}]
        messages += [{"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}] * lengths[
            number
        ]
        place = (number, traffic.send("", messages=messages))
        again += place in seen
        seen.add(place)
    assert again >= 0.78 * 1_000, "of those that were not a conversation's first; by turn it is a quarter"
    assert_shares(traffic.seen, traffic.route, of=1_200)


def test_what_all_begin_with_does_not_fill_one_endpoint():
    traffic = Traffic(route_of(*(1,) * TWELVE), at_once=120)
    for _number in range(1_200):
        traffic.send("the same", messages=[{"role": "system", "content": "x" * 5_000}])
    assert_shares(traffic.seen, traffic.route, of=1_200)
    assert max(traffic.most.values()) <= 1.25 * 120 / TWELVE + 1


def test_alone_it_stays_where_it_is_in_memory():
    traffic = Traffic(route_of(*(1,) * TWELVE), at_once=FREE_PLACES)
    assert len({traffic.send("the same") for _number in range(4)}) == 1


def test_without_one_endpoint_only_its_own_beginnings_move():
    route = route_of(*(1,) * TWELVE)
    fewer = make_route([], targets=route.targets[1:])

    def preferred(among: Route, number: int) -> str:
        call = a_call(among, f"q {number}")
        arrange(call, Breaker(), Load())  # nothing in work, nobody ahead
        return call.candidates[0].upstream_name

    for number in range(100):
        before, after = preferred(route, number), preferred(fewer, number)
        assert before in ("0", after)


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        ({"tenant": "globex"}, False),
        ({"prompt_cache_key": "k"}, False),
        ({"text": "another question"}, False),
        ({"system": "another beginning"}, False),
        ({"more": [{"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}]}, True),
        ({"parts": True}, True),
        ({"temperature": 1}, True),
    ],
    ids=lambda one: next(iter(one), "") if isinstance(one, dict) else "",
)
def test_what_is_the_same_beginning(other, is_same):
    def begin(tenant="acme", text="q", system="s", more=(), parts=False, **body) -> int | None:
        content = [{"type": "text", "text": text}] if parts else text
        messages = [{"role": "system", "content": system}, {"role": "user", "content": content}, *more]
        return find_beginning(a_call(route_of(1, 1), tenant=tenant, messages=messages, **body))

    assert (begin() == begin(**other)) is is_same


def test_only_the_beginning_of_a_long_text_counts():
    def begin(text: str) -> int | None:
        return find_beginning(a_call(route_of(1, 1), text))

    assert begin("x" * 5_000 + "a") == begin("x" * 5_000 + "b") != begin("x" * 4_000 + "a")
    assert begin("ü" * 3_000 + "a") == begin("ü" * 3_000 + "b")
    assert begin("\ud83d") is not None


def test_no_more_are_tried_than_may_be_and_stand_ins_keep_their_places():
    ours, other = route_of(*(1,) * TWELVE), route_of(*(1,) * 5)
    call = a_call(ours)
    call.candidates = [*call.candidates, *(Candidate(other, one, "other") for one in other.targets)]
    arrange(call, Breaker(), Load())
    routes = [one.route for one in call.candidates]
    assert len(routes) == MAX_ATTEMPTS and routes == [ours] * 3 + [other] * 3


# -- twelve servers ------------------------------------------------------------------------------------------


@contextlib.contextmanager
def twelve_servers():
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(running_mockllm()) for _number in range(TWELVE)]


async def ask_all(host, known, texts: list[str], at_once: int) -> list[str]:
    """The codes of those that failed."""
    places, failed = asyncio.Semaphore(at_once), []

    async def ask(text: str) -> None:
        async with places:
            call = a_call(known.routes["ours"], text)
            try:
                await pipeline.prepare(call, known, host)
                await pipeline.complete(call, host)
            except AtriumError as exc:
                failed.append(exc.code)

    await asyncio.gather(*map(ask, texts))
    return failed


def count_answers(mocks: list[MockLLM]) -> list[int]:
    return [len(mock.ledger()) for mock in mocks]


def test_twelve_endpoints_share_the_calls_and_four_may_die():
    async def run(mocks: list[MockLLM]) -> None:
        known = snapshot(make_route([make_endpoint(mock.base_url) for mock in mocks], "mock"))
        async with open_session(PRIVATE) as client:
            host = collaborators(client, in_flight=InFlight())
            assert await ask_all(host, known, [f"a {number}" for number in range(1_200)], 48) == []
            first = count_answers(mocks)
            assert sum(first) == 1_200 and max(abs(count - 100) for count in first) <= 15, first
            for mock in mocks[:4]:
                os.kill(mock.pid, signal.SIGKILL)
            assert await ask_all(host, known, [f"b {number}" for number in range(1_200)], 48) == []
            left = [now - before for now, before in zip(count_answers(mocks[4:]), first[4:], strict=True)]
            assert sum(left) == 1_200 and max(abs(count - 150) for count in left) <= 22, left
            assert not any(one.in_work for one in host.load._all.values())
            assert len(host.ledger.holds) == len(host.ledger.bills) == 2_400

    with twelve_servers() as mocks:
        asyncio.run(run(mocks))
