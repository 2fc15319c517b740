"""The system administration's cards about usage. Tenants tell them every minute in which calls come in."""

from datetime import timedelta
from typing import Any

from django.contrib.humanize.templatetags.humanize import intcomma
from django.http import HttpRequest
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from administration.start_page import card
from foundation.amounts import show_money
from foundation.spacing import listed
from usage.charts import BarChart, Share, answered_and_failed, bar_of_calls, round_up
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
    costs = [listed(show_money(row.cost, row.currency) for row in rows) or "0" for rows in (today, yesterday)]
    return {"figures": figures | {"costs": costs}}


@card(site="system", order=30, permission=MAY_SEE, template="usage/cards/bars.html")
def calls_per_day(request: HttpRequest) -> dict[str, Any]:
    days = list_days()
    top = round_up(max(day.calls for day in days))
    chart = BarChart(
        key="platform-days",
        description=_("Bars: calls per day. The figures are in the table below."),
        top=top,
        ticks=[intcomma(top), "0"],
        bars=[
            bar_of_calls(
                name=date_format(day.day, "MONTH_DAY_FORMAT"),
                title=date_format(day.day),
                cell=date_format(day.day),
                calls=day.calls,
                errors=day.errors,
            )
            for day in days
        ],
        series=answered_and_failed(),
        head=[_("Day"), _("Calls"), _("Failed")],
    )
    return {
        "heading": _("How many calls did each of the last 30 days bring?"),
        "chart": chart,
        "empty": _("No tenant has called a model in the last 30 days."),
    }


@card(site="system", order=40, permission=MAY_SEE, template="usage/cards/shares.html")
def busiest_tenants(request: HttpRequest) -> dict[str, Any]:
    rows = [Share(slug, row.calls, row.calls, row.cost, row.currency) for slug, row in list_busiest_tenants()]
    return {
        "heading": _("Which tenants used most this month?"),
        "subject": _("Tenant"),
        "rows": rows,
        "top": rows[0].value if rows else 0,
        "empty": _("No tenant has used anything this month."),
    }


@card(
    site="system",
    order=60,
    permission="usage_platform.view_process",
    template="usage/cards/platform_processes.html",
)
def living_processes(request: HttpRequest) -> dict[str, Any]:
    return {"processes": list_living_processes()}
