"""What the administration's start page asks of the ledger: today against yesterday, hours, days, models, and
budgets that run low.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.db.models import Count, F, Q, Sum
from django.db.models.functions import TruncHour
from django.utils import timezone

from tenants.selectors import get_currency
from usage.ledger.budget_rules import ZERO, period_start
from usage.models import Budget, HourlySum, UsageEvent
from usage.selectors.budgets import NAMES
from usage.selectors.reports import UsageRow, list_usage, summed_until

BILLS = Q(kind=UsageEvent.Kind.SETTLE)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One figure of today and of yesterday up to the same time."""

    today: Decimal | int
    yesterday: Decimal | int

    @property
    def percent(self) -> int | None:
        """The change in percent; None where there is nothing to compare with."""
        return round(100 * (self.today - self.yesterday) / self.yesterday) if self.yesterday else None


@dataclass(frozen=True, slots=True)
class Hour:
    begins_at: datetime
    calls: int
    errors: int


@dataclass(frozen=True, slots=True)
class TightBudget:
    """A budget whose warning mark is reached."""

    budget: Budget
    subject: str
    used: Decimal
    percent: int


def compare_days() -> dict[str, Comparison]:
    """Calls, errors, tokens and cost since midnight (UTC), beside the same hours of yesterday. Cost in the
    tenant's currency.
    """
    now = timezone.now()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    day, currency = timedelta(days=1), get_currency()
    today, yesterday = (
        _sum_up(list_usage(by="day", since=begin, until=end), currency)
        for begin, end in ((midnight, now), (midnight - day, now - day))
    )
    return {name: Comparison(today[name], yesterday[name]) for name in today}


def _sum_up(rows: list[UsageRow], currency: str) -> dict[str, int | Decimal]:
    return {
        "calls": sum(row.calls for row in rows),
        "errors": sum(row.errors for row in rows),
        "tokens": sum(row.tokens_read + row.tokens_written for row in rows),
        "cost": sum((row.cost for row in rows if row.currency == currency), ZERO),
    }


def list_hours(count: int = 24) -> list[Hour]:
    """Calls and failures of the last hours, the running one last, also of the empty ones."""
    last = timezone.now().astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    first = last - timedelta(hours=count - 1)
    cut = max(first, summed_until() or first)
    found: dict[datetime, list[int]] = {}
    sums = (
        HourlySum.objects.filter(hour__gte=first, hour__lt=cut)
        .values("hour")
        .annotate(all_calls=Sum("calls"), all_errors=Sum("errors"))
    )
    events = (
        UsageEvent.objects.filter(BILLS, created_at__gte=cut)
        .order_by()
        .annotate(hour=TruncHour("created_at", tzinfo=UTC))
        .values("hour")
    )
    for row in [
        *sums,
        *events.annotate(
            all_calls=Count("pk"), all_errors=Count("pk", filter=Q(status=UsageEvent.Status.ERROR))
        ),
    ]:
        known = found.setdefault(row["hour"], [0, 0])
        known[0] += row["all_calls"]
        known[1] += row["all_errors"]
    hours = [first + timedelta(hours=offset) for offset in range(count)]
    return [Hour(hour, *found.get(hour, [0, 0])) for hour in hours]


def list_days(count: int = 30) -> list[UsageRow]:
    """Usage of the last days (UTC) in the tenant's currency, today last, also of the empty ones."""
    today, currency = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0), get_currency()
    first = today - timedelta(days=count - 1)
    found = {
        row.key: row
        for row in list_usage(by="day", since=first, until=today + timedelta(days=1))
        if row.currency == currency
    }
    dates = [(first + timedelta(days=offset)).date() for offset in range(count)]
    return [found.get(day) or UsageRow(key=day, currency=currency) for day in dates]


def list_dearest_models(days: int = 30, limit: int = 8) -> list[UsageRow]:
    """The models that cost most in the last days."""
    until = timezone.now()
    return list_usage(by="model", since=until - timedelta(days=days), until=until)[:limit]


def list_tight_budgets(limit: int = 8) -> list[TightBudget]:
    """Budgets whose warning mark is reached in the current period, the fullest first."""
    now = timezone.now()
    current = Q()
    for period in Budget.Period.values:
        current |= Q(period=period, period_start__gte=period_start(period, now))
    rows = (
        Budget.objects.filter(current)
        .alias(used=F("held") + F("spent"))
        .filter(used__gte=F("limit") * F("warn_at_percent") / 100)
    )
    tight = [_describe(row) for row in rows[:200]]
    tight.sort(key=lambda entry: -entry.percent)
    names = name_subjects([entry.budget for entry in tight[:limit]])
    return [
        TightBudget(entry.budget, names[entry.budget.pk], entry.used, entry.percent)
        for entry in tight[:limit]
    ]


def used_now(row: Budget) -> Decimal:
    """Spent in the current period, plus what is held; a row of an earlier period counts only what is
    held until its next call renews it.
    """
    is_current = row.period_start >= period_start(row.period, timezone.now())
    return row.held + (row.spent if is_current else ZERO)


def _describe(row: Budget) -> TightBudget:
    used = used_now(row)
    return TightBudget(row, "", used, min(100, int(100 * used / row.limit)) if row.limit else 100)


def name_subjects(budgets: list[Budget]) -> dict[UUID, str]:
    """Budget id → whose it is, in three queries at most."""
    names: dict[UUID, str] = {}
    for level, name_them in NAMES.items():
        ids = {row.subject_id for row in budgets if row.level == level}
        if ids:
            names |= name_them(ids)
    return {row.pk: names.get(row.subject_id, str(row.get_level_display())) for row in budgets}
