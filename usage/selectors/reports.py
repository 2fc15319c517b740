"""How much was used: by model, user, key, project or day; one's own; today; what fails most."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, TypedDict, Unpack
from uuid import UUID

from django.db.models import BigIntegerField, Count, Func, Max, Q, QuerySet, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.permissions import require
from accounts.selectors import name_keys, name_people, name_projects
from foundation.errors import InvalidInput, NotFound
from tenants.selectors import get_currency
from usage.models import Hold, HourlySum, UsageEvent
from usage.older_counts import COUNTS
from usage.quantities import INPUT, OUTPUT, Quantities, add, four_counts, total

DIMENSIONS = {"model": "model", "user": "user_id", "key": "key_id", "project": "project_id", "day": "day"}
ZERO = Decimal(0)
Key = str | UUID | date | None  # of a line: a model's name, an id (None: without), or a date
Figures = dict[str, Any]  # name of a figure → int; Decimal for `cost`, a mapping for `quantities`
_FIGURES = ("calls", "errors", "cost")
_BILLS = Q(kind=UsageEvent.Kind.SETTLE)
_SUM_FIGURES = {name: Sum(name) for name in _FIGURES} | {
    f"used_{name}": Sum(Func(template=count, output_field=BigIntegerField()))
    for name, count in COUNTS.items()
}
_EVENT_FIGURES = _SUM_FIGURES | {
    "calls": Count("pk", filter=_BILLS),
    "errors": Count("pk", filter=_BILLS & Q(status=UsageEvent.Status.ERROR)),
}


class EventFilter(TypedDict, total=False):
    """Which events are wanted; those of the moment `until` are not."""

    since: datetime
    until: datetime
    model: str
    user: UUID
    key: UUID
    project: UUID
    status: str


_EVENT_LOOKUPS = {
    "since": "created_at__gte",
    "until": "created_at__lt",
    "model": "model",
    "user": "user_id",
    "key": "key_id",
    "project": "project_id",
    "status": "status",
}


@dataclass(frozen=True, slots=True)
class Bill:
    """What a call was billed; zeros where it was billed nothing."""

    tokens_read: int = 0
    tokens_written: int = 0
    cost: Decimal = ZERO
    currency: str = ""
    is_estimated: bool = False


@dataclass(frozen=True, slots=True)
class UsageRow:
    """One line of a report. `label` is what people call its key."""

    key: Key
    currency: str
    label: str = ""
    calls: int = 0
    errors: int = 0
    quantities: Quantities = field(default_factory=dict)
    cost: Decimal = ZERO

    @property
    def tokens_read(self) -> int:
        return total(self.quantities, INPUT)

    @property
    def tokens_written(self) -> int:
        return total(self.quantities, OUTPUT)

    @property
    def four_counts(self) -> dict[str, int]:
        return four_counts(self.quantities)


@dataclass(frozen=True, slots=True)
class TopError:
    """How often calls of a model failed in one way."""

    error_code: str
    model: str
    count: int


@dataclass(frozen=True)
class OwnUsage:
    """What a person used in a period: in all, on each of its days (also the empty ones), and by model,
    dearest first.
    """

    total: UsageRow
    days: list[UsageRow]
    models: list[UsageRow]
    currency: str


def list_visible_events(actor: User, **wanted: Unpack[EventFilter]) -> QuerySet[UsageEvent]:
    """A person's own events; with `usage.view_usageevent`, everyone's."""
    rows = UsageEvent.objects.filter(**{_EVENT_LOOKUPS[name]: value for name, value in wanted.items()})
    return rows if actor.has_perm("usage.view_usageevent") else rows.filter(user_id=actor.pk)


def get_visible_event(actor: User, pk: UUID | str) -> UsageEvent:
    """One of the events the person may see. Raises NotFound."""
    row = list_visible_events(actor).filter(pk=pk).first()
    if row is None:
        raise NotFound(_("There is no such usage event."))
    return row


def list_refundable(request_ids: Iterable[UUID]) -> dict[UUID, Decimal]:
    """Request → what its bill and corrections add up to; without those that were refunded, cost nothing or
    have no bill.
    """
    rows = (
        UsageEvent.objects.filter(request_id__in=request_ids)
        .order_by()
        .values("request_id")
        .annotate(
            total=Sum("cost"),
            bills=Count("pk", filter=_BILLS),
            refunds=Count("pk", filter=Q(kind=UsageEvent.Kind.REFUND)),
        )
    )
    return {
        row["request_id"]: row["total"]
        for row in rows
        if row["bills"] and not row["refunds"] and row["total"] > 0
    }


def find_bill_of_call(request_id: UUID) -> Bill | None:
    """What a call was billed; None while the bill is still to come."""
    # looked for first: the sweeper books and lets go in one transaction
    if Hold.objects.filter(pk=request_id).exists():
        return None
    event = UsageEvent.objects.filter(request_id=request_id, kind=UsageEvent.Kind.SETTLE).first()
    if event is None:
        return Bill()
    return Bill(
        tokens_read=total(event.used, INPUT),
        tokens_written=total(event.used, OUTPUT),
        cost=event.cost,
        currency=event.currency,
        is_estimated=event.estimated,
    )


def get_report(*, actor: User | None, by: str, since: datetime, until: datetime) -> list[UsageRow]:
    """The whole tenant's usage, for those who may see it. Raises NotAllowed, InvalidInput."""
    require(actor, "usage.view_usageevent")
    return list_usage(by=by, since=since, until=until)


def list_usage(*, by: str, since: datetime, until: datetime, user_id: UUID | None = None) -> list[UsageRow]:
    """Usage from `since` to before `until`, by model, user, key, project or day; most expensive first,
    days in order. Raises InvalidInput.

    Hours that are summed up are read from the sums; what lies outside whole hours or is newer, from the
    events: exact to the instant.
    """
    if by not in DIMENSIONS:
        raise InvalidInput(_("Usage cannot be listed by “%(by)s”.") % {"by": by}, param="by")
    mine = Q(user_id=user_id) if user_id else Q()
    sums: dict[tuple[Key, str], Figures] = {}
    first, last = _whole_hours(since, min(until, summed_until() or since))
    if first < last:
        _collect(
            sums,
            by,
            HourlySum.objects.filter(mine, hour__gte=first, hour__lt=last).annotate(day=TruncDate("hour")),
            _SUM_FIGURES,
        )
    for begin, end in [(since, first), (last, until)] if first < last else [(since, until)]:
        if begin < end:
            _collect(
                sums,
                by,
                UsageEvent.objects.filter(mine, created_at__gte=begin, created_at__lt=end).annotate(
                    day=TruncDate("created_at")
                ),
                _EVENT_FIGURES,
            )
    names = _name_keys(by, [key for key, _currency in sums])
    rows = [
        UsageRow(key=key, currency=currency, label=names[key], **figures)
        for (key, currency), figures in sums.items()
    ]
    return sorted(rows, key=_by_day if by == "day" else _by_cost)


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


def _collect(sums: dict[tuple[Key, str], Figures], by: str, found: QuerySet, wanted: dict) -> None:
    """Add what is found to the figures of each key and currency."""
    column = DIMENSIONS[by]
    for line in (
        found.order_by()
        .values(column, "currency")
        .annotate(**{f"sum_{name}": figure for name, figure in wanted.items()})
    ):
        figures = sums.setdefault((line[column], line["currency"]), _nothing())
        used = {name: int(line[f"sum_used_{name}"] or 0) for name in COUNTS}
        _add_up(figures, {name: line[f"sum_{name}"] or 0 for name in _FIGURES} | {"quantities": used})


def _nothing() -> Figures:
    return {"calls": 0, "errors": 0, "cost": ZERO, "quantities": {}}


def _add_up(figures: Figures, more: Figures) -> None:
    for name in _FIGURES:
        figures[name] += more[name]
    figures["quantities"] = add(figures["quantities"], more["quantities"])


def _name_keys(by: str, keys: Iterable[Key]) -> dict[Key, str]:
    """What people call each key."""
    wanted = set(keys)
    ids = [key for key in wanted if isinstance(key, UUID)]
    names: dict[UUID, str] = {}
    if by == "user":
        names = name_people(ids, with_address=True)
    elif by == "key":
        names = name_keys(ids)
    elif by == "project":
        names = name_projects(ids)
    return {
        key: _("without") if key is None else names.get(key, str(key)) if isinstance(key, UUID) else str(key)
        for key in wanted
    }


def _total(rows: Iterable[UsageRow], currency: str) -> UsageRow:
    """These rows added up; all are of this currency."""
    figures = _nothing()
    for row in rows:
        _add_up(figures, {name: getattr(row, name) for name in (*_FIGURES, "quantities")})
    return UsageRow(key=None, currency=currency, **figures)


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
        total=_total(models, currency),
        days=[found.get(day) or UsageRow(key=day, currency=currency) for day in dates],
        models=models,
        currency=currency,
    )


def list_top_errors(*, since: datetime, limit: int = 10) -> list[TopError]:
    """The most frequent failures since then: error_code, model, count."""
    failed = UsageEvent.objects.filter(_BILLS, created_at__gte=since, status=UsageEvent.Status.ERROR)
    rows = failed.values_list("error_code", "model").annotate(count=Count("pk"))
    return [TopError(*row) for row in rows.order_by("-count", "error_code", "model")[:limit]]
