"""Holds and bills against a real PostgreSQL, committed."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import translation

from foundation.errors import NotFound, QuotaExceeded, Unavailable
from tenants.context import in_platform
from tenants.work.duties import carry_out_duties
from tests.usage.books import BILL, FACTS, KEY, PRICE, PROJECT, SUBJECTS, USAGE, USER, a_bill, a_hold, until
from usage.ledger.bookings import LEVELS, TENANT_SUBJECT


async def test_a_call_is_held_then_billed(books):
    budget = books.add_budget("user")
    hold = a_hold()
    async with books.ledger() as ledger:
        await ledger.reserve(books.slug, hold)
        assert books.budget(budget).held == Decimal("0.01")
        assert await ledger.settle(
            books.slug, a_bill(hold.request_id, error_code='a "quoted\\" code, with {braces}')
        )
    (event,) = books.events()
    assert (event.id, event.kind, event.cost, event.user_id, event.key_id, event.project_id) == (
        hold.request_id,
        "settle",
        BILL,
        USER,
        KEY,
        PROJECT,
    )
    assert (event.input_tokens, event.cached_tokens, event.output_tokens, event.reasoning_tokens) == (
        100,
        20,
        50,
        7,
    )
    assert (event.price_snapshot, event.currency, event.source, event.model) == (
        PRICE.snapshot(),
        "EUR",
        "api",
        "demo",
    )
    assert (event.latency_ms, event.first_token_ms, event.error_code, event.over_hold) == (
        120,
        30,
        'a "quoted\\" code, with {braces}',
        False,
    )
    assert (books.budget(budget).held, books.budget(budget).spent) == (0, BILL)
    assert books.holds() == [] and books.balances_match()


async def test_the_platform_hears_of_a_bill_about_a_minute_later(books):
    async with books.ledger() as ledger:
        for _call in range(3):
            hold = a_hold()
            await ledger.reserve(books.slug, hold)
            await ledger.settle(books.slug, a_bill(hold.request_id))
    (noted,) = books.sql("SELECT due_at FROM public.tenants_duty WHERE kind = 'usage_today'")
    assert timedelta(0) < noted.due_at - datetime.now(UTC) <= timedelta(seconds=70)
    books.sql("UPDATE public.tenants_duty SET due_at = now() WHERE kind = 'usage_today'")
    await in_platform(carry_out_duties, lambda role, kind, error: pytest.fail(f"{kind}: {error}"))
    (told,) = books.sql("SELECT * FROM public.usage_platform_tenantsum WHERE slug = %s", books.slug)
    assert (told.calls, told.tokens, told.cost, told.currency) == (
        3,
        3 * (100 + 20 + 50 + 7),
        3 * BILL,
        "EUR",
    )
    assert not books.sql("SELECT * FROM public.tenants_duty WHERE kind = 'usage_today'")


async def test_without_budgets_a_call_is_billed_all_the_same(books):
    hold = a_hold(subjects={"tenant": TENANT_SUBJECT, "user": USER})
    async with books.ledger() as ledger:
        await ledger.reserve(books.slug, hold)
        await ledger.settle(books.slug, a_bill(hold.request_id))
    (event,) = books.events()
    assert (event.user_id, event.key_id, event.cost) == (USER, None, BILL)


@pytest.mark.parametrize("tight", LEVELS)
async def test_a_call_is_held_on_all_levels_or_on_none(books, tight):
    budgets = {level: books.add_budget(level, "0.009" if level == tight else "5") for level in LEVELS}
    async with books.ledger() as ledger:
        with pytest.raises(QuotaExceeded) as refused:
            await ledger.reserve(books.slug, a_hold("0.01"))
        assert [books.budget(budget).held for budget in budgets.values()] == [0, 0, 0, 0]
        assert books.holds() == []
        await ledger.reserve(books.slug, a_hold("0.009"))  # exactly what is left
    assert refused.value.code == "insufficient_quota"
    assert [books.budget(budget).held for budget in budgets.values()] == [Decimal("0.009")] * 4


@pytest.mark.parametrize(
    ("level", "period", "spent", "said"),
    [
        (
            "key",
            "month",
            "4",
            (
                "This API key's budget for this month has no room for this call: of "
                "4.50\N{NO-BREAK SPACE}€, 4\N{NO-BREAK SPACE}€ are spent, "
                "and this call could cost 1"
            ),
        ),
        ("user", "day", "4", "Your budget for today has"),
        ("tenant", "total", "4", "Your organisation's budget has"),
        (
            "project",
            "month",
            "0",
            "This project's budget for this month has no room for this call at the moment",
        ),
    ],
)
async def test_a_refusal_says_whose_budget_it_is_and_what_to_do(books, level, period, spent, said):
    budget = books.add_budget(level, "4.5", period, spent=spent)
    if spent == "0":  # the rest is only held
        books.sql("UPDATE usage_budget SET held = 4 WHERE id = %s", budget)
    async with books.ledger() as ledger:
        with translation.override("en"), pytest.raises(QuotaExceeded, match=said) as refused:
            await ledger.reserve(books.slug, a_hold("1"))
    assert (refused.value.retry_after_s is None) == (period == "total")
    assert spent != "0" or refused.value.retry_after_s == 2


async def test_a_free_call_is_let_in_though_the_budget_is_used_up(books):
    books.add_budget("user", "1", spent="1")
    hold = a_hold("0")
    async with books.ledger() as ledger:
        await ledger.reserve(books.slug, hold)
        await ledger.settle(books.slug, a_bill(hold.request_id, cost=Decimal(0)))
    assert len(books.events()) == 1


async def test_asking_twice_holds_and_bills_once(books):
    books.add_budget("user")
    hold = a_hold()
    async with books.ledger() as ledger:
        await asyncio.gather(ledger.reserve(books.slug, hold), ledger.reserve(books.slug, hold))
        assert len(books.holds()) == 1
        results = await asyncio.gather(
            *(ledger.settle(books.slug, a_bill(hold.request_id)) for _ in range(3))
        )
        assert sorted(results) == [False, False, True]
        assert not await ledger.settle(books.slug, a_bill(hold.request_id, cost=Decimal(5)))
    assert [event.cost for event in books.events()] == [BILL]
    assert books.balances_match()


async def test_a_void_releases_everything_and_can_be_repeated(books):
    budget = books.add_budget("tenant")
    hold = a_hold()
    async with books.ledger() as ledger:
        await ledger.reserve(books.slug, hold)
        await ledger.void(books.slug, hold.request_id)
        await ledger.void(books.slug, hold.request_id)
        with pytest.raises(NotFound) as unknown:
            await ledger.settle(books.slug, a_bill(hold.request_id))
    assert unknown.value.code == "hold_not_found"
    assert books.budget(budget).held == 0 and books.events() == books.holds() == []


async def test_a_bill_above_its_hold_is_booked_in_full_and_on_record(books):
    tight, wide = books.add_budget("user", "0.01"), books.add_budget("tenant", "1")
    hold = a_hold("0.01")
    async with books.ledger() as ledger:
        await ledger.reserve(books.slug, hold)
        await ledger.settle(books.slug, a_bill(hold.request_id, cost=Decimal("0.025")))
        with pytest.raises(QuotaExceeded):
            await ledger.reserve(books.slug, a_hold("0.000001"))
    assert [(event.cost, event.over_hold) for event in books.events()] == [(Decimal("0.025"), True)]
    assert (books.budget(tight).spent, books.budget(tight).allowance, books.budget(tight).limit) == (
        Decimal("0.025"),
        Decimal("0.025"),
        Decimal("0.01"),
    )
    assert books.budget(wide).allowance == 1
    assert [(overrun.budget_id, overrun.request_id, overrun.amount) for overrun in books.overruns()] == [
        (tight, hold.request_id, Decimal("0.015"))
    ]


async def test_a_month_ends_between_hold_and_bill(books):
    last_month = (
        datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    ).replace(day=1)
    budget = books.add_budget("user", "1", since=last_month, spent="0.999")
    hold = a_hold("0.5")
    async with books.ledger() as ledger:
        await ledger.reserve(books.slug, hold)
        assert (books.budget(budget).spent, books.budget(budget).held) == (0, Decimal("0.5"))
        assert books.budget(budget).period_start > last_month
    shifted = timedelta(days=32)
    async with books.ledger(clock=lambda now: now + shifted) as ledger:
        with pytest.raises(QuotaExceeded):
            await ledger.reserve(books.slug, a_hold("0.6"))  # what is held is held in the new month too
        await ledger.settle(books.slug, a_bill(hold.request_id))
    assert (books.budget(budget).spent, books.budget(budget).held) == (BILL, 0)
    assert books.balances_match()


async def test_what_is_held_and_released_in_one_batch_leaves_nothing(books):
    budget, hold, other = books.add_budget("user", "1"), a_hold("0.5"), a_hold("0.6")
    async with books.ledger() as ledger:
        await asyncio.gather(  # in this order, and before the lane wakes up
            ledger.reserve(books.slug, hold),
            ledger.void(books.slug, hold.request_id),
            ledger.reserve(books.slug, other),  # fits only once the release has counted
        )
    assert [row.id for row in books.holds()] == [other.request_id]
    assert books.budget(budget).held == Decimal("0.6") and books.balances_match()


async def test_progress_goes_along_and_never_back(books):
    hold = a_hold()
    async with books.ledger() as ledger:
        await ledger.reserve(books.slug, hold)
        ledger.mark(books.slug, hold.request_id, 5)
        ledger.mark(books.slug, hold.request_id, 40)
        await ledger.reserve(books.slug, a_hold())  # any batch takes it along
        assert books.holds()[0].progress_output_tokens == 40
        ledger.mark(books.slug, hold.request_id, 50)
        await until(lambda: books.holds()[0].progress_output_tokens == 50)  # and it goes without one
        ledger.mark(books.slug, hold.request_id, 30)
        await ledger.reserve(books.slug, a_hold())
        assert books.holds()[0].progress_output_tokens == 50


async def test_what_the_database_refuses_spoils_no_neighbour(books):
    books.add_budget("user", "1000")
    good, bad = [a_hold() for _ in range(20)], a_hold(input_tokens_estimate=2**70)
    async with books.ledger() as ledger:
        results = await asyncio.gather(
            *(ledger.reserve(books.slug, hold) for hold in [*good[:10], bad, *good[10:]]),
            return_exceptions=True,
        )
        assert [str(result.code) for result in results if result] == ["booking_failed"]
        await asyncio.gather(*(ledger.settle(books.slug, a_bill(hold.request_id)) for hold in good))
    assert len(books.events()) == 20 and books.balances_match()


async def test_text_that_no_database_takes_spoils_no_bill(books):
    hold = a_hold(facts=replace(FACTS, model="nul\0 and lone \ud800 surrogate"))
    async with books.ledger() as ledger:
        await ledger.reserve(books.slug, hold)
        await ledger.settle(books.slug, a_bill(hold.request_id, error_code="\0\ud800"))
    assert [event.model for event in books.events()] == ["nul and lone ? surrogate"]


async def test_a_tenant_that_does_not_exist_is_unavailable(books):
    async with books.ledger() as ledger:
        with pytest.raises(Unavailable) as refused:
            await ledger.reserve("nobody-home", a_hold())
        await ledger.reserve(books.slug, a_hold())
    assert refused.value.retry_after_s


async def test_a_stopped_ledger_has_booked_what_it_took_and_takes_nothing_more(books):
    hold = a_hold()
    async with books.ledger() as ledger:
        await ledger.reserve(books.slug, hold)
        bill = asyncio.create_task(ledger.settle(books.slug, a_bill(hold.request_id)))
        await asyncio.sleep(0)
    assert await bill
    assert len(books.events()) == 1
    with pytest.raises(Unavailable):
        await ledger.reserve(books.slug, a_hold())


async def test_a_living_process_notes_its_duties_once(books):
    async with books.ledger() as ledger:
        for _ in range(3):
            hold = a_hold()
            await ledger.reserve(books.slug, hold)
            await ledger.settle(books.slug, a_bill(hold.request_id))
    duties = books.sql("SELECT role, kind FROM public.tenants_duty ORDER BY kind")
    assert [(duty.role, duty.kind) for duty in duties] == [
        (f"{books.database}_{books.schema}", kind) for kind in ("holds", "usage_sums", "usage_today")
    ]


def test_usage_classes_stay_apart():
    assert (USAGE.total_tokens, len(USAGE.quantities), set(SUBJECTS)) == (177, 4, set(LEVELS))
