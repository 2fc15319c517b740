# ruff: noqa: S608  (the parts put together here are constants of this room)
"""Hourly sums: the events of closed hours, added up once by a duty, so that reports read few rows and calls
pay nothing for it.

Sums are always complete up to the last hour they hold; what came later is read from the events
(usage.selectors). The platform is told each day's figures, the running hour included while calls come in: set
anew each time rather than added, so that nothing counts twice.
"""

from datetime import date, datetime, timedelta
from typing import cast

from django.db import connection, transaction
from django.db.models import Min

from tenants.context import current_tenant, platform
from tenants.work.duties import duty, note_duty
from usage.ledger.books import read_clock
from usage.ledger.duty_times import SUMS, TODAY, last_closed_hour, next_sums
from usage.models import HourlySum, UsageEvent
from usage.older_counts import COUNTS
from usage.platform.models import TenantSum
from usage.selectors.reports import list_usage, summed_until

_SUMS = ", ".join(f"'{name}', nullif(sum({count}), 0)" for name, count in COUNTS.items())
_ADD_UP = f"""
INSERT INTO usage_hourlysum
  (hour, user_id, key_id, project_id, model, currency, calls, errors, quantities,
  input_tokens, cached_tokens, output_tokens, reasoning_tokens, cost)
SELECT date_trunc('hour', created_at, 'UTC'), user_id, key_id, project_id, model, currency,
  count(*) FILTER (WHERE kind = 'settle'), count(*) FILTER (WHERE kind = 'settle' AND status = 'error'),
  jsonb_strip_nulls(jsonb_build_object({_SUMS})),
  sum(input_tokens), sum(cached_tokens), sum(output_tokens), sum(reasoning_tokens), sum(cost)
FROM usage_usageevent WHERE created_at >= %s AND created_at < %s GROUP BY 1, 2, 3, 4, 5, 6
"""


@duty(SUMS.decode())
def add_up_closed_hours() -> None:
    """Sum up the hours that have closed since the last time, and tell the platform. Safe to call again and at
    once.
    """
    with transaction.atomic():
        _lock_sums()
        end, begin = last_closed_hour(read_clock()), _unsummed_since()
        if begin is not None and begin < end:
            _add_up(begin, end)
            _tell_platform(begin)  # in the same transaction: neither stands without the other
    if UsageEvent.objects.filter(created_at__gte=end).exists():
        note_duty(SUMS.decode(), next_sums(read_clock()))


@duty(TODAY.decode())
@transaction.atomic
def tell_today() -> None:
    """Tell the platform what has come since the last sums. Safe to call again and at once."""
    _lock_sums()
    begin = _unsummed_since()
    if begin is not None:
        _tell_platform(begin)


@transaction.atomic
def rebuild_sums() -> None:
    """Throw all sums away and add the events up again, from the first to the last closed hour."""
    HourlySum.objects.all().delete()
    add_up_closed_hours()


def _lock_sums() -> None:
    """Two at once would add the same hours twice, or tell the platform the older figures last."""
    with connection.cursor() as cursor:
        cursor.execute("LOCK TABLE usage_hourlysum IN SHARE ROW EXCLUSIVE MODE")


def _unsummed_since() -> datetime | None:
    return summed_until() or UsageEvent.objects.aggregate(first=Min("created_at"))["first"]


def _add_up(begin: datetime, end: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_ADD_UP, [begin, end])


def _tell_platform(begin: datetime) -> None:
    """Set the figures of the days since then."""
    midnight = begin.replace(hour=0, minute=0, second=0, microsecond=0)
    rows = list_usage(by="day", since=midnight, until=read_clock() + timedelta(days=1))
    slug = current_tenant()
    with platform():
        for row in rows:  # by day: the keys are dates
            figures = {
                "calls": row.calls,
                "errors": row.errors,
                "tokens": row.tokens_read + row.tokens_written,
                "quantities": row.quantities,
                "cost": row.cost,
            }
            TenantSum.objects.update_or_create(
                slug=slug, day=cast(date, row.key), currency=row.currency, defaults=figures
            )
