"""Settling the holds of processes that are gone, so that no crash loses usage or keeps money locked.

Covers: a process that was killed, or lost its lease, at any moment between its hold and its bill.
Does not cover: a bill that comes after all, from a process taken for dead; usage.ledger.late books the
difference then.
"""

import logging
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import chain

from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from foundation.ids import uuid7
from tenants.work.duties import duty, note_duty
from usage.ledger.bookings import INTERRUPTED
from usage.ledger.books import keep_budgets, lock_budgets, note_new_events, read_clock, save_balances
from usage.ledger.budget_rules import ZERO, Balance
from usage.ledger.duty_times import HOLDS, next_sweep
from usage.models import BudgetOverrun, Hold, UsageEvent
from usage.platform.models import LEASE, Process
from usage.pricing import Price, Usage, billed_cost
from usage.quantities import four_counts

logger = logging.getLogger(__name__)

LONGEST_CALL = timedelta(hours=2)  # a hold that old has been forgotten by a living process
GRACE = LEASE  # after a start of the database, before anybody is taken for dead
AT_ONCE = 100


@duty(HOLDS.decode())
def sweep_holds() -> int:
    """Settle the active tenant's orphaned holds; returns how many. Safe to call at any time, from several
    processes at once.
    """
    swept = 0
    if _database_is_settled():
        while ids := list(_orphans().order_by("pk").values_list("pk", flat=True)[:AT_ONCE]):
            swept += _sweep(ids)
    if Hold.objects.exists():
        note_duty(HOLDS.decode(), next_sweep(read_clock()))
    return swept


def _database_is_settled() -> bool:
    """Just after the database was away no heartbeat is fresh, though the processes live: give them time for
    one.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_postmaster_start_time() < now() - make_interval(secs => %s)", [GRACE.total_seconds()]
        )
        return cursor.fetchone()[0]


def _orphans() -> QuerySet[Hold]:
    living = list(Process.objects.living().values_list("pk", flat=True))
    return Hold.objects.exclude(process_id__in=living) | Hold.objects.filter(
        created_at__lt=Now() - LONGEST_CALL
    )


@transaction.atomic
def _sweep(ids: list) -> int:
    keep_budgets()  # those of the holds are read behind it, and none is added meanwhile
    lists = Hold.objects.filter(pk__in=ids).values_list("budget_ids", flat=True)
    balances = lock_budgets(Q(pk__in=set(chain.from_iterable(lists))))
    holds = list(Hold.objects.select_for_update().filter(pk__in=ids).order_by("pk"))
    booked = set(
        UsageEvent.objects.filter(request_id__in=ids, kind=UsageEvent.Kind.SETTLE).values_list(
            "request_id", flat=True
        )
    )
    now = read_clock()
    events, overruns = [], []
    for hold in holds:
        mine = [balance for balance in balances if balance.id in map(str, hold.budget_ids)]
        for balance in mine:
            balance.release(hold.amount)
        if hold.pk in booked:
            continue
        event = _estimate(hold, now)
        events.append(event)
        overruns += [_overrun(balance, event) for balance in mine]
    save_balances(balances)
    UsageEvent.objects.bulk_create(events)
    if events:
        note_new_events()
    BudgetOverrun.objects.bulk_create(overrun for overrun in overruns if overrun.amount)
    Hold.objects.filter(pk__in=[hold.pk for hold in holds]).delete()
    logger.warning(
        "swept %d orphaned holds: %d billed by estimate, %d released",
        len(holds),
        len(events),
        len(holds) - len(events),
    )
    return len(holds)


def _estimate(hold: Hold, now: datetime) -> UsageEvent:
    """The bill of a call that nobody saw the end of: the attempts that were lost, input, and what was marked;
    or all that was held where nothing was marked.
    """
    usage, amount = Usage(input_tokens=hold.input_tokens_estimate), hold.amount
    if hold.progress_output_tokens is not None and hold.price_snapshot:
        usage = Usage(input_tokens=hold.input_tokens_estimate, output_tokens=hold.progress_output_tokens)
        lost = sum((Decimal(one["cost"]) for one in hold.attempts or ()), ZERO)
        amount = lost + billed_cost(Price.from_snapshot(hold.price_snapshot), usage, hold.amount - lost)
    return UsageEvent(
        id=hold.pk,
        request_id=hold.pk,
        kind=UsageEvent.Kind.SETTLE,
        currency=hold.price_snapshot.get("currency", ""),
        cost=amount,
        quantities=dict(usage.quantities),
        **four_counts(usage.quantities),
        status=INTERRUPTED,
        estimated=True,
        over_hold=amount > hold.amount,
        attempts=hold.attempts,
        booked_at=now,
        created_at=now,
        **hold.facts(),
    )


def _overrun(balance: Balance, event: UsageEvent) -> BudgetOverrun:
    overrun: Decimal = balance.book(event.cost)
    return BudgetOverrun(
        id=uuid7(),
        budget_id=balance.id,
        request_id=event.request_id,
        amount=overrun,
        created_at=event.created_at,
    )
