"""One lane per tenant and process: what gathers while a commit runs goes into the next one.

Guards against: a tenant whose tables are locked holding up others; a connection lost at any moment, COMMIT
included (operations are asked again and find what they did: the hold, or the event); one operation the
database refuses spoiling its neighbours; callers who leave without waiting for their bill.
Does not guard against: the death of the process. The holds remain, and the sweeper (usage.ledger.sweeper)
settles them.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from contextvars import Context
from functools import partial
from time import monotonic
from typing import TypeVar
from uuid import UUID

from tenants.context import tenant
from usage.ledger.bookings import Failure, NextAttempt, Operation, Outcome, Settlement, Void
from usage.ledger.convoy import Convoy, Spoiled
from usage.ledger.entries import Entry
from usage.ledger.late import book_late_bill
from usage.ledger.parts import Marks, Part, TenantBooks, transact
from usage.ledger.wire import Wire, Wires, is_trouble

logger = logging.getLogger(__name__)

MAX_BATCH = 256
MAX_WAITING = 10_000  # beyond it new holds are refused at once
# How long a caller waits through failures. A bill is booked later all the same, but its answer has been paid
# for: it is not spoiled by two or three exchanges that a busy machine did not manage in time.
HOLD_PATIENCE_S, PATIENCE_S = 0.3, 4.0
FIRST_RETRY_S, LAST_RETRY_S = 0.05, 0.5
MARKS_EVERY_S = 1.0
IDLE_S = 30.0
T = TypeVar("T")


class Lane:
    """Books the operations of one tenant, in the order they came, batch after batch."""

    def __init__(
        self,
        books: TenantBooks,
        convoy: Convoy,
        wires: Wires,
        suspects: asyncio.Semaphore,
        on_idle: Callable[["Lane"], None],
    ) -> None:
        self.slug = books.slug
        self._books = books
        self._convoy = convoy
        self._wires = wires
        self._suspects = suspects
        self._on_idle = on_idle
        self._waiting: list[Entry] = []
        self._marks: Marks = {}
        self._at_work: list[Entry] = []
        self._failures = 0  # in a row
        self._loop = asyncio.get_running_loop()
        self._wakened: asyncio.Future[None] | None = None
        self._is_stopping = False
        # A context of its own: the log lines of the lane are not those of the caller who happened to open it.
        self.task = self._loop.create_task(self._run(), name=f"ledger-{books.slug}", context=Context())
        self.task.add_done_callback(self._release_waiters)

    # What callers do: put something in, and wait for it elsewhere.

    def put(self, operation: Operation) -> asyncio.Future[Outcome]:
        """What becomes of the operation. Holds are refused at once where too many wait; bills and voids
        the lane keeps until they are booked, whoever still waits.
        """
        entry = Entry(operation, self._loop.create_future())
        if entry.is_hold and len(self._waiting) >= MAX_WAITING:
            entry.answer(Failure.UNAVAILABLE)
            return entry.waiter
        if isinstance(operation, NextAttempt):
            self._marks.pop(operation.request_id, None)  # they are of the attempt that is lost
        self._waiting.append(entry)
        self._wake()
        return entry.waiter

    def mark(self, request_id: UUID, output_tokens: int) -> None:
        """Note how far an answer has come; it goes along with the next batch, within a second."""
        if not self._marks:
            self._loop.call_later(MARKS_EVERY_S, self._wake)
        self._marks[request_id] = output_tokens

    async def stop(self, patience_s: float) -> None:
        """Book what waits, as far as that can be done in time. What cannot keeps its hold, for the
        sweeper.
        """
        self._is_stopping = True
        self._wake()
        await asyncio.wait([self.task], timeout=patience_s)
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    def _wake(self) -> None:
        if self._wakened is not None and not self._wakened.done():
            self._wakened.set_result(None)

    # What the lane's own task does.

    async def _run(self) -> None:
        with tenant(self.slug):
            while await self._has_work():
                await self._book()
                self._at_work = []

    async def _has_work(self) -> bool:
        """Wait for something to do; False when the lane may end. After a failure, wait a little longer each
        time.
        """
        if self._failures:
            await asyncio.sleep(min(LAST_RETRY_S, FIRST_RETRY_S * 2 ** (self._failures - 1)))
        while not self._waiting:
            if self._is_stopping:
                return False
            self._wakened = self._loop.create_future()
            idle = self._loop.call_later(IDLE_S, self._wake)
            asked_at = monotonic()
            await self._wakened
            idle.cancel()
            if self._marks:
                return True
            if not self._waiting and monotonic() - asked_at >= IDLE_S:
                break
        if not self._waiting:
            self._on_idle(self)
        return bool(self._waiting)

    def _load(self) -> Part:
        """What waits, for the next transaction."""
        first, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
        self._at_work = [entry for entry in first if not (entry.is_hold and entry.waiter.cancelled())]
        marks, self._marks = self._marks, {}
        return Part(self._books, self._at_work, marks)

    async def _book(self) -> None:
        part, failure = await self._depart()
        if failure is None:
            self._failures = 0
            for entry, outcome in zip(part.entries, part.outcomes, strict=True):
                await self._conclude(entry, outcome)
        elif self._judge(failure, part.entries):
            for entry in part.entries:  # one of them is to blame: each goes alone
                await self._book_alone(entry)

    async def _depart(self) -> tuple[Part, Exception | None]:
        """With other tenants; apart from them after a failure, or where one of them spoiled it for all."""
        if self._failures:
            part = self._load()
        else:
            part, failure = await self._convoy.board(self._books.schema, self._load)
            if not isinstance(failure, Spoiled):
                return part, failure
            self._books.forget_notes()
        try:
            await self._on_wire(partial(transact, [part]))
        except Exception as exc:
            return part, exc
        return part, None

    async def _book_alone(self, entry: Entry) -> None:
        part = Part(self._books, [entry], {})
        failure = await self._attempt(partial(transact, [part]), [entry])
        if isinstance(failure, Exception):
            self._give_up(entry, failure)
        elif part.outcomes:
            await self._conclude(entry, part.outcomes[0])

    async def _conclude(self, entry: Entry, outcome: Outcome) -> None:
        """Answer, but for a bill whose hold is gone: that is booked as a late one."""
        bill = entry.operation
        if outcome is not Failure.NO_HOLD or not isinstance(bill, Settlement):
            entry.answer(outcome)
            return
        late = await self._attempt(partial(book_late_bill, self._books, bill), [entry])
        if isinstance(late, Exception):
            self._give_up(entry, late)
        elif late is not None:
            entry.answer(late)

    def _give_up(self, entry: Entry, exc: Exception) -> None:
        kind, request = type(entry.operation).__name__, entry.operation.request_id
        logger.error("the ledger of %s cannot book the %s of %s", self.slug, kind, request, exc_info=exc)
        entry.answer(Failure.POISONED)

    async def _attempt(
        self, work: Callable[[Wire], Awaitable[T]], batch: list[Entry]
    ) -> T | Exception | None:
        """What the work returns; the exception if the data of an operation is to blame; None if something
        is in the way, and the batch waits.
        """
        try:
            outcome = await self._on_wire(work)
        except Exception as exc:
            return self._judge(exc, batch)
        self._failures = 0
        return outcome

    def _judge(self, exc: Exception, batch: list[Entry]) -> Exception | None:
        """Whatever it is, the tenant's bookings go on. The exception if the data of an operation is to blame;
        else the batch waits.
        """
        self._books.forget_notes()
        if not is_trouble(exc):
            return exc
        self._postpone(batch, exc)
        return None

    def _postpone(self, batch: list[Entry], exc: Exception) -> None:
        """Try again what still has a patient caller, and for ever what must be booked. Everybody else
        hears that the ledger is unavailable.
        """
        self._failures += 1
        log = logger.warning if self._failures in (1, 10) or self._failures % 100 == 0 else logger.debug
        log(
            "a batch of the ledger of %s waits (failure %d): %s",
            self.slug,
            self._failures,
            type(exc).__name__,
        )
        now, kept = monotonic(), []
        for entry in [*batch, *self._waiting]:
            if now - entry.asked_at < (HOLD_PATIENCE_S if entry.is_hold else PATIENCE_S):
                kept.append(entry)
                continue
            entry.answer(Failure.UNAVAILABLE)
            if entry.is_hold and entry.is_doubtful:  # nobody will use that hold, if it exists
                entry.turn_into(Void(entry.operation.request_id))
            if entry.must_be_booked:
                kept.append(entry)
        self._waiting = kept

    async def _on_wire(self, work: Callable[[Wire], Awaitable[T]]) -> T:
        """Apart from others. Tenants that failed last time take one connection between them."""
        async with self._suspects if self._failures else nullcontext():
            return await self._wires.use(self, work)

    def _release_waiters(self, task: asyncio.Task) -> None:
        """However the lane ended: nobody waits for it any longer."""
        if not task.cancelled() and task.exception() is not None:
            logger.error("the ledger's lane of %s died", self.slug, exc_info=task.exception())
        left = [*self._at_work, *self._waiting]
        lost = [entry for entry in left if entry.must_be_booked and not entry.waiter.done()]
        if lost:
            logger.error(
                "the ledger of %s ends with %d bookings undone; their holds remain for the sweeper",
                self.slug,
                len(lost),
            )
        for entry in left:
            entry.answer(Failure.UNAVAILABLE)
        self._waiting = []
        self._on_idle(self)
