"""Sums and reports."""

import json
import re
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.management import CommandError
from django.db.models import Sum

from accounts.services import create_api_key
from foundation.errors import InvalidInput, NotAllowed
from tenants.context import platform
from tests.conftest import manage
from tests.usage.test_budgets import an_event
from usage.charts import round_up
from usage.models import HourlySum
from usage.platform.models import TenantSum
from usage.selectors import (
    get_report,
    list_top_errors,
    list_usage,
    list_visible_events,
    own_usage,
)
from usage.selectors.reports import TopError, summed_until
from usage.sums import add_up_closed_hours, rebuild_sums, tell_today

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def now(monkeypatch):
    """Each test's own: an hour may end between the import of this module and its last test."""
    monkeypatch.setattr(sys.modules[__name__], "NOW", datetime.now(UTC))


HOUR = timedelta(hours=1)


@pytest.fixture
def three_days(alice, bob) -> datetime:
    """Events of Alice and Bob on three days, the last of them now; returns the first day's begin."""
    begin = NOW.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=2)
    calls = [
        (1, alice, "big", "1"),
        (1, alice, "big", "2"),
        (2, bob, "small", "0.25"),
        (30, bob, "big", "4"),
        (31, alice, "small", "0.125"),
    ]
    for hours, person, model, cost in calls:
        an_event(
            cost,
            begin + hours * HOUR,
            user_id=person.pk,
            model=model,
            input_tokens=100,
            cached_tokens=10,
            output_tokens=7,
            reasoning_tokens=3,
        )
    an_event(
        "8", NOW, user_id=bob.pk, model="big", input_tokens=1, status="error", error_code="upstream_error"
    )
    return begin


def as_tuples(rows) -> list[tuple]:
    return [(row.key, row.calls, row.errors, row.tokens_read, row.tokens_written, row.cost) for row in rows]


@pytest.mark.parametrize("by", ["model", "user", "key", "project", "day"])
@pytest.mark.parametrize("offset", [timedelta(0), timedelta(minutes=90), timedelta(hours=30, minutes=20)])
def test_a_report_reads_the_same_with_and_without_sums(three_days, by, offset):
    period = {"by": by, "since": three_days + offset, "until": NOW + HOUR}
    before = as_tuples(list_usage(**period))
    add_up_closed_hours()
    assert HourlySum.objects.exists() and summed_until() <= NOW
    assert as_tuples(list_usage(**period)) == before


def test_usage_by_model_and_by_day(three_days, bob):
    period = {"since": three_days, "until": NOW + HOUR}
    assert as_tuples(list_usage(by="model", **period)) == [
        ("big", 4, 1, 331, 30, 15),
        ("small", 2, 0, 220, 20, Decimal("0.375")),
    ]
    days = list_usage(by="day", user_id=bob.pk, **period)
    assert [(row.key, row.calls) for row in days] == [
        (three_days.date() + timedelta(days=offset), 1) for offset in range(3)
    ]
    assert [row.label for row in list_usage(by="user", **period)] == [
        "Bob <bob@acme.example>",
        "Alice <alice@acme.example>",
    ]
    assert [row.label for row in list_usage(by="key", **period)] == ["without"]
    with pytest.raises(InvalidInput):
        list_usage(by="moon", **period)


def test_adding_up_twice_adds_nothing_and_rebuilding_gives_the_same(three_days):
    add_up_closed_hours()
    first = list(
        HourlySum.objects.order_by("hour", "user_id", "model").values_list("hour", "model", "calls", "cost")
    )
    add_up_closed_hours()
    assert (
        list(
            HourlySum.objects.order_by("hour", "user_id", "model").values_list(
                "hour", "model", "calls", "cost"
            )
        )
        == first
    )
    HourlySum.objects.update(cost=0)
    rebuild_sums()
    assert (
        list(
            HourlySum.objects.order_by("hour", "user_id", "model").values_list(
                "hour", "model", "calls", "cost"
            )
        )
        == first
    )


def test_the_platform_learns_sums_and_nothing_else(three_days):
    add_up_closed_hours()
    with platform():
        found = list(
            TenantSum.objects.filter(slug="acme")
            .order_by("day")
            .values_list("day", "calls", "tokens", "cost")[:2]
        )
    first = three_days.date()
    assert found == [(first, 3, 360, Decimal("3.25")), (first + timedelta(days=1), 2, 240, Decimal("4.125"))]
    assert {field.name for field in TenantSum._meta.get_fields()} == {
        "id",
        "slug",
        "day",
        "currency",
        "calls",
        "errors",
        "tokens",
        "quantities",
        "cost",
    }


def test_the_platform_hears_of_the_running_hour_and_no_hour_counts_twice(three_days, on_platform, olga):
    def told() -> tuple[int, Decimal]:
        with platform():
            return tuple(
                TenantSum.objects.filter(slug="acme").aggregate(calls=Sum("calls"), cost=Sum("cost")).values()
            )

    for step in (tell_today, tell_today, add_up_closed_hours, tell_today, rebuild_sums):
        step()
        assert told() == (6, Decimal("15.375")), step
    an_event("1", NOW)
    tell_today()
    assert told() == (7, Decimal("16.375")) and HourlySum.objects.aggregate(calls=Sum("calls"))["calls"] < 7
    page = on_platform.login_as(olga).get("/admin/").content.decode()
    assert "9\N{NO-BREAK SPACE}€" in page and "No tenant has" not in page


def test_without_a_call_there_is_nothing_to_tell():
    tell_today()
    with platform():
        assert not TenantSum.objects.filter(slug="acme").exists()


def test_corrections_change_cost_but_are_no_calls(bob):
    event = an_event("2", NOW, user_id=bob.pk, input_tokens=10)
    an_event("-0.5", NOW, user_id=bob.pk, kind="adjustment", request_id=event.request_id, input_tokens=-4)
    (row,) = list_usage(by="user", since=NOW - HOUR, until=NOW + HOUR)
    assert (row.calls, row.cost, row.quantities) == (1, Decimal("1.5"), {"input": 6})


def test_own_usage_has_every_day_and_only_ones_own(three_days, bob):
    usage = own_usage(bob, 7)
    assert (usage.total.calls, usage.total.cost, usage.currency) == (3, Decimal("12.25"), "EUR")
    assert len(usage.days) == 7 and sum(day.calls for day in usage.days) == 3
    assert [row.key for row in usage.models] == ["big", "small"]
    assert usage.days[-1].calls >= 1


def test_frequent_errors(three_days):
    assert list_top_errors(since=three_days) == [TopError("upstream_error", "big", 1)]


def test_who_sees_which_events(three_days, alice, bob):
    assert list_visible_events(bob).count() == 3
    assert list_visible_events(alice).count() == 6
    with pytest.raises(NotAllowed):
        get_report(actor=bob, by="model", since=three_days, until=NOW)


def test_the_page_shows_ones_own_usage(acme, three_days, bob):
    from usage import services

    services.set_budget(actor=None, level="user", subject_id=bob.pk, limit=Decimal(40))
    response = acme.login_as(bob).get("/usage/?days=7")
    assert response.status_code == 200
    page = response.content.decode()
    assert "12.25" in page and "big" in page
    assert acme.get("/usage/?days=nonsense").context["chart"].top > 0
    assert re.search(r"of 40\s€ used, [\d.]+\s€ left", page)


def test_the_page_says_which_budgets_bind_and_who_can_raise_them(acme, alice, bob):
    """How full a shared one is may be known to all whom it stops; its amounts to those who may see it."""
    from usage import services

    page = acme.login_as(bob).get("/usage/").content.decode()
    assert "No budget is set" in page and "An administrator of your organisation can set one." in page
    services.set_budget(actor=None, level="tenant", subject_id=None, limit=Decimal(900))
    shared = acme.get("/usage/").context["budgets"]
    assert [(one.label, one.text) for one in shared] == [("organisation · month", "0% used")]
    assert "An administrator of your organisation can raise it." in acme.get("/usage/").content.decode()
    page = acme.login_as(alice).get("/usage/").content.decode()
    assert "0 € of 900 € used, 900 € left".replace(" €", "\N{NO-BREAK SPACE}€") in page
    assert 'href="/admin/usage/budget/">Raise it in the administration' in page


def test_a_day_and_a_model_of_refunds_alone_are_shown(acme, alice, bob):
    """Else what is shown line by line is not what is shown in all; and a bar has no length below nothing."""
    at = datetime.now(UTC)
    an_event("2", at - timedelta(days=3), user_id=alice.pk, model="mock")
    an_event("-1.5", at, user_id=alice.pk, model="given-back", kind="refund")
    page = acme.login_as(alice).get("/usage/?days=30").content.decode()
    assert page.count("-1.50\N{NO-BREAK SPACE}€") == 2 and "given-back" in page  # its day and its model
    start = acme.get("/admin/").content.decode()
    assert "-1.50" in start and 'width="-' not in start and 'height="-' not in start


def test_the_page_of_somebody_who_used_nothing(acme, bob):
    assert acme.login_as(bob).get("/usage/").status_code == 200


def test_the_page_is_for_people_who_are_logged_in(acme):
    assert acme.get("/usage/").status_code == 302


@pytest.mark.parametrize(
    ("value", "top"), [(0, 0), (1, 1), (3, 5), (10, 10), (11, 20), (99, 100), (5_001, 10_000)]
)
def test_an_axis_ends_at_a_round_number(value, top):
    assert round_up(value) == top


@pytest.mark.scope(None)
def test_the_usage_command(cast, request):
    from tenants.context import tenant

    with tenant("acme"):
        request.getfixturevalue("three_days")
    rows = json.loads(
        manage(
            "usage",
            "report",
            "--tenant",
            "acme",
            "--from",
            f"{NOW - timedelta(days=2):%Y-%m-%d}",
            "--by",
            "model",
            "--json",
        )
    )
    assert [(row["model"], row["calls"], Decimal(row["cost"])) for row in rows] == [
        ("big", 4, 15),
        ("small", 2, Decimal("0.375")),
    ]
    assert manage("usage", "report", "--tenant", "acme", "--from", "2020-01-01", "--to", "2020-02-01") == ""
    with pytest.raises(CommandError, match="not a date"):
        manage("usage", "report", "--tenant", "acme", "--from", "yesterday")


@pytest.mark.scope(None)
def test_the_budget_command(cast):
    from tenants.context import tenant

    with tenant("acme"):
        key, _text = create_api_key(actor=None, user=cast.bob, name="script")
    for subject in ([], ["--user", "bob@acme.example"], ["--project", "Default"], ["--key", key.key_id]):
        row = json.loads(manage("budget", "set", "--tenant", "acme", *subject, "--limit", "12.5", "--json"))
        assert (row["limit"], row["period"]) == ("12.5", "month")
    assert len(json.loads(manage("budget", "list", "--tenant", "acme", "--json"))) == 4
    manage("budget", "remove", "--tenant", "acme", "--user", "bob@acme.example")
    assert len(json.loads(manage("budget", "list", "--tenant", "acme", "--json"))) == 3
    assert json.loads(manage("budget", "rebuild", "--tenant", "acme", "--json")) == {"corrected": []}
    for wrong in (["--user", "nobody@acme.example"], ["--project", "none"], ["--key", "12345678"]):
        with pytest.raises(CommandError):
            manage("budget", "set", "--tenant", "acme", *wrong, "--limit", "1")
    with pytest.raises(CommandError, match="not an amount"):
        manage("budget", "set", "--tenant", "acme", "--limit", "-3")
