"""What the gateway keeps in memory: of keys, of people who call without one, of limits that bind many."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from accounts.models import ApiKey, Limit, User

MAKER = "maker"  # the level of a key's limit, for a key that it made


@dataclass(frozen=True, slots=True)
class LimitFacts:
    """A limit as the gateway needs it. `subject`: in counters, what tells it from others of its level."""

    level: str
    subject: str
    measure: str
    amount: int


@dataclass(frozen=True, slots=True)
class PersonFacts:
    """What the gateway keeps in memory of somebody who calls without a key."""

    is_active: bool
    group_ids: frozenset[int]
    project_ids: frozenset[UUID]  # where they are a member
    limits: tuple[LimitFacts, ...]


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """What the gateway keeps in memory of an API key."""

    id: UUID
    key_id: str
    digest: bytes
    user_id: UUID
    project_id: UUID
    scopes: frozenset[str]
    model_names: frozenset[str]
    group_ids: frozenset[int]  # of its person
    limits: tuple[LimitFacts, ...]  # its own, its makers' and its person's
    expires_at: datetime | None
    is_in_force: bool  # neither revoked, nor its person kept out; it may have expired


def find_key_facts(key_id: str) -> KeyFacts | None:
    """The key with this id, usable or not, or None."""
    rows = ApiKey.objects.select_related("user").prefetch_related("user__limits", "user__groups")
    row = rows.filter(key_id=key_id).first()
    if row is None:
        return None
    return KeyFacts(
        id=row.pk,
        key_id=row.key_id,
        digest=bytes(row.digest),
        user_id=row.user_id,
        project_id=row.project_id,
        scopes=frozenset(row.scopes),
        model_names=frozenset(row.model_names),
        group_ids=frozenset(group.pk for group in row.user.groups.all()),
        limits=(*_limits_of_key(row), *(_facts_of(limit) for limit in row.user.limits.all())),
        expires_at=row.expires_at,
        is_in_force=row.revoked_at is None and row.user.is_active,
    )


def _limits_of_key(key: ApiKey) -> list[LimitFacts]:
    """Its own and those of the keys that made it. One that is no lower than a maker's is left out: all that
    it counts the maker's counts too.
    """
    places: dict[UUID | None, int] = {pk: place for place, pk in enumerate([*key.maker_ids, key.pk])}
    found: dict[str, list[LimitFacts]] = {}
    for limit in sorted(Limit.objects.filter(key__in=places), key=lambda limit: places[limit.key_id]):
        lower = found.setdefault(limit.measure, [])
        if not lower or limit.amount < lower[-1].amount:
            level = limit.level if limit.key_id == key.pk else MAKER
            lower.append(LimitFacts(level, str(limit.key_id), limit.measure, limit.amount))
    return [limit for limits in found.values() for limit in limits]


def find_person_facts(user_id: UUID) -> PersonFacts | None:
    """The person with this id, kept out or not, or None."""
    row = User.objects.prefetch_related("groups", "limits", "memberships").filter(pk=user_id).first()
    if row is None:
        return None
    return PersonFacts(
        is_active=row.is_active,
        group_ids=frozenset(group.pk for group in row.groups.all()),
        project_ids=frozenset(member.project_id for member in row.memberships.all()),
        limits=tuple(_facts_of(limit) for limit in row.limits.all()),
    )


def list_shared_limits() -> list[LimitFacts]:
    """The limits of the active tenant that bind more than one person or key."""
    rows = Limit.objects.filter(level__in=[Limit.Level.TENANT, Limit.Level.PROJECT, Limit.Level.MODEL])
    return [_facts_of(row) for row in rows]


def _facts_of(row: Limit) -> LimitFacts:
    return LimitFacts(row.level, str(row.subject_id or ""), row.measure, row.amount)
