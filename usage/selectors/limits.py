"""How much of a person's limits of requests, tokens and calls at once is used at present."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from django.utils import timezone

from accounts.models import Limit, User
from tenants.measures import Measure
from usage.models import Hold
from usage.selectors.reports import UsageRow, list_usage

SPANS = {
    Measure.REQUESTS_PER_MINUTE: timedelta(minutes=1),
    Measure.TOKENS_PER_MINUTE: timedelta(minutes=1),
    Measure.TOKENS_PER_DAY: timedelta(days=1),
}


def count_used(user: User, limits: Sequence[Limit]) -> dict[UUID, int]:
    """Limit id → what the books have of its span, of the person or of the one key. The gateway also counts
    calls under way at their highest estimate, so it may refuse a little earlier.
    """
    now = timezone.now()
    wanted = {SPANS[Measure(row.measure)] for row in limits if row.measure in SPANS}
    booked = {span: list_usage(by="key", since=now - span, until=now, user_id=user.pk) for span in wanted}
    in_work = list(Hold.objects.filter(user_id=user.pk).values_list("key_id", flat=True)) if limits else []
    found = {}
    for limit in limits:
        if limit.measure == Measure.CALLS_AT_ONCE:
            found[limit.pk] = sum(limit.key_id in (None, key_id) for key_id in in_work)
        else:
            rows = [row for row in booked[SPANS[Measure(limit.measure)]] if limit.key_id in (None, row.key)]
            found[limit.pk] = sum(_count(row, limit.measure) for row in rows)
    return found


def _count(row: UsageRow, measure: str) -> int:
    if measure == Measure.REQUESTS_PER_MINUTE:
        return row.calls
    return row.tokens_read + row.tokens_written
