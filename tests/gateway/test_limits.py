"""Step 3's counters against a real Valkey, and without one."""

import asyncio

import pytest
from django.conf import settings
from redis.asyncio import Redis

from gateway.state import limits
from gateway.state.limits import Limiter
from gateway.state.valkey import make_redis


@pytest.fixture
def clock(monkeypatch):
    """A clock that tests move by hand."""
    state = {"now": 1_000_000.0}
    monkeypatch.setattr(limits.time, "time", lambda: state["now"])
    return state


def run(main):
    async def with_limiter():
        redis = make_redis()
        await redis.flushdb()
        try:
            return await main(Limiter(redis))
        finally:
            await redis.aclose()

    return asyncio.run(with_limiter())


async def admitted(limiter: Limiter, count: int, limit: int, key: str = "acme:rpm:t") -> int:
    verdicts = await asyncio.gather(*[limiter.admit((key, limit)) for _ in range(count)])
    return sum(verdict.is_admitted for verdict in verdicts)


def test_exactly_the_limit_is_admitted_of_many_at_once(clock):
    assert run(lambda limiter: admitted(limiter, 200, 50)) == 50


def test_a_server_that_was_started_anew_learns_the_script_again(clock, monkeypatch):
    monkeypatch.setattr(Limiter, "_count_in_memory", None)  # nobody falls back to memory

    async def main(limiter):
        first = await admitted(limiter, 3, 5)
        await limiter._redis.script_flush()
        return first, await admitted(limiter, 3, 5)

    assert run(main) == (3, 2)


def test_someone_who_keeps_to_the_limit_is_never_refused(clock):
    """A burst of the whole limit at the start of every minute, for five minutes."""

    async def main(limiter):
        total = 0
        for _minute in range(5):
            total += await admitted(limiter, 100, 100)
            clock["now"] += 60
        return total

    assert run(main) == 500


def test_any_minute_holds_at_most_the_limit(clock):
    async def main(limiter):
        moments = []
        for _step in range(600):
            moments += [clock["now"]] * await admitted(limiter, 3, 60)
            clock["now"] += 0.25
        return moments

    moments = run(main)
    most = max(sum(start <= moment < start + 60 for moment in moments) for start in moments)
    assert 60 <= most <= 61, "at most 0.9 % above the limit"


def test_the_verdict_tells_what_is_left_and_when_to_come_again(clock):
    async def main(limiter):
        return [await limiter.admit(("acme:rpm:t", 2)) for _ in range(3)]

    first, second, third = run(main)
    assert (first.remaining, second.remaining, third.is_admitted) == (1, 0, False)
    assert 59 <= third.reset_s <= 60


def test_keys_do_not_mix(clock):
    async def main(limiter):
        return await admitted(limiter, 3, 2, "acme:rpm:t"), await admitted(limiter, 3, 2, "globex:rpm:t")

    assert run(main) == (2, 2)


@pytest.mark.parametrize("has_valkey", [True, False])
def test_a_request_counts_in_all_its_counters_or_in_none(clock, has_valkey):
    """A key that is over its limit must not use up its organisation's."""
    plan, eager, other = ("acme:rpm:tenant", 10), ("acme:rpm:key:eager", 4), ("acme:rpm:key:other", 100)

    async def main(limiter):
        if not has_valkey:
            limiter = Limiter(Redis(unix_socket_path="/nowhere.sock"))
        verdicts = await asyncio.gather(
            *[limiter.admit(eager, plan) for _ in range(20)], *[limiter.admit(other, plan) for _ in range(20)]
        )
        eagers, others = verdicts[:20], verdicts[20:]
        assert (
            sum(verdict.is_admitted for verdict in eagers) == 4
            and sum(verdict.is_admitted for verdict in others) == 6
        )
        assert {verdict.limit for verdict in eagers if not verdict.is_admitted} == {4}, (
            "it is the key's limit that was reached"
        )
        assert {(verdict.limit, verdict.tightest) for verdict in others if not verdict.is_admitted} == {
            (10, 1)
        }
        assert [verdict.remaining for verdict in others[:6]] == [5, 4, 3, 2, 1, 0], "of the tightest"
        return await limiter.admit(other)

    assert run(main).remaining == 93


def test_without_valkey_a_process_allows_its_share(clock):
    async def main():
        limiter = Limiter(Redis(unix_socket_path="/nowhere.sock"), processes=4)
        return await admitted(limiter, 100, 40)

    assert asyncio.run(main()) == 10


def test_a_caller_who_leaves_does_not_take_the_others_along(clock):
    async def main(limiter):
        waiting = [asyncio.create_task(limiter.admit(("acme:rpm:t", 100))) for _ in range(50)]
        await asyncio.sleep(0)
        for task in waiting[::2]:
            task.cancel()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        return sum(getattr(result, "is_admitted", False) for result in results)

    assert run(main) == 25


def test_every_key_carries_its_tenant(clock):
    async def main(limiter):
        await limiter.admit(("acme:rpm:t", 5))
        return await limiter._redis.keys("*")

    assert all(key.startswith(b"acme:") for key in run(main))


def test_the_settings_name_a_real_server():
    assert settings.REDIS_URL.startswith("unix://")
