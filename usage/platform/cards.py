"""The system administration's cards about usage. Tenants tell them every minute in which calls come in."""

from datetime import timedelta
from typing import Any

from django.http import HttpRequest

from administration.start_page import card
from usage.charts import round_up
from usage.platform.selectors import (
    list_busiest_tenants,
    list_days,
    list_living_processes,
    sum_up_day,
    today_utc,
)

MAY_SEE = "usage_platform.view_tenantsum"


@card(site="system", order=10, permission=MAY_SEE, template="usage/cards/platform_today.html", width="full")
def all_tenants_today(request: HttpRequest) -> dict[str, Any]:
    today, yesterday = sum_up_day(today_utc()), sum_up_day(today_utc() - timedelta(days=1))
    names = ("calls", "tokens", "errors")
    figures = {
        name: [sum(getattr(row, name) for row in rows) for rows in (today, yesterday)] for name in names
    }
    return {"figures": figures, "costs": today, "costs_yesterday": yesterday}


@card(site="system", order=30, permission=MAY_SEE, template="usage/cards/platform_days.html")
def calls_per_day(request: HttpRequest) -> dict[str, Any]:
    days = list_days()
    return {"days": days, "axis_max": round_up(max(day.calls for day in days))}


@card(site="system", order=40, permission=MAY_SEE, template="usage/cards/platform_tenants.html")
def busiest_tenants(request: HttpRequest) -> dict[str, Any]:
    rows = list_busiest_tenants()
    return {"rows": rows, "top": rows[0][1].calls if rows else 0}


@card(
    site="system",
    order=60,
    permission="usage_platform.view_process",
    template="usage/cards/platform_processes.html",
)
def living_processes(request: HttpRequest) -> dict[str, Any]:
    return {"processes": list_living_processes()}
