"""How much was used: by model, user, key, project or day; one's own; today; what fails most."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Count, Max, Q, QuerySet, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.permissions import require
from accounts.selectors import name_keys, name_people, name_projects
from foundation.errors import InvalidInput
from tenants.selectors import get_currency
from usage.models import Hold, HourlySum, UsageEvent

DIMENSIONS = {"model": "model", "user": "user_id", "key": "key_id", "project": "project_id", "day": "day"}
_FIGURES = ("calls", "errors", "input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens", "cost")
_BILLS = Q(kind=UsageEvent.Kind.SETTLE)
_SUM_FIGURES = {name: Sum(name) for name in _FIGURES}
_EVENT_FIGURES = _SUM_FIGURES | {
    "calls": Count("pk", filter=_BILLS),
    "errors": Count("pk", filter=_BILLS & Q(status=UsageEvent.Status.ERROR)),
}


@dataclass
class UsageRow:
    """One line of a report. `key` is a model's name, an id (None: without), or a
    date; `label` is what people call it.
    """

    key: Any
    currency: str
    label: str = ""
    calls: int = 0
    errors: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cost: Decimal = field(default_factory=Decimal)

    @property
    def tokens_read(self) -> int:
        return self.input_tokens + self.cached_tokens

    @property
    def tokens_written(self) -> int:
        return self.output_tokens + self.reasoning_tokens


@dataclass(frozen=True, slots=True)
class TopError:
    """How often calls of a model failed in one way."""

    error_code: str
    model: str
    count: int


@dataclass(frozen=True)
class OwnUsage:
    """What a person used in a period: in all, on each of its days (also the empty
    ones), and by model, dearest first.
    """

    total: UsageRow
    days: list[UsageRow]
    models: list[UsageRow]
    currency: str


def list_visible_events(user: User) -> QuerySet[UsageEvent]:
    """A person's own events; with `usage.view_usageevent`, everyone's."""
    return (
        UsageEvent.objects.all()
        if user.has_perm("usage.view_usageevent")
        else UsageEvent.objects.filter(user_id=user.pk)
    )


def find_bill_of_call(request_id: UUID) -> UsageEvent | None:
    """What a call was billed: an event of nothing if nothing was, None while the bill is still to come."""
    # looked for first: the sweeper books and lets go in one transaction
    if Hold.objects.filter(pk=request_id).exists():
        return None
    bill = UsageEvent.objects.filter(request_id=request_id, kind=UsageEvent.Kind.SETTLE).first()
    return bill or UsageEvent(cost=Decimal(0))


def get_report(*, actor: User | None, by: str, since: datetime, until: datetime) -> list[UsageRow]:
    """The whole tenant's usage, for those who may see it. Raises NotAllowed, InvalidInput."""
    require(actor, "usage.view_usageevent")
    return list_usage(by=by, since=since, until=until)


def list_usage(*, by: str, since: datetime, until: datetime, user_id: UUID | None = None) -> list[UsageRow]:
    """Usage from `since` to before `until`, by model, user, key, project or day; most expensive first,
    days in order. Raises InvalidInput.

    Hours that are summed up are read from the sums; what lies outside whole hours or is newer,
    from the events: exact to the instant.
    """
    if by not in DIMENSIONS:
        raise InvalidInput(_("Usage cannot be listed by “%(by)s”.") % {"by": by}, param="by")
    mine = Q(user_id=user_id) if user_id else Q()
    rows: dict[tuple, UsageRow] = {}
    first, last = _whole_hours(since, min(until, summed_until() or since))
    if first < last:
        _collect(
            rows,
            by,
            HourlySum.objects.filter(mine, hour__gte=first, hour__lt=last).annotate(day=TruncDate("hour")),
            _SUM_FIGURES,
        )
    for begin, end in [(since, first), (last, until)] if first < last else [(since, until)]:
        if begin < end:
            _collect(
                rows,
                by,
                UsageEvent.objects.filter(mine, created_at__gte=begin, created_at__lt=end).annotate(
                    day=TruncDate("created_at")
                ),
                _EVENT_FIGURES,
            )
    _label(by, rows.values())
    return sorted(rows.values(), key=_by_day if by == "day" else _by_cost)


def summed_until() -> datetime | None:
    """The end of the last hour that is summed up; None before the first."""
    last = HourlySum.objects.aggregate(last=Max("hour"))["last"]
    return last + timedelta(hours=1) if last else None


def _by_day(row: UsageRow) -> tuple:
    return row.key, row.currency


def _by_cost(row: UsageRow) -> tuple:
    return -row.cost, -row.calls, row.label


def _whole_hours(since: datetime, until: datetime) -> tuple[datetime, datetime]:
    """The first and the last full hour between two instants."""
    first, last = (moment.replace(minute=0, second=0, microsecond=0) for moment in (since, until))
    return (first if first == since else first + timedelta(hours=1)), last


def _collect(rows: dict[tuple, UsageRow], by: str, found: QuerySet, figures: dict) -> None:
    column = DIMENSIONS[by]
    for line in (
        found.order_by()
        .values(column, "currency")
        .annotate(**{f"sum_{name}": figure for name, figure in figures.items()})
    ):
        row = rows.setdefault((line[column], line["currency"]), UsageRow(line[column], line["currency"]))
        _add(row, {name: line[f"sum_{name}"] for name in _FIGURES})


def _add(row: UsageRow, figures: Mapping[str, Any]) -> None:
    for name in _FIGURES:
        setattr(row, name, getattr(row, name) + (figures[name] or 0))


def _label(by: str, found: Iterable[UsageRow]) -> None:
    rows = list(found)
    ids = [row.key for row in rows if row.key is not None]
    names: dict[Any, Any] = {}
    if by == "user":
        names = name_people(ids, with_address=True)
    elif by == "key":
        names = name_keys(ids)
    elif by == "project":
        names = name_projects(ids)
    for row in rows:
        row.label = str(names.get(row.key, row.key)) if row.key is not None else _("without")


def _total(rows: Iterable[UsageRow], key: Any, currency: str) -> UsageRow:
    """The rows of one currency added up."""
    total = UsageRow(key, currency)
    for row in rows:
        if row.currency == currency:
            _add(total, {name: getattr(row, name) for name in _FIGURES})
    return total


def usage_today(user_id: UUID | None = None) -> UsageRow:
    """Everything of the running day (UTC), of one person or of all, in the tenant's currency."""
    now = timezone.now()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return _total(
        list_usage(by="day", since=midnight, until=midnight + timedelta(days=1), user_id=user_id),
        midnight.date(),
        get_currency(),
    )


def own_usage(user: User, days: int) -> OwnUsage:
    """A person's usage of the last `days` days, today included."""
    currency, today = get_currency(), timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    since, until = today - timedelta(days=days - 1), today + timedelta(days=1)
    found = {
        row.key: row
        for row in list_usage(by="day", since=since, until=until, user_id=user.pk)
        if row.currency == currency
    }
    dates: list[date] = [(since + timedelta(days=offset)).date() for offset in range(days)]
    models = [
        row
        for row in list_usage(by="model", since=since, until=until, user_id=user.pk)
        if row.currency == currency
    ]
    return OwnUsage(
        _total(models, None, currency),
        [found.get(day) or UsageRow(day, currency) for day in dates],
        models,
        currency,
    )


def list_top_errors(*, since: datetime, limit: int = 10) -> list[TopError]:
    """The most frequent failures since then: error_code, model, count."""
    failed = UsageEvent.objects.filter(_BILLS, created_at__gte=since, status=UsageEvent.Status.ERROR)
    rows = failed.values_list("error_code", "model").annotate(count=Count("pk"))
    return [TopError(*row) for row in rows.order_by("-count", "error_code", "model")[:limit]]
