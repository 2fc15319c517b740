"""When this room's periodic work is due. On a common grid, so that the notes of several processes fall
together into one duty.
"""

from datetime import UTC, datetime, timedelta

HOLDS, SUMS, TODAY, BALANCES = b"holds", b"usage_sums", b"usage_today", b"usage_balances"
SWEEP_EVERY_S, TELL_EVERY_S = 30, 60
SUMS_DELAY = timedelta(minutes=2)  # past the hour: by then every transaction that began in it has ended


def next_sweep(now: datetime) -> datetime:
    """When holds are looked at next."""
    return _on_grid(now, SWEEP_EVERY_S)


def next_telling(now: datetime) -> datetime:
    """When the platform hears next of the running day."""
    return _on_grid(now, TELL_EVERY_S)


def due_after_booking(now: datetime) -> list[tuple[bytes, datetime]]:
    """(kind, when) of the duties that follow from events booked now: they are summed up, and told to the
    platform.
    """
    return [(SUMS, next_sums(now)), (TODAY, next_telling(now))]


def _on_grid(now: datetime, every_s: int) -> datetime:
    """The grid's next instant that is at least ten seconds away."""
    return datetime.fromtimestamp(-(-(now.timestamp() + 10) // every_s) * every_s, UTC)


def last_closed_hour(now: datetime) -> datetime:
    """The end of the last hour to which no more events can be added."""
    return (now - SUMS_DELAY).replace(minute=0, second=0, microsecond=0)


def next_sums(now: datetime) -> datetime:
    """When the hour of `now` is closed."""
    return now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1) + SUMS_DELAY
