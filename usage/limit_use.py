"""How much of the limits of requests, tokens and calls at once is used, by the books (accounts.limit_use).

Left out: requests that were refused before they became a call (a body that could not be read). They take
room in the limiter and stand in no book, so /v1 may answer 429 where this says 0 of 60.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from django.db.models import Aggregate, BigIntegerField, Count, Func, Q, QuerySet, Sum
from django.utils import timezone

from accounts.limit_use import register_count
from accounts.models import Limit
from accounts.objects import MODEL, list_objects
from accounts.selectors import list_makers
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
Subject = tuple[str, object]  # level and whose


def count_used(limits: Sequence[Limit]) -> dict[UUID, int]:
    """By a fixed number of queries, which read what is of the limits' subjects. The tokens of a day go by
    whole hours at their far end.
    """
    has_models = any(row.level == Limit.Level.MODEL for row in limits)
    names = {row.id: row.name for row in list_objects(MODEL)} if has_models else {}
    subjects = {row.pk: _subject_of(row, names) for row in limits}
    now = timezone.now()
    begin = (now - timedelta(days=1)).replace(minute=0, second=0, microsecond=0) + HOUR
    cut = max(begin, summed_until() or begin)
    in_minute = Q(created_at__gte=now - timedelta(minutes=1))
    found = _Uses(set(subjects.values()))
    sums = HourlySum.objects.filter(hour__gte=begin, hour__lt=cut)
    found.add(sums, {Measure.TOKENS_PER_DAY: Sum(_TOKENS)})
    events: dict[str, Aggregate] = {
        Measure.TOKENS_PER_DAY: Sum(_TOKENS, filter=Q(created_at__gte=cut)),
        Measure.TOKENS_PER_MINUTE: Sum(_TOKENS, filter=in_minute),
        Measure.REQUESTS_PER_MINUTE: Count("pk", filter=in_minute & Q(kind=UsageEvent.Kind.SETTLE)),
    }
    found.add(UsageEvent.objects.filter(Q(created_at__gte=cut) | in_minute), events)
    under_way: dict[str, Aggregate] = {
        Measure.CALLS_AT_ONCE: Count("pk"),
        Measure.REQUESTS_PER_MINUTE: Count("pk", filter=in_minute),
    }
    found.add(Hold.objects.all(), under_way)
    return {row.pk: max(0, found.used[row.measure, subjects[row.pk]]) for row in limits}


class _Uses:
    """What is used, by measure and subject. Of the whole organisation's rows where it is a subject itself,
    else of those of the others only.
    """

    def __init__(self, subjects: Collection[Subject]) -> None:
        self.used: Counter[tuple[str, Subject]] = Counter()
        levels = {level for level, _whose in subjects}
        self._columns = {level: column for level, column in COLUMNS.items() if level in levels}
        whose = {level: [one for of, one in subjects if of == level] for level in levels}
        keys = [one for one in whose.get(Limit.Level.KEY, []) if isinstance(one, UUID)]
        # the limits of a key count what is used with the keys that it made
        self._makers = list_makers(keys) if keys else {}
        self._filter = Q()
        if Limit.Level.TENANT not in levels:
            for level, column in self._columns.items():
                self._filter |= Q(**{f"{column}__in": whose[level]})
            self._filter |= Q(key_id__in=self._makers)

    def add(self, rows: QuerySet, figures: Mapping[str, Aggregate]) -> None:
        named = {f"used_{measure}": figure for measure, figure in figures.items()}
        rows = rows.filter(self._filter).order_by()
        columns = self._columns.values()
        for line in rows.values(*columns).annotate(**named) if columns else [rows.aggregate(**named)]:
            for measure in figures:
                used = line[f"used_{measure}"] or 0
                self.used[measure, (Limit.Level.TENANT, None)] += used
                for level, column in self._columns.items():
                    self.used[measure, (level, line[column])] += used
                    for maker in self._makers.get(line[column], ()) if level == Limit.Level.KEY else ():
                        self.used[measure, (level, maker)] += used


def _subject_of(row: Limit, names: Mapping[UUID, str]) -> Subject:
    if row.level == Limit.Level.MODEL and row.model_id is not None:
        return row.level, names.get(row.model_id)
    return row.level, row.subject_id


register_count(count_used)
