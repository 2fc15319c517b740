"""How many calls are in work at once, who waits in line for a place, and in which order."""

import asyncio
from collections import Counter
from uuid import uuid4

import pytest

from foundation.errors import QuotaExceeded, Unavailable
from gateway.state import in_flight
from gateway.state.in_flight import InFlight
from tests.gateway.test_bounds import a_call

# -- how many at once ----------------------------------------------------------------------------------------


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(in_flight, "OF_CALLER", 2)
    monkeypatch.setattr(in_flight, "OF_ALL", 60)
    return InFlight()


def fill(places: InFlight, tenant: str, at_most: int = 1_000) -> int:
    """How many calls of a tenant with very many keys come in before one is sent away."""
    for number in range(at_most):
        try:
            places.enter(a_call(tenant, uuid4().hex[:8]))
        except QuotaExceeded as exc:
            assert (exc.code, exc.retry_after_s) == ("too_many_calls", 1)
            return number
    return at_most


def test_a_caller_has_so_many_calls_in_work(few):
    few.enter(a_call())
    few.enter(a_call())
    with pytest.raises(QuotaExceeded) as caught:
        few.enter(a_call())
    assert (caught.value.code, caught.value.retry_after_s) == ("too_many_calls", 1)
    few.enter(a_call(key="bbbbbbbb"))


def test_tenants_that_take_all_they_can_leave_as_much_to_whoever_comes(few):
    assert fill(few, "acme") == 30, "alone: half"
    assert [fill(few, name) for name in ("globex", "third", "fourth", "fifth")] == [15, 8, 4, 2]
    few.enter(a_call("sixth"))
    with pytest.raises(Unavailable) as overloaded:
        few.enter(a_call("seventh"))
    assert (overloaded.value.code, overloaded.value.retry_after_s) == ("overloaded", 1)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_tenants_that_come_together_have_the_same(few, count):
    names, got = [f"tenant-{number}" for number in range(count)], Counter()
    for turn in range(60):
        for name in names:
            got[name] += fill_one(few, name, turn)
    assert set(got.values()) == {60 // (count + 1)} and fill(few, "newcomer") >= 60 // (count + 1) // 2


def fill_one(places: InFlight, tenant: str, number: int) -> int:
    try:
        places.enter(a_call(tenant, f"k{number:07}"))
    except QuotaExceeded:
        return 0
    return 1


def test_one_above_its_share_comes_back_to_it_as_its_calls_end(few):
    calls = [a_call("acme", f"k{number:07}") for number in range(30)]
    for call in calls:
        few.enter(call)
    others = fill(few, "globex")
    for call in calls[:10]:
        few.leave(call)
        assert fill(few, "acme") == 0, "it has more than its share"
        others += fill(few, "globex")
    assert others == 20, "a third each, and a third for whoever comes"


def test_a_place_becomes_free_once(few):
    first, second = a_call(), a_call()
    few.enter(first)
    few.enter(second)
    few.leave(first)
    few.leave(first)
    few.enter(a_call())
    with pytest.raises(QuotaExceeded):
        few.enter(a_call())
    few.leave(a_call())  # it never entered
    with pytest.raises(QuotaExceeded):
        few.enter(a_call())


# -- in line -------------------------------------------------------------------------------------------------


def full_of(places: InFlight, *tenants: str) -> list:
    """Calls of these tenants that have every place, each with a key of its own."""
    calls = [a_call(name, uuid4().hex[:8]) for name in tenants]
    for call in calls:
        places.enter(call)
    return calls


async def settle_down() -> None:
    for _turn in range(5):
        await asyncio.sleep(0)


def test_who_waits_is_taken_in_turn_by_tenant(monkeypatch):
    """However many calls of one of them wait, and came before."""
    monkeypatch.setattr(in_flight, "OF_ALL", 12)

    async def run() -> None:
        places, order = InFlight(), []
        running = full_of(places, *(f"t{number}" for number in range(12)))

        async def wait(tenant: str) -> None:
            call = a_call(tenant, uuid4().hex[:8])
            await places.come_in(call)
            order.append(tenant)
            running.append(call)

        tasks = [asyncio.create_task(wait("acme")) for _number in range(6)]
        tasks += [asyncio.create_task(wait(name)) for name in ("globex", "globex", "third")]
        await settle_down()
        assert order == []
        for _call in range(9):  # one place, which each gives back at once
            places.leave(running.pop())
            await settle_down()
        assert order == ["acme", "globex", "third", "acme", "globex", *["acme"] * 4]
        await asyncio.gather(*tasks)
        for call in running:
            places.leave(call)
        assert (places._all, places._line) == (0, {})

    asyncio.run(run())


def test_a_tenant_that_waits_for_its_own_share_is_in_nobodys_way(few):
    async def run() -> None:
        ours = [a_call("acme", uuid4().hex[:8]) for _number in range(30)]
        for call in ours:
            few.enter(call)
        waiting = asyncio.create_task(few.come_in(a_call("acme", "k")))
        await settle_down()
        await few.come_in(a_call("globex"))
        assert not waiting.done()
        few.leave(ours[0])
        few.leave(ours[1])
        await waiting

    asyncio.run(run())


def test_nobody_waits_for_longer_or_in_a_longer_line_than_is_good(monkeypatch):
    monkeypatch.setattr(in_flight, "OF_ALL", 4)
    monkeypatch.setattr(in_flight, "OF_CALLER", 3)
    monkeypatch.setattr(in_flight, "PATIENCE_S", 0.3)
    monkeypatch.setattr(in_flight, "MAX_LINE", 4)
    monkeypatch.setattr(in_flight, "MAX_LINE_OF_TENANT", 2)

    async def refused(places: InFlight, tenant: str) -> bool:
        try:
            await places.come_in(a_call(tenant, uuid4().hex[:8]))
        except (Unavailable, QuotaExceeded):
            return True
        return False

    async def run() -> None:
        places = InFlight()
        full_of(places, "t1", "t2", "t3", "t4")
        waiting = [asyncio.create_task(refused(places, name)) for name in ("acme", "acme", "globex")]
        await settle_down()
        monkeypatch.setattr(in_flight, "PATIENCE_S", 3600)
        assert await refused(places, "acme"), "at once: its line is full"
        monkeypatch.setattr(in_flight, "PATIENCE_S", 0.3)
        waiting.append(asyncio.create_task(refused(places, "third")))
        await settle_down()
        monkeypatch.setattr(in_flight, "PATIENCE_S", 3600)
        for name in ("globex", "fourth"):
            assert await refused(places, name), "at once: that of all is full"
        assert await asyncio.gather(*waiting) == [True] * 4
        assert (places._all, places._line) == (4, {})

    asyncio.run(run())


def test_who_leaves_the_line_takes_no_place(monkeypatch):
    monkeypatch.setattr(in_flight, "OF_ALL", 2)

    async def run(gives_place_first: bool) -> None:
        places = InFlight()
        first, _second = full_of(places, "t1", "t2")
        gone, stays = a_call("acme", "a"), a_call("acme", "b")
        going, staying = (asyncio.create_task(places.come_in(call)) for call in (gone, stays))
        await settle_down()
        if gives_place_first:
            places.leave(first)
        going.cancel()
        if not gives_place_first:
            places.leave(first)
        await settle_down()
        assert going.cancelled() and staying.done() and stays.is_in_flight and not gone.is_in_flight
        assert (places._all, places._line) == (2, {})

    for gives_place_first in (True, False):
        asyncio.run(run(gives_place_first))


def test_a_caller_with_too_many_calls_does_not_wait(few):
    few.enter(a_call())
    few.enter(a_call())
    with pytest.raises(QuotaExceeded):
        asyncio.run(asyncio.wait_for(few.come_in(a_call()), 1))
