"""Refunds against everything that books at the same time, where no budget's row stands between them."""

import asyncio
import threading
from datetime import timedelta
from decimal import Decimal

import pytest
from auditlog.models import LogEntry
from django.db import connection

from foundation.errors import Conflict
from tenants.context import in_tenant, tenant
from tests.usage.books import BILL, a_bill, a_hold
from usage import services
from usage.ledger import sweeper
from usage.ledger.sweeper import sweep_holds
from usage.selectors import list_refundable
from usage.services import refund_call


@pytest.fixture(autouse=True)
def _settled_database(monkeypatch):
    monkeypatch.setattr(sweeper, "GRACE", timedelta(0))  # the test's server has just been started


class Halt:
    """Stops the first refund between its reading and its writing."""

    def __init__(self, monkeypatch) -> None:
        self.is_reached = threading.Event()
        self.may_go_on = threading.Event()
        self.save = services.save_balances
        monkeypatch.setattr(services, "save_balances", self)

    def __call__(self, balances) -> None:
        if not self.is_reached.is_set():
            self.is_reached.set()
            self.may_go_on.wait(30)
        self.save(balances)


async def test_of_two_refunds_at_once_one_is_booked(books, monkeypatch):
    hold, halt = a_hold(), Halt(monkeypatch)
    async with books.ledger() as ledger:
        await ledger.reserve(books.slug, hold)
        await ledger.settle(books.slug, a_bill(hold.request_id))
    work = {"actor": None, "request_id": hold.request_id}
    first = asyncio.create_task(asyncio.to_thread(_refund, books.slug, work))
    await asyncio.to_thread(halt.is_reached.wait, 30)
    second = asyncio.create_task(asyncio.to_thread(_refund, books.slug, work))
    await asyncio.sleep(0.1)  # with a lock it waits, without one it has read the same
    halt.may_go_on.set()
    assert await first is None and isinstance(await second, Conflict)
    assert sum(event.cost for event in books.events()) == 0 and len(books.events()) == 2


def _refund(slug: str, work: dict) -> Exception | None:
    """In a thread of its own, whose connection goes with it."""
    try:
        with tenant(slug):
            refund_call(**work)
    except Exception as exc:
        return exc
    finally:
        connection.close()
    return None


async def test_a_refund_and_a_late_bill_do_not_both_correct_the_estimate(books, monkeypatch):
    hold, halt = a_hold("0.02"), Halt(monkeypatch)
    async with books.ledger(process_id=books.add_process(age_s=60)) as ledger:
        await ledger.reserve(books.slug, hold)
        await in_tenant(books.slug, sweep_holds)
        refund = asyncio.create_task(
            asyncio.to_thread(_refund, books.slug, {"actor": None, "request_id": hold.request_id})
        )
        await asyncio.to_thread(halt.is_reached.wait, 30)
        late = asyncio.create_task(ledger.settle(books.slug, a_bill(hold.request_id, cost=Decimal(0))))
        await asyncio.sleep(0.05)  # with a lock it waits and tries again, without one it is booked by now
        halt.may_go_on.set()
        assert await refund is None and await late is False
    assert sum(event.cost for event in books.events()) == 0 and len(books.events()) == 2


async def test_an_estimate_that_was_corrected_gives_back_what_is_left(books):
    hold = a_hold("0.02")
    async with books.ledger(process_id=books.add_process(age_s=60)) as ledger:
        await ledger.reserve(books.slug, hold)
        await in_tenant(books.slug, sweep_holds)
        await ledger.settle(books.slug, a_bill(hold.request_id))
    requests = [hold.request_id]
    assert await in_tenant(books.slug, list_refundable, requests) == {hold.request_id: BILL}
    refund = await in_tenant(books.slug, refund_call, actor=None, request_id=hold.request_id)
    assert refund.cost == -BILL and await in_tenant(books.slug, list_refundable, requests) == {}


async def test_a_refund_is_on_record_and_a_bill_is_not(books):
    """Bills are the ledger's; who gives money back is asked later."""
    hold = a_hold()
    async with books.ledger() as ledger:
        await ledger.reserve(books.slug, hold)
        await ledger.settle(books.slug, a_bill(hold.request_id))
    refund = await in_tenant(books.slug, refund_call, actor=None, request_id=hold.request_id)
    entries = await in_tenant(
        books.slug, lambda: list(LogEntry.objects.filter(object_pk__in=[refund.pk, hold.request_id]))
    )
    (entry,) = entries
    assert entry.object_pk == str(refund.pk) and entry.changes_dict["kind"][1] == "refund"


async def test_a_balance_that_does_not_fit_is_worked_out_anew(books):
    """Somebody has edited the row: less is booked there than is to be given back."""
    hold = a_hold()
    async with books.ledger() as ledger:
        budget = books.add_budget("user")
        await ledger.reserve(books.slug, hold)
        await ledger.settle(books.slug, a_bill(hold.request_id))
    books.sql("UPDATE usage_budget SET spent = 0 WHERE id = %s", budget)
    books.sql("DELETE FROM public.tenants_duty")
    await in_tenant(books.slug, refund_call, actor=None, request_id=hold.request_id)
    assert "usage_balances" in {row.kind for row in books.sql("SELECT kind FROM public.tenants_duty")}
