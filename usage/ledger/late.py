"""A bill whose hold is gone. Either it was booked before, or the sweeper took its process for dead and booked
an estimate: then the difference is booked as an adjustment, in the period of what it corrects.
"""

import json
from datetime import datetime
from decimal import Decimal

from psycopg.pq.abc import PGresult

from foundation.ids import uuid7
from usage.ledger import statements as sql
from usage.ledger.batch import Batch, read_balances, read_time
from usage.ledger.bookings import INTERRUPTED, TENANT_SUBJECT, Failure, Outcome, Settlement
from usage.ledger.duty_times import BALANCES, due_after_booking
from usage.ledger.parts import TenantBooks
from usage.ledger.wire import Statement, Wire
from usage.quantities import Quantities, four_counts, subtract


async def book_late_bill(books: TenantBooks, bill: Settlement, wire: Wire) -> Outcome:
    """True: an estimate was corrected. False: the bill was booked before. Failure.NO_HOLD: nothing is known
    of the request. In its own transaction.
    """
    request, statements = bill.request_id.hex.encode(), books.statements
    *_, events = await wire.exchange(
        [
            (sql.BEGIN, ()),
            books.enter,
            (sql.LOCK_REQUEST, (request,)),
            (statements[sql.READ_EVENTS], (request,)),
        ]
    )
    if not _is_estimate(events):
        await wire.exchange([(sql.ROLLBACK, ())])
        return False if events.ntuples else Failure.NO_HOLD
    subjects = [TENANT_SUBJECT.hex, *filter(None, (_value(events, column) for column in range(3, 6)))]
    locked, time = await wire.exchange(
        [(statements[sql.LOCK_BUDGETS], (sql.array(subjects), b"{}")), (sql.READ_CLOCK, ())]
    )
    balances, at = read_balances(locked), read_time(time)
    now = books.clock(at)
    batch = Batch(balances, {}, now)
    difference = bill.cost - Decimal(_value(events, 2))
    booked_at = datetime.fromisoformat(_value(events, 6))
    for balance in balances:
        if booked_at >= balance.period_start:
            batch.book(balance, difference, bill.request_id.hex)
    due = due_after_booking(at)
    if batch.has_wrong_balances:
        due.append((BALANCES, at))
    notes = [(sql.NOTE_DUTY, (kind, when.isoformat().encode())) for kind, when in due]
    used = subtract(bill.usage.quantities, json.loads(_value(events, 7)))
    correction = _adjustment(bill, used, difference, now)
    writes = [
        (statements[statement], params) for statement, params in (*batch.writes(b""), correction, *notes)
    ]
    await wire.exchange([*writes, (sql.COMMIT, ())])
    return True


def _is_estimate(events: PGresult) -> bool:
    """Whether the sweeper's estimate is all that is known; a correction or a refund closes the matter."""
    return events.ntuples == 1 and _value(events, 1) == INTERRUPTED


def _value(events: PGresult, column: int) -> str:
    return (events.get_value(0, column) or b"").decode()


def _adjustment(bill: Settlement, used: Quantities, cost: Decimal, now: datetime) -> Statement:
    """The event of what the estimate was short of, or too much."""
    times = (
        None if value is None else str(value).encode() for value in (bill.latency_ms, bill.first_token_ms)
    )
    return sql.ADJUST, (
        uuid7().hex.encode(),
        json.dumps(used).encode(),
        *(str(number).encode() for number in (*four_counts(used).values(), cost)),
        bill.status.encode(),
        bill.error_code.encode(),
        *times,
        b"t" if bill.estimated else b"f",
        sql.written_attempts(bill.attempts).encode() if bill.attempts else None,
        json.dumps(bill.dropped_params).encode() if bill.dropped_params else None,
        now.isoformat().encode(),
        bill.request_id.hex.encode(),
    )
