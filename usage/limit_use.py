"""How much of the limits of requests, tokens and calls at once is used, by the books (accounts.limit_use)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from django.db.models import Aggregate, BigIntegerField, Count, Func, Q, QuerySet, Sum
from django.utils import timezone

from accounts.limit_use import register_count
from accounts.models import Limit
from accounts.objects import MODEL, list_objects
from tenants.measures import Measure
from usage.models import Hold, HourlySum, UsageEvent
from usage.older_counts import COUNTS
from usage.quantities import TOKENS
from usage.selectors.reports import summed_until

HOUR = timedelta(hours=1)
# level of a limit → the column that names its subject
COLUMNS = {
    Limit.Level.USER: "user_id",
    Limit.Level.KEY: "key_id",
    Limit.Level.PROJECT: "project_id",
    Limit.Level.MODEL: "model",
}
_TOKENS = Func(
    template=" + ".join(f"coalesce({COUNTS[name]}, 0)" for name in TOKENS), output_field=BigIntegerField()
)
Found = dict[str, Counter[tuple[str, object]]]  # measure → (level, subject) → used


def count_used(limits: Sequence[Limit]) -> dict[UUID, int]:
    """By a fixed number of queries. The tokens of a day go by whole hours at their far end."""
    now = timezone.now()
    begin = (now - timedelta(days=1)).replace(minute=0, second=0, microsecond=0) + HOUR
    cut = max(begin, summed_until() or begin)
    in_minute = Q(created_at__gte=now - timedelta(minutes=1))
    found: Found = {measure: Counter() for measure in Measure.values}
    sums = HourlySum.objects.filter(hour__gte=begin, hour__lt=cut)
    _add(found, sums, {Measure.TOKENS_PER_DAY: Sum(_TOKENS)})
    events: dict[str, Aggregate] = {
        Measure.TOKENS_PER_DAY: Sum(_TOKENS, filter=Q(created_at__gte=cut)),
        Measure.TOKENS_PER_MINUTE: Sum(_TOKENS, filter=in_minute),
        Measure.REQUESTS_PER_MINUTE: Count("pk", filter=in_minute & Q(kind=UsageEvent.Kind.SETTLE)),
    }
    _add(found, UsageEvent.objects.filter(Q(created_at__gte=cut) | in_minute), events)
    under_way: dict[str, Aggregate] = {
        Measure.CALLS_AT_ONCE: Count("pk"),
        Measure.REQUESTS_PER_MINUTE: Count("pk", filter=in_minute),
    }
    _add(found, Hold.objects.all(), under_way)
    names = {row.id: row.name for row in list_objects(MODEL)}
    return {row.pk: max(0, found[row.measure][_subject_of(row, names)]) for row in limits}


def _add(found: Found, rows: QuerySet, figures: Mapping[str, Aggregate]) -> None:
    lines = rows.order_by().values(*COLUMNS.values())
    for line in lines.annotate(**{f"used_{measure}": figure for measure, figure in figures.items()}):
        for measure in figures:
            used = line[f"used_{measure}"] or 0
            found[measure][Limit.Level.TENANT, None] += used
            for level, column in COLUMNS.items():
                found[measure][level, line[column]] += used


def _subject_of(row: Limit, names: Mapping[UUID, str]) -> tuple[str, object]:
    if row.level == Limit.Level.MODEL and row.model_id is not None:
        return row.level, names.get(row.model_id)
    return row.level, row.subject_id


register_count(count_used)
