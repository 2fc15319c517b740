"""How Django's side keeps the books: budgets locked in the same order as by the ledger's lanes, and the same
duties noted.
"""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db import connection
from django.db.models import Case, Q, Value, When

from tenants.work.duties import note_duty
from usage.ledger.bookings import LEVELS
from usage.ledger.budget_rules import Balance
from usage.ledger.duty_times import BALANCES, due_after_booking
from usage.models import Budget

_LEVEL_ORDER = Case(*(When(level=level, then=Value(position)) for position, level in enumerate(LEVELS)))


def read_clock() -> datetime:
    """The database's time, now rather than at the transaction's begin."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cursor.fetchone()[0]


def as_balance(row: Budget) -> Balance:
    return Balance(
        id=str(row.pk),
        level=row.level,
        subject=row.subject_id.hex,
        period=row.period,
        period_start=row.period_start,
        limit=row.limit,
        allowance=row.allowance,
        held=row.held,
        spent=row.spent,
        managed_by=row.managed_by,
        currency=row.currency,
    )


def lock_budgets(condition: Q) -> list[Balance]:
    """Lock the budgets that meet the condition, in the order of all; rolled into the current period. No
    subquery: see LOCK_BUDGETS of usage.ledger.statements.
    """
    rows = list(Budget.objects.select_for_update().filter(condition).order_by(_LEVEL_ORDER, "pk"))
    now = read_clock()
    balances = [as_balance(row) for row in rows]
    for balance in balances:
        balance.roll(now)
    return balances


def save_balances(balances: Iterable[Balance]) -> None:
    """Write back what has changed, and have worked out anew what does not fit its holds and bills. Without
    updated_at: that tells when somebody decided something.
    """
    for balance in balances:
        if balance.is_wrong:
            note_duty(BALANCES.decode())
        if balance.is_changed:
            Budget.objects.filter(pk=UUID(balance.id)).update(
                period_start=balance.period_start,
                limit=balance.limit,
                allowance=balance.allowance,
                held=balance.held,
                spent=balance.spent,
            )


def note_new_events() -> None:
    """Events were booked in this transaction: they have to be summed up, and told to the platform."""
    for kind, due_at in due_after_booking(read_clock()):
        note_duty(kind.decode(), due_at)


def lock_request(request_id: UUID) -> None:
    """Until the end of this transaction nobody else corrects or refunds the bill of this request."""
    with connection.cursor() as cursor:
        # the same number as LOCK_REQUEST of usage.ledger.statements
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [request_id.hex])


def keep_budgets() -> None:
    """Until the end of this transaction no budget is added: as what a lane's LOCK_BUDGETS takes."""
    with connection.cursor() as cursor:
        cursor.execute("LOCK TABLE usage_budget IN ROW SHARE MODE")


def keep_lanes_out() -> None:
    """Until the end of this transaction no lane of this tenant begins a batch, and none is in the middle of
    one. Take it late, let it go soon.
    """
    with connection.cursor() as cursor:
        # conflicts with the ROW SHARE that LOCK_BUDGETS takes
        cursor.execute("LOCK TABLE usage_budget IN EXCLUSIVE MODE")
