"""A transaction on the books of one tenant or of several: a part for each, under that tenant's own role.

First all budgets are locked and read, then each part decides, then all is written and committed: two round
trips, whatever the number of tenants. Who takes several tenants takes them in the order of their schemas, so
that no two processes ever wait for each other.
"""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from time import monotonic, time
from uuid import UUID

import psycopg
from psycopg.pq.abc import PGresult

from tenants.slugs import role_name, schema_name
from usage.ledger import quick
from usage.ledger import statements as sql
from usage.ledger.batch import Batch, Clock, read_balances, read_holds, read_text, read_time
from usage.ledger.bookings import TENANT_SUBJECT, Failure, HoldRequest, Outcome
from usage.ledger.duty_times import BALANCES, HOLDS, SUMS, TODAY, next_sums, next_sweep, next_telling
from usage.ledger.entries import Entry
from usage.ledger.wire import Statement, Wire, is_clean

DECIDES_S = 1.0  # after a booking about which there was something to decide: the next ones may be alike
CLOCK_KEPT_S = 60.0
logger = logging.getLogger(__name__)
Marks = dict[UUID, int]  # request id → how many tokens of an answer have come


class TenantBooks:
    """Whose books they are: the role and the statements that reach them, and what their scheduler knows."""

    def __init__(self, slug: str, database: str, process_id: UUID, clock: Clock) -> None:
        self.slug = slug
        self.schema = schema_name(slug)
        self.enter: Statement = (sql.ENTER, (role_name(database, self.schema).encode(),))
        self.statements = sql.Qualified(self.schema)
        self.process_id = process_id.hex.encode()
        self.clock = clock
        self.decides_until_s = 0.0  # (monotonic) bookings had something to decide a moment ago
        self._clock_read: tuple[datetime, float, float] | None = None
        self.forget_notes()

    def forget_notes(self) -> None:
        """The duties noted last went down with their transaction."""
        self._sweep_due: datetime | None = None
        self._sums_due: datetime | None = None
        self._telling_due: datetime | None = None

    def duties(self, now: datetime, *, has_holds: bool, has_bills: bool) -> list[Statement]:
        """Tell the scheduler that there are holds to watch, events to sum up and to tell; unless it knows."""
        notes: list[Statement] = []
        if has_holds and (self._sweep_due is None or now + timedelta(seconds=5) >= self._sweep_due):
            self._sweep_due = next_sweep(now)
            notes.append((sql.NOTE_DUTY, (HOLDS, self._sweep_due.isoformat().encode())))
        if has_bills and (self._sums_due is None or next_sums(now) > self._sums_due):
            self._sums_due = next_sums(now)
            notes.append((sql.NOTE_DUTY, (SUMS, self._sums_due.isoformat().encode())))
        if has_bills and (self._telling_due is None or now + timedelta(seconds=5) >= self._telling_due):
            self._telling_due = next_telling(now)
            notes.append((sql.NOTE_DUTY, (TODAY, self._telling_due.isoformat().encode())))
        return notes

    def note_clock(self, now: datetime) -> None:
        """What the database's clock says."""
        self._clock_read = now, monotonic(), time()

    def guess_clock(self) -> datetime | None:
        """What the database's clock says by now. None if it was not read lately, or a clock of this machine
        was set, or asleep, in between.
        """
        if self._clock_read is None:
            return None
        read, steady_s, wall_s = self._clock_read
        passed_s, wall_passed_s = monotonic() - steady_s, time() - wall_s
        if passed_s > CLOCK_KEPT_S or abs(wall_passed_s - passed_s) > 1:
            return None
        return read + timedelta(seconds=passed_s)


class Part:
    """What one tenant has to book in one transaction. `outcomes` are told once it is committed."""

    def __init__(self, books: TenantBooks, entries: list[Entry], marks: Marks) -> None:
        self.books = books
        self.entries = entries
        self.marks = marks
        self.outcomes: list[Outcome] = []
        self._decided: list[Outcome] = []
        self._writes: list[Statement] = []

    def reads(self) -> list[Statement]:
        """Enter, lock, read: `decide` gets the results of the last two."""
        subjects, holds = {TENANT_SUBJECT}, []
        for entry in self.entries:
            if isinstance(entry.operation, HoldRequest):
                subjects.update(entry.operation.subjects.values())
            if not entry.is_hold or entry.is_doubtful:
                holds.append(entry.key)
        written_holds, statements = sql.array(holds), self.books.statements
        return [
            self.books.enter,
            (
                statements[sql.LOCK_BUDGETS],
                (sql.array([subject.hex for subject in subjects]), written_holds),
            ),
            (statements[sql.READ_HOLDS], (written_holds,)),
        ]

    def decide(self, locked: PGresult, found: PGresult, now: datetime) -> None:
        books = self.books
        books.note_clock(now)
        work = Batch(read_balances(locked), read_holds(found), books.clock(now))
        self._decided = [work.decide(entry.operation) for entry in self.entries]
        self._writes = work.writes(books.process_id)
        if self.marks:
            rows = [(request_id.hex, str(tokens)) for request_id, tokens in self.marks.items()]
            self._writes.append((sql.MARK_PROGRESS, sql.columns(rows)))
        self._writes += books.duties(now, has_holds=work.has_new_holds, has_bills=work.has_bills)
        if work.has_wrong_balances:
            logger.error(
                "a balance of %s does not fit its holds and bills, and will be worked out anew", books.slug
            )
            self._writes.append((sql.NOTE_DUTY, (BALANCES, now.isoformat().encode())))

    def writes(self) -> list[Statement]:
        statements = self.books.statements
        return [(statements[statement], params) for statement, params in self._writes]

    def conclude(self, results: Sequence[PGresult]) -> None:
        """A bill, or a next attempt, whose hold the sweeper took in this very moment turns into NO_HOLD."""
        found: set[str] = set()
        for (statement, _params), result in zip(self._writes, results, strict=True):
            if statement in (sql.SETTLE, sql.FOLLOW):
                found |= {read_text(result, row, 0).replace("-", "") for row in range(result.ntuples)}
        self.outcomes = [
            Failure.NO_HOLD if entry.needs_hold and outcome is True and entry.key not in found else outcome
            for entry, outcome in zip(self.entries, self._decided, strict=True)
        ]

    async def book_quickly(self, wire: Wire) -> bool:
        """In one round trip, if it is a single booking about which nothing has to be decided."""
        books, now = self.books, self.books.guess_clock()
        if len(self.entries) != 1 or self.marks or now is None or monotonic() < books.decides_until_s:
            return False
        (entry,) = self.entries
        booking = quick.booking(entry, books.process_id, books.clock(now) - now)
        if booking is None:
            return False
        notes = books.duties(now, has_holds=entry.is_hold, has_bills=not entry.is_hold)
        statements = [(books.statements[statement], params) for statement, params in [*booking, *notes]]
        results = await _commit([self], wire, [books.enter, *statements])
        is_booked = results[len(booking)].ntuples > 0
        if is_booked:
            self.outcomes = [True]
        else:
            self.set_doubtful(False)
            books.decides_until_s = monotonic() + DECIDES_S
        return is_booked

    def set_doubtful(self, value: bool) -> None:
        for entry in self.entries:
            entry.is_doubtful = value


async def transact(parts: Sequence[Part], wire: Wire) -> None:
    """All parts or none. Raises whatever was in the way."""
    if len(parts) == 1 and await parts[0].book_quickly(wire):
        return
    reads = [statement for part in parts for statement in part.reads()]
    _begun, *found, clock = await wire.exchange([(sql.BEGIN, ()), *reads, (sql.READ_CLOCK, ())])
    now = read_time(clock)
    for number, part in enumerate(parts):
        _entered, locked, holds = found[3 * number : 3 * number + 3]
        part.decide(locked, holds, now)
    writes: list[Statement] = []
    places = []
    for part in parts:
        wanted = part.writes()
        if wanted and len(parts) > 1:  # a single one has its role from the reading
            writes.append(part.books.enter)
        places.append(slice(len(writes), len(writes) + len(wanted)))
        writes += wanted
    results = await _commit(parts, wire, [*writes, (sql.COMMIT, ())])
    for part, place in zip(parts, places, strict=True):
        part.conclude(results[place])


async def _commit(parts: Sequence[Part], wire: Wire, writes: list[Statement]) -> list[PGresult]:
    for part in parts:
        part.set_doubtful(True)
    try:
        return await wire.exchange(writes)
    except psycopg.Error as exc:
        for part in parts:
            part.set_doubtful(not is_clean(exc))
        raise
