"""The counters of calls against a real Valkey, and without one."""

import asyncio

import pytest
from django.conf import settings
from redis.asyncio import Redis

from gateway.bounds import Bound
from gateway.state import limits
from gateway.state.limits import LEASE_S, RENEW_S, Limiter
from gateway.state.valkey import make_redis

REQUESTS, TOKENS = "requests_per_minute", "tokens_per_minute"
A_DAY, AT_ONCE = "tokens_per_day", "calls_at_once"


@pytest.fixture
def clock(monkeypatch):
    """A clock that tests move by hand."""
    state = {"now": 1_000_000.0}
    monkeypatch.setattr(limits.time, "time", lambda: state["now"])
    return state


def run(main, *, has_valkey: bool = True, processes: int = 1, keep: bool = False):
    """What `main(limiter)` gives, with counters that are empty, or (keep) as they are."""

    async def with_limiter():
        redis = make_redis() if has_valkey else Redis(unix_socket_path="/nowhere.sock")
        if has_valkey and not keep:
            await redis.flushdb()
        limiter = Limiter(redis, processes)
        try:
            return await main(limiter)
        finally:
            await limiter.close()
            await redis.aclose()

    return asyncio.run(with_limiter())


def bound(amount: int, measure: str = REQUESTS, whose: str = "t", level: str = "tenant") -> Bound:
    return Bound(level, measure, amount, f"acme:limit:{whose}:{measure}")


async def ask(limiter: Limiter, *bounds: Bound, tokens: int = 0, count: int = 1) -> list:
    return list(await asyncio.gather(*[limiter.admit(bounds, tokens) for _ in range(count)]))


async def admitted(limiter: Limiter, *bounds: Bound, tokens: int = 0, count: int = 1) -> int:
    return sum(verdict.is_admitted for verdict in await ask(limiter, *bounds, tokens=tokens, count=count))


async def settle_down(limiter: Limiter) -> None:
    """Until what was given back has arrived."""
    while limiter._lane and not limiter._lane.done():
        await limiter._lane


def test_exactly_the_limit_is_admitted_of_many_at_once(clock):
    assert run(lambda limiter: admitted(limiter, bound(50), count=200)) == 50


def test_a_server_that_was_started_anew_learns_the_script_again(clock, monkeypatch):
    async def main(limiter):
        monkeypatch.setattr(limiter._memory, "count", None)  # nobody falls back to memory
        first = await admitted(limiter, bound(5), count=3)
        await limiter._redis.script_flush()
        return first, await admitted(limiter, bound(5), count=3)

    assert run(main) == (3, 2)


@pytest.mark.parametrize("has_valkey", [True, False])
def test_someone_who_keeps_to_the_limit_is_never_refused(clock, has_valkey):
    """A burst of the whole limit at the start of every minute, for five minutes."""

    async def main(limiter):
        total = 0
        for _minute in range(5):
            total += await admitted(limiter, bound(100), count=100)
            clock["now"] += 60
        return total

    assert run(main, has_valkey=has_valkey) == 500


@pytest.mark.parametrize(("measure", "tokens"), [(REQUESTS, 0), (TOKENS, 7)])
def test_any_minute_holds_at_most_the_limit(clock, measure, tokens):
    async def main(limiter):
        moments = []
        for _step in range(600):
            moments += [clock["now"]] * await admitted(
                limiter, bound(60 * max(1, tokens), measure), tokens=tokens, count=3
            )
            clock["now"] += 0.25
        return moments

    moments = run(main)
    most = max(sum(start <= moment < start + 60 for moment in moments) for start in moments)
    assert 60 <= most <= 61, "at most 0.9 % above the limit"


def test_any_day_holds_at_most_the_limit_and_a_slot(clock):
    async def main(limiter):
        moments = []
        for _step in range(3 * 24 * 12):
            moments += [clock["now"]] * await admitted(limiter, bound(1_000, A_DAY), tokens=10, count=2)
            clock["now"] += 300
        return moments

    moments = run(main)
    most = max(sum(start <= moment < start + 86_400 for moment in moments) for start in moments)
    assert 100 <= most <= 104


def test_the_verdict_tells_what_is_left_and_when_to_come_again(clock):
    first, second, third = run(lambda limiter: ask(limiter, bound(2), count=3))
    assert (first.left, second.left, third.is_admitted) == ([1], [0], False)
    assert 59 <= third.reset_s[0] <= 60 and 59 <= third.wait_s[0] <= 60


@pytest.mark.parametrize("has_valkey", [True, False])
def test_a_refused_call_is_told_when_enough_tokens_have_fallen_out(clock, has_valkey):
    async def main(limiter):
        for tokens in (10, 60, 30):
            assert await admitted(limiter, bound(100, TOKENS), tokens=tokens) == 1
            clock["now"] += 10
        verdicts = [(await ask(limiter, bound(100, TOKENS), tokens=tokens))[0] for tokens in (5, 40, 80, 101)]
        assert not any(verdict.is_admitted for verdict in verdicts)
        return [verdict.wait_s[0] for verdict in verdicts]

    first, second, third, never = run(main, has_valkey=has_valkey)
    assert 29 <= first <= 30 and 39 <= second <= 40 and 49 <= third <= 50, "the slots they wait for"
    assert never is None, "no minute has room for it"


@pytest.mark.parametrize("has_valkey", [True, False])
def test_a_call_counts_in_all_its_limits_or_in_none(clock, has_valkey):
    """A key that is over its limit must not use up its organisation's."""
    plan, eager, other = bound(10), bound(4, whose="eager", level="key"), bound(100, whose="other")

    async def main(limiter):
        verdicts = await asyncio.gather(
            *[limiter.admit((eager, plan)) for _ in range(20)],
            *[limiter.admit((other, plan)) for _ in range(20)],
        )
        eagers, others = verdicts[:20], verdicts[20:]
        assert sum(verdict.is_admitted for verdict in eagers) == 4
        assert sum(verdict.is_admitted for verdict in others) == 6
        assert {verdict.refusing for verdict in eagers if not verdict.is_admitted} == {0}, "the key's"
        assert {verdict.refusing for verdict in others if not verdict.is_admitted} == {1}, "the plan's"
        assert [verdict.left[1] for verdict in others[:6]] == [5, 4, 3, 2, 1, 0]
        return (await ask(limiter, other))[0].left

    assert run(main, has_valkey=has_valkey) == [93]


@pytest.mark.parametrize("has_valkey", [True, False])
def test_measures_of_every_kind_are_all_or_none(clock, has_valkey):
    bounds = (bound(100), bound(1_000, TOKENS), bound(10_000, A_DAY), bound(3, AT_ONCE))

    async def main(limiter):
        verdicts = await ask(limiter, *bounds, tokens=400, count=5)
        assert [verdict.is_admitted for verdict in verdicts] == [True, True, False, False, False]
        assert verdicts[-1].left == [98, 200, 9_200, 1]
        for verdict in verdicts:
            limiter.give_back(verdict, used_tokens=100)
        await settle_down(limiter)
        return (await ask(limiter, *bounds, tokens=400))[0].left

    assert run(main, has_valkey=has_valkey) == [97, 400, 9_400, 2]


@pytest.mark.parametrize("has_valkey", [True, False])
@pytest.mark.parametrize("measure", [TOKENS, A_DAY])
def test_tokens_that_were_not_used_come_back_at_once(clock, measure, has_valkey):
    async def main(limiter):
        (verdict,) = await ask(limiter, bound(1_000, measure), tokens=900)
        assert await admitted(limiter, bound(1_000, measure), tokens=200) == 0
        clock["now"] += 20
        limiter.give_back(verdict, used_tokens=50)
        await settle_down(limiter)
        assert await admitted(limiter, bound(1_000, measure), tokens=951) == 0, "what was used stays counted"
        return await admitted(limiter, bound(1_000, measure), tokens=950)

    assert run(main, has_valkey=has_valkey) == 1


def test_what_comes_back_after_its_window_gives_nobody_more(clock):
    async def main(limiter):
        (verdict,) = await ask(limiter, bound(1_000, TOKENS), tokens=900)
        clock["now"] += 61
        assert await admitted(limiter, bound(1_000, TOKENS), tokens=1_000) == 1
        limiter.give_back(verdict)
        await settle_down(limiter)
        return await admitted(limiter, bound(1_000, TOKENS), tokens=1)

    assert run(main) == 0


def test_a_bill_above_the_estimate_counts_too(clock):
    async def main(limiter):
        (verdict,) = await ask(limiter, bound(1_000, TOKENS), tokens=100)
        limiter.give_back(verdict, used_tokens=950)
        await settle_down(limiter)
        first = await admitted(limiter, bound(1_000, TOKENS), tokens=51)
        ttl = await limiter._redis.ttl(bound(1_000, TOKENS).key)
        return first, 0 < ttl <= 61

    assert run(main) == (0, True)


@pytest.mark.parametrize("has_valkey", [True, False])
def test_calls_at_once_are_as_many_as_the_limit_and_one_follows_the_other(clock, has_valkey):
    async def main(limiter):
        verdicts = await ask(limiter, bound(3, AT_ONCE), count=5)
        assert [verdict.is_admitted for verdict in verdicts] == [True] * 3 + [False] * 2
        assert verdicts[-1].wait_s == [1]
        limiter.give_back(verdicts[0])
        limiter.give_back(verdicts[-1])  # it was not admitted: nothing comes back
        await settle_down(limiter)
        assert await admitted(limiter, bound(3, AT_ONCE), count=2) == 1
        for verdict in verdicts[1:3]:
            limiter.give_back(verdict)
        await settle_down(limiter)
        return await admitted(limiter, bound(3, AT_ONCE), count=3)

    assert run(main, has_valkey=has_valkey) == 2


def test_calls_at_once_are_counted_over_all_processes(clock):
    async def main(one):
        other = Limiter(one._redis)
        first, second = await admitted(one, bound(3, AT_ONCE), count=2), await ask(other, bound(3, AT_ONCE))
        assert await admitted(other, bound(3, AT_ONCE)) == 0
        other.give_back(second[0])
        await settle_down(other)
        again = await admitted(one, bound(3, AT_ONCE), count=2)
        await other.close()
        return first, second[0].is_admitted, again

    assert run(main) == (2, True, 1)


def test_a_process_that_dies_holds_its_calls_for_the_lease_and_no_longer(clock):
    async def main(limiter):
        dead = Limiter(limiter._redis)
        assert await admitted(dead, bound(3, AT_ONCE), count=3) == 3
        await dead.close()  # nobody renews any more, nothing was given back
        clock["now"] += LEASE_S - 1
        assert await admitted(limiter, bound(3, AT_ONCE)) == 0
        clock["now"] += 1.1
        return await admitted(limiter, bound(3, AT_ONCE), count=5)

    assert run(main) == 3


def test_a_process_that_lives_keeps_its_calls_and_tells_a_server_that_forgot(clock):
    async def main(limiter):
        assert await admitted(limiter, bound(2, AT_ONCE), count=2) == 2
        other = Limiter(limiter._redis)
        for _round in range(4):
            clock["now"] += RENEW_S
            limiter._renew()
            await settle_down(limiter)
            assert await admitted(other, bound(2, AT_ONCE)) == 0
        await limiter._redis.flushdb()
        limiter._renew()
        await settle_down(limiter)
        refused = await admitted(other, bound(2, AT_ONCE))
        await other.close()
        return refused

    assert run(main) == 0


@pytest.mark.parametrize(("measure", "tokens"), [(REQUESTS, 0), (TOKENS, 1), (A_DAY, 1), (AT_ONCE, 0)])
def test_without_valkey_a_process_allows_its_share(clock, measure, tokens):
    allowed = run(
        lambda limiter: admitted(limiter, bound(40, measure), tokens=tokens, count=100),
        has_valkey=False,
        processes=4,
    )
    assert allowed == 10


def test_what_was_taken_without_valkey_is_known_to_it_when_it_is_back(clock, monkeypatch):
    """Calls at once that began while it was away count; and tokens taken before come back after."""

    async def main(limiter):
        (before,) = await ask(limiter, bound(100, TOKENS), tokens=100)
        real = limiter._redis.evalsha
        monkeypatch.setattr(limiter._redis, "evalsha", Redis(unix_socket_path="/nowhere.sock").evalsha)
        assert await admitted(limiter, bound(2, AT_ONCE), count=3) == 2
        limiter.give_back(before)
        await settle_down(limiter)
        monkeypatch.setattr(limiter._redis, "evalsha", real)
        limiter._use_memory_until_s = 0
        limiter._renew()
        await settle_down(limiter)
        other = Limiter(limiter._redis)
        found = (
            await admitted(other, bound(2, AT_ONCE)),
            await admitted(other, bound(100, TOKENS), tokens=100),
        )
        await other.close()
        return found

    assert run(main) == (0, 1)


@pytest.mark.parametrize("moment", ["queued", "asked", "answered"])
def test_a_caller_who_leaves_takes_nothing_along(clock, moment):
    """Neither a place nor tokens, whenever it leaves; and the others are served."""
    bounds = (bound(1_000, TOKENS), bound(50, AT_ONCE))

    async def main(limiter):
        waiting = [asyncio.create_task(limiter.admit(bounds, 10)) for _ in range(50)]
        if moment != "queued":
            await asyncio.sleep(0)
        if moment == "answered":
            tell = limiter._tell

            def tell_and_cancel(*args, **kwargs):
                tell(*args, **kwargs)
                for task in waiting[::2]:
                    task.cancel()

            limiter._tell = tell_and_cancel
        else:
            for task in waiting[::2]:
                task.cancel()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        limiter.__dict__.pop("_tell", None)
        await settle_down(limiter)
        stayed = sum(getattr(result, "is_admitted", False) for result in results)
        (verdict,) = await ask(limiter, *bounds, tokens=10)
        return stayed, verdict.left

    assert run(main) == (25, [1_000 - 260, 50 - 26])


def test_every_key_carries_its_tenant_and_none_stays_for_ever(clock):
    async def main(limiter):
        await ask(limiter, bound(5), bound(5, TOKENS), bound(5, A_DAY), bound(5, AT_ONCE), tokens=1)
        keys = await limiter._redis.keys("*")
        return keys, [await limiter._redis.ttl(key) for key in keys]

    keys, lives = run(main)
    assert len(keys) == 4 and all(key.startswith(b"acme:") for key in keys)
    assert all(0 < life <= 87_000 for life in lives)


def test_the_settings_name_a_real_server():
    assert settings.REDIS_URL.startswith("unix://")
