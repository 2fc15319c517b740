"""S33, the limiter's half: four processes, a tenant A that asks ten times its limit and a tenant B that keeps
to its own. A gets its limit and no 1 % more, B is never refused, nobody meets an error.

B's waiting is counted, not timed: its call waits for the script that runs and for its own, however much A
asks meanwhile. (The p95 by the clock is the bench's: docs/figures.md.)
"""

import io
import json
import socket

import pytest

from gateway.bounds import Bound
from gateway.state import limits
from gateway.state.limits import LEASE_S, Limiter
from tests.gateway.test_limits import ask, run
from tests.planted import start_program

PROCESSES, LIMIT, TIMES, WAVES = 4, 1_000, 10, 25
TOKENS, AT_ONCE = 100_000, 20
pytestmark = [pytest.mark.scope(None), pytest.mark.timeout(180)]

# Each line it reads is JSON: what to do, and Python that breaks the limiter meanwhile; it answers with a line
# of JSON.
WORKER = """
import asyncio, json, random, sys
from gateway.bounds import Bound
from gateway.state.limits import Limiter
from gateway.state.valkey import make_redis
RPM, TPM, AT_ONCE = "requests_per_minute", "tokens_per_minute", "calls_at_once"
A = (Bound("tenant", RPM, {limit}, "a:limit:tenant::rpm"),)
B = (Bound("tenant", RPM, {limit}, "b:limit:tenant::rpm"),)
A_TOKENS = (Bound("tenant", TPM, {tokens}, "a:limit:tenant::tpm"),)
A_AT_ONCE = (Bound("tenant", AT_ONCE, {at_once}, "a:limit:tenant::once"),)
draw = random.Random({seed})

async def flood(limiter, redis, waves):
    scripts = [0]
    run = redis.evalsha
    def counted(*arguments):
        scripts[0] += 1
        return run(*arguments)
    redis.evalsha = counted
    found = {{"a": 0, "b": 0, "b_asked": 0, "most_scripts": 0}}
    async def of_b():
        before = scripts[0]
        verdict = await limiter.admit(B)
        found["b_asked"] += 1
        found["b"] += verdict.is_admitted
        found["most_scripts"] = max(found["most_scripts"], scripts[0] - before)
    for wave in range(waves):
        asking = [limiter.admit(A) for _ in range({limit} * {times} // {processes} // 25)]
        *verdicts, _none = await asyncio.gather(*asking, of_b())
        found["a"] += sum(verdict.is_admitted for verdict in verdicts)
    return found

async def spend(limiter, redis, _waves):
    # what is used is less than what is taken: 100 calls at once, until nothing is admitted any more
    used = 0
    async def one():
        nonlocal used
        verdict = await limiter.admit(A_TOKENS, draw.randrange(500, 2_000))
        if not verdict.is_admitted:
            return False
        spent = draw.randrange(1, verdict.tokens)
        used += spent
        await asyncio.sleep(0)
        limiter.give_back(verdict, spent)
        return True
    for wave in range(40):
        await asyncio.gather(*[one() for _ in range(25)])
    return {{"used": used}}

async def hold(limiter, redis, _waves):
    most = admitted = 0
    async def one():
        nonlocal most, admitted
        verdict = await limiter.admit(A_AT_ONCE)
        if verdict.is_admitted:
            admitted += 1
            most = max(most, await redis.incr("s33:now"))
            await asyncio.sleep(0)
            await redis.decr("s33:now")
            limiter.give_back(verdict)
    for wave in range(20):
        await asyncio.gather(*[one() for _ in range(25)])
    return {{"most": most, "admitted": admitted}}

async def keep(limiter, redis, _waves):
    verdicts = await asyncio.gather(*[limiter.admit(A_AT_ONCE) for _ in range({at_once})])
    print(json.dumps({{"held": sum(verdict.is_admitted for verdict in verdicts)}}), flush=True)
    await asyncio.sleep(3600)

async def work(what, bug, waves=0):
    redis = make_redis(socket_timeout_s=20)
    redis.connection_pool.connection_kwargs["socket_connect_timeout"] = 20  # the machine may be busy
    healthy = {{name: vars(Limiter)[name] for name in ("_ask", "give_back")}}
    exec(bug, {{"Limiter": Limiter}})
    limiter = Limiter(redis)
    try:
        return await globals()[what](limiter, redis, waves)
    finally:
        await limiter.close()
        await redis.aclose()
        for name, function in healthy.items():
            setattr(Limiter, name, function)

async def learn(limiter, redis, _waves):
    await limiter.admit((Bound("tenant", RPM, 9, "warm:limit"),))  # the server knows the script

asyncio.run(work("learn", ""))
print("ready", flush=True)
for line in sys.stdin:
    print(json.dumps(asyncio.run(work(**json.loads(line)))), flush=True)
"""


class Worker:
    def __init__(self, seed: int) -> None:
        numbers = {"limit": LIMIT, "times": TIMES, "tokens": TOKENS, "at_once": AT_ONCE}
        source = WORKER.format(seed=seed, processes=PROCESSES, **numbers)
        self._line, theirs = socket.socketpair()
        self._text: io.TextIOWrapper = self._line.makefile("rw")
        with theirs:
            self._process = start_program(source, theirs)

    def tell(self, what: str, bug: str = "", waves: int = WAVES) -> None:
        self._text.write(json.dumps({"what": what, "bug": bug, "waves": waves}) + "\n")
        self._text.flush()

    def hear(self) -> str:
        return self._text.readline()

    def end(self) -> None:
        self._process.kill()
        self._process.join()
        self._text.close()
        self._line.close()


@pytest.fixture(scope="module")
def four():
    processes = [Worker(seed) for seed in range(PROCESSES)]
    assert [process.hear() for process in processes] == ["ready\n"] * PROCESSES
    yield processes
    for process in processes:
        process.end()


def run_four(four: list[Worker], what: str, bug: str = "", waves: int = WAVES) -> list[dict]:
    """What each process found that did it at the same time as the others, with empty counters."""
    run(lambda limiter: limiter._redis.ping())  # empties them
    for process in four:
        process.tell(what, bug, waves)
    return [json.loads(process.hear()) for process in four]


def prove(four, bug: str = "", waves: int = WAVES) -> None:
    found = run_four(four, "flood", bug, waves)
    admitted = sum(one["a"] for one in found)
    assert LIMIT * 0.99 <= admitted <= LIMIT * 1.01, f"A got {admitted} of {LIMIT}"
    assert all(one["b"] == one["b_asked"] == waves for one in found), "B is never refused"
    assert max(one["most_scripts"] for one in found) <= 2, "B waits for the running script and its own"


def test_four_processes_together_admit_the_limit_and_the_neighbour_notices_nothing(four):
    prove(four)


def test_planted_bug_processes_that_count_for_themselves_are_found_out(four):
    with pytest.raises(AssertionError, match="A got"):
        prove(four, "Limiter._ask = None")


def test_planted_bug_a_neighbour_in_the_same_queue_is_found_out(four):
    """A lane that asks call by call lets B wait behind all of A."""
    bug = (
        "real = Limiter._ask\n"
        "async def one_by_one(self, groups, now, real=real):\n"
        "    answers = []\n"
        "    for asked, waiters in groups.items():\n"
        "        rows = [(await real(self, {asked: [one]}, now))[0] for one in waiters]\n"
        "        answers.append([sum(row[0] for row in rows), *rows[-1][1:]])\n"
        "    return answers\n"
        "Limiter._ask = one_by_one"
    )
    with pytest.raises(AssertionError, match="B waits"):
        prove(four, bug, waves=3)


def spend_and_count(four, bug: str = "") -> int:
    return sum(one["used"] for one in run_four(four, "spend", bug))


def test_tokens_that_were_really_used_reach_the_limit_and_do_not_pass_it(four):
    """Four processes take more than they use and give the rest back: what was used fills the limit."""
    used = spend_and_count(four)
    assert TOKENS * 0.9 <= used <= TOKENS, f"{used} tokens were used of {TOKENS}"


def test_planted_bug_tokens_that_never_come_back_are_found_out(four):
    used = spend_and_count(four, "Limiter.give_back = lambda *_: None")
    assert used < TOKENS * 0.9


def hold(four, bug: str = "") -> None:
    found = run_four(four, "hold", bug)
    assert sum(one["admitted"] for one in found) > 2 * AT_ONCE, "places are given back"
    assert 1 < max(one["most"] for one in found) <= AT_ONCE, "too many at once"


def test_never_more_calls_at_once_than_the_limit_over_four_processes(four):
    hold(four)


def test_planted_bug_places_that_never_come_back_are_found_out(four):
    with pytest.raises(AssertionError, match="places are given back"):
        hold(four, "Limiter.give_back = lambda *_: None")


def test_a_killed_process_holds_its_calls_no_longer_than_its_lease(monkeypatch):
    run(lambda limiter: limiter._redis.ping())
    process = Worker(0)
    try:
        assert process.hear() == "ready\n"
        process.tell("keep")
        assert json.loads(process.hear()) == {"held": AT_ONCE}
    finally:
        process.end()
    bounds = (Bound("tenant", "calls_at_once", AT_ONCE, "a:limit:tenant::once"),)
    real = limits.time.time

    async def main(limiter: Limiter) -> list[int]:
        found = []
        for later_s in (0, LEASE_S + 1):
            monkeypatch.setattr(limits.time, "time", lambda later_s=later_s: real() + later_s)
            found.append(sum(verdict.is_admitted for verdict in await ask(limiter, *bounds, count=AT_ONCE)))
        return found

    assert run(main, keep=True) == [0, AT_ONCE]
