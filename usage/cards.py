"""The start page's cards about calls, cost and budgets of one tenant."""

from datetime import timedelta
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from administration.start_page import card
from tenants.selectors import get_currency
from usage.charts import round_up
from usage.models import Budget, BudgetOverrun
from usage.selectors import list_top_errors
from usage.selectors.start_page import (
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


@card(site="service", order=20, permission=MAY_SEE, template="usage/cards/hours.html")
def calls_per_hour(request: HttpRequest) -> dict[str, Any]:
    hours = list_hours()
    return {"hours": hours, "axis_max": round_up(max(hour.calls for hour in hours))}


@card(site="service", order=30, permission=MAY_SEE, template="usage/cards/days.html")
def cost_per_day(request: HttpRequest) -> dict[str, Any]:
    """Bars in whole millionths, since an SVG's lengths are no decimals."""
    days = list_days(DAYS)
    axis_max = max((row.cost for row in days), default=0)
    return {"days": days, "axis_max": axis_max, "currency": get_currency()}


@card(site="service", order=40, permission=MAY_SEE, template="usage/cards/models.html")
def cost_by_model(request: HttpRequest) -> dict[str, Any]:
    rows = list_dearest_models(DAYS)
    return {"rows": rows, "top": max((row.cost for row in rows), default=0), "days": DAYS}


@card(site="service", order=50, permission="usage.view_budget", template="usage/cards/budgets.html")
def budgets_running_low(request: HttpRequest) -> dict[str, Any]:
    return {"budgets": list_tight_budgets(), "budgets_url": reverse("service:usage_budget_changelist")}


@card(site="service", order=60, permission=MAY_SEE, template="usage/cards/errors.html")
def latest_errors(request: HttpRequest) -> dict[str, Any]:
    since = timezone.now() - timedelta(hours=24)
    return {
        "errors": list_top_errors(since=since, limit=8),
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
