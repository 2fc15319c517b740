"""Whose turn it is: tenants with due work in a queue, those that have waited longest first.

Who orders work notes a duty of the queue's name; who takes a piece for a tenant notes the next look, at the
end of the line, before the notes that led there are removed. So ten thousand orders of one tenant are one
place in the line, and no tenant with work is without a note.
"""

import logging
from dataclasses import dataclass

from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Min
from django.db.models.functions import Now

from tenants.context import platform, use_scope
from tenants.models import Duty
from tenants.work.claims import Held, claim_next, duty_of, from_now
from tenants.work.duties import scope_of_role

logger = logging.getLogger(__name__)
MOST_AT_ONCE = 100  # tenants of one look
AFTER_ERROR_S = 30.0


@dataclass(frozen=True)
class Turn:
    """One schema's place in a queue's line: the notes that it left."""

    queue: str
    role: str
    notes: list[int]


def list_turns(queue: str) -> list[Turn]:
    with platform():
        due = Duty.objects.filter(kind=duty_of(queue), due_at__lte=Now()).values("role")
        rows = due.annotate(first=Min("due_at"), notes=ArrayAgg("pk")).order_by("first", "role")
        return [Turn(queue, row["role"], row["notes"]) for row in rows[:MOST_AT_ONCE]]


def take_turn(turn: Turn) -> Held | None:
    """Claim one piece for the tenant whose turn it is. One whose schema fails waits a while."""
    try:
        with use_scope(scope_of_role(turn.role)):
            held = claim_next(turn.queue)
    except Exception:
        logger.exception("no work could be claimed for %s", turn.role)
        with platform():
            Duty.objects.filter(pk__in=turn.notes).update(due_at=from_now(AFTER_ERROR_S))
        return None
    with platform():
        Duty.objects.filter(pk__in=turn.notes).delete()
    return held
