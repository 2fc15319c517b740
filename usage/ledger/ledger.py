"""The ledger's door: holds before a call, exact bills after it, both durable when the method returns. For one
event loop.

    ledger = Ledger(dsn, database_name, process_id)
    await ledger.start()
    await ledger.reserve(slug, HoldRequest(...))     # QuotaExceeded, or money is held
    ledger.mark(slug, request_id, output_tokens)     # now and then during a stream
    await ledger.follow(slug, NextAttempt(...))      # before the call is sent once more
    await ledger.settle(slug, Settlement(...))       # or void(slug, request_id), if nothing was used
    await ledger.stop()
"""

import asyncio
from contextlib import suppress
from datetime import datetime
from uuid import UUID

from foundation.errors import AtriumError, NotFound, Unavailable
from foundation.told import gettext as _
from usage.ledger.batch import Clock
from usage.ledger.bookings import (
    BudgetRefusal,
    Failure,
    HoldRequest,
    NextAttempt,
    Outcome,
    Settlement,
    Void,
)
from usage.ledger.convoy import Convoy
from usage.ledger.durability import check_durability
from usage.ledger.lanes import Lane
from usage.ledger.parts import TenantBooks
from usage.ledger.refusals import quota_exceeded
from usage.ledger.wire import Wires

__all__ = ["HoldRequest", "Ledger", "Settlement"]

STOP_PATIENCE_S = 5.0
RETRY_AFTER_S = 2


def _as_it_is(now: datetime) -> datetime:
    return now


class Ledger:
    """One per process. Its process must have a heartbeat (usage.ledger.heartbeat), or the sweeper takes its
    holds for orphans.

    `clock` turns the database's time into the one that decides about periods; tests turn months with it.
    """

    def __init__(
        self, dsn: str, database_name: str, process_id: UUID, pool_size: int = 4, clock: Clock = _as_it_is
    ) -> None:
        self._dsn = dsn
        self._database = database_name
        self._process_id = process_id
        self._clock = clock
        self._wires = Wires(dsn, pool_size)
        self._convoy = Convoy(self._wires)
        self._suspects = asyncio.Semaphore(1)
        self._lanes: dict[str, Lane] = {}
        self._is_stopped = True

    async def start(self) -> None:
        """Raises ImproperlyConfigured if the database may lose what it has committed."""
        await asyncio.to_thread(check_durability, self._dsn)
        self._is_stopped = False

    async def stop(self) -> None:
        """Take nothing new and book what waits, for at most five seconds."""
        self._is_stopped = True
        await asyncio.gather(*(lane.stop(STOP_PATIENCE_S) for lane in list(self._lanes.values())))
        await self._convoy.stop()
        self._wires.close()

    async def reserve(self, slug: str, request: HoldRequest) -> None:
        """Hold the amount on every budget of the subjects, or on none. Asking again with the same request id
        changes nothing.

        Raises QuotaExceeded (`insufficient_quota`), Unavailable.
        """
        if self._is_stopped:
            raise _unavailable()
        try:
            outcome = await self._lane(slug).put(request)
        except asyncio.CancelledError:  # nobody will use what may be held by now
            with suppress(Unavailable):  # stopped meanwhile
                self._lane(slug).put(Void(request.request_id))
            raise
        _check(outcome)

    async def follow(self, slug: str, attempt: NextAttempt) -> None:
        """Have the hold cover another attempt, and name who is asked now. Asking again changes nothing.

        Raises QuotaExceeded (`insufficient_quota`) where the budgets have no room for what has to be added,
        NotFound where nothing is held any longer, Unavailable; the hold may then name either.
        """
        _check(await self._lane(slug).put(attempt))

    def mark(self, slug: str, request_id: UUID, output_tokens: int) -> None:
        """Note how far an answer has come, for a bill in case this process dies. Neither waits nor fails."""
        with suppress(Unavailable):  # stopped meanwhile
            self._lane(slug).mark(request_id, output_tokens)

    async def settle(self, slug: str, bill: Settlement) -> bool:
        """Book a bill against its hold, in full and once: True if this call did it, False if it was done
        before (or by a try whose answer got lost).

        Raises NotFound if there never was a hold, Unavailable if it takes too long: it is booked later
        nonetheless, as when the caller is cancelled.
        """
        return _check(await self._lane(slug).put(bill))

    async def void(self, slug: str, request_id: UUID) -> None:
        """Release a hold of which nothing was used. Does nothing if there is none. Raises
        Unavailable; it is released later nonetheless.
        """
        _check(await self._lane(slug).put(Void(request_id)))

    def _lane(self, slug: str) -> Lane:
        lane = self._lanes.get(slug)
        if lane is None:
            if self._is_stopped:
                raise _unavailable()
            books = TenantBooks(slug, self._database, self._process_id, self._clock)
            lane = self._lanes[slug] = Lane(books, self._convoy, self._wires, self._suspects, self._forget)
        return lane

    def _forget(self, lane: Lane) -> None:
        if self._lanes.get(lane.slug) is lane:
            del self._lanes[lane.slug]


def _check(outcome: Outcome) -> bool:
    """What the lane answered, if it did what was asked. Raises QuotaExceeded, Unavailable, NotFound,
    AtriumError.
    """
    if isinstance(outcome, bool):
        return outcome
    if isinstance(outcome, BudgetRefusal):
        raise quota_exceeded(outcome)
    if outcome is Failure.UNAVAILABLE:
        raise _unavailable()
    if outcome is Failure.NO_HOLD:
        raise NotFound(_("Nothing is held for this request."), code="hold_not_found")
    raise AtriumError(_("This call could not be booked."), code="booking_failed")


def _unavailable() -> Unavailable:
    return Unavailable(
        _("The ledger cannot be reached at the moment. Try again in a few seconds."),
        code="ledger_unavailable",
        retry_after_s=RETRY_AFTER_S,
    )
