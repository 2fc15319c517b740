"""Sums over tenants, for operators. Call inside `with platform():`."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet, Sum
from django.utils import timezone

from usage.platform.models import Process, TenantSum


@dataclass(frozen=True, slots=True)
class CurrencySum:
    """What was used in one currency."""

    currency: str
    calls: int
    errors: int
    tokens: int
    cost: Decimal


@dataclass(frozen=True, slots=True)
class DaySum:
    day: date
    calls: int
    errors: int


def today_utc() -> date:
    return timezone.now().date()


def _figures(rows: QuerySet[TenantSum], *by: str) -> list[dict[str, Any]]:
    """Sums by these columns, in no order."""
    return list(
        rows.order_by()
        .values(*by)
        .annotate(
            all_calls=Sum("calls"), all_errors=Sum("errors"), all_tokens=Sum("tokens"), all_cost=Sum("cost")
        )
    )


def _read(row: dict[str, Any]) -> CurrencySum:
    return CurrencySum(
        row["currency"], row["all_calls"], row["all_errors"], row["all_tokens"], row["all_cost"]
    )


def sum_up_day(day: date) -> list[CurrencySum]:
    """Everything of all tenants on one day, by currency."""
    return [_read(row) for row in _figures(TenantSum.objects.filter(day=day), "currency")]


def sum_up_month(slugs: list[str]) -> dict[str, list[CurrencySum]]:
    """Slug → the running month's usage, by currency; tenants without any are missing."""
    found: dict[str, list[CurrencySum]] = {}
    for row in _figures(
        TenantSum.objects.filter(slug__in=slugs, day__gte=today_utc().replace(day=1)), "slug", "currency"
    ):
        found.setdefault(row["slug"], []).append(_read(row))
    return found


def list_days(count: int = 30) -> list[DaySum]:
    """Calls of all tenants on the last days, today last, also the empty ones."""
    first = today_utc() - timedelta(days=count - 1)
    found = {row["day"]: row for row in _figures(TenantSum.objects.filter(day__gte=first), "day")}
    days = [first + timedelta(days=offset) for offset in range(count)]
    return [
        DaySum(day, found[day]["all_calls"], found[day]["all_errors"]) if day in found else DaySum(day, 0, 0)
        for day in days
    ]


def list_busiest_tenants(limit: int = 8) -> list[tuple[str, CurrencySum]]:
    """The tenants with the most calls in the running month."""
    rows = _figures(TenantSum.objects.filter(day__gte=today_utc().replace(day=1)), "slug", "currency")
    rows.sort(key=lambda row: (-row["all_calls"], row["slug"]))
    return [(row["slug"], _read(row)) for row in rows[:limit]]


def list_living_processes() -> list[Process]:
    """The processes that hold money for calls and have given a sign of life within their lease."""
    return list(Process.objects.living())
