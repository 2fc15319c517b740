"""An operation on its way into the books, and the caller who waits for it."""

import asyncio
from time import monotonic

from usage.ledger.bookings import HoldRequest, NextAttempt, Operation, Outcome, Settlement, Void


class Entry:
    """An operation in the lane, and the caller who waits for it."""

    __slots__ = ("asked_at", "is_doubtful", "is_hold", "key", "operation", "waiter")

    def __init__(self, operation: Operation, waiter: asyncio.Future[Outcome]) -> None:
        self.waiter = waiter
        self.key = operation.request_id.hex
        self.asked_at = monotonic()
        self.is_doubtful = False  # a COMMIT with it was sent, and no answer came
        self.turn_into(operation)

    def turn_into(self, operation: Operation) -> None:
        self.operation = operation
        self.is_hold = isinstance(operation, HoldRequest)

    @property
    def needs_hold(self) -> bool:
        """Whether there is nothing to do where the hold is gone."""
        return isinstance(self.operation, Settlement | NextAttempt)

    @property
    def must_be_booked(self) -> bool:
        """Whether it is, though nobody waits for it any longer."""
        return isinstance(self.operation, Settlement | Void)

    def answer(self, outcome: Outcome) -> None:
        if not self.waiter.done():
            self.waiter.set_result(outcome)
