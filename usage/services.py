"""Every write of this room that a person or another room asks for: budgets, and rebuilding what follows from
the events.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from functools import reduce
from operator import or_
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, F, Func, OuterRef, Q, Sum, Value
from django.utils.translation import gettext as _

from accounts.models import ApiKey, User
from accounts.permissions import require
from foundation.errors import Conflict, InvalidInput, NotAllowed, NotFound
from foundation.ids import uuid7
from tenants.selectors import get_currency
from tenants.work.duties import duty
from usage.ledger.bookings import TENANT_SUBJECT
from usage.ledger.books import (
    as_balance,
    keep_lanes_out,
    lock_budgets,
    lock_request,
    note_new_events,
    read_clock,
    save_balances,
)
from usage.ledger.budget_rules import ALWAYS, ZERO, Balance, period_start
from usage.ledger.duty_times import BALANCES
from usage.models import Budget, BudgetOverrun, Hold, UsageEvent
from usage.selectors import NAMES
from usage.sums import rebuild_sums

__all__ = [
    "change_budget",
    "ensure_plan_budget",
    "rebuild_balances",
    "rebuild_sums",
    "refund_call",
    "remove_budget",
    "set_budget",
]

# Level → the column that names its subject, in events and holds
SUBJECT_COLUMNS: dict[str, str] = {
    Budget.Level.PROJECT: "project_id",
    Budget.Level.USER: "user_id",
    Budget.Level.KEY: "key_id",
}
OF_TENANT = Q(level=Budget.Level.TENANT, subject_id=TENANT_SUBJECT)
_SETTLED_BY_NOW = timedelta(seconds=60)  # no transaction of a lane lives that long


def of_subject(level: str, subject_id: UUID) -> Q:
    """The condition for events and holds of a subject."""
    return Q(**{SUBJECT_COLUMNS[level]: subject_id}) if level in SUBJECT_COLUMNS else Q()


@transaction.atomic
def set_budget(
    *,
    actor: User | None,
    level: str,
    subject_id: UUID | None = None,
    limit: Decimal,
    period: str = Budget.Period.MONTH,
    warn_at_percent: int = 80,
    within: ApiKey | None = None,
) -> Budget:
    """Set how much may be spent in each period by the organisation, a project, a user or a key. What
    was used in the current one counts.

    A limit below what is used stops further calls; nothing is lost. `within` is the key by which the request
    came: it frees itself of no budget. Raises NotAllowed, InvalidInput (subject), ValidationError.
    """
    require(actor, "usage.change_budget")
    subject_id = _check_subject(level, subject_id)
    for budget in Budget.objects.filter(
        level=level, subject_id=subject_id, period=period, managed_by=Budget.ManagedBy.TENANT
    ):
        _refuse_to_free(within, budget, limit)
    return _set_budget(
        level=level,
        subject_id=subject_id,
        period=period,
        limit=limit,
        managed_by=Budget.ManagedBy.TENANT,
        warn_at_percent=warn_at_percent,
    )


@transaction.atomic
def ensure_plan_budget(limit: Decimal | None) -> Budget | None:
    """Give the active tenant the monthly budget of its plan, or (None) take it away. The tenant can only read
    it.
    """
    if limit is None:
        Budget.objects.filter(managed_by=Budget.ManagedBy.PLAN).delete()
        return None
    return _set_budget(
        level=Budget.Level.TENANT,
        subject_id=TENANT_SUBJECT,
        period=Budget.Period.MONTH,
        limit=limit,
        managed_by=Budget.ManagedBy.PLAN,
    )


@transaction.atomic
def change_budget(
    *,
    actor: User | None,
    budget: Budget,
    limit: Decimal | None = None,
    warn_at_percent: int | None = None,
    within: ApiKey | None = None,
) -> Budget:
    """Give a budget another limit or warning mark. Raises NotAllowed; one that comes with the plan only the
    platform can change.
    """
    require(actor, "usage.change_budget")
    _refuse_of_plan(budget)
    _refuse_to_free(within, budget, budget.limit if limit is None else limit)
    return _set_budget(
        level=budget.level,
        subject_id=budget.subject_id,
        period=budget.period,
        limit=budget.limit if limit is None else limit,
        managed_by=budget.managed_by,
        warn_at_percent=budget.warn_at_percent if warn_at_percent is None else warn_at_percent,
    )


@transaction.atomic
def remove_budget(*, actor: User | None, budget: Budget, within: ApiKey | None = None) -> None:
    """Lift a budget. Raises NotAllowed; one that comes with the plan only the platform can lift."""
    require(actor, "usage.delete_budget")
    _refuse_of_plan(budget)
    _refuse_to_free(within, budget, None)
    _name_subject(budget)
    budget.delete()


def _refuse_to_free(within: ApiKey | None, budget: Budget, limit: Decimal | None) -> None:
    """Raise NotAllowed where a key would raise or lift (None) a budget of its own, of its person or of its
    project. That of the whole organisation is for whoever holds the right.
    """
    if within is None or (limit is not None and limit <= budget.limit):
        return
    own = {
        Budget.Level.KEY: within.pk,
        Budget.Level.USER: within.user_id,
        Budget.Level.PROJECT: within.project_id,
    }
    if own.get(Budget.Level(budget.level)) == budget.subject_id:
        raise NotAllowed(
            _("A key neither raises nor lifts a budget that binds it. Do it in the browser."),
            code="beyond_own_key",
            param="limit",
        )


def _refuse_of_plan(budget: Budget) -> None:
    if budget.managed_by == Budget.ManagedBy.PLAN:
        raise NotAllowed(
            _("This budget comes with your organisation's plan. The operator of the platform can change it.")
        )


def _check_subject(level: str, subject_id: UUID | None) -> UUID:
    if level not in Budget.Level.values:
        raise InvalidInput(_("There is no budget level “%(level)s”.") % {"level": level}, param="level")
    if level == Budget.Level.TENANT:
        return TENANT_SUBJECT
    if subject_id is None or subject_id not in NAMES[level]([subject_id]):
        raise InvalidInput(
            _("There is nobody and nothing with this id to give a budget to."), param="subject"
        )
    return subject_id


def _name_subject(budget: Budget) -> None:
    """For the audit log, and for who is told of it."""
    if budget.level in NAMES:
        names = NAMES[budget.level]([budget.subject_id])
        budget.subject_name = names.get(budget.subject_id, "")


def _set_budget(
    level: str, subject_id: UUID, period: str, limit: Decimal, managed_by: str, warn_at_percent: int = 80
) -> Budget:
    found = Budget.objects.filter(
        level=level, subject_id=subject_id, period=period, managed_by=managed_by
    ).first()
    budget = found or Budget(
        level=level, subject_id=subject_id, period=period, managed_by=managed_by, currency=get_currency()
    )
    _name_subject(budget)
    budget.limit = limit
    budget.warn_at_percent = warn_at_percent
    budget.period_start = budget.period_start or period_start(period, read_clock())
    budget.allowance = limit
    budget.full_clean(validate_constraints=False)
    if found:
        _change_limit(budget)
    else:
        _add_budget(budget)
    return budget


def _change_limit(budget: Budget) -> None:
    locked = lock_budgets(Q(pk=budget.pk))
    if not locked:
        raise NotFound(_("There is no such budget."))
    # before the balance, so that the history sees the old limit
    budget.save(update_fields=["limit", "warn_at_percent", "updated_at"])
    locked[0].set_limit(budget.limit)
    save_balances(locked)
    _record_excess(locked[0])
    _read_balance(budget, locked[0])


def _add_budget(budget: Budget) -> None:
    """Add a row that already counts the period's events and the holds of calls under way, exactly."""
    mine = of_subject(budget.level, budget.subject_id)
    cut = read_clock() - _SETTLED_BY_NOW
    # the long part, while the lanes go on
    spent_before = _sum_costs(mine, budget.period_start, created_before=cut)
    keep_lanes_out()
    if Budget.objects.filter(
        level=budget.level, subject_id=budget.subject_id, period=budget.period, managed_by=budget.managed_by
    ).exists():
        raise Conflict(
            _("Somebody else has just set this budget. Look at it and try again."), code="budget_exists"
        )
    balance = as_balance(budget)
    balance.book(spent_before + _sum_costs(mine, budget.period_start, created_from=cut))
    holds = Hold.objects.filter(mine)
    balance.held = holds.aggregate(total=Sum("amount"))["total"] or ZERO
    balance.set_limit(budget.limit)
    _read_balance(budget, balance)
    budget.save(force_insert=True)
    _record_excess(balance)
    holds.update(budget_ids=Func(F("budget_ids"), Value(budget.pk), function="array_append"))


def _read_balance(budget: Budget, balance: Balance) -> None:
    budget.period_start = balance.period_start
    budget.allowance = balance.allowance
    budget.held = balance.held
    budget.spent = balance.spent


def _record_excess(balance: Balance) -> None:
    """An allowance above the limit is on record, whoever raised it."""
    if balance.allowance > balance.limit:
        BudgetOverrun.objects.create(
            id=uuid7(),
            budget_id=UUID(balance.id),
            amount=balance.allowance - balance.limit,
            created_at=read_clock(),
        )


def _sum_costs(
    mine: Q,
    period_from: datetime,
    *,
    created_from: datetime | None = None,
    created_before: datetime | None = None,
) -> Decimal:
    """What was booked in the period: its bills, and what corrects them. A correction that says that it
    belongs here, while its bill does not, makes no room here: its bill took none.
    """
    events = UsageEvent.objects.filter(
        mine, booked_at__gte=period_from, created_at__gte=max(period_from, created_from or ALWAYS)
    )
    if created_before is not None:
        events = events.filter(created_at__lt=created_before)
    of_bill = {"kind": UsageEvent.Kind.SETTLE}
    corrected = UsageEvent.objects.filter(
        request_id=OuterRef("request_id"), booked_at__gte=period_from, **of_bill
    )
    parts = (events.filter(**of_bill), events.exclude(**of_bill).filter(Exists(corrected)))
    return sum((part.aggregate(total=Sum("cost"))["total"] or ZERO for part in parts), ZERO)


@transaction.atomic
def refund_call(*, actor: User | None, request_id: UUID, amount: Decimal | None = None) -> UsageEvent:
    """Give back part of what a call cost, or all (None), once, in the period of its bill. Raises NotAllowed,
    NotFound, InvalidInput (amount), Conflict.
    """
    require(actor, "usage.add_usageevent")
    bill = UsageEvent.objects.filter(request_id=request_id, kind=UsageEvent.Kind.SETTLE).first()
    if bill is None:
        raise NotFound(_("There is no bill of this request."))
    lock_request(request_id)
    balances = lock_budgets(
        reduce(
            or_,
            (Q(level=level, subject_id=getattr(bill, column)) for level, column in SUBJECT_COLUMNS.items()),
            OF_TENANT,
        )
    )
    events = list(UsageEvent.objects.filter(request_id=request_id))
    if any(event.kind == UsageEvent.Kind.REFUND for event in events):
        raise Conflict(_("This call was refunded before."), code="already_refunded")
    total = sum((event.cost for event in events), ZERO)
    if amount is None:
        amount = total
    if not 0 < amount <= total:
        raise InvalidInput(_("A refund is above 0 and at most what the call cost."), param="amount")
    for balance in balances:
        if bill.booked_at >= balance.period_start:
            balance.book(-amount)
    save_balances(balances)
    note_new_events()
    return UsageEvent.objects.create(
        request_id=request_id,
        kind=UsageEvent.Kind.REFUND,
        quantities={},
        cost=-amount,
        currency=bill.currency,
        booked_at=bill.booked_at,
        created_at=read_clock(),
        **bill.facts(),
    )


@duty(BALANCES.decode())
@transaction.atomic
def rebuild_balances() -> list[Budget]:
    """Work out held and spent of every budget anew from holds and events; returns those that were wrong. The
    lanes wait meanwhile.
    """
    keep_lanes_out()
    wrong = []
    balances = lock_budgets(Q())
    for balance in balances:
        mine = of_subject(balance.level, UUID(balance.subject))
        held = (
            Hold.objects.filter(budget_ids__contains=[balance.id]).aggregate(total=Sum("amount"))["total"]
            or ZERO
        )
        spent = max(ZERO, _sum_costs(mine, balance.period_start))
        if (held, spent) != (balance.held, balance.spent):
            balance.held = held
            balance.spent = spent
            balance.set_limit(balance.limit)
            wrong.append(UUID(balance.id))
    save_balances(balances)
    return list(Budget.objects.filter(pk__in=wrong))
