"""What the ledger does for a call at saturation: statements and round trips to the database, function calls
of the process. A busy machine changes none of them. CPU is told beside them, and judged by nobody here.
"""

import asyncio
import resource
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest
import uvloop

from tests.usage.books import Books, a_bill, a_hold, new_books
from usage.ledger.statements import COMMIT
from usage.ledger.wire import Statement, Wire

CALLERS, CALLS = 64, 3_200
# twice what was measured, and a third more of the last: 0.250, 0.062, 147
MOST_STATEMENTS, MOST_TRIPS, MOST_FUNCTIONS = 0.5, 0.125, 200
# of 20 tenants: 3.84, 0.062, 0.031, 329 were measured; four times the trips and commits are allowed, since it
# depends on who comes when. With a transaction for each tenant there were 5.0, 1.25 and 0.63
TENANTS, MOST_OF_MANY = 20, {"statements": 4.9, "trips": 0.25, "commits": 0.125, "functions": 650}


@dataclass
class Work:
    """What has been done since the last reset."""

    statements: int = 0
    trips: int = 0
    commits: int = 0
    functions: int = 0  # called, of Python and of C

    def reset(self) -> None:
        self.statements = self.trips = self.commits = self.functions = 0

    def note(self, _frame, event: str, _argument) -> None:
        self.functions += event in ("call", "c_call")


@pytest.fixture
def work(monkeypatch) -> Work:
    done, exchange = Work(), Wire.exchange

    async def counted(wire: Wire, statements: Sequence[Statement]) -> list:
        done.statements += len(statements)
        done.trips += 1
        done.commits += any(statement == COMMIT for statement, _params in statements)
        return await exchange(wire, statements)

    monkeypatch.setattr(Wire, "exchange", counted)
    return done


@pytest.fixture
def twenty_books(django_db_setup, django_db_blocker) -> Iterator[list[Books]]:
    with new_books(TENANTS, django_db_blocker) as found:
        yield found


async def call_often(
    all_books: list[Books], work: Work, callers: int, calls: int, is_profiled: bool
) -> float:
    """So many calls by so many callers, counted; CPU seconds of this process."""
    holds = [a_hold("0.0005") for _ in range(calls)]
    bills = iter([(hold, a_bill(hold.request_id)) for hold in holds])
    slugs = [all_books[number % len(all_books)].slug for number in range(callers)]

    async def caller(ledger, slug: str) -> None:
        for hold, bill in bills:
            await ledger.reserve(slug, hold)
            await ledger.settle(slug, bill)

    async with all_books[0].ledger() as ledger:
        warm = [(slug, a_hold("0.0005")) for slug in slugs]
        await asyncio.gather(*(ledger.reserve(slug, hold) for slug, hold in warm))
        await asyncio.gather(*(ledger.settle(slug, a_bill(hold.request_id)) for slug, hold in warm))
        work.reset()
        before = resource.getrusage(resource.RUSAGE_SELF)
        sys.setprofile(work.note if is_profiled else None)
        try:
            await asyncio.gather(*(caller(ledger, slug) for slug in slugs))
        finally:
            sys.setprofile(None)
        after = resource.getrusage(resource.RUSAGE_SELF)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_a_call_costs_little_at_saturation(books, work):
    for level in ("tenant", "project", "user", "key"):
        books.add_budget(level, "1000000")
    cpu_s = uvloop.run(call_often([books], work, CALLERS, CALLS, is_profiled=False))
    statements, trips = work.statements / CALLS, work.trips / CALLS
    uvloop.run(call_often([books], work, CALLERS, CALLS // 4, is_profiled=True))
    functions = work.functions / (CALLS // 4)
    print(
        f"\nledger, {CALLERS} callers, 4 budgets, per call: {statements:.3f} statements, {trips:.3f} round "
        f"trips, {functions:.0f} functions, {cpu_s / CALLS * 1000:.4f} ms CPU"
    )
    assert statements <= MOST_STATEMENTS and trips <= MOST_TRIPS and functions <= MOST_FUNCTIONS
    assert books.balances_match()


def test_many_tenants_share_their_commits(twenty_books, work):
    for books in twenty_books:
        for level in ("tenant", "project", "user", "key"):
            books.add_budget(level, "1000000")
    cpu_s = uvloop.run(call_often(twenty_books, work, CALLERS, CALLS, is_profiled=False))
    found = {name: getattr(work, name) / CALLS for name in ("statements", "trips", "commits")}
    uvloop.run(call_often(twenty_books, work, CALLERS, CALLS // 4, is_profiled=True))
    found["functions"] = work.functions / (CALLS // 4)
    told = ", ".join(f"{count:.3f} {name}" for name, count in found.items())
    print(f"\nledger, {TENANTS} tenants, per call: {told}, {cpu_s / CALLS * 1000:.4f} ms CPU")
    assert [name for name, most in MOST_OF_MANY.items() if found[name] > most] == []
    assert all(books.balances_match() for books in twenty_books)
