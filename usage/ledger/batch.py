"""One batch of a lane: decides each operation against the rows that are locked, and writes down what has to
change. No I/O.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal

from psycopg.pq.abc import PGresult

from foundation.ids import uuid7
from usage.ledger import statements as sql
from usage.ledger.bookings import (
    LEVELS,
    TENANT_SUBJECT,
    BudgetRefusal,
    Failure,
    HoldRequest,
    NextAttempt,
    Operation,
    Outcome,
    Settlement,
    Void,
)
from usage.ledger.budget_rules import ZERO, Balance, period_end
from usage.ledger.wire import Statement

_OF_TENANT = (LEVELS[0], TENANT_SUBJECT.hex)
Clock = Callable[[datetime], datetime]  # the database's time → the time that decides about periods


def read_text(result: PGresult, row: int, column: int) -> str:
    """A value of a column that is never null, as the server wrote it."""
    value = result.get_value(row, column)
    if value is None:
        raise ValueError("This column is never null.")
    return value.decode()


def read_texts(result: PGresult, row: int, columns: int) -> list[str]:
    """The first values of a row, of columns that are never null."""
    values = [result.get_value(row, column) for column in range(columns)]
    if None in values:
        raise ValueError("These columns are never null.")
    return [value.decode() for value in values if value is not None]


def read_time(result: PGresult) -> datetime:
    return datetime.fromisoformat(read_text(result, 0, 0))


def read_balances(result: PGresult) -> list[Balance]:
    """The rows of LOCK_BUDGETS."""
    balances = []
    for row in range(result.ntuples):
        budget, level, subject, period, start, *amounts, managed_by, currency = read_texts(result, row, 11)
        limit, allowance, held, spent = map(Decimal, amounts)
        balances.append(
            Balance(
                id=budget,
                level=level,
                subject=subject.replace("-", ""),
                period=period,
                period_start=datetime.fromisoformat(start),
                limit=limit,
                allowance=allowance,
                held=held,
                spent=spent,
                managed_by=managed_by,
                currency=currency,
            )
        )
    return balances


def read_holds(result: PGresult) -> dict[str, tuple[Decimal, list[str]]]:
    """The rows of READ_HOLDS: request → (amount, the budgets that hold it)."""
    holds = {}
    for row in range(result.ntuples):
        request, amount, budgets = read_texts(result, row, 3)
        holds[request.replace("-", "")] = Decimal(amount), budgets[1:-1].split(",")
    return holds


class Batch:
    """Feed it operations in their order with `decide`; then `writes` gives the statements that make it so."""

    def __init__(
        self, balances: list[Balance], holds: dict[str, tuple[Decimal, list[str]]], now: datetime
    ) -> None:
        self._now = now
        self._moment = now.isoformat()
        self._holds = holds
        self._balances = {balance.id: balance for balance in balances}
        self._by_subject: dict[tuple[str, str], list[Balance]] = {}
        for balance in balances:
            balance.roll(now)
            self._by_subject.setdefault((balance.level, balance.subject), []).append(balance)
        self._new_holds: list[tuple[str, ...]] = []
        self._next_attempts: dict[str, tuple[str, ...]] = {}
        self._bills: list[tuple[str, ...]] = []
        self._booked: set[str] = set()
        self._voided: list[str] = []
        self._overruns: list[tuple[str, ...]] = []

    def decide(self, operation: Operation) -> Outcome:
        """What becomes of one operation. `Failure.NO_HOLD` for a bill says: look whether it was booked
        before.
        """
        if isinstance(operation, HoldRequest):
            return self._reserve(operation)
        if isinstance(operation, Settlement):
            return self._settle(operation)
        if isinstance(operation, NextAttempt):
            return self._follow(operation)
        return self._void(operation)

    def _reserve(self, request: HoldRequest) -> Outcome:
        key, amount = request.request_id.hex, request.amount
        if key in self._holds:  # asked again because nobody knew whether the commit had arrived: it had
            return True
        asked: list[Balance] = []
        if self._by_subject:
            asked += self._by_subject.get(_OF_TENANT, ())
            for level, subject in request.subjects.items():
                if level != _OF_TENANT[0]:
                    asked += self._by_subject.get((level, subject.hex), ())
        for balance in asked:
            if not balance.has_room(amount):
                return self._refusal(balance, amount)
        for balance in asked:
            balance.hold(amount)
        ids = [balance.id for balance in asked]
        self._holds[key] = amount, ids
        self._new_holds.append(sql.hold_row(request, ids))
        return True

    def _follow(self, attempt: NextAttempt) -> Outcome:
        """Raise the hold to the amount; again changes nothing."""
        key = attempt.request_id.hex
        hold = self._holds.get(key)
        if hold is None:
            return Failure.NO_HOLD
        amount, ids = hold
        more = max(attempt.amount - amount, ZERO)
        asked = self._known(ids)
        for balance in asked:
            if not balance.has_room(more):
                return self._refusal(balance, more)
        for balance in asked:
            balance.hold(more)
        self._holds[key] = amount + more, ids
        self._next_attempts[key] = (key, str(amount + more), *sql.next_attempt(attempt))
        return True

    def _settle(self, bill: Settlement) -> Outcome:
        key = bill.request_id.hex
        if key in self._booked:
            return False
        hold = self._holds.pop(key, None)
        if hold is None:
            return Failure.NO_HOLD
        self._booked.add(key)
        amount, budgets = hold
        for balance in self._known(budgets):
            balance.release(amount)
            self.book(balance, bill.cost, key)
        self._bills.append(sql.bill_row(bill))
        return True

    def book(self, balance: Balance, cost: Decimal, request: str) -> None:
        """Add a bill to a budget; where it does not fit, the budget's allowance is raised on record."""
        overrun = balance.book(cost)
        if overrun:
            self._overruns.append((uuid7().hex, balance.id, request, str(overrun)))

    def _void(self, void: Void) -> Outcome:
        key = void.request_id.hex
        hold = self._holds.pop(key, None)
        if hold is not None:
            amount, budgets = hold
            for balance in self._known(budgets):
                balance.release(amount)
            self._voided.append(key)
        return True

    def _known(self, budgets: list[str]) -> list[Balance]:
        """The budgets that still exist among those that held an amount."""
        return [self._balances[budget] for budget in budgets if budget in self._balances]

    def _refusal(self, balance: Balance, amount: Decimal) -> BudgetRefusal:
        renewal = period_end(balance.period, balance.period_start)
        renews_in_s = int((renewal - self._now).total_seconds()) + 1 if renewal else None
        return BudgetRefusal(
            level=balance.level,
            period=balance.period,
            managed_by=balance.managed_by,
            limit=balance.limit,
            held=balance.held,
            spent=balance.spent,
            amount=amount,
            currency=balance.currency,
            renews_in_s=renews_in_s,
        )

    @property
    def has_new_holds(self) -> bool:
        return bool(self._new_holds)

    @property
    def has_bills(self) -> bool:
        return bool(self._bills)

    @property
    def has_wrong_balances(self) -> bool:
        return any(balance.is_wrong for balance in self._balances.values())

    def writes(self, process_id: bytes) -> list[Statement]:
        """What to send, in this order: a hold made and settled in one batch must exist before it goes."""
        moment = self._moment.encode()
        wanted: list[Statement] = []
        if changed := self._changed_balances():
            wanted.append((sql.WRITE_BALANCES, sql.columns(changed)))
        if self._overruns:
            wanted.append((sql.WRITE_OVERRUNS, [moment, *sql.columns(self._overruns)]))
        if self._new_holds:
            wanted.append((sql.WRITE_HOLDS, [process_id, moment, *sql.columns(self._new_holds)]))
        if self._next_attempts:
            wanted.append((sql.FOLLOW, sql.columns(list(self._next_attempts.values()))))
        if self._bills:
            wanted.append((sql.SETTLE, [moment, *sql.columns(self._bills)]))
        if self._voided:
            wanted.append((sql.DROP_HOLDS, [sql.array(self._voided)]))
        return wanted

    def _changed_balances(self) -> Sequence[tuple[str, ...]]:
        return [
            (
                balance.id,
                balance.period_start.isoformat(),
                str(balance.allowance),
                str(balance.held),
                str(balance.spent),
            )
            for balance in self._balances.values()
            if balance.is_changed
        ]
