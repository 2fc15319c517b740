"""One lane per tenant and process: what gathers while a commit runs goes into the next one.

Guards against: a tenant whose tables are locked holding up others; a connection lost at any moment, COMMIT
included (operations are asked again and find what they did: the hold, or the event); one operation the
database refuses spoiling its neighbours; callers who leave without waiting for their bill.
Does not guard against: the death of the process. The holds remain, and the sweeper
(usage.ledger.sweeper) settles them.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from contextvars import Context
from datetime import datetime, timedelta
from functools import partial
from time import monotonic
from typing import TypeVar
from uuid import UUID

import psycopg

from tenants.context import tenant
from usage.ledger import statements as sql
from usage.ledger.batch import (
    Batch,
    Clock,
    read_balances,
    read_holds,
    read_text,
    read_time,
)
from usage.ledger.bookings import (
    TENANT_SUBJECT,
    Failure,
    HoldRequest,
    Operation,
    Outcome,
    Settlement,
    Void,
)
from usage.ledger.duty_times import BALANCES, HOLDS, SUMS, TODAY, next_sums, next_sweep, next_telling
from usage.ledger.late import book_late_bill
from usage.ledger.wire import Statement, Wire, Wires

logger = logging.getLogger(__name__)

MAX_BATCH = 256
MAX_WAITING = 10_000  # beyond it new holds are refused at once
EXCHANGE_TIMEOUT_S = 1.4  # for a server that does not even say no
# how long a caller waits through failures; a bill is booked later all the same
HOLD_PATIENCE_S, PATIENCE_S = 0.3, 1.5
FIRST_RETRY_S, LAST_RETRY_S = 0.05, 0.5
MARKS_EVERY_S = 1.0
IDLE_S = 30.0
NO_SUCH_ROLE = "22023"
T = TypeVar("T")


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
    def is_bill(self) -> bool:
        return isinstance(self.operation, Settlement)

    def is_patient(self, now: float) -> bool:
        return now - self.asked_at < (HOLD_PATIENCE_S if self.is_hold else PATIENCE_S)

    def answer(self, outcome: Outcome) -> None:
        if not self.waiter.done():
            self.waiter.set_result(outcome)


class Lane:
    """Books the operations of one tenant, in the order they came, batch after batch."""

    def __init__(
        self,
        slug: str,
        enter: Statement,
        wires: Wires,
        suspects: asyncio.Semaphore,
        process_id: UUID,
        clock: Clock,
        on_idle: Callable[["Lane"], None],
    ) -> None:
        self.slug = slug
        self._enter = enter
        self._wires = wires
        self._suspects = suspects
        self._clock = clock
        self._on_idle = on_idle
        self._process_id = process_id.hex.encode()
        self._waiting: list[Entry] = []
        self._marks: dict[str, str] = {}
        self._failures = 0  # in a row
        self._sweep_due: datetime | None = None
        self._sums_due: datetime | None = None
        self._telling_due: datetime | None = None
        self._loop = asyncio.get_running_loop()
        self._wakened: asyncio.Future[None] | None = None
        self._is_stopping = False
        # A context of its own: the log lines of the lane are not those of the caller who happened to open it.
        self.task = self._loop.create_task(self._run(), name=f"ledger-{slug}", context=Context())
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
        self._waiting.append(entry)
        self._wake()
        return entry.waiter

    def mark(self, request_id: UUID, output_tokens: int) -> None:
        """Note how far an answer has come; it goes along with the next batch, within a second."""
        if not self._marks:
            self._loop.call_later(MARKS_EVERY_S, self._wake)
        self._marks[request_id.hex] = str(output_tokens)

    async def stop(self, patience_s: float) -> None:
        """Book what waits, as far as that can be done in time. What cannot
        keeps its hold, for the sweeper.
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
                first = self._waiting[:MAX_BATCH]
                self._waiting = self._waiting[MAX_BATCH:]
                batch = [entry for entry in first if not (entry.is_hold and entry.waiter.cancelled())]
                marks = self._marks
                self._marks = {}
                try:
                    await self._book(batch, marks)
                except BaseException:
                    self._waiting[:0] = batch  # cancelled: for _release_waiters
                    raise

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

    async def _book(self, batch: list[Entry], marks: dict[str, str]) -> None:
        outcomes = await self._attempt(partial(self._transact, batch, marks), batch)
        if isinstance(outcomes, Exception):
            for entry in batch:  # one of them is to blame: each goes alone
                await self._book_alone(entry)
        elif outcomes is not None:
            for entry, outcome in zip(batch, outcomes, strict=True):
                await self._conclude(entry, outcome)

    async def _book_alone(self, entry: Entry) -> None:
        outcomes = await self._attempt(partial(self._transact, [entry], {}), [entry])
        if isinstance(outcomes, Exception):
            self._give_up(entry, outcomes)
        elif outcomes is not None:
            await self._conclude(entry, outcomes[0])

    async def _conclude(self, entry: Entry, outcome: Outcome) -> None:
        """Answer, but for a bill whose hold is gone: that is booked as a late one."""
        bill = entry.operation
        if outcome is not Failure.NO_HOLD or not isinstance(bill, Settlement):
            entry.answer(outcome)
            return
        late = await self._attempt(partial(book_late_bill, self._enter, self._clock, bill), [entry])
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
        except Exception as exc:  # whatever it is, the tenant's bookings go on
            # the notes went down with it
            self._sweep_due = None
            self._sums_due = None
            self._telling_due = None
            if not _is_trouble(exc):
                return exc
            self._postpone(batch, exc)
            return None
        self._failures = 0
        return outcome

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
            if entry.is_patient(now):
                kept.append(entry)
                continue
            entry.answer(Failure.UNAVAILABLE)
            if entry.is_hold and entry.is_doubtful:  # nobody will use that hold, if it exists
                entry.turn_into(Void(entry.operation.request_id))
            if not entry.is_hold:
                kept.append(entry)
        self._waiting = kept

    async def _on_wire(self, work: Callable[[Wire], Awaitable[T]]) -> T:
        """Do something on a connection, in bounded time. Tenants that failed last time take one connection
        between them.
        """
        async with asyncio.timeout(EXCHANGE_TIMEOUT_S), self._suspects if self._failures else nullcontext():
            wire = await self._wires.take(self)
            try:
                return await work(wire)
            except BaseException as exc:
                if wire.is_usable and _is_clean(exc):
                    await wire.exchange([(sql.ROLLBACK, ())])
                else:
                    wire.close()
                raise
            finally:
                self._wires.give_back(wire)

    async def _transact(self, batch: list[Entry], marks: dict[str, str], wire: Wire) -> list[Outcome]:
        subjects, holds = {TENANT_SUBJECT}, []
        for entry in batch:
            if isinstance(entry.operation, HoldRequest):
                subjects.update(entry.operation.subjects.values())
            if not entry.is_hold or entry.is_doubtful:
                holds.append(entry.key)
        written_holds = sql.array(holds)
        *_, locked, found, clock = await wire.exchange(
            [
                (sql.BEGIN, ()),
                self._enter,
                (sql.LOCK_BUDGETS, (sql.array([subject.hex for subject in subjects]), written_holds)),
                (sql.READ_HOLDS, (written_holds,)),
                (sql.READ_CLOCK, ()),
            ]
        )
        now = read_time(clock)
        work = Batch(read_balances(locked), read_holds(found), self._clock(now))
        outcomes = [work.decide(entry.operation) for entry in batch]
        writes = work.writes(self._process_id)
        if marks:
            writes.append((sql.MARK_PROGRESS, sql.columns(list(marks.items()))))
        await self._write(wire, batch, [*writes, *self._duties(work, now), (sql.COMMIT, ())], outcomes)
        return outcomes

    async def _write(
        self, wire: Wire, batch: list[Entry], writes: list[Statement], outcomes: list[Outcome]
    ) -> None:
        """Send the writes with their COMMIT. A bill whose hold the sweeper took in this very moment turns
        into NO_HOLD.
        """
        for entry in batch:
            entry.is_doubtful = True
        try:
            results = await wire.exchange(writes)
        except psycopg.Error as exc:
            for entry in batch:
                entry.is_doubtful = not _is_clean(exc)
            raise
        booked = set()
        for (statement, _params), result in zip(writes, results, strict=True):
            if statement is sql.SETTLE:
                booked = {read_text(result, row, 0).replace("-", "") for row in range(result.ntuples)}
        for position, entry in enumerate(batch):
            if entry.is_bill and outcomes[position] is True and entry.key not in booked:
                outcomes[position] = Failure.NO_HOLD

    def _duties(self, work: Batch, now: datetime) -> list[Statement]:
        """Tell the scheduler that there are holds to watch, events to sum up and to tell, balances to mend;
        unless it knows.
        """
        notes: list[Statement] = []
        if work.has_new_holds and (self._sweep_due is None or now + timedelta(seconds=5) >= self._sweep_due):
            self._sweep_due = next_sweep(now)
            notes.append((sql.NOTE_DUTY, (HOLDS, self._sweep_due.isoformat().encode())))
        if work.has_bills and (self._sums_due is None or next_sums(now) > self._sums_due):
            self._sums_due = next_sums(now)
            notes.append((sql.NOTE_DUTY, (SUMS, self._sums_due.isoformat().encode())))
        if work.has_bills and (self._telling_due is None or now + timedelta(seconds=5) >= self._telling_due):
            self._telling_due = next_telling(now)
            notes.append((sql.NOTE_DUTY, (TODAY, self._telling_due.isoformat().encode())))
        if work.has_wrong_balances:
            logger.error(
                "a balance of %s does not fit its holds and bills, and will be worked out anew", self.slug
            )
            notes.append((sql.NOTE_DUTY, (BALANCES, now.isoformat().encode())))
        return notes

    def _release_waiters(self, task: asyncio.Task) -> None:
        """However the lane ended: nobody waits for it any longer."""
        if not task.cancelled() and task.exception() is not None:
            logger.error("the ledger's lane of %s died", self.slug, exc_info=task.exception())
        lost = [entry for entry in self._waiting if not entry.is_hold]
        if lost:
            logger.error(
                "the ledger of %s ends with %d bookings undone; their holds remain for the sweeper",
                self.slug,
                len(lost),
            )
        for entry in self._waiting:
            entry.answer(Failure.UNAVAILABLE)
        self._waiting = []
        self._on_idle(self)


def _is_clean(exc: BaseException) -> bool:
    """Whether the server rolled back and stays as it was: a lock or a statement took too long, or an
    operation's data is to blame.
    """
    state = getattr(exc, "sqlstate", None) or ""
    return state in ("55P03", "57014") or (state[:2] in ("22", "23") and state != NO_SUCH_ROLE)


def _is_trouble(exc: BaseException) -> bool:
    """Whether locks, rights, tables, the server or the way to it are to blame, rather than the data of an
    operation.
    """
    if isinstance(exc, psycopg.Error):
        state = exc.sqlstate or ""
        return state[:2] not in ("22", "23") or state == NO_SUCH_ROLE
    return isinstance(exc, OSError | TimeoutError)
