"""A worker's hold on a piece of work: taken, renewed, given up or brought to an end, each in one short
transaction of the scope that ordered it.

Guards against: two workers on one piece (SKIP LOCKED; one claim at a time), a worker that died (its lease
ends, and the next one takes the piece), a worker that was thought dead and writes on (each write asks for its
claim), work that brings down whoever touches it (`most_attempts`). Does not cover: effects outside the
database; a function that sends something must be safe to call twice.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import DateTimeField, ExpressionWrapper, F, Min, Value
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from foundation.errors import AtriumError
from foundation.told import gettext as _
from foundation.told import words_of
from tenants.context import Scope, current_scope
from tenants.local.models import Work
from tenants.work.duties import note_duty
from tenants.work.kinds import WorkKind, find_kind, get_kind, list_kinds

logger = logging.getLogger(__name__)
LONGEST_BACKOFF_S = 600.0
LOOK_AGAIN_S = 2.0  # after a look that found what is due in another's hands
KEPT = timedelta(days=30)  # what has ended
PURGED_AT_ONCE = 500
PASSING = (408, 429)  # refusals that may be over after a while; the other 4xx stay


class ClaimLost(BaseException):
    """Another worker has the piece, or it is gone: whoever did it stops. (No `Exception`, so that a function
    which goes on after errors does not go on after this.)
    """


class WorkerLost(AtriumError):
    """The process that did the work ended before it was done."""

    code = "worker_lost"


class TookTooLong(AtriumError):
    code = "took_too_long"


class Wish(Enum):
    """What a renewal tells the worker."""

    GO_ON = "go on"
    CANCEL = "cancel"
    LOST = "lost"


@dataclass(frozen=True)
class Held:
    """A claimed piece of work. `others`: pieces of the same claim that are done in the same process."""

    work_id: UUID
    claim: UUID
    kind: WorkKind
    scope: Scope
    others: tuple[UUID, ...] = ()

    def each(self) -> list["Held"]:
        """Each piece by itself."""
        return [replace(self, work_id=work_id, others=()) for work_id in (self.work_id, *self.others)]

    def rows(self):
        return Work.objects.filter(pk=self.work_id, claim=self.claim, state=Work.State.RUNNING)


def duty_of(queue: str) -> str:
    return f"work.{queue}"


def from_now(seconds: float) -> ExpressionWrapper:
    """A moment by the database's clock: hosts may differ."""
    return ExpressionWrapper(Now() + Value(timedelta(seconds=seconds)), output_field=DateTimeField())


@transaction.atomic
def claim_next(queue: str) -> Held | None:
    """Take what has been due longest in the active schema, and note when the next look is due. Gives None
    where nothing is to be had.
    """
    held = _claim(queue)
    if held is None:
        _purge()
    due_at = Work.objects.filter(queue=queue, state__in=Work.ACTIVE).aggregate(first=Min("due_at"))["first"]
    if due_at is not None:
        pause = timedelta(seconds=0 if held else LOOK_AGAIN_S)
        note_duty(duty_of(queue), max(due_at, timezone.now() + pause))
    return held


def _claim(queue: str) -> Held | None:
    free = Work.objects.filter(
        queue=queue, state__in=Work.ACTIVE, due_at__lte=Now(), kind__in=list_kinds(queue)
    ).order_by("due_at", "pk")
    while row := free.select_for_update(skip_locked=True).first():
        if row.state == Work.State.RUNNING and _end_lost(row):
            continue
        kind, claim = get_kind(row.kind), uuid4()
        others = _list_companions(row, kind)
        Work.objects.filter(pk__in=[row.pk, *others]).update(
            state=Work.State.RUNNING,
            claim=claim,
            attempts=F("attempts") + 1,
            due_at=from_now(kind.lease_s),
            heartbeat_at=Now(),
            started_at=Coalesce("started_at", Now()),
        )
        return Held(row.pk, claim, kind, _scope(), others)
    return None


def _list_companions(row: Work, kind: WorkKind) -> tuple[UUID, ...]:
    """What waits and may be done in the same process."""
    if kind.together is None or row.state == Work.State.RUNNING or row.attempts:
        return ()
    waiting = Work.objects.filter(
        queue=row.queue, kind=kind.name, state=Work.State.QUEUED, due_at__lte=Now(), attempts=0
    ).exclude(pk=row.pk)
    rows = waiting.order_by("due_at", "pk").select_for_update(skip_locked=True)
    found = list(rows[: kind.together.most - 1])
    return tuple(one.pk for one in kind.together.choose(row, found)) if found else ()


def _scope() -> Scope:
    scope = current_scope()
    if scope is None:
        raise RuntimeError("Work is claimed inside a scope.")
    return scope


def _end_lost(row: Work) -> bool:
    """Bring to an end what its worker left, if it is not to be tried again."""
    if row.cancel_wanted_at is not None:
        _write_end(row, Work.State.CANCELLED)
        return True
    if row.attempts < get_kind(row.kind).most_attempts:
        return False
    _write_end(row, Work.State.FAILED, **_reason(worker_lost()))
    return True


def worker_lost() -> WorkerLost:
    return WorkerLost(_("The process that did this ended unexpectedly. The worker's log may say why."))


def _purge() -> None:
    old = Work.objects.filter(created_at__lt=timezone.now() - KEPT, ended_at__lt=timezone.now() - KEPT)
    Work.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:PURGED_AT_ONCE])).delete()


def renew_each(pieces: Sequence[Held]) -> dict[UUID, Wish]:
    """A sign of life for pieces of one claim; tells of each, by its id, whether to go on."""
    rows = rows_of(pieces)
    rows.update(due_at=from_now(pieces[0].kind.lease_s), heartbeat_at=Now())
    found = dict(rows.values_list("pk", "cancel_wanted_at"))
    return {
        one.work_id: Wish.LOST
        if one.work_id not in found
        else Wish.GO_ON
        if found[one.work_id] is None
        else Wish.CANCEL
        for one in pieces
    }


def rows_of(pieces: Sequence[Held]):
    ids = [one.work_id for one in pieces]
    return Work.objects.filter(pk__in=ids, claim=pieces[0].claim, state=Work.State.RUNNING)


def tell_stages(pieces: Sequence[Held], stages: list[list[Any]]) -> None:
    """How far they are, of all alike."""
    rows_of(pieces).update(stages=stages)


@transaction.atomic
def conclude(held: Held) -> None:
    """The work is done. Raises ClaimLost."""
    _write_end(_lock(held), Work.State.DONE)


def conclude_each(pieces: Sequence[Held]) -> None:
    """All of them are done, or none. Inside a transaction. Raises ClaimLost."""
    rows = list(rows_of(pieces).order_by("pk").select_for_update())
    if len(rows) < len(pieces):
        raise ClaimLost
    for row in rows:
        if row.is_wanted_again:
            _write_end(row, Work.State.DONE)
    ended = [row.pk for row in rows if not row.is_wanted_again]
    Work.objects.filter(pk__in=ended).update(
        state=Work.State.DONE, claim=None, ended_at=Now(), **_reason(None)
    )


@transaction.atomic
def conclude_cancelled(held: Held) -> None:
    _write_end(_lock(held), Work.State.CANCELLED)


@transaction.atomic
def conclude_attempt(held: Held, error: Exception) -> bool:
    """The attempt failed: try again later, or never; returns whether it is. Raises ClaimLost."""
    row = _lock(held)
    if row.cancel_wanted_at is not None:
        _write_end(row, Work.State.CANCELLED)
        return False
    if _is_final(error) or row.attempts >= held.kind.most_attempts:
        _write_end(row, Work.State.FAILED, **_reason(error))
        return False
    pause_s = min(held.kind.backoff_s * 2 ** (row.attempts - 1), LONGEST_BACKOFF_S)
    pause_s = max(pause_s, getattr(error, "retry_after_s", None) or 0)
    _queue(row, pause_s, **_reason(error))
    return True


@transaction.atomic
def release(held: Held) -> None:
    """Give the piece back undone, because this worker ends: the attempt does not count. Raises ClaimLost."""
    row = _lock(held)
    _queue(row, 0, attempts=max(row.attempts - 1, 0))


@transaction.atomic
def put_back(held: Held) -> None:
    """For an attempt of its own, after one beside others that came to nothing. Raises ClaimLost."""
    _queue(_lock(held), 0)


def _lock(held: Held) -> Work:
    row = held.rows().select_for_update().first()
    if row is None:
        raise ClaimLost
    return row


def _queue(row: Work, pause_s: float, **changes: Any) -> None:
    due_at = timezone.now() + timedelta(seconds=pause_s)
    Work.objects.filter(pk=row.pk).update(
        state=Work.State.QUEUED, claim=None, due_at=from_now(pause_s), **changes
    )
    note_duty(duty_of(row.queue), due_at)


def _write_end(row: Work, state: Work.State, **changes: Any) -> None:
    """The row's end; what was ordered once more meanwhile waits again instead."""
    if state == Work.State.DONE:
        changes = _reason(None)
    if row.is_wanted_again:
        _queue(row, 0, is_wanted_again=False, attempts=0, stages=[], cancel_wanted_at=None, **changes)
        return
    if state == Work.State.DONE and not get_kind(row.kind).is_kept:
        Work.objects.filter(pk=row.pk).delete()
        return
    Work.objects.filter(pk=row.pk).update(state=state, claim=None, ended_at=Now(), **changes)
    call_back(row, state)


def call_back(row: Work, state: Work.State) -> None:
    """Tell the kind that its work came to nothing. What fails here must not keep the work from ending."""
    kind = find_kind(row.kind)
    if state == Work.State.DONE or kind is None or kind.on_failure is None:
        return
    row.refresh_from_db()
    try:
        with transaction.atomic():
            kind.on_failure(row)
    except Exception:
        logger.exception("%s %s: its failure could not be told", row.kind, row.pk)


def _is_final(error: Exception) -> bool:
    """Whether trying again would be refused again."""
    return (
        isinstance(error, AtriumError) and 400 <= error.http_status < 500 and error.http_status not in PASSING
    )


def _reason(error: Exception | None) -> dict[str, Any]:
    if error is None:
        return {"error_code": "", "error": "", "error_words": None}
    if isinstance(error, AtriumError):
        code, message = error.code, error.message
    else:
        code = "internal_error"
        message = _("It failed for a reason of ours. The worker's log says more.")
    return {"error_code": code[:60], "error": str(message)[:500], "error_words": words_of(message)}
