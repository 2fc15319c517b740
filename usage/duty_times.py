"""When this room's periodic work is due. On a common grid, so that the notes of several processes fall together into one duty."""

from datetime import UTC, datetime, timedelta

HOLDS, SUMS, BALANCES = b"holds", b"usage_sums", b"usage_balances"
SWEEP_EVERY_S = 30
SUMS_DELAY = timedelta(minutes=2)  # past the hour: by then every transaction that began in it has ended


def next_sweep(now: datetime) -> datetime:
    """The grid's next instant that is at least ten seconds away."""
    return datetime.fromtimestamp(-(-(now.timestamp() + 10) // SWEEP_EVERY_S) * SWEEP_EVERY_S, UTC)


def last_closed_hour(now: datetime) -> datetime:
    """The end of the last hour to which no more events can be added."""
    return (now - SUMS_DELAY).replace(minute=0, second=0, microsecond=0)


def next_sums(now: datetime) -> datetime:
    """When the hour of `now` is closed."""
    return now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1) + SUMS_DELAY
