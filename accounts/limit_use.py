"""How much of a limit is used at present. The room that keeps the books counts; it registers how.

Told are the calls that are booked, to be read by people. What the gateway admits by (its counters) also has
the calls under way at their highest estimate, and requests that never became a call, so a call may be refused
a little earlier.
"""

from collections.abc import Callable, Sequence
from uuid import UUID

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.models import Limit
from tenants.measures import Measure

Count = Callable[[Sequence[Limit]], dict[UUID, int]]  # limit id → how much of it is used
FREED: dict[str, str | Promise] = {
    Measure.REQUESTS_PER_MINUTE: _("60 seconds after each request"),
    Measure.TOKENS_PER_MINUTE: _("60 seconds after each call"),
    Measure.TOKENS_PER_DAY: _("24 hours after each call"),
    Measure.CALLS_AT_ONCE: _("when a call ends"),
}
_count: Count | None = None


def register_count(count: Count) -> None:
    global _count
    _count = count


def count_used(limits: Sequence[Limit]) -> dict[UUID, int]:
    """For each limit; without anybody who counts, nothing."""
    return _count(limits) if _count and limits else {}
