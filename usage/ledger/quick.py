# ruff: noqa: S608  (the parts put together here are constants of this file)
"""One booking of one tenant in one round trip, where the budgets as they stand leave nothing to decide: a
hold that fits into the running periods, a bill that fits into what was held and allowed.

Whatever else comes (a period that is over, a budget without room, a row that somebody has edited, several
bookings at once) finds nothing to write here, and goes the way of usage.ledger.batch, which alone refuses,
turns periods and raises allowances.
"""

from datetime import timedelta

from usage.ledger import statements as sql
from usage.ledger.bookings import LEVELS, TENANT_SUBJECT, HoldRequest, Settlement
from usage.ledger.entries import Entry
from usage.ledger.wire import Statement

_NOW = "t AS MATERIALIZED (SELECT clock_timestamp() + $1::interval AS now)"
_IS_RUNNING = (
    "(b.period = 'total' OR t.now < b.period_start + "
    "CASE b.period WHEN 'day' THEN interval '1 day' ELSE interval '1 month' END)"
)
# LOCK_BUDGETS for a hold or for a bill, without what it reads
LOCK_FOR_HOLD = f"""SELECT 1 FROM usage_budget WHERE subject_id = ANY($1::uuid[])
ORDER BY {sql.LEVEL_ORDER}, id FOR UPDATE"""
LOCK_FOR_BILL = f"""SELECT 1 FROM usage_budget
WHERE id = ANY (ARRAY(SELECT unnest(budget_ids) FROM usage_hold WHERE id = $1::uuid))
ORDER BY {sql.LEVEL_ORDER}, id FOR UPDATE"""
_LEVELS, _SUBJECTS = (f"${number + len(sql.HOLD_COLUMNS)}" for number in (3, 4))
HOLD = f"""WITH {_NOW},
h AS MATERIALIZED (SELECT * FROM {sql.unnest("h", 3, sql.HOLD_COLUMNS)}),
asked AS MATERIALIZED (
  SELECT b.id, {_IS_RUNNING} AND (h.amount = 0 OR b.held + b.spent + h.amount <= b."limit") AS fits
  FROM usage_budget b JOIN unnest({_LEVELS}::text[], {_SUBJECTS}::uuid[]) AS s(level, subject_id)
    USING (level, subject_id), h, t),
made AS (
  {sql.make_holds("$2::uuid", "t.now", "ARRAY(SELECT id FROM asked)", "h, t")}
  WHERE NOT EXISTS (SELECT FROM asked WHERE fits IS NOT TRUE) RETURNING amount, budget_ids),
written AS (
  UPDATE usage_budget b SET held = b.held + made.amount FROM made WHERE b.id = ANY(made.budget_ids))
SELECT 1 FROM made"""
BILL = f"""WITH {_NOW},
n AS MATERIALIZED (SELECT * FROM {sql.unnest("n", 2, sql.BILL_COLUMNS)}),
h AS (
  DELETE FROM usage_hold WHERE id IN (
    SELECT h.id FROM usage_hold h JOIN n ON n.id = h.id, t WHERE NOT EXISTS (
      SELECT FROM usage_budget b WHERE b.id = ANY(h.budget_ids) AND (
        {_IS_RUNNING} AND b.held >= h.amount AND b.spent + n.cost >= 0
        AND b.held - h.amount + b.spent + n.cost <= b.allowance) IS NOT TRUE))
  RETURNING *),
written AS (
  UPDATE usage_budget b SET held = b.held - h.amount, spent = b.spent + n.cost
  FROM h JOIN n ON n.id = h.id WHERE b.id = ANY(h.budget_ids))
{sql.book_events("t.now", "n JOIN h ON h.id = n.id, t")}"""


def booking(entry: Entry, process_id: bytes, shift: timedelta) -> list[Statement] | None:
    """The statements that lock and book; the last one answers a row if it did. None for a hold or a bill that
    may have been booked before, and for all else. `shift`: from the database's clock to the one that decides
    about periods.
    """
    operation = entry.operation
    if entry.is_doubtful:
        return None
    moved = f"{shift.total_seconds()} seconds".encode()
    if isinstance(operation, Settlement):
        row = sql.columns([sql.bill_row(operation)])
        return [(LOCK_FOR_BILL, (entry.key.encode(),)), (BILL, (moved, *row))]
    if isinstance(operation, HoldRequest):
        subjects = operation.subjects | {LEVELS[0]: TENANT_SUBJECT}
        asked = sql.array([subject.hex for subject in subjects.values()])
        row = sql.columns([sql.hold_row(operation, ())])
        levels = sql.array(subjects)
        return [(LOCK_FOR_HOLD, (asked,)), (HOLD, (moved, process_id, *row, levels, asked))]
    return None
