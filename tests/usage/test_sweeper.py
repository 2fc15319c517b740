"""What becomes of the holds of processes that are gone."""

from datetime import timedelta
from decimal import Decimal

import pytest

from foundation.ids import uuid7
from tenants.context import in_tenant
from tests.usage.books import BILL, PRICE, USAGE, Books, a_bill, a_hold
from usage.ledger import sweeper
from usage.ledger.bookings import INTERRUPTED
from usage.ledger.sweeper import sweep_holds
from usage.pricing import Usage, cost
from usage.services import refund_call


@pytest.fixture(autouse=True)
def _settled_database(monkeypatch):
    monkeypatch.setattr(sweeper, "GRACE", timedelta(0))  # the test's server has just been started


async def leave(books: Books, *holds, marks: dict | None = None, **process) -> None:
    """Hold money in a process that then is gone."""
    async with books.ledger(process_id=books.add_process(**process)) as ledger:
        for hold in holds:
            await ledger.reserve(books.slug, hold)
        for request_id, tokens in (marks or {}).items():
            ledger.mark(books.slug, request_id, tokens)
        await ledger.void(books.slug, uuid7())  # a batch that takes the marks along


def duties(books: Books) -> set[str]:
    return {duty.kind for duty in books.sql("SELECT kind FROM public.tenants_duty")}


async def test_orphans_are_billed_by_mark_or_by_hold(books):
    budget = books.add_budget("user")
    marked, sent = a_hold("0.01"), a_hold("0.02")
    await leave(books, marked, sent, marks={marked.request_id: 33}, age_s=60)
    assert books.budget(budget).held == Decimal("0.03")
    assert await in_tenant(books.slug, sweep_holds) == 2
    events = {event.request_id: event for event in books.events()}
    assert set(events) == {marked.request_id, sent.request_id}
    assert events[marked.request_id].cost == cost(PRICE, Usage(input_tokens=90, output_tokens=33))
    assert (events[marked.request_id].input_tokens, events[marked.request_id].output_tokens) == (90, 33)
    assert events[sent.request_id].cost == Decimal("0.02")
    assert {(event.estimated, event.status, event.model, event.currency) for event in events.values()} == {
        (True, INTERRUPTED, "demo", "EUR")
    }
    assert books.holds() == [] and books.budget(budget).held == 0 and books.balances_match()
    assert {"usage_sums", "usage_today"} <= duties(books)
    assert await in_tenant(books.slug, sweep_holds) == 0


async def test_a_mark_above_the_hold_is_billed_in_full_and_on_record(books):
    budget = books.add_budget("user", "0.01")
    hold = a_hold("0.01")
    await leave(books, hold, marks={hold.request_id: 1_000_000}, ended=True)
    await in_tenant(books.slug, sweep_holds)
    assert [(event.over_hold, event.cost > Decimal("0.5")) for event in books.events()] == [(True, True)]
    assert [overrun.budget_id for overrun in books.overruns()] == [budget] and books.balances_match()


async def test_the_living_are_left_alone_and_looked_at_again(books):
    await leave(books, a_hold(), age_s=0)
    books.sql("DELETE FROM public.tenants_duty")
    assert await in_tenant(books.slug, sweep_holds) == 0
    assert len(books.holds()) == 1
    assert [duty.kind for duty in books.sql("SELECT kind FROM public.tenants_duty WHERE due_at > now()")] == [
        "holds"
    ]


async def test_a_hold_that_a_living_process_forgot_is_swept_at_last(books):
    await leave(books, a_hold())
    books.sql("UPDATE usage_hold SET created_at = now() - interval '3 hours'")
    assert await in_tenant(books.slug, sweep_holds) == 1


async def test_just_after_the_database_was_away_nobody_is_taken_for_dead(books, monkeypatch):
    monkeypatch.setattr(sweeper, "GRACE", timedelta(days=300))
    await leave(books, a_hold(), age_s=60)
    assert await in_tenant(books.slug, sweep_holds) == 0
    assert len(books.holds()) == 1


@pytest.mark.parametrize("true_cost", [BILL, Decimal("0.5"), Decimal(0)])
async def test_a_bill_that_comes_after_all_corrects_the_estimate(books, true_cost):
    budget = books.add_budget("user", "0.02")
    hold = a_hold("0.02")
    process = books.add_process(age_s=60)
    async with books.ledger(process_id=process) as ledger:
        await ledger.reserve(books.slug, hold)
        await in_tenant(books.slug, sweep_holds)
        books.sql("DELETE FROM public.tenants_duty")
        assert await ledger.settle(books.slug, a_bill(hold.request_id, cost=true_cost))
        assert duties(books) == {"usage_sums", "usage_today"}
        assert not await ledger.settle(books.slug, a_bill(hold.request_id, cost=true_cost))
    estimate, correction = books.events()
    assert (estimate.cost + correction.cost, correction.kind) == (true_cost, "adjustment")
    assert estimate.input_tokens + correction.input_tokens == USAGE.input_tokens
    assert estimate.output_tokens + correction.output_tokens == USAGE.output_tokens
    assert (correction.booked_at, correction.status) == (estimate.booked_at, "ok")
    assert books.budget(budget).spent == true_cost and books.balances_match()


async def test_a_correction_that_does_not_fit_its_budget_has_it_worked_out_anew(books):
    """Somebody has edited the row: the estimate that is to be taken back is not there."""
    budget = books.add_budget("user", "1")
    hold = a_hold("0.02")
    async with books.ledger(process_id=books.add_process(age_s=60)) as ledger:
        await ledger.reserve(books.slug, hold)
        await in_tenant(books.slug, sweep_holds)
        books.sql("UPDATE usage_budget SET spent = 0 WHERE id = %s", budget)
        await ledger.settle(books.slug, a_bill(hold.request_id, cost=Decimal(0)))
    assert "usage_balances" in duties(books)


async def test_a_refund_closes_the_matter(books):
    budget = books.add_budget("user", "1")
    hold = a_hold("0.02")
    async with books.ledger(process_id=books.add_process(age_s=60)) as ledger:
        await ledger.reserve(books.slug, hold)
        await in_tenant(books.slug, sweep_holds)
        await in_tenant(
            books.slug, refund_call, actor=None, request_id=hold.request_id, amount=Decimal("0.015")
        )
        assert not await ledger.settle(books.slug, a_bill(hold.request_id))
    assert books.budget(budget).spent == Decimal("0.005") and books.balances_match()


async def test_a_correction_of_last_month_changes_no_budget_of_this_one(books):
    budget = books.add_budget("user", "1")
    hold = a_hold("0.02")
    async with books.ledger(process_id=books.add_process(age_s=60)) as ledger:
        await ledger.reserve(books.slug, hold)
        await in_tenant(books.slug, sweep_holds)
    async with books.ledger(clock=lambda now: now + timedelta(days=32)) as ledger:
        await ledger.reserve(books.slug, a_hold())  # the month turns
        await ledger.settle(books.slug, a_bill(hold.request_id))
    assert books.budget(budget).spent == 0 and len(books.events()) == 2


async def test_a_hold_left_beside_its_event_is_only_released(books):
    """Cannot come from the ledger; a restored backup or an import could bring it."""
    budget = books.add_budget("user")
    hold = a_hold()
    await leave(books, hold, age_s=60)
    await in_tenant(books.slug, sweep_holds)
    async with books.ledger(process_id=books.add_process(age_s=60)) as ledger:
        await ledger.reserve(books.slug, hold)
    assert await in_tenant(books.slug, sweep_holds) == 1
    assert len(books.events()) == 1 and books.budget(budget).held == 0 and books.balances_match()
