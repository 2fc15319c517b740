"""Who may use an object: the one rule, for rows in the database and in the gateway's memory.

Who is refused is refused, whatever else allows it. Where nobody is allowed by name, everybody else may.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.contrib.postgres.aggregates import BoolOr
from django.db.models import BooleanField, Case, Q, QuerySet, Value, When

from accounts.models import Grant, User

Holder = tuple[str, object]  # ("role", its id), ("project", its id) or ("user", its id)
NOBODY: frozenset[Holder] = frozenset()


def holders_of(user_id: UUID, group_ids: Iterable[int], project_id: UUID) -> frozenset[Holder]:
    """All as whom a person acts, who works on a project."""
    roles = {("role", group_id) for group_id in group_ids}
    return frozenset({("user", user_id), ("project", project_id), *roles})


@dataclass(frozen=True, slots=True)
class ObjectGrants:
    """The grants on one object."""

    allowed: frozenset[Holder] = NOBODY
    denied: frozenset[Holder] = NOBODY

    def permit(self, holders: frozenset[Holder]) -> bool:
        if not self.denied.isdisjoint(holders):
            return False
        return not self.allowed or not self.allowed.isdisjoint(holders)


def load_grants(kind: str) -> dict[UUID, ObjectGrants]:
    """All grants of the active tenant on objects of a kind."""
    allowed: dict[UUID, set[Holder]] = defaultdict(set)
    denied: dict[UUID, set[Holder]] = defaultdict(set)
    for row in Grant.objects.filter(kind=kind):
        found = allowed if row.effect == Grant.Effect.ALLOW else denied
        found[row.object_id].add(holder_of(row))
    return {
        object_id: ObjectGrants(frozenset(allowed[object_id]), frozenset(denied[object_id]))
        for object_id in {*allowed, *denied}
    }


def holder_of(row: Grant) -> Holder:
    if row.role_id is not None:
        return "role", row.role_id
    return ("project", row.project_id) if row.project_id is not None else ("user", row.user_id)


def list_closed_objects(kind: str, user: User, project_id: UUID) -> QuerySet[Grant, UUID]:
    """Ids of the objects of a kind that a person who works on a project may not use, as a query."""
    is_mine = Q(user=user) | Q(role__in=user.groups.values("pk")) | Q(project=project_id)
    allows, denies = Q(effect=Grant.Effect.ALLOW), Q(effect=Grant.Effect.DENY)

    def any_of(condition: Q) -> BoolOr:
        return BoolOr(
            Case(When(condition, then=Value(True)), default=Value(False), output_field=BooleanField())
        )

    rows = Grant.objects.filter(kind=kind).order_by().values("object_id")
    rows = rows.annotate(
        is_denied=any_of(denies & is_mine), is_allowed=any_of(allows & is_mine), is_named=any_of(allows)
    )
    closed = rows.filter(Q(is_denied=True) | Q(is_named=True, is_allowed=False))
    return closed.values_list("object_id", flat=True)
