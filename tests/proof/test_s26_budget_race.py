"""S26: many clients at budgets that are too small for them. Nothing is overspent, a refused call costs
nothing, sums are exact to the last digit.

At the level of the ledger: three processes' ledgers, 64 clients, four budget levels. The planted bugs must
turn it red.
"""

import asyncio
import os
import random
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID

import pytest

from foundation.errors import QuotaExceeded
from foundation.ids import uuid7
from tests.usage.books import Books, a_bill, a_hold, books, other_books, two_books  # noqa: F401
from usage.ledger import lanes, statements, wire
from usage.ledger.batch import Batch
from usage.ledger.bookings import TENANT_SUBJECT

CALLS = 2_000 if os.environ.get("ATRIUM_PROOF") == "night" else 500
CLIENTS, PROCESSES = 64, 3
LARGEST = Decimal("0.04")
LEVELS = {
    "tenant": ([TENANT_SUBJECT], "0.5"),
    "project": ([uuid7() for _ in range(2)], "0.3"),
    "user": ([uuid7() for _ in range(4)], "0.16"),
    "key": ([uuid7() for _ in range(8)], "0.09"),
}
pytestmark = pytest.mark.scope(None)


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """A ledger that is not reached in time is another row's matter (S32)."""
    monkeypatch.setattr(lanes, "HOLD_PATIENCE_S", 60.0)
    monkeypatch.setattr(lanes, "PATIENCE_S", 60.0)
    monkeypatch.setattr(wire, "EXCHANGE_TIMEOUT_S", 30.0)


@dataclass
class Race:
    """What the clients saw, and what the budgets were caught at."""

    admitted: dict[UUID, tuple[dict[str, UUID], Decimal]] = field(default_factory=dict)
    refused: list[UUID] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


async def run_race(books: Books) -> Race:  # noqa: F811
    scale = CALLS // 500
    for level, (subjects, limit) in LEVELS.items():
        for subject in subjects:
            books.add_budget(level, str(Decimal(limit) * scale), subject_id=subject)
    race, dice, left = Race(), random.Random(26), iter(range(CALLS))
    async with books.ledger() as one, books.ledger() as two, books.ledger() as three:
        ledgers = [one, two, three]
        watcher = asyncio.create_task(_watch(books, race))
        await asyncio.gather(
            *(_client(books, ledgers[number % PROCESSES], race, dice, left) for number in range(CLIENTS))
        )
        watcher.cancel()
    return race


async def _client(books: Books, ledger, race: Race, dice: random.Random, left) -> None:  # noqa: F811
    for _ in left:
        amount = dice.randrange(1, 10**10) * Decimal("0.000000000004")
        subjects = {level: dice.choice(ids) for level, (ids, _limit) in LEVELS.items()}
        hold = a_hold(min(amount, LARGEST), subjects=subjects)
        try:
            await ledger.reserve(books.slug, hold)
        except QuotaExceeded:
            race.refused.append(hold.request_id)
            continue
        except Exception as exc:
            race.faults.append(f"error {exc!r}")
            continue
        await asyncio.sleep(dice.random() * 0.004)
        try:
            if dice.random() < 0.1:
                await ledger.void(books.slug, hold.request_id)
                continue
            cost = (
                hold.amount if dice.random() < 0.5 else hold.amount / 3 // Decimal("1e-12") * Decimal("1e-12")
            )
            race.admitted[hold.request_id] = subjects, cost
            await ledger.settle(books.slug, a_bill(hold.request_id, cost=cost))
        except Exception as exc:
            race.faults.append(f"error {exc!r}")


async def _watch(books: Books, race: Race) -> None:  # noqa: F811
    while True:
        over = books.sql('SELECT level FROM usage_budget WHERE held + spent > "limit" OR allowance > "limit"')
        race.faults += [f"{row.level} above its limit" for row in over]
        await asyncio.sleep(0.01)


def list_faults(books: Books, race: Race) -> list[str]:  # noqa: F811
    """Everything that must not be, recounted from what the clients know."""
    faults = list(race.faults)
    spent: Counter = Counter()
    for subjects, cost in race.admitted.values():
        for level, subject in subjects.items():
            spent[level, subject] += cost
    events = {event.request_id: event.cost for event in books.events()}
    faults += ["a refused call cost something" for request in race.refused if request in events]
    if events != {request: cost for request, (_subjects, cost) in race.admitted.items()}:
        faults.append("events differ from what was settled")
    for budget in books.sql("SELECT * FROM usage_budget"):
        if spent[budget.level, budget.subject_id] > budget.limit:
            faults.append(f"{budget.level} overspent")
        if (budget.spent, budget.held) != (spent[budget.level, budget.subject_id], 0):
            faults.append(f"{budget.level} does not say what was spent")
    return faults + ["holds are left"] * len(books.holds())


async def test_no_budget_is_overspent_by_a_crowd(books):  # noqa: F811
    race = await run_race(books)
    assert list_faults(books, race) == []
    assert len(race.admitted) > 20 and len(race.refused) > CALLS // 4
    tightest = min(books.sql('SELECT "limit" - spent AS room FROM usage_budget'), key=lambda row: row.room)
    assert tightest.room < LARGEST  # and they were used, not just guarded
    print(f"\nS26: {CALLS} calls, {len(race.admitted)} admitted, {len(race.refused)} refused, overspend 0")


async def test_planted_bug_rows_are_not_locked(books, monkeypatch):  # noqa: F811
    monkeypatch.setattr(statements, "LOCK_BUDGETS", statements.LOCK_BUDGETS.replace("FOR UPDATE", ""))
    assert list_faults(books, await run_race(books))


@pytest.mark.parametrize("level", LEVELS)
async def test_planted_bug_a_level_is_skipped(books, monkeypatch, level):  # noqa: F811
    whole = Batch.__init__

    def forgetful(self, balances, holds, now):
        whole(self, [balance for balance in balances if balance.level != level], holds, now)

    monkeypatch.setattr(Batch, "__init__", forgetful)
    assert f"{level} does not say what was spent" in list_faults(books, await run_race(books))


async def test_planted_bug_admission_looks_only_at_what_is_spent(books, monkeypatch):  # noqa: F811
    monkeypatch.setattr(
        "usage.ledger.budget_rules.Balance.has_room", lambda self, amount: self.spent + amount <= self.limit
    )
    assert list_faults(books, await run_race(books))
