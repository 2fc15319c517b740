"""What the ledger does for a call at saturation: statements and round trips to the database, function calls
of the process. A busy machine changes none of them. CPU is told beside them, and judged by nobody here.
"""

import asyncio
import resource
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import uvloop

from tests.usage.books import a_bill, a_hold
from usage.ledger.wire import Statement, Wire

CALLERS, CALLS = 64, 3_200
# twice what was measured, and a third more of the last: 0.250, 0.062, 147
MOST_STATEMENTS, MOST_TRIPS, MOST_FUNCTIONS = 0.5, 0.125, 200


@dataclass
class Work:
    """What has been done since the last reset."""

    statements: int = 0
    trips: int = 0
    functions: int = 0  # called, of Python and of C

    def reset(self) -> None:
        self.statements = self.trips = self.functions = 0

    def note(self, _frame, event: str, _argument) -> None:
        self.functions += event in ("call", "c_call")


@pytest.fixture
def work(monkeypatch) -> Work:
    done, exchange = Work(), Wire.exchange

    async def counted(wire: Wire, statements: Sequence[Statement]) -> list:
        done.statements += len(statements)
        done.trips += 1
        return await exchange(wire, statements)

    monkeypatch.setattr(Wire, "exchange", counted)
    return done


async def call_often(books, work: Work, callers: int, calls: int, is_profiled: bool) -> float:
    """So many calls by so many callers, counted; CPU seconds of this process."""
    holds = [a_hold("0.0005") for _ in range(calls)]
    bills = iter([(hold, a_bill(hold.request_id)) for hold in holds])

    async def caller(ledger) -> None:
        for hold, bill in bills:
            await ledger.reserve(books.slug, hold)
            await ledger.settle(books.slug, bill)

    async with books.ledger() as ledger:
        warm = [a_hold("0.0005") for _ in range(callers)]
        await asyncio.gather(*(ledger.reserve(books.slug, hold) for hold in warm))
        await asyncio.gather(*(ledger.settle(books.slug, a_bill(hold.request_id)) for hold in warm))
        work.reset()
        before = resource.getrusage(resource.RUSAGE_SELF)
        sys.setprofile(work.note if is_profiled else None)
        try:
            await asyncio.gather(*(caller(ledger) for _ in range(callers)))
        finally:
            sys.setprofile(None)
        after = resource.getrusage(resource.RUSAGE_SELF)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_a_call_costs_little_at_saturation(books, work):
    for level in ("tenant", "project", "user", "key"):
        books.add_budget(level, "1000000")
    cpu_s = uvloop.run(call_often(books, work, CALLERS, CALLS, is_profiled=False))
    statements, trips = work.statements / CALLS, work.trips / CALLS
    uvloop.run(call_often(books, work, CALLERS, CALLS // 4, is_profiled=True))
    functions = work.functions / (CALLS // 4)
    print(
        f"\nledger, {CALLERS} callers, 4 budgets, per call: {statements:.3f} statements, {trips:.3f} round "
        f"trips, {functions:.0f} functions, {cpu_s / CALLS * 1000:.4f} ms CPU"
    )
    assert statements <= MOST_STATEMENTS and trips <= MOST_TRIPS and functions <= MOST_FUNCTIONS
    assert books.balances_match()
