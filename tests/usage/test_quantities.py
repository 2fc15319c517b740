"""One vector of quantities from the bill to every report, beside rows that the release before has written."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tenants.context import in_tenant, platform, tenant
from tests.usage.books import BILL, KEY, PRICE, USAGE, USER, Books, a_bill, a_hold
from usage.ledger import sweeper
from usage.ledger.bookings import CallFacts, Settlement
from usage.ledger.sweeper import sweep_holds
from usage.models import HourlySum, UsageEvent
from usage.platform.models import TenantSum
from usage.pricing import Price, Usage, cost, highest_cost
from usage.selectors import find_bill_of_call, list_usage
from usage.services import refund_call
from usage.sums import add_up_closed_hours, rebuild_sums, tell_today

DEAR = Price(
    "EUR",
    input=Decimal("0.15"),
    output=Decimal("0.6"),
    cache_write=Decimal("0.1875"),
    input_audio=Decimal(40),
    images=Decimal("0.04"),
)
EVERYTHING = Usage(
    100, 20, 50, 7, cache_write=30, input_audio=11, output_audio=3, images=2, audio_ms=1_500, gpu_ms=9
)
NOW = datetime.now(UTC)


async def book(books: Books, usage: Usage, **changes) -> UsageEvent:
    hold = a_hold("1", facts=CallFacts(model="demo", price=DEAR))
    async with books.ledger() as ledger:
        await ledger.reserve(books.slug, hold)
        await ledger.settle(books.slug, a_bill(hold.request_id, usage=usage, **changes))
    return await in_tenant(books.slug, UsageEvent.objects.get, request_id=hold.request_id)


async def settle(books: Books, bill: Settlement) -> bool:
    """By another process."""
    async with books.ledger() as ledger:
        return await ledger.settle(books.slug, bill)


async def test_a_bill_keeps_every_class_and_the_older_columns_add_up(books):
    event = await book(books, EVERYTHING)
    assert event.quantities == event.used == EVERYTHING.quantities
    assert event.four_counts == {
        "input_tokens": 100 + 30 + 11,
        "cached_tokens": 20,
        "output_tokens": 50 + 3,
        "reasoning_tokens": 7,
    }
    assert {name: getattr(event, name) for name in event.four_counts} == event.four_counts
    assert event.total_tokens == EVERYTHING.total_tokens == 221
    assert event.used_beside_tokens == {"images": 2, "audio_ms": 1_500, "gpu_ms": 9}
    bill = await in_tenant(books.slug, find_bill_of_call, event.request_id)
    assert (bill.tokens_read, bill.tokens_written) == (161, 60)


async def test_nothing_used_is_an_empty_vector(books):
    event = await book(books, Usage(), cost=Decimal(0))
    assert event.quantities == {} and event.total_tokens == 0


async def test_the_bill_of_an_event_can_be_worked_out_from_the_event_alone(books):
    usage = Usage(100, 20, 50, 7, cache_write=30, input_audio=11, images=2)
    event = await book(books, usage, cost=cost(DEAR, usage))
    assert cost(Price.from_snapshot(event.price_snapshot), Usage.of(event.quantities)) == event.cost
    assert event.price_snapshot["cached"] == "0.15", "what reads snapshots of old finds its four prices"


async def orphan(books: Books, price: Price, tokens: int) -> UsageEvent:
    """Held by a process that dies after a mark, and swept."""
    hold = a_hold(highest_cost(price, 90, 50), facts=CallFacts(model="demo", price=price))
    async with books.ledger(process_id=books.add_process(age_s=60)) as ledger:
        await ledger.reserve(books.slug, hold)
        ledger.mark(books.slug, hold.request_id, tokens)
    await in_tenant(books.slug, sweep_holds)
    return await in_tenant(books.slug, UsageEvent.objects.get, request_id=hold.request_id)


def test_an_estimate_and_its_correction_add_up_class_by_class(books, monkeypatch):
    monkeypatch.setattr(sweeper, "GRACE", timedelta(0))  # the test's server has just been started
    estimate = asyncio.run(orphan(books, DEAR, 40))
    assert estimate.quantities == {"input": 90, "output": 40}
    usage = Usage(30, 60, 25, 0, cache_write=10, images=1)
    assert asyncio.run(settle(books, a_bill(estimate.request_id, usage=usage, cost=cost(DEAR, usage))))
    _estimate, correction = books.events()
    assert correction.quantities == {
        "input": -60,
        "cached": 60,
        "output": -15,
        "cache_write": 10,
        "images": 1,
    }
    assert (correction.input_tokens, correction.cached_tokens) == (30 + 10 - 90, 60)
    with tenant(books.slug):
        (row,) = list_usage(by="model", since=NOW - timedelta(hours=1), until=NOW + timedelta(hours=1))
        assert row.quantities == usage.quantities and row.cost == cost(DEAR, usage)
        refund = refund_call(actor=None, request_id=estimate.request_id)
        assert (refund.quantities, refund.cost) == ({}, -cost(DEAR, usage))
        (row,) = list_usage(by="model", since=NOW - timedelta(hours=1), until=NOW + timedelta(hours=1))
    assert row.quantities == usage.quantities and row.cost == 0, "what was used was used"


def an_old_event(
    books: Books, when: datetime, counts: tuple[int, int, int, int], cost: str, kind: str
) -> None:
    """As a process of the release before writes it: it knows no other columns."""
    books.sql(
        "INSERT INTO usage_usageevent (id, request_id, kind, source, user_id, key_id, model, model_version, "
        "deployment, endpoint, upstream_model, price_snapshot, trace_id, currency, units, input_tokens, "
        "cached_tokens, output_tokens, reasoning_tokens, cost, status, error_code, estimated, over_hold, "
        "booked_at, created_at) VALUES (gen_random_uuid(), gen_random_uuid(), %s, 'api', %s, %s, 'demo', '', "
        "'', '', 'up', '{}', '', 'EUR', '{}', %s, %s, %s, %s, %s, 'ok', '', false, false, %s, %s)",
        *(kind, USER, KEY, *counts, cost, when, when),
    )


def test_rows_of_the_release_before_are_read_and_added_up(books):
    """Beside our own, in one hour and in one report, with sums and without."""
    hour = NOW.replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)
    an_old_event(books, hour, (10, 5, 3, 2), "1", "settle")
    an_old_event(books, hour, (-4, 0, 0, 0), "-0.5", "adjustment")
    asyncio.run(book(books, EVERYTHING))
    books.sql("UPDATE usage_usageevent SET created_at = %s WHERE quantities IS NOT NULL", hour)
    expected = dict(EVERYTHING.quantities) | {"input": 106, "cached": 25, "output": 53, "reasoning": 9}
    since, until = hour, hour + timedelta(hours=1)
    with tenant(books.slug):
        assert [row.quantities for row in list_usage(by="model", since=since, until=until)] == [expected]
        add_up_closed_hours()
        assert HourlySum.objects.count() == 2, "one with the project, one without"
        assert [row.quantities for row in list_usage(by="model", since=since, until=until)] == [expected]
        four = list_usage(by="key", since=since, until=until)[0].four_counts
        sums = {name: sum(getattr(row, name) for row in HourlySum.objects.all()) for name in four}
        assert sums == four, "what the release before reads of the same hour"
        HourlySum.objects.update(quantities=None)  # as if it had added the hour up
        (row,) = list_usage(by="model", since=since, until=until)
        assert row.four_counts == four
        rebuild_sums()
        assert [row.quantities for row in list_usage(by="model", since=since, until=until)] == [expected]


def test_the_platform_is_told_the_vector(books):
    asyncio.run(book(books, EVERYTHING))
    with tenant(books.slug):
        tell_today()
    with platform():
        (row,) = TenantSum.objects.filter(slug=books.slug)
        assert (row.tokens, row.quantities) == (221, EVERYTHING.quantities)
        assert row.used_beside_tokens == {"images": 2, "audio_ms": 1_500, "gpu_ms": 9}


async def test_a_late_bill_corrects_an_estimate_of_the_release_before(books, monkeypatch):
    monkeypatch.setattr(sweeper, "GRACE", timedelta(0))
    estimate = await orphan(books, PRICE, 40)
    books.sql("UPDATE usage_usageevent SET quantities = NULL")
    assert await settle(books, a_bill(estimate.request_id))
    correction = next(event for event in books.events() if event.kind == "adjustment")
    assert correction.quantities == {"input": 10, "cached": 20, "output": 10, "reasoning": 7}
    assert estimate.cost + correction.cost == BILL and USAGE.quantities["input"] == 100


async def test_an_orphan_whose_price_lacks_a_class_costs_what_was_held(books, monkeypatch):
    monkeypatch.setattr(sweeper, "GRACE", timedelta(0))
    hold = a_hold("0.25", facts=CallFacts(model="demo", price=Price("EUR", images=Decimal(1))))
    async with books.ledger(process_id=books.add_process(age_s=60)) as ledger:
        await ledger.reserve(books.slug, hold)
        ledger.mark(books.slug, hold.request_id, 5)
    await in_tenant(books.slug, sweep_holds)
    assert [event.cost for event in books.events()] == [Decimal("0.25")]
