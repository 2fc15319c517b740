"""The start page's cards about calls, cost and budgets of one tenant."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any, cast

from django.contrib.humanize.templatetags.humanize import intcomma
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from accounts.objects import MODEL, label_objects
from administration.start_page import card
from foundation.amounts import money_cell, show_money
from foundation.spacing import label_value
from tenants.selectors import get_currency
from usage.charts import Bar, BarChart, Series, Share, answered_and_failed, bar_of_calls, round_up
from usage.labels import say_error
from usage.ledger.budget_rules import ZERO
from usage.models import Budget, BudgetOverrun
from usage.selectors import UsageRow, list_top_errors
from usage.selectors.start_page import (
    Hour,
    compare_days,
    list_days,
    list_dearest_models,
    list_hours,
    list_tight_budgets,
    name_subjects,
)

MAY_SEE = "usage.view_usageevent"
DAYS = 30
OVERRUNS = 8


@card(site="service", order=10, permission=MAY_SEE, template="usage/cards/today.html", width="full")
def today(request: HttpRequest) -> dict[str, Any]:
    return {
        "figures": compare_days(),
        "currency": get_currency(),
        "events_url": reverse("service:usage_usageevent_changelist"),
    }


@card(site="service", order=20, permission=MAY_SEE, template="usage/cards/bars.html")
def calls_per_hour(request: HttpRequest) -> dict[str, Any]:
    hours = list_hours()
    top = round_up(max(hour.calls for hour in hours))
    chart = BarChart(
        key="hours",
        description=_("Bars: calls per hour. The figures are in the table below."),
        top=top,
        ticks=[intcomma(top), "0"],
        bars=[_bar_of_hour(hour) for hour in hours],
        series=answered_and_failed(),
        head=[_("Hour"), _("Calls"), _("Failed")],
    )
    return {
        "heading": _("When was it busy in the last 24 hours?"),
        "chart": chart,
        "empty": _("Nobody has called a model in the last 24 hours."),
    }


def _bar_of_hour(hour: Hour) -> Bar:
    begin = timezone.localtime(hour.begins_at)
    return bar_of_calls(
        name=date_format(begin, "TIME_FORMAT"),
        title=date_format(begin, "TIME_FORMAT"),
        cell=date_format(begin, "DATETIME_FORMAT"),
        calls=hour.calls,
        errors=hour.errors,
    )


@card(site="service", order=30, permission=MAY_SEE, template="usage/cards/bars.html")
def cost_per_day(request: HttpRequest) -> dict[str, Any]:
    days, currency = list_days(DAYS), get_currency()
    top = max(ZERO, *(row.cost for row in days))
    chart = BarChart(
        key="days",
        description=_("Bars: cost per day. The figures are in the table below."),
        top=top,
        ticks=[show_money(top, currency), "0"],
        bars=[_bar_of_day(row, currency) for row in days],
        series=[Series("series-1", _("Cost"))],
        head=[_("Day"), _("Calls"), _("Cost")],
    )
    return {
        "heading": _("What did each of the last 30 days cost?"),
        "chart": chart,
        "empty": _("Nothing was billed in the last 30 days."),
    }


def _bar_of_day(row: UsageRow, currency: str) -> Bar:
    day, is_used = cast(date, row.key), row.calls or row.cost  # a day of refunds alone has no calls
    return Bar(
        name=date_format(day, "MONTH_DAY_FORMAT"),
        title=label_value(date_format(day), show_money(row.cost, currency)),
        values=[row.cost],
        cells=(date_format(day), intcomma(row.calls), money_cell(row.cost, currency)) if is_used else (),
    )


@card(site="service", order=40, permission=MAY_SEE, template="usage/cards/shares.html")
def cost_by_model(request: HttpRequest) -> dict[str, Any]:
    found = list_dearest_models(DAYS)
    labels = label_objects(MODEL, (row.label for row in found))
    rows = [Share(labels[row.label], max(row.cost, ZERO), row.calls, row.cost, row.currency) for row in found]
    return {
        "heading": _("Which models cost most in the last 30 days?"),
        "subject": _("Model"),
        "rows": rows,
        "top": max((row.value for row in rows), default=0),
        "empty": _("No model has been called yet."),
    }


@card(site="service", order=50, permission="usage.view_budget", template="usage/cards/budgets.html")
def budgets_running_low(request: HttpRequest) -> dict[str, Any]:
    return {"budgets": list_tight_budgets(), "budgets_url": reverse("service:usage_budget_changelist")}


@card(site="service", order=60, permission=MAY_SEE, template="usage/cards/errors.html")
def latest_errors(request: HttpRequest) -> dict[str, Any]:
    since = timezone.now() - timedelta(hours=24)
    found = list_top_errors(since=since, limit=8)
    labels = label_objects(MODEL, (row.model for row in found))
    return {
        "errors": [(replace(row, model=labels[row.model]), say_error(row.error_code)) for row in found],
        "events_url": reverse("service:usage_usageevent_changelist"),
    }


@card(site="service", order=55, permission="usage.view_budget", template="usage/cards/overruns.html")
def recent_overruns(request: HttpRequest) -> dict[str, Any] | None:
    """Nothing where nothing went above: most organisations never see this card."""
    rows = list(
        BudgetOverrun.objects.filter(created_at__gte=timezone.now() - timedelta(days=DAYS))[:OVERRUNS]
    )
    if not rows:
        return None
    budgets = Budget.objects.in_bulk([row.budget_id for row in rows])
    names = name_subjects(list(budgets.values()))
    overruns = [
        {"row": row, "budget": budgets.get(row.budget_id), "subject": names.get(row.budget_id)}
        for row in rows
    ]
    return {"overruns": overruns, "budgets_url": reverse("service:usage_budget_changelist")}
