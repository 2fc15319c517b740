"""S27: the ledger against a model of itself. Whatever the order of holds, bills, voids, repeats, crashes,
refunds, price changes and month ends, balances equal the model and what holds and events add up to, and no
event is ever changed. The planted bugs must turn it red.
"""

import asyncio
import logging
import os
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RULE_MARKER,
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from foundation.errors import AtriumError, NotFound, QuotaExceeded
from foundation.ids import uuid7
from tenants.context import tenant
from tests.usage.books import PRICE, SUBJECTS, Books, a_hold, books, other_books, two_books  # noqa: F401
from usage import services
from usage.ledger import books as ledger_books
from usage.ledger import late, sweeper
from usage.ledger.batch import Batch
from usage.ledger.bookings import LEVELS, CallFacts, LostAttempt, NextAttempt, Settlement
from usage.ledger.budget_rules import Balance
from usage.ledger.ledger import Ledger
from usage.pricing import Price, Usage, cost
from usage.quantities import TOKENS, Quantities, add

IS_NIGHT = os.environ.get("ATRIUM_PROOF") == "night"
SEQUENCES, STEPS = (2_000, 50) if IS_NIGHT else (50, 12)
pytestmark = [pytest.mark.scope(None), pytest.mark.timeout(7_200 if IS_NIGHT else 300)]
BESIDE_TOKENS = {"images": Decimal("0.000001"), "gpu_ms": Decimal("0.000000001")}
amounts = st.decimals(0, 3, places=12)
tokens = st.integers(0, 2_000_000)
usages = st.builds(
    Usage.of, st.dictionaries(st.sampled_from(sorted({*TOKENS, "images", "gpu_ms"})), tokens, max_size=5)
)


@dataclass
class Call:
    """What the model knows of one call."""

    amount: Decimal
    levels: tuple[str, ...]
    price: Price
    mark: int | None
    lost: Decimal = Decimal(0)  # what attempts cost that others followed
    state: str = "held"  # held, voided, billed, estimated, closed
    cost: Decimal = Decimal(0)
    used: Quantities = field(default_factory=dict)
    month: int = 0  # of its bill


class LedgerModel(RuleBasedStateMachine):
    """Two processes of one tenant: one can die. The month is counted from the test's begin."""

    books: Books
    loop: asyncio.AbstractEventLoop
    process: UUID
    ledger: Ledger
    now = timedelta(0)  # how far the clock was turned
    calls = Bundle("calls")

    @initialize(
        limits=st.lists(st.decimals("0.5", 8, places=6), min_size=4, max_size=4), count=st.integers(0, 4)
    )
    def open(self, limits, count):
        self.books.clear()
        self.month = 0
        self.price = Price("EUR", **PRICE.amounts | BESIDE_TOKENS)
        self.limits = dict(zip(LEVELS[:count], limits, strict=False))
        self.spent = dict.fromkeys(self.limits, Decimal(0))
        self.held = dict.fromkeys(self.limits, Decimal(0))
        self.known: dict[UUID, Call] = {}
        self.seen: dict[UUID, tuple] = {}
        for level, limit in self.limits.items():
            self.books.add_budget(level, limit)
        type(self).now = timedelta(0)

    @classmethod
    def start_ledger(cls) -> None:
        """A new process with a ledger."""
        cls.process = cls.books.add_process()
        cls.ledger = Ledger(cls.books.dsn, cls.books.database, cls.process, clock=lambda now: now + cls.now)
        cls.loop.run_until_complete(cls.ledger.start())

    def do(self, work):
        return self.loop.run_until_complete(work)

    @rule(
        target=calls,
        amount=amounts,
        levels=st.sets(st.sampled_from(LEVELS), min_size=1),
    )
    def hold(self, amount, levels):
        levels = tuple(level for level in LEVELS if level == "tenant" or level in levels)
        request = a_hold(
            amount,
            subjects={level: SUBJECTS[level] for level in levels},
            facts=CallFacts(model="demo", price=self.price),
        )
        bound = [level for level in levels if level in self.limits]
        fits = not amount or all(
            self.held[level] + self.spent[level] + amount <= self.limits[level] for level in bound
        )
        try:
            self.do(self.ledger.reserve(self.books.slug, request))
        except QuotaExceeded:
            assert not fits
            return request.request_id
        assert fits
        self.known[request.request_id] = Call(amount, levels, self.price, None)
        for level in bound:
            self.held[level] += amount
        return request.request_id

    @rule(call=calls, usage=usages, times=st.integers(1, 3))
    def settle(self, call, usage, times):
        known = self.known.get(call)
        bill = cost(known.price, usage) if known else Decimal(1)
        settlements = [
            self.ledger.settle(self.books.slug, Settlement(call, usage, bill)) for _ in range(times)
        ]
        results = self.do(gathered(settlements))
        if known is None or known.state == "voided":
            assert all(isinstance(result, NotFound) for result in results)
        elif known.state in ("held", "estimated"):
            assert sorted(results) == [False] * (times - 1) + [True]
            self.book(known, bill, usage)
        else:
            assert results == [False] * times

    @rule(call=calls)
    def void(self, call):
        self.do(self.ledger.void(self.books.slug, call))
        if (known := self.known.get(call)) and known.state == "held":
            self.release(known)
            known.state = "voided"

    @rule(
        call=calls,
        count=st.integers(0, 5_000_000),
        follows=st.none() | st.tuples(amounts, amounts),
    )
    def mark(self, call, count, follows):
        """An answer comes so far; or (`follows`: what the next may cost more, what it cost) it is lost, and
        another attempt begins at today's price.
        """
        known = self.known.get(call)
        if follows is not None:
            self.follow(call, known, *follows)
            return
        self.do(self.mark_and_flush(call, count))
        if known and known.state == "held":
            known.mark = max(count, known.mark or 0)

    def follow(self, call: UUID, known: Call | None, more: Decimal, lost: Decimal) -> None:
        amount = known.amount + more if known else more
        attempts = (LostAttempt("theirs", uuid7(), "upstream_timeout", 1, Usage(3), lost),)
        following = NextAttempt(call, amount, CallFacts(model="next", price=self.price), attempts)
        results = self.do(gathered([self.ledger.follow(self.books.slug, following) for _ in range(2)]))
        if known is None or known.state != "held":
            assert all(isinstance(result, NotFound) for result in results)
            return
        bound = [level for level in known.levels if level in self.limits]
        if more and any(self.held[level] + self.spent[level] + more > self.limits[level] for level in bound):
            assert all(isinstance(result, QuotaExceeded) for result in results)
            return
        assert results == [None, None]
        for level in bound:
            self.held[level] += more
        known.amount, known.price, known.mark, known.lost = amount, self.price, None, lost

    async def mark_and_flush(self, call: UUID, count: int) -> None:
        self.ledger.mark(self.books.slug, call, count)
        await self.ledger.void(self.books.slug, uuid7())  # a batch that takes it along

    @rule()
    def die(self):
        """The process is killed, its holds are swept, another one takes over. Bills of the dead may still
        come.
        """
        self.books.sql(
            "UPDATE public.usage_platform_process SET heartbeat_at = now() - interval '1 minute' WHERE id = "
            "%s",
            self.process,
        )
        with tenant(self.books.slug):
            sweeper.sweep_holds()
        for known in self.known.values():
            if known.state == "held":
                marked = Usage(90, 0, known.mark or 0, 0)
                bill = known.amount if known.mark is None else known.lost + cost(known.price, marked)
                self.book(known, bill, marked)
                known.state = "estimated"
        self.do(self.ledger.stop())
        self.start_ledger()

    @rule(call=calls, usage=usages)
    def bill_of_the_dead(self, call, usage):
        """Else it comes about too seldom."""
        self.die()
        self.settle(call, usage, 1)

    @rule(call=consumes(calls), share=st.integers(1, 100))
    def refund(self, call, share):
        known = self.known.get(call)
        amount = (known.cost * share / 100).quantize(Decimal("1e-12")) if known else Decimal(1)
        try:
            with tenant(self.books.slug):
                services.refund_call(actor=None, request_id=call, amount=amount)
        except AtriumError:
            assert known is None or known.state in ("held", "voided", "closed") or amount <= 0
        else:
            self.add(known, -amount)
            known.cost, known.state = known.cost - amount, "closed"

    @rule(output=st.decimals(0, 20, places=6))
    def change_price(self, output):
        self.price = Price("EUR", **PRICE.amounts | {"output": output} | BESIDE_TOKENS)

    @rule()
    def end_month(self):
        type(self).now += timedelta(days=31)
        self.month += 1
        self.spent = dict.fromkeys(self.limits, Decimal(0))
        request = a_hold(0, subjects=SUBJECTS)
        self.do(self.ledger.reserve(self.books.slug, request))  # the first call of the month turns the page
        self.do(self.ledger.void(self.books.slug, request.request_id))

    @rule(level=st.sampled_from(LEVELS), limit=st.decimals(0, 8, places=6))
    def change_limit(self, level, limit):
        if level in self.limits:
            with tenant(self.books.slug), transaction.atomic():
                services._set_budget(level, SUBJECTS[level], "month", limit, "tenant")
            self.limits[level] = limit

    @rule()
    def rebuild(self):
        with tenant(self.books.slug):
            assert services.rebuild_balances() == []

    def release(self, known: Call) -> None:
        for level in known.levels:
            if level in self.held:
                self.held[level] -= known.amount

    def book(self, known: Call, bill: Decimal, usage: Usage) -> None:
        known.used = usage.quantities
        if known.state == "held":
            self.release(known)
            known.month = self.month
            known.state = "billed"
        else:
            known.state = "closed"
        self.add(known, bill - known.cost)
        known.cost = bill

    def add(self, known: Call, amount: Decimal) -> None:
        for level in known.levels:
            if level in self.spent and known.month == self.month:
                self.spent[level] += amount

    @invariant()
    def books_say_what_the_model_says(self):
        if not hasattr(self, "known"):
            return
        budgets = {
            budget.level: (budget.held, budget.spent, budget.limit)
            for budget in self.books.sql("SELECT * FROM usage_budget")
        }
        assert budgets == {
            level: (self.held[level], self.spent[level], limit) for level, limit in self.limits.items()
        }
        found = self.books.events()
        events = {event.id: tuple(event) for event in found}
        assert self.seen.items() <= events.items(), "an event was changed or removed"
        self.seen = events
        costs: dict[UUID, Decimal] = {}
        used: dict[UUID, Quantities] = {}
        for event in found:
            costs[event.request_id] = costs.get(event.request_id, Decimal(0)) + event.cost
            used[event.request_id] = add(used.get(event.request_id, {}), event.quantities)
        assert costs == {
            call: known.cost
            for call, known in self.known.items()
            if known.state in ("billed", "estimated", "closed")
        }
        assert used == {call: dict(self.known[call].used) for call in costs}
        assert {hold.id for hold in self.books.holds()} == {
            call for call, known in self.known.items() if known.state == "held"
        }


async def gathered(work: list) -> list:
    return await asyncio.gather(*work, return_exceptions=True)


@pytest.fixture
def machine(books, monkeypatch):  # noqa: F811
    """The state machine's class, on this module's books; the sweeper's and the services' clock runs with the
    ledger's.
    """
    loop = asyncio.new_event_loop()

    class Machine(LedgerModel):
        pass

    Machine.books = books
    Machine.loop = loop
    Machine.start_ledger()
    real = ledger_books.read_clock
    for module in (ledger_books, sweeper, services):
        monkeypatch.setattr(module, "read_clock", lambda: real() + Machine.now)
    monkeypatch.setattr(sweeper, "GRACE", timedelta(0))
    logging.disable(logging.WARNING)
    yield Machine
    logging.disable(logging.NOTSET)
    loop.run_until_complete(Machine.ledger.stop())
    loop.close()


def run(machine, sequences: int = SEQUENCES) -> None:
    plain = settings(
        max_examples=sequences,
        stateful_step_count=STEPS,
        deadline=None,
        derandomize=not IS_NIGHT,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    run_state_machine_as_test(machine, settings=plain)


def only(machine, *names: str):
    """The same machine with these rules alone, by which a bug shows soon."""

    def as_method(function):
        return lambda self, *given, **named: function(self, *given, **named)

    left = {
        name: as_method(function)
        for name, function in vars(LedgerModel).items()
        if hasattr(function, RULE_MARKER) and name not in names
    }
    return type("OnlyThese", (machine,), left)


def test_the_ledger_does_what_its_model_says(machine):
    run(machine)


def test_planted_bug_a_bill_is_booked_twice(machine, monkeypatch):
    book = Batch.book
    monkeypatch.setattr(
        Batch, "book", lambda self, *arguments: (book(self, *arguments), book(self, *arguments))
    )
    with pytest.raises(AssertionError):
        run(machine, 50)


def test_planted_bug_a_next_attempt_is_not_held(machine, monkeypatch):
    follow = Batch._follow
    monkeypatch.setattr(
        Batch,
        "_follow",
        lambda self, attempt: follow(self, replace(attempt, amount=Decimal(0))),
    )
    with pytest.raises(AssertionError):
        run(machine, 50)


def test_planted_bug_a_new_month_forgets_what_is_held(machine, monkeypatch):
    roll = Balance.roll

    def forgetful(self, now):
        before = self.period_start
        roll(self, now)
        if self.period_start != before:
            self.held = Decimal(0)

    monkeypatch.setattr(Balance, "roll", forgetful)
    with pytest.raises((AssertionError, AtriumError)):
        run(only(machine, "hold", "settle", "end_month"), 50)


def test_planted_bug_a_correction_books_all_that_was_used_once_more(machine, monkeypatch):
    monkeypatch.setattr(late, "subtract", lambda used, _estimated: used)
    with pytest.raises(AssertionError):
        run(only(machine, "hold", "bill_of_the_dead"), 50)
