"""The arithmetic of one budget, without a database: room, holding, releasing, booking, and the turn of a
period. All in UTC.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

ZERO = Decimal(0)
ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)  # the start of the period `total`


def period_start(period: str, now: datetime) -> datetime:
    """When the period of this kind began that contains `now` (aware, UTC)."""
    if period == "total":
        return ALWAYS
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight if period == "day" else midnight.replace(day=1)


def period_end(period: str, start: datetime) -> datetime | None:
    """When the period that began at `start` gives way to the next; None for `total`."""
    if period == "total":
        return None
    return start + timedelta(days=1) if period == "day" else (start + timedelta(days=32)).replace(day=1)


@dataclass(slots=True)
class Balance:
    """A budget's row while it is locked. What the database's CHECK demands holds after each method."""

    id: str
    level: str
    subject: str
    period: str
    period_start: datetime
    limit: Decimal
    allowance: Decimal
    held: Decimal
    spent: Decimal
    managed_by: str
    currency: str
    is_changed: bool = False
    is_wrong: bool = False  # somebody has edited the row: what was to be taken from it is not there

    def roll(self, now: datetime) -> None:
        """Begin the current period if the row still stands in an earlier one. What is held stays
        held: it is settled in the new period.
        """
        start = period_start(self.period, now)
        if start > self.period_start:  # never back: another process may be some ms ahead
            self.period_start = start
            self.spent = ZERO
            self.allowance = max(self.limit, self.held)
            self.is_changed = True

    def has_room(self, amount: Decimal) -> bool:
        """Whether a call that may cost `amount` fits below the limit. What costs nothing always fits."""
        return not amount or self.held + self.spent + amount <= self.limit

    def hold(self, amount: Decimal) -> None:
        self.held += amount
        self.is_changed = True

    def release(self, amount: Decimal) -> None:
        self.held = self._at_least_nothing(self.held - amount)
        self.is_changed = True

    def book(self, cost: Decimal) -> Decimal:
        """Add a bill, in full whatever the limit says; returns by how much the allowance had to be raised for
        it.
        """
        self.spent = self._at_least_nothing(self.spent + cost)
        self.is_changed = True
        return self._make_room()

    def set_limit(self, limit: Decimal) -> None:
        """A limit below what is used raises the allowance to what is used; nothing more is admitted until it
        fits.
        """
        self.limit = limit
        self.is_changed = True
        self.allowance = max(limit, self.held + self.spent)

    def _at_least_nothing(self, amount: Decimal) -> Decimal:
        """A wrong row must not make bills unbookable: it is counted from zero until
        usage.services.rebuild_balances puts it right.
        """
        if amount < 0:
            self.is_wrong = True
            return ZERO
        return amount

    def _make_room(self) -> Decimal:
        overrun = self.held + self.spent - self.allowance
        if overrun <= 0:
            return ZERO
        self.allowance += overrun
        return overrun
