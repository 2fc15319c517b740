"""Bookings about which nothing has to be decided: one round trip each, and the same books."""

import asyncio
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest

from foundation.errors import QuotaExceeded
from tests.usage.books import BILL, SUBJECTS, a_bill, a_hold, until
from usage.ledger import parts, quick, wire
from usage.ledger.entries import Entry
from usage.ledger.statements import COMMIT
from usage.ledger.wire import Wire

THIS_MONTH = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


@pytest.fixture
def trips(monkeypatch) -> list[str]:
    """`quick` or `decided` for each exchange that books."""
    found, exchange = [], Wire.exchange

    async def counted(line, statements):
        results = await exchange(line, statements)
        sent = [statement for statement, _params in statements]
        if any("AS fits" in statement or "IS NOT TRUE))" in statement for statement in sent):
            found.append("quick")
        elif COMMIT in sent:
            found.append("decided")
        return results

    monkeypatch.setattr(Wire, "exchange", counted)
    return found


@asynccontextmanager
async def a_ledger(books, trips, monkeypatch, **arguments):
    """One that has read the database's clock, and tries the quick way each time."""
    monkeypatch.setattr(parts, "DECIDES_S", 0.0)
    async with books.ledger(**arguments) as ledger:
        await ledger.void(books.slug, a_hold().request_id)
        trips.clear()
        yield ledger


@pytest.mark.parametrize("levels", [(), ("tenant",), ("tenant", "project", "user", "key")])
async def test_a_call_that_fits_takes_two_trips(books, trips, monkeypatch, levels):
    budgets = [books.add_budget(level, "1") for level in levels]
    other = books.add_budget("user", "1", subject_id=a_hold().request_id)
    hold = a_hold("0.5")
    async with a_ledger(books, trips, monkeypatch) as ledger:
        await ledger.reserve(books.slug, hold)
        assert [books.budget(budget).held for budget in budgets] == [Decimal("0.5")] * len(budgets)
        assert {str(found) for found in books.holds()[0].budget_ids} == set(map(str, budgets))
        await ledger.settle(books.slug, a_bill(hold.request_id))
    assert trips == ["quick", "quick"]
    assert [(event.cost, event.over_hold) for event in books.events()] == [(BILL, False)]
    assert [(books.budget(each).held, books.budget(each).spent) for each in budgets] == [(0, BILL)] * len(
        budgets
    )
    assert books.budget(other).spent == 0 and books.holds() == [] and books.balances_match()


async def test_what_is_new_to_the_scheduler_goes_along(books, trips, monkeypatch):
    hold = a_hold("0.5")
    async with a_ledger(books, trips, monkeypatch) as ledger:
        await ledger.reserve(books.slug, hold)
        await ledger.settle(books.slug, a_bill(hold.request_id))
    assert trips == ["quick", "quick"]
    kinds = {kind for (kind,) in books.sql("SELECT kind FROM public.tenants_duty")}
    assert {"holds", "usage_sums", "usage_today"} <= kinds


@pytest.mark.parametrize("limit", ["0.01", "0.5", "0.0099999"])
async def test_a_budget_without_room_is_decided_about(books, trips, monkeypatch, limit):
    wide, tight = books.add_budget("tenant", "1"), books.add_budget("key", limit)
    fits = Decimal(limit) >= Decimal("0.01")
    async with a_ledger(books, trips, monkeypatch) as ledger:
        try:
            await ledger.reserve(books.slug, a_hold("0.01"))
        except QuotaExceeded:
            assert not fits
    assert trips == (["quick"] if fits else ["quick", "decided"])
    held = Decimal("0.01") if fits else 0
    assert books.budget(wide).held == books.budget(tight).held == held
    assert len(books.holds()) == fits


async def test_what_costs_nothing_fits_into_a_budget_that_is_used_up(books, trips, monkeypatch):
    books.add_budget("tenant", "0.5", spent="1", allowance="1")
    async with a_ledger(books, trips, monkeypatch) as ledger:
        await ledger.reserve(books.slug, a_hold("0"))
    assert trips == ["quick"]


@pytest.mark.parametrize("period", ["day", "month"])
async def test_a_period_that_is_over_is_turned(books, trips, monkeypatch, period):
    """The new one may have room, and what is held stays held."""
    before = THIS_MONTH - timedelta(days=1)
    start = before if period == "day" else before.replace(day=1)
    budget = books.add_budget("user", "1", period=period, since=start, spent="0.9")
    hold = a_hold("0.05")  # would fit into the old one
    async with a_ledger(books, trips, monkeypatch) as ledger:
        await ledger.reserve(books.slug, hold)
    assert trips == ["quick", "decided"] and books.budget(budget).spent == 0
    shifted = timedelta(days=32)
    async with a_ledger(books, trips, monkeypatch, clock=lambda now: now + shifted) as ledger:
        await ledger.settle(books.slug, a_bill(hold.request_id))
    assert trips == ["quick", "decided"]
    row = books.budget(budget)
    assert (row.spent, row.held) == (BILL, 0) and row.period_start > THIS_MONTH


async def test_a_budget_of_all_times_is_never_over(books, trips, monkeypatch):
    budget = books.add_budget("tenant", "1", period="total", spent="0.5")
    hold = a_hold("0.1")
    async with a_ledger(books, trips, monkeypatch) as ledger:
        await ledger.reserve(books.slug, hold)
        await ledger.settle(books.slug, a_bill(hold.request_id))
    assert trips == ["quick", "quick"] and books.budget(budget).spent == Decimal("0.5") + BILL


async def test_a_bill_above_what_is_allowed_is_decided_about(books, trips, monkeypatch):
    budget = books.add_budget("tenant", "0.02")
    hold = a_hold("0.01")
    async with a_ledger(books, trips, monkeypatch) as ledger:
        await ledger.reserve(books.slug, hold)
        await ledger.settle(books.slug, a_bill(hold.request_id, cost=Decimal("0.03")))
    assert trips == ["quick", "quick", "decided"]
    assert [overrun.amount for overrun in books.overruns()] == [Decimal("0.01")]
    assert books.budget(budget).allowance == books.budget(budget).spent == Decimal("0.03")


async def test_a_bill_above_its_hold_says_so(books, trips, monkeypatch):
    books.add_budget("tenant", "1")
    hold = a_hold("0.01")
    async with a_ledger(books, trips, monkeypatch) as ledger:
        await ledger.reserve(books.slug, hold)
        await ledger.settle(books.slug, a_bill(hold.request_id, cost=Decimal("0.03")))
    assert trips == ["quick", "quick"] and books.events()[0].over_hold
    assert books.balances_match()


async def test_a_row_that_somebody_edited_is_decided_about(books, trips, monkeypatch):
    budget, hold = books.add_budget("tenant", "1"), a_hold("0.01")
    async with a_ledger(books, trips, monkeypatch) as ledger:
        await ledger.reserve(books.slug, hold)
        books.sql("UPDATE usage_budget SET held = 0")
        await ledger.settle(books.slug, a_bill(hold.request_id))
    assert trips == ["quick", "quick", "decided"] and books.budget(budget).held == 0


@pytest.mark.parametrize("is_bill", [False, True])
async def test_an_answer_that_got_lost_books_nothing_twice(books, trips, monkeypatch, is_bill):
    budget, hold = books.add_budget("tenant", "1"), a_hold("0.01")
    exchange, lost = Wire.exchange, []

    async def losing(line, statements):
        results = await exchange(line, statements)
        if not lost and len(books.holds() if not is_bill else books.events()):
            lost.append(True)
            line.close()
            raise psycopg.OperationalError("the connection is lost")
        return results

    async with a_ledger(books, trips, monkeypatch) as ledger:
        monkeypatch.setattr(Wire, "exchange", losing)
        await ledger.reserve(books.slug, hold)
        await ledger.settle(books.slug, a_bill(hold.request_id))
    assert lost and len(books.events()) == 1 and books.budget(budget).spent == BILL
    assert books.balances_match()


async def test_two_processes_never_hold_more_than_there_is(books, trips, monkeypatch):
    """Each tries the quick way on rows that the other one changes at the same time."""
    for level in ("user", "tenant"):
        books.add_budget(level, "0.1")
    held = []

    async def caller(ledger):
        for _ in range(10):
            with suppress(QuotaExceeded):
                await ledger.reserve(books.slug, hold := a_hold("0.01"))
                held.append(hold)

    async with a_ledger(books, trips, monkeypatch) as one, a_ledger(books, trips, monkeypatch) as two:
        await asyncio.gather(caller(one), caller(two))
        assert trips.count("quick") == 20 and len(held) == len(books.holds()) == 10
        await asyncio.gather(*(one.settle(books.slug, a_bill(hold.request_id)) for hold in held))
    assert len(books.events()) == 10 and books.balances_match()


@pytest.mark.parametrize("is_bill", [False, True])
async def test_who_waits_for_a_row_decides_on_what_it_says_then(books, trips, monkeypatch, is_bill):
    """The row is locked before it is looked at."""
    monkeypatch.setattr(wire, "SESSION_OPTIONS", wire.SESSION_OPTIONS.replace("=100 ", "=5000 "))
    budget, hold = books.add_budget("tenant", "1", allowance="2"), a_hold("0.4")
    async with a_ledger(books, trips, monkeypatch) as ledger:
        await ledger.reserve(books.slug, hold)
        trips.clear()
        with books.connection.transaction():
            books.sql("UPDATE usage_budget SET spent = %s", "1.599" if is_bill else "0.5")
            bill = a_bill(hold.request_id, cost=Decimal("0.41"))
            booking = (
                ledger.settle(books.slug, bill) if is_bill else ledger.reserve(books.slug, a_hold("0.2"))
            )
            waiting = asyncio.create_task(booking)
            await until(books.somebody_waits)
        if is_bill:
            assert await waiting
        else:
            with pytest.raises(QuotaExceeded):
                await waiting
    assert trips == ["quick", "decided"]
    assert books.budget(budget).allowance == (Decimal("2.009") if is_bill else 2)


async def test_the_clock_is_guessed_for_a_minute_only(books, monkeypatch):
    tenant_books = parts.TenantBooks(books.slug, books.database, a_hold().request_id, lambda now: now)
    assert tenant_books.guess_clock() is None
    read = datetime(2026, 11, 1, tzinfo=UTC)
    tenant_books.note_clock(read)
    guessed = tenant_books.guess_clock()
    assert guessed and read <= guessed < read + timedelta(seconds=30)
    steady_s, wall_s = parts.monotonic(), parts.time()
    monkeypatch.setattr(parts, "time", lambda: wall_s + 3_600)  # set, or asleep meanwhile
    assert tenant_books.guess_clock() is None
    monkeypatch.setattr(parts, "time", lambda: wall_s + 61)
    monkeypatch.setattr(parts, "monotonic", lambda: steady_s + 61)
    assert tenant_books.guess_clock() is None


async def test_each_level_is_asked_once():
    waiter = asyncio.get_running_loop().create_future()
    _lock, (_sql, params) = quick.booking(Entry(a_hold(), waiter), b"process", timedelta())
    levels, subjects = params[-2:]
    assert levels.count(b"tenant") == 1 and len(subjects.split(b",")) == len(SUBJECTS)
