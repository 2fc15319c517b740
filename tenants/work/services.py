"""Ordering work, cancelling it, and trying again what failed. Who may do so is asked by the room whose work
it is, or by `accounts.services` where an administrator looks at all of it.
"""

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from foundation.errors import Conflict
from foundation.ids import uuid7
from tenants.context import Scope, current_scope, use_scope
from tenants.local.models import Work
from tenants.work import claims, tasks
from tenants.work.duties import note_duty
from tenants.work.kinds import get_kind
from tenants.work.runs import Run


@transaction.atomic
def order(
    kind: str,
    object_id: UUID | str = "",
    *,
    arguments: dict[str, Any] | None = None,
    ordered_by: UUID | None = None,
    at: datetime | None = None,
) -> Work:
    """Order work on an object, in the running transaction, at `at` or now. What waits for the same object is
    given back instead, with the new arguments; what runs is done once more after its end. Without an object
    each order is a piece of its own.
    """
    row = Work(
        pk=uuid7(),
        kind=kind,
        queue=get_kind(kind).queue,
        arguments=arguments or {},
        ordered_by=ordered_by,
        due_at=at or timezone.now(),
    )
    row.object_id = str(object_id or row.pk)
    while True:
        # waits for a transaction that orders the same, and may find its row instead of writing one
        Work.objects.bulk_create([row], ignore_conflicts=True)
        active = Work.objects.select_for_update().filter(
            kind=kind, object_id=row.object_id, state__in=Work.ACTIVE
        )
        if (found := active.first()) is not None:
            break
    if found.pk != row.pk:
        _order_again(found, row)
    _wake(found.queue, None if at is None else found.due_at)
    return found


def note_done(kind: str, object_id: UUID | str, *, arguments: dict[str, Any], ordered_by: UUID) -> Work:
    """Work that the request which ordered it has done itself: it is found, and forgotten, like all else that
    is done.
    """
    now = timezone.now()
    return Work.objects.create(
        kind=kind,
        object_id=str(object_id),
        queue=get_kind(kind).queue,
        arguments=arguments,
        state=Work.State.DONE,
        due_at=now,
        started_at=now,
        ended_at=now,
        ordered_by=ordered_by,
    )


def _order_again(found: Work, wanted: Work) -> None:
    found.arguments = wanted.arguments
    if found.state == Work.State.RUNNING:
        found.is_wanted_again = True
    else:
        found.due_at = min(found.due_at, wanted.due_at)
    Work.objects.filter(pk=found.pk).update(
        arguments=found.arguments, is_wanted_again=found.is_wanted_again, due_at=found.due_at
    )


def go_on_later(run: Run) -> None:
    """End this attempt and order the same once more, so that others have their turn. Raises ClaimLost,
    Cancelled: whoever cancelled it while it had its turn is heard.
    """
    with run.conclusion():
        run.held.rows().select_for_update().first()
        run.check()
        order(run.held.kind.name, run.object_id, arguments=run.arguments, ordered_by=run.ordered_by)


@transaction.atomic
def cancel(row: Work) -> Work:
    """What waits ends at once; what runs ends within seconds. Raises Conflict for what has ended."""
    row = _lock(row)
    if row.state not in Work.ACTIVE:
        raise Conflict(_("This task has ended already."), code="work_ended")
    row.cancel_wanted_at = timezone.now()
    row.is_wanted_again = False
    if row.state == Work.State.QUEUED:
        row.state, row.ended_at = Work.State.CANCELLED, timezone.now()
    row.save(update_fields=["cancel_wanted_at", "is_wanted_again", "state", "ended_at"])
    if row.state == Work.State.CANCELLED:
        claims.call_back(row, Work.State.CANCELLED)
    return row


@transaction.atomic
def retry(row: Work) -> Work:
    """Try again what failed or was cancelled, with all its attempts. Raises Conflict for anything else, and
    where its object has newer work.
    """
    row = _lock(row)
    if row.state not in (Work.State.FAILED, Work.State.CANCELLED):
        raise Conflict(
            _("Only a task that failed or was cancelled can be tried again."), code="work_not_failed"
        )
    same = Work.objects.filter(kind=row.kind, object_id=row.object_id, state__in=Work.ACTIVE)
    if same.exists():
        raise Conflict(_("The same is already waiting or running."), code="work_active")
    row.state, row.attempts, row.stages = Work.State.QUEUED, 0, []
    row.due_at, row.cancel_wanted_at, row.ended_at = timezone.now(), None, None
    row.error_code, row.error, row.error_words = "", "", None
    row.save()
    _wake(row.queue, None)
    return row


def _lock(row: Work) -> Work:
    return Work.objects.select_for_update().get(pk=row.pk)


def _wake(queue: str, due_at: datetime | None) -> None:
    """Note that the schema has work, and tell the workers when that has committed; once for orders that
    follow each other in one transaction.
    """
    if due_at is not None:
        note_duty(claims.duty_of(queue), due_at)
        return
    wake = _waker(queue, current_scope())
    waiting = connection.run_on_commit
    if waiting and waiting[-1][1] is wake:
        return
    note_duty(claims.duty_of(queue))
    transaction.on_commit(wake, robust=True)


@lru_cache(maxsize=1_000)
def _waker(queue: str, scope: Scope | None) -> Callable[[], None]:
    """The same function for the same queue and schema, by which it is known again."""

    def send() -> None:
        with use_scope(scope):
            tasks.wake.apply_async(kwargs={"queue": queue}, queue=queue, expires=tasks.WAKE_EXPIRES_S)

    return send
