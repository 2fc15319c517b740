"""Budgets as people set them."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from auditlog.models import LogEntry
from django.core.exceptions import ValidationError

from accounts.key_rules import key_rules
from accounts.models import Project
from accounts.selectors import get_default_project_id
from foundation.errors import Conflict, InvalidInput, NotAllowed, NotFound, QuotaExceeded
from tenants.context import in_platform, in_tenant, platform
from tenants.models import Duty, Plan
from tenants.occasions import changed_plan
from tenants.work.duties import carry_out_duties
from tests.usage.books import BILL, USER, a_bill, a_hold
from usage import services
from usage.models import Budget, BudgetOverrun, UsageEvent
from usage.selectors import (
    find_tightest_budget,
    get_visible_budget,
    list_binding_budgets,
    list_visible_budgets,
)


def an_event(cost: str, at: datetime, **changes) -> UsageEvent:
    row = {
        "kind": "settle",
        "cost": Decimal(cost),
        "currency": "EUR",
        "model": "demo",
        "created_at": at,
        "booked_at": at,
    }
    event = UsageEvent(**row | changes)
    event.request_id = changes.get("request_id", event.pk)
    event.save()
    return event


@pytest.mark.django_db
def test_a_new_budget_counts_what_the_period_has_seen(bob):
    now = datetime.now(UTC)
    an_event("0.25", now, user_id=bob.pk)
    an_event("0.25", now - timedelta(hours=1) if now.day > 1 else now, user_id=bob.pk)
    an_event("7", now - timedelta(days=40), user_id=bob.pk)
    an_event("3", now)
    of_bob = services.set_budget(actor=None, level="user", subject_id=bob.pk, limit=Decimal(2))
    of_all = services.set_budget(actor=None, level="tenant", limit=Decimal(20), period="total")
    assert (of_bob.spent, of_bob.allowance, of_bob.currency) == (Decimal("0.5"), 2, "EUR")
    assert of_all.spent == Decimal("10.5")


@pytest.mark.django_db
def test_setting_a_budget_again_changes_its_limit(alice, bob):
    first = services.set_budget(actor=alice, level="user", subject_id=bob.pk, limit=Decimal(2))
    again = services.set_budget(actor=alice, level="user", subject_id=bob.pk, limit=Decimal(3))
    other = services.set_budget(actor=alice, level="user", subject_id=bob.pk, limit=Decimal(1), period="day")
    assert first.pk == again.pk != other.pk
    assert (
        LogEntry.objects.get_for_object(first)
        .filter(action=LogEntry.Action.UPDATE)
        .get()
        .changes["limit"][1]
        .startswith("3")
    )
    assert Budget.objects.get(pk=first.pk).limit == 3 and Budget.objects.count() == 2


@pytest.mark.django_db
def test_a_limit_below_what_is_used_raises_the_allowance_on_record(alice, bob):
    an_event("5", datetime.now(UTC), user_id=bob.pk)
    services.set_budget(actor=alice, level="user", subject_id=bob.pk, limit=Decimal(9))
    budget = services.set_budget(actor=alice, level="user", subject_id=bob.pk, limit=Decimal(2))
    budget.refresh_from_db()
    assert (budget.limit, budget.allowance, budget.spent) == (2, 5, 5)
    assert [overrun.amount for overrun in BudgetOverrun.objects.all()] == [3]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"level": "planet"}, InvalidInput),
        ({"level": "key", "subject_id": None}, InvalidInput),
        ({"limit": Decimal(-1)}, ValidationError),
        ({"limit": Decimal("0.0000000000001")}, ValidationError),
        ({"period": "week"}, ValidationError),
        ({"warn_at_percent": 0}, ValidationError),
    ],
)
def test_what_cannot_be_a_budget_is_refused(alice, bob, wrong, error):
    with pytest.raises(error):
        services.set_budget(
            **{"actor": alice, "level": "user", "subject_id": bob.pk, "limit": Decimal(1)} | wrong
        )
    assert not Budget.objects.exists()


@pytest.mark.django_db
def test_only_those_who_may_change_budgets(alice, bob):
    budget = services.set_budget(actor=alice, level="user", subject_id=bob.pk, limit=Decimal(1))
    with pytest.raises(NotAllowed):
        services.set_budget(actor=bob, level="user", subject_id=bob.pk, limit=Decimal(100))
    with pytest.raises(NotAllowed):
        services.remove_budget(actor=bob, budget=budget)
    services.remove_budget(actor=alice, budget=budget)
    assert not Budget.objects.exists()


@pytest.mark.django_db
def test_the_plans_budget_is_the_platforms(alice):
    budget = services.ensure_plan_budget(Decimal(50))
    own = services.set_budget(actor=alice, level="tenant", limit=Decimal(10))
    with pytest.raises(NotAllowed):
        services.remove_budget(actor=alice, budget=budget)
    assert own.pk != budget.pk
    services.ensure_plan_budget(Decimal(60))
    budget.refresh_from_db()
    assert (budget.limit, budget.managed_by) == (60, "plan")
    services.ensure_plan_budget(None)
    assert list(Budget.objects.all()) == [own]


@pytest.mark.django_db
def test_budgets_follow_the_plan_and_new_keys(alice):
    from accounts.services import create_api_key

    with platform():
        plan = Plan.objects.create(name="small", label="Small", monthly_budget=Decimal(25))
    changed_plan.run("acme", plan)
    key, _text = create_api_key(actor=alice, user=alice, name="script")
    key_rules().give_budget(key, "12.50")
    assert set(Budget.objects.values_list("level", "limit", "managed_by")) == {
        ("tenant", 25, "plan"),
        ("key", Decimal("12.5"), "tenant"),
    }
    with pytest.raises(InvalidInput):
        key_rules().give_budget(key, "plenty")


@pytest.mark.django_db
def test_a_call_is_refunded_once_and_at_most_in_full(alice, bob):
    event = an_event("2", datetime.now(UTC), user_id=bob.pk)
    an_event("3", datetime.now(UTC), user_id=bob.pk)
    budget = services.set_budget(actor=None, level="user", subject_id=bob.pk, limit=Decimal(9))
    refused = [
        (bob, event.pk, "1", NotAllowed),
        (alice, bob.pk, "1", NotFound),
        (alice, event.pk, "2.01", InvalidInput),
        (alice, event.pk, "0", InvalidInput),
    ]
    for actor, request_id, amount, error in refused:
        with pytest.raises(error):
            services.refund_call(actor=actor, request_id=request_id, amount=Decimal(amount))
    refund = services.refund_call(actor=alice, request_id=event.pk, amount=Decimal(2))
    assert (refund.cost, refund.user_id, refund.booked_at) == (-2, bob.pk, event.booked_at)
    with pytest.raises(Conflict):
        services.refund_call(actor=alice, request_id=event.pk, amount=Decimal(1))
    budget.refresh_from_db()
    assert budget.spent == 3 and services.rebuild_balances() == []


@pytest.mark.django_db
@pytest.mark.scope("acme")
def test_a_refund_is_summed_up_and_told_to_the_platform(alice, bob):
    """Also where no call comes any more that would note it."""
    event = an_event("2", datetime.now(UTC), user_id=bob.pk)
    refund = services.refund_call(actor=alice, request_id=event.pk)
    assert refund.cost == -2
    with platform():
        assert {"usage_sums", "usage_today"} <= set(Duty.objects.values_list("kind", flat=True))


@pytest.mark.django_db
def test_a_refund_of_an_earlier_period_leaves_this_ones_budget(alice, bob):
    event = an_event("2", datetime.now(UTC) - timedelta(days=40), user_id=bob.pk)
    budget = services.set_budget(actor=None, level="user", subject_id=bob.pk, limit=Decimal(9))
    services.refund_call(actor=alice, request_id=event.pk, amount=Decimal(2))
    budget.refresh_from_db()
    assert budget.spent == 0


@pytest.mark.django_db
@pytest.mark.parametrize(("given_back", "spent"), [("2", "0.5"), ("0.2", "0.5")])
def test_a_new_budget_is_not_widened_by_what_was_given_back_of_an_earlier_bill(bob, given_back, spent):
    """Whoever wrote it there: a correction makes room where its bill took some."""
    now = datetime.now(UTC)
    early = an_event("2", now - timedelta(days=40), user_id=bob.pk)
    an_event(f"-{given_back}", now, user_id=bob.pk, kind="refund", request_id=early.pk)
    late = an_event("1.5", now, user_id=bob.pk)
    an_event("-1", now, user_id=bob.pk, kind="refund", request_id=late.pk)
    of_month = services.set_budget(actor=None, level="user", subject_id=bob.pk, limit=Decimal(3))
    of_all = services.set_budget(actor=None, level="tenant", limit=Decimal(3), period="total")
    assert of_month.spent == Decimal(spent) and of_all.spent == Decimal("2.5") - Decimal(given_back)
    assert services.rebuild_balances() == []


@pytest.mark.django_db
def test_more_given_back_than_was_booked_counts_as_nothing_spent(bob):
    now = datetime.now(UTC)
    bill = an_event("1", now, user_id=bob.pk)
    an_event("-3", now, user_id=bob.pk, kind="refund", request_id=bill.pk)
    budget = services.set_budget(actor=None, level="user", subject_id=bob.pk, limit=Decimal(1))
    assert (budget.spent, budget.allowance) == (0, 1) and services.rebuild_balances() == []


@pytest.mark.django_db
def test_who_sees_which_budget(alice, bob):
    project = Project.objects.get(is_default=True)
    of_bob = services.set_budget(actor=None, level="user", subject_id=bob.pk, limit=Decimal(4))
    services.set_budget(actor=None, level="user", subject_id=alice.pk, limit=Decimal(4))
    of_project = services.set_budget(actor=None, level="project", subject_id=project.pk, limit=Decimal(1))
    assert list(list_visible_budgets(bob)) == [of_bob]
    assert list_visible_budgets(alice).count() == 3
    with pytest.raises(NotFound):
        get_visible_budget(bob, of_project.pk)
    Budget.objects.filter(pk=of_project.pk).update(spent=Decimal("0.9"))
    tightest = find_tightest_budget(bob, get_default_project_id())
    assert (tightest.percent, tightest.remaining) == (90, Decimal("0.1"))
    assert find_tightest_budget(bob, uuid4()).percent == 0, "a chat that is booked elsewhere"
    assert [(one.limit, one.percent, one.is_open) for one in list_binding_budgets(bob)] == [
        (4, 0, True),
        (1, 90, False),
    ]
    Budget.objects.filter(pk=of_project.pk).update(period_start=datetime(2020, 1, 1, tzinfo=UTC))
    assert find_tightest_budget(bob, get_default_project_id()).percent == 0  # last month's money


async def test_a_budget_set_while_calls_run_knows_them_all(books):
    """Set and lifted again and again under load: what it says in the end is what holds and events say."""
    stop = asyncio.Event()

    async def caller(ledger) -> None:
        while not stop.is_set():
            hold = a_hold("0.001")
            await ledger.reserve(books.slug, hold)
            await asyncio.sleep(0.002)
            await ledger.settle(books.slug, a_bill(hold.request_id))

    def set_one() -> None:
        services._set_budget("user", USER, "month", Decimal(1000), "tenant")

    def lift() -> None:
        Budget.objects.all().delete()

    async with books.ledger() as ledger:
        callers = [asyncio.create_task(caller(ledger)) for _ in range(12)]
        for _ in range(15):
            await asyncio.sleep(0.02)
            await in_tenant(books.slug, set_one)
            await asyncio.sleep(0.02)
            if _ < 14:
                await in_tenant(books.slug, lift)
        stop.set()
        await asyncio.gather(*callers)
    assert len(books.sql("SELECT * FROM usage_budget")) == 1 and len(books.events()) > 50
    assert books.balances_match()


async def test_a_balance_that_somebody_broke_keeps_no_bill_out_and_is_mended(books):
    budget = books.add_budget("user", "1")
    hold = a_hold()
    async with books.ledger() as ledger:
        await ledger.reserve(books.slug, hold)
        books.sql("UPDATE usage_budget SET held = 0")
        await ledger.settle(books.slug, a_bill(hold.request_id))
    assert (books.budget(budget).spent, books.budget(budget).held) == (BILL, 0)
    books.sql("UPDATE usage_budget SET spent = 0.7")
    assert await in_platform(carry_out_duties, lambda role, kind, error: pytest.fail(f"{kind}: {error}")) >= 1
    assert books.balances_match()


async def test_wrong_balances_are_found_and_rebuilt(books):
    budget = books.add_budget("user", "1")
    held, billed = a_hold(), a_hold()
    async with books.ledger() as ledger:
        await ledger.reserve(books.slug, held)
        await ledger.reserve(books.slug, billed)
        await ledger.settle(books.slug, a_bill(billed.request_id))
        assert await in_tenant(books.slug, services.rebuild_balances) == []
        books.sql("UPDATE usage_budget SET spent = 0.5, held = 0.1")
        assert [row.pk for row in await in_tenant(books.slug, services.rebuild_balances)] == [budget]
        assert (books.budget(budget).spent, books.budget(budget).held) == (BILL, held.amount)
        with pytest.raises(QuotaExceeded):
            await ledger.reserve(books.slug, a_hold("1"))
