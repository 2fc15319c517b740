"""One budget's arithmetic, without a database."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from usage.ledger.budget_rules import ALWAYS, Balance, period_end, period_start

amounts = st.decimals(0, 1000, places=12)


def a_balance(limit="10", **changes) -> Balance:
    values = {
        "period": "month",
        "period_start": datetime(2026, 11, 1, tzinfo=UTC),
        "held": Decimal(0),
        "spent": Decimal(0),
    } | changes
    limit = Decimal(limit)
    return Balance(
        "id",
        "tenant",
        "0",
        values["period"],
        values["period_start"],
        limit,
        limit,
        values["held"],
        values["spent"],
        "tenant",
        "EUR",
    )


@pytest.mark.parametrize(
    ("period", "now", "start", "end"),
    [
        ("month", "2024-02-29T23:59:59", "2024-02-01", "2024-03-01"),
        ("month", "2026-12-31T00:00:00", "2026-12-01", "2027-01-01"),
        ("day", "2026-12-31T23:00:00", "2026-12-31", "2027-01-01"),
        ("day", "2026-03-29T01:30:00", "2026-03-29", "2026-03-30"),
    ],
)
def test_periods_begin_and_end_in_utc(period, now, start, end):
    begin = period_start(period, datetime.fromisoformat(now).replace(tzinfo=UTC))
    assert begin == datetime.fromisoformat(start).replace(tzinfo=UTC)
    assert period_end(period, begin) == datetime.fromisoformat(end).replace(tzinfo=UTC)


def test_a_total_never_renews():
    assert period_start("total", datetime.now(UTC)) == ALWAYS
    assert period_end("total", ALWAYS) is None


def test_a_new_period_forgets_what_was_spent_and_keeps_what_is_held():
    balance = a_balance("10", held=Decimal(3), spent=Decimal(7))
    balance.roll(datetime(2026, 12, 1, 0, 0, 0, 1, tzinfo=UTC))
    assert (balance.spent, balance.held, balance.allowance, balance.period_start.month) == (0, 3, 10, 12)


def test_no_clock_turns_a_period_back():
    balance = a_balance(spent=Decimal(7))
    balance.roll(datetime(2026, 10, 31, 23, 59, tzinfo=UTC))
    assert (balance.spent, balance.period_start.month, balance.is_changed) == (7, 11, False)


def test_there_is_room_up_to_the_limit_and_not_beyond():
    balance = a_balance("10", held=Decimal(3), spent=Decimal(5))
    assert balance.has_room(Decimal(2))
    assert not balance.has_room(Decimal("2.000000000001"))


def test_what_costs_nothing_is_let_in_above_the_limit():
    balance = a_balance("10")
    balance.book(Decimal(12))
    assert balance.has_room(Decimal(0)) and not balance.has_room(Decimal("0.000000000001"))


def test_a_bill_above_the_limit_is_booked_in_full():
    balance = a_balance("10", spent=Decimal(9))
    assert balance.book(Decimal(3)) == 2
    assert (balance.spent, balance.allowance, balance.limit) == (12, 12, 10)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(amounts, st.lists(st.tuples(amounts, amounts), max_size=20), amounts)
def test_whatever_happens_what_is_used_stays_within_the_allowance(limit, calls, new_limit):
    balance = a_balance(limit)
    for amount, cost in calls:
        if balance.has_room(amount):
            balance.hold(amount)
            assert balance.held + balance.spent <= balance.limit or not amount
            balance.release(amount)
            balance.book(cost)
        assert balance.held >= 0 and balance.spent >= 0 and balance.held + balance.spent <= balance.allowance
    balance.set_limit(new_limit)
    assert balance.held + balance.spent <= balance.allowance
