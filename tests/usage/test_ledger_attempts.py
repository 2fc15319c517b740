"""A call that is sent more than once: what its hold covers, and whose bill it becomes if its process dies."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from foundation.errors import NotFound, QuotaExceeded, Unavailable
from foundation.ids import uuid7
from tenants.context import in_tenant
from tests.usage.books import FACTS, PRICE, USAGE, a_bill, a_hold, until
from usage.ledger import sweeper
from usage.ledger.bookings import INTERRUPTED, LostAttempt, NextAttempt
from usage.ledger.sweeper import sweep_holds
from usage.pricing import Price, Usage, cost

DEAR = Price("EUR", *map(Decimal, ("1000", "1000", "1000", "1000")))
OTHER = replace(FACTS, model="stand-in", model_id=uuid7(), connection_id=uuid7(), price=DEAR)
LOST = LostAttempt("llama-3", uuid7(), "upstream_timeout", 120, Usage(90), Decimal("0.002"))
WRITTEN = {
    "upstream_model": "llama-3",
    "connection_id": str(LOST.connection_id),
    "error_code": "upstream_timeout",
    "latency_ms": 120,
    "quantities": {"input": 90},
    "cost": "0.002",
}


def a_next(hold, amount: str = "0.5", **changes) -> NextAttempt:
    fields = {"amount": Decimal(amount), "facts": OTHER, "attempts": (LOST,)} | changes
    return NextAttempt(hold.request_id, **fields)


@pytest.fixture(autouse=True)
def _settled_database(monkeypatch):
    monkeypatch.setattr(sweeper, "GRACE", timedelta(0))  # the test's server has just been started


async def test_the_hold_grows_on_every_budget_and_names_who_is_asked(books):
    budgets = [books.add_budget(level) for level in ("tenant", "project", "user", "key")]
    hold = a_hold("0.01")
    async with books.ledger() as ledger:
        await ledger.reserve(books.slug, hold)
        for amount in ("0.5", "0.5", "0.3"):  # again, and less: nothing more
            await ledger.follow(books.slug, a_next(hold, amount))
            assert {books.budget(budget).held for budget in budgets} == {Decimal("0.5")}
        (row,) = books.holds()
        assert (row.amount, row.model, row.connection_id) == (Decimal("0.5"), "stand-in", OTHER.connection_id)
        assert row.price_snapshot == DEAR.snapshot() and row.attempts == [WRITTEN]
        await ledger.settle(books.slug, a_bill(hold.request_id, attempts=(LOST,), answered=OTHER))
    (event,) = books.events()
    assert event.attempts == [WRITTEN] and event.model == "stand-in" and books.balances_match()


@pytest.mark.parametrize("level", ["tenant", "project", "user", "key"])
async def test_what_no_budget_has_room_for_is_not_held(books, level):
    for name in ("tenant", "project", "user", "key"):
        books.add_budget(name, "0.4" if name == level else "1")
    hold = a_hold("0.01")
    async with books.ledger() as ledger:
        await ledger.reserve(books.slug, hold)
        with pytest.raises(QuotaExceeded):
            await ledger.follow(books.slug, a_next(hold, "0.41"))
        (row,) = books.holds()
        assert (row.amount, row.model, row.attempts) == (Decimal("0.01"), "demo", None)
        assert books.balances_match()
        await ledger.follow(books.slug, a_next(hold, "0.4"))


async def test_what_is_not_held_does_not_grow(books):
    budget = books.add_budget("user")
    async with books.ledger() as ledger:
        with pytest.raises(NotFound):
            await ledger.follow(books.slug, a_next(a_hold()))
    assert books.budget(budget).held == 0


async def test_a_next_attempt_that_was_given_up_is_not_booked_later(books):
    hold = a_hold("0.01")
    async with books.ledger() as ledger:
        await ledger.reserve(books.slug, hold)
        with books.locked(), pytest.raises(Unavailable):
            await ledger.follow(books.slug, a_next(hold))
        await ledger.reserve(books.slug, a_hold())  # behind whatever the lane has kept
        assert {row.amount for row in books.holds()} == {Decimal("0.01")}


async def left_in_the_middle(books, hold, mark: int | None) -> None:
    """The first attempt came some way, the second one so far; then the process dies."""
    async with books.ledger(process_id=books.add_process(age_s=60)) as ledger:
        await ledger.reserve(books.slug, hold)
        ledger.mark(books.slug, hold.request_id, 5_000)
        await until(lambda: books.holds()[0].progress_output_tokens == 5_000)
        ledger.mark(books.slug, hold.request_id, 6_000)  # goes along with what comes next, or not at all
        await ledger.follow(books.slug, a_next(hold))
        if mark is not None:
            ledger.mark(books.slug, hold.request_id, mark)
            await until(lambda: books.holds()[0].progress_output_tokens == mark)


@pytest.mark.parametrize(
    ("mark", "expected"),
    [(None, Decimal("0.5")), (33, LOST.cost + cost(DEAR, Usage(90, 0, 33)))],
    ids=["dispatched", "answering"],
)
async def test_an_orphan_is_billed_as_who_was_asked_last_with_what_was_lost(books, mark, expected):
    budget, hold = books.add_budget("user"), a_hold("0.01")
    await left_in_the_middle(books, hold, mark)
    assert await in_tenant(books.slug, sweep_holds) == 1
    (event,) = books.events()
    assert (event.cost, event.status, event.estimated) == (expected, INTERRUPTED, True)
    assert (event.model, event.model_id, event.connection_id) == (
        "stand-in",
        OTHER.model_id,
        OTHER.connection_id,
    )
    assert event.attempts == [WRITTEN] and event.price_snapshot == DEAR.snapshot()
    assert books.budget(budget).spent == expected and books.balances_match()


async def test_a_bill_that_comes_late_corrects_the_estimate_of_who_answered(books):
    budget, hold = books.add_budget("user"), a_hold("0.01")
    await left_in_the_middle(books, hold, None)
    await in_tenant(books.slug, sweep_holds)
    true_cost = LOST.cost + cost(DEAR, USAGE)
    async with books.ledger() as ledger:
        bill = a_bill(
            hold.request_id, cost=true_cost, attempts=(LOST,), answered=OTHER, dropped_params=["seed"]
        )
        assert await ledger.settle(books.slug, bill)
    estimate, correction = books.events()
    assert (estimate.dropped_params, correction.dropped_params) == (None, ["seed"])
    assert estimate.cost + correction.cost == true_cost == books.budget(budget).spent
    assert correction.model == estimate.model == "stand-in" and correction.attempts == [WRITTEN]


async def test_one_that_is_cheaper_than_what_is_held_changes_no_amount(books):
    budget, hold = books.add_budget("user", "0.01"), a_hold("0.01")
    async with books.ledger() as ledger:
        await ledger.reserve(books.slug, hold)
        await ledger.follow(books.slug, a_next(hold, "0.004", facts=replace(OTHER, price=PRICE)))
    assert books.budget(budget).held == books.holds()[0].amount == Decimal("0.01")
    assert books.holds()[0].model == "stand-in"
