"""The ledger when something is in the way: locks, lost connections, callers who leave."""

import asyncio
import os
import threading
import time

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from foundation.errors import Unavailable
from tests.doubles.chaosproxy import Trouble, running_chaosproxy
from tests.usage.books import BILL, PATIENCE_S, SUBJECTS, Books, a_bill, a_hold, until
from usage.ledger import statements, wire
from usage.ledger.bookings import LEVELS, TENANT_SUBJECT
from usage.ledger.statements import SESSION_OPTIONS
from usage.ledger.wire import Wires


async def call(books: Books, ledger) -> None:
    hold = a_hold()
    await ledger.reserve(books.slug, hold)
    await ledger.settle(books.slug, a_bill(hold.request_id))


async def call_once_it_goes(books: Books, ledger) -> None:
    """Ask for a hold until there is one, each time with a call of its own."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            hold = a_hold()
            try:
                await ledger.reserve(books.slug, hold)
                break
            except Unavailable:
                await asyncio.sleep(0.01)
        await ledger.settle(books.slug, a_bill(hold.request_id))


async def calls_while_waiting(books, ledger, tasks) -> int:
    """How many calls of these books end while the tasks wait: one or two where they wait too."""
    calls = 0
    while not all(task.done() for task in tasks):
        await call(books, ledger)
        calls += 1
    return calls


@pytest.mark.parametrize("table", ["usage_budget", "usage_usageevent"])
async def test_a_tenant_whose_tables_are_locked_holds_up_nobody_else(books, other_books, table):
    hold = a_hold()
    async with books.ledger() as ledger:
        await ledger.reserve(books.slug, hold)
        await call(other_books, ledger)
        with books.locked(table):
            locked = [asyncio.create_task(ledger.settle(books.slug, a_bill(hold.request_id)))]
            locked += [asyncio.create_task(ledger.reserve(books.slug, a_hold())) for _ in range(20)]
            calls = await calls_while_waiting(other_books, ledger, locked)
            results = await asyncio.gather(*locked, return_exceptions=True)
        if table != "usage_usageevent":  # a reserve writes no event
            assert all(isinstance(result, Unavailable) for result in results)
        assert calls > 2, "the other tenant's calls went on while these waited"
        await until(books.events)  # the lane tries again
        await call(books, ledger)
    # the bill was kept, and booked
    assert [event.cost for event in books.events()] == [BILL, BILL] and books.holds() == []


async def test_a_bill_waits_for_what_is_over_in_seconds(books):
    """A whole answer would otherwise end with an error, though nothing but a busy machine was the matter."""
    hold = a_hold()
    async with books.ledger() as ledger:
        await ledger.reserve(books.slug, hold)
        with books.locked():
            bill = asyncio.create_task(ledger.settle(books.slug, a_bill(hold.request_id)))
            await asyncio.sleep(2)
        await bill
    assert [event.cost for event in books.events()] == [BILL]


async def test_four_locked_tenants_leave_a_connection_to_the_others(books, other_books):
    async with books.ledger(pool_size=1) as ledger:
        await call(other_books, ledger)
        with books.locked():
            waiting = [asyncio.create_task(ledger.reserve(books.slug, a_hold())) for _ in range(3)]
            assert await calls_while_waiting(other_books, ledger, waiting) > 2
            results = await asyncio.gather(*waiting, return_exceptions=True)
            assert all(isinstance(result, Unavailable) for result in results)


async def test_connections_that_are_shot_lose_and_double_nothing(books):
    budget = books.add_budget("user", "1000")
    stop = asyncio.Event()
    done = refused = 0

    async def caller(ledger) -> None:
        nonlocal done, refused
        while not stop.is_set():
            hold = a_hold()
            try:
                await ledger.reserve(books.slug, hold)
            except Unavailable:
                refused += 1
                await asyncio.sleep(0.01)
                continue
            await ledger.settle(books.slug, a_bill(hold.request_id))
            done += 1

    async with books.ledger() as ledger:
        callers = [asyncio.create_task(caller(ledger)) for _ in range(16)]
        for number in range(1, 21):
            await until(lambda wanted=3 * number: done >= wanted)  # they work again, on new connections
            books.shoot_connections()
        stop.set()
        await asyncio.gather(*callers)
        await until(lambda: not books.holds())  # those of calls that were given up are released behind them
    assert done >= 60 and len(books.events()) == done
    assert books.holds() == []
    assert books.budget(budget).spent == done * BILL and books.budget(budget).held == 0


@pytest.mark.parametrize("direction", ["up", "down"])
async def test_wherever_the_connection_breaks_a_call_is_booked_once(books, tmp_path, direction):
    """Cuts the first connection after every so many bytes: before, in and after the statements of
    hold and bill, their COMMITs included.
    """
    budget = books.add_budget("user", "1000")
    parts = conninfo_to_dict(books.dsn)
    with running_chaosproxy(
        f"{parts['host']}/.s.PGSQL.{parts['port']}", str(tmp_path / ".s.PGSQL.5432")
    ) as proxy:
        books_behind = make_conninfo(books.dsn, host=str(tmp_path), port="5432")
        for count, length in enumerate(
            range(700, 9_500, 550) if direction == "up" else range(400, 3_200, 140), start=1
        ):
            setattr(proxy, direction, Trouble(reset_after=length))
            accepted = proxy.accepted
            task = asyncio.create_task(_one_call_behind(books, books_behind))
            while not task.done():
                if proxy.accepted > accepted + 1:  # the second connection lives
                    setattr(proxy, direction, Trouble())
                await asyncio.sleep(0.005)
            await task
            assert len(books.events()) == count and books.holds() == [] and books.balances_match(), length
    assert books.budget(budget).spent == count * BILL


async def _one_call_behind(books: Books, dsn: str) -> None:
    dsn, books.dsn = books.dsn, dsn
    try:
        async with books.ledger(pool_size=1) as ledger:
            await call_once_it_goes(books, ledger)
            await asyncio.sleep(0.02)
    finally:
        books.dsn = dsn


async def test_a_server_that_answers_nothing_is_given_up_within_two_seconds(books, tmp_path, monkeypatch):
    """One try, and its time is bounded: that these are less than two seconds is seen without a clock."""
    tries, use = [], Wires.use

    async def counted(*arguments):
        tries.append(arguments)
        return await use(*arguments)

    monkeypatch.setattr(Wires, "use", counted)
    assert wire.EXCHANGE_TIMEOUT_S < 2
    parts = conninfo_to_dict(books.dsn)
    with running_chaosproxy(
        f"{parts['host']}/.s.PGSQL.{parts['port']}", str(tmp_path / ".s.PGSQL.5432")
    ) as proxy:
        direct, books.dsn = books.dsn, make_conninfo(books.dsn, host=str(tmp_path), port="5432")
        try:
            async with books.ledger() as ledger:
                await call(books, ledger)
                proxy.down = Trouble(silent=True)
                tries.clear()
                async with asyncio.timeout(PATIENCE_S):
                    with pytest.raises(Unavailable):
                        await ledger.reserve(books.slug, a_hold())
                assert len(tries) == 1
                proxy.cut_all()
                proxy.heal()
                await call_once_it_goes(books, ledger)
        finally:
            books.dsn = direct
    assert len(books.events()) == 2 and books.holds() == []  # the hold of the call that was given up is gone


async def test_a_caller_who_leaves_loses_no_bill_and_leaves_no_hold(books):
    budget = books.add_budget("user")
    billed, left = a_hold(), a_hold()
    async with books.ledger() as ledger:
        await ledger.reserve(books.slug, billed)
        for work in (ledger.settle(books.slug, a_bill(billed.request_id)), ledger.reserve(books.slug, left)):
            task = asyncio.create_task(work)
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        late = a_hold()
        midway = asyncio.create_task(ledger.reserve(books.slug, late))
        await asyncio.sleep(0.001)  # perhaps committed, perhaps not
        if midway.cancel():
            await asyncio.gather(midway, return_exceptions=True)
        else:  # it was all over: the caller has it, and gives it back
            await ledger.void(books.slug, late.request_id)
    assert [event.request_id for event in books.events()] == [billed.request_id]
    assert books.holds() == [] and books.budget(budget).held == 0


PLANS = {
    "as it comes": "",
    "nested loops": "-c enable_hashjoin=off -c enable_mergejoin=off",
    "hashes": "-c enable_nestloop=off -c enable_mergejoin=off",
    "no memoize": "-c enable_hashjoin=off -c enable_mergejoin=off -c enable_indexscan=off",
}


@pytest.mark.parametrize("plan", PLANS)
def test_whoever_waited_for_a_budget_gets_those_behind_it_too(books, plan):
    """PostgreSQL looks again at a row that it had to wait for: what it then does with the rows of a join
    depends on its plan.
    """
    for level in LEVELS:
        for period in ("day", "month", "total"):
            books.add_budget(level, period=period)
    subjects = "{" + ",".join(str(subject) for subject in SUBJECTS.values()) + f",{TENANT_SUBJECT}" + "}"
    options = SESSION_OPTIONS.replace("lock_timeout=100", "lock_timeout=30000") + " " + PLANS[plan]
    with psycopg.connect(
        os.environ["ATRIUM_OWNER_DATABASE_URL"], options=f"{options} -c search_path={books.schema},public"
    ) as lane:
        lane.execute(f"PREPARE locking (uuid[], uuid[]) AS {statements.LOCK_BUDGETS}")
        found = []
        waiting = threading.Thread(
            target=lambda: found.extend(lane.execute(f"EXECUTE locking('{subjects}', '{{}}')").fetchall())
        )
        with books.connection.transaction():
            books.sql("UPDATE usage_budget SET spent = spent")
            waiting.start()
            _wait_for_lock(lane.info.backend_pid)
        waiting.join(30)
        lane.rollback()
    assert len(found) == 12


def _wait_for_lock(pid: int) -> None:
    """Until the session waits for somebody's row."""
    with psycopg.connect(os.environ["ATRIUM_OWNER_DATABASE_URL"], autocommit=True) as watcher:
        for _attempt in range(3_000):
            if watcher.execute("SELECT cardinality(pg_blocking_pids(%s)) > 0", [pid]).fetchone()[0]:
                return
            time.sleep(0.01)
    raise AssertionError("it never waited")


def open_lanes() -> int:
    return sum(task.get_name().startswith("ledger-") for task in asyncio.all_tasks())


async def test_an_idle_lane_closes_and_opens_again(books, monkeypatch):
    monkeypatch.setattr("usage.ledger.lanes.IDLE_S", 0.05)
    async with books.ledger() as ledger:
        await call(books, ledger)
        await until(lambda: open_lanes() == 0)
        await call(books, ledger)
        assert open_lanes() == 1


async def test_a_dying_lane_fails_those_who_wait_for_it(books):
    async with books.ledger() as ledger:
        await call(books, ledger)
        with books.locked():
            waiting = asyncio.create_task(ledger.reserve(books.slug, a_hold()))
            await until(lambda: books.sql("SELECT 1 FROM pg_locks WHERE NOT granted"))  # it is in work
            next(task for task in asyncio.all_tasks() if task.get_name() == f"ledger-{books.slug}").cancel()
            with pytest.raises(Unavailable):
                await waiting
        await call(books, ledger)
