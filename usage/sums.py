"""Hourly sums: the events of closed hours, added up once by a duty, so that reports read few rows and calls pay nothing for it.

Sums are always complete up to the last hour they hold; what came later is read from the events (usage.selectors).
"""

from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import F, Max, Min, Sum
from django.db.models.functions import TruncDate

from tenants.context import current_tenant, platform
from tenants.duties import duty, note_duty
from usage.duty_times import SUMS, last_closed_hour, next_sums
from usage.locks import read_clock
from usage.models import HourlySum, UsageEvent
from usage.platform.models import TenantSum

_ADD_UP = """
INSERT INTO usage_hourlysum
  (hour, user_id, key_id, project_id, model, currency, calls, errors, input_tokens, cached_tokens, output_tokens, reasoning_tokens, cost)
SELECT date_trunc('hour', created_at, 'UTC'), user_id, key_id, project_id, model, currency, count(*) FILTER (WHERE kind = 'settle'),
  count(*) FILTER (WHERE kind = 'settle' AND status = 'error'), sum(input_tokens), sum(cached_tokens), sum(output_tokens), sum(reasoning_tokens), sum(cost)
FROM usage_usageevent WHERE created_at >= %s AND created_at < %s GROUP BY 1, 2, 3, 4, 5, 6
"""


def summed_until() -> datetime | None:
    """The end of the last hour that is summed up; None before the first."""
    last = HourlySum.objects.aggregate(last=Max("hour"))["last"]
    return last + timedelta(hours=1) if last else None


@duty(SUMS.decode())
def add_up_closed_hours() -> None:
    """Sum up the hours that have closed since the last time, and tell the platform. Safe to call again and at once."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("LOCK TABLE usage_hourlysum IN SHARE ROW EXCLUSIVE MODE")  # two at once would add the same hours twice
        end = last_closed_hour(read_clock())
        begin = summed_until() or UsageEvent.objects.aggregate(first=Min("created_at"))["first"]
        if begin is not None and begin < end:
            _add_up(begin, end)
            _tell_platform(begin.date(), end.date())  # in the same transaction: neither stands without the other
    if UsageEvent.objects.filter(created_at__gte=end).exists():
        note_duty(SUMS.decode(), next_sums(read_clock()))


@transaction.atomic
def rebuild_sums() -> None:
    """Throw all sums away and add the events up again, from the first to the last closed hour."""
    HourlySum.objects.all().delete()
    add_up_closed_hours()


def _add_up(begin: datetime, end: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_ADD_UP, [begin, end])


def _tell_platform(first_day, last_day) -> None:
    days = HourlySum.objects.filter(hour__date__gte=first_day, hour__date__lte=last_day).annotate(day=TruncDate("hour")).values("day", "currency")
    tokens = F("input_tokens") + F("cached_tokens") + F("output_tokens") + F("reasoning_tokens")
    rows = list(days.annotate(all_calls=Sum("calls"), all_errors=Sum("errors"), all_tokens=Sum(tokens), all_cost=Sum("cost")))
    slug = current_tenant()
    with platform():
        for row in rows:
            figures = {"calls": row["all_calls"], "errors": row["all_errors"], "tokens": row["all_tokens"], "cost": row["all_cost"]}
            TenantSum.objects.update_or_create(slug=slug, day=row["day"], currency=row["currency"], defaults=figures)
