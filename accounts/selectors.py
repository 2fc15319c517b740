"""Reads with a rule: whose keys someone may see, and what the gateway must know of a key."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.utils.functional import Promise
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from accounts.grants import list_closed_objects
from accounts.models import ApiKey, Grant, Limit, Project, User
from accounts.objects import MODEL
from accounts.permissions import require
from foundation.errors import NotFound
from tenants.doors.hosts import KnownTenant
from tenants.local.models import WebOrigin

# what a person must be allowed to give a key this scope
SCOPE_RIGHTS: dict[str, str] = {ApiKey.Scope.ORGANIZATION: "usage.view_usageevent"}
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


def list_visible_limits(user: User) -> QuerySet[Limit]:
    """The limits of a person, their keys, their projects and their organisation; with `accounts.view_limit`,
    all.
    """
    rows = Limit.objects.select_related("project", "user", "key")
    if user.has_perm("accounts.view_limit"):
        return rows
    return rows.filter(
        Q(level=Limit.Level.TENANT)
        | Q(user=user)
        | Q(key__in=list_own_api_keys(user).values("pk"))
        | Q(project__in=list_projects_of(user).values("pk"))
    )


def get_visible_limit(user: User, pk: UUID | str) -> Limit:
    """One of the limits the person may see. Raises NotFound."""
    row = list_visible_limits(user).filter(pk=pk).first()
    if row is None:
        raise NotFound(_("There is no such limit."))
    return row


def list_own_limits(user: User) -> QuerySet[Limit]:
    """A person's own limits and those of their keys that still open something."""
    usable = Q(key__user=user, key__revoked_at=None)
    return Limit.objects.select_related("user", "key").filter(Q(user=user) | usable).order_by("-level", "key")


def list_visible_grants(actor: User | None) -> QuerySet[Grant]:
    """All rights of use, for whoever may see them. Raises NotAllowed."""
    require(actor, "accounts.view_grant")
    return Grant.objects.select_related("role", "project", "user")


def get_visible_grant(actor: User | None, pk: UUID | str) -> Grant:
    """One right of use. Raises NotFound, NotAllowed."""
    row = list_visible_grants(actor).filter(pk=pk).first()
    if row is None:
        raise NotFound(_("There is no such right of use."))
    return row


def get_role(name: str) -> Group:
    """The role of this name. Raises NotFound."""
    row = Group.objects.filter(name=name).first()
    if row is None:
        raise NotFound(_("There is no role “%(role)s”.") % {"role": name}, param="role")
    return row


def list_member_projects(user: User) -> QuerySet[Project]:
    """Where a person's chats may be booked: the default project and those they are a member of."""
    rows = Project.objects.filter(Q(is_default=True) | Q(memberships__user=user))
    return rows.distinct().order_by("-is_default", "name")


def name_people(ids: Iterable[UUID], *, with_address: bool = False) -> dict[UUID, str]:
    """Id → name (and address), of those there are."""
    people = User.objects.filter(pk__in=ids)
    return {row.pk: f"{row.name} <{row.email}>" if with_address else str(row) for row in people}


def name_keys(ids: Iterable[UUID]) -> dict[UUID, str]:
    """Id → what a key is called, of those there are."""
    return {key.pk: str(key) for key in ApiKey.objects.filter(pk__in=ids)}


def name_projects(ids: Iterable[UUID]) -> dict[UUID, str]:
    """Id → name, of those there are."""
    return {project.pk: str(project) for project in Project.objects.filter(pk__in=ids)}


def get_member_project(user: User, pk: UUID | str) -> Project:
    """One of the projects on which a person's chats may be booked. Raises NotFound."""
    try:
        row = list_member_projects(user).filter(pk=pk).first()
    except ValidationError:  # this is no id
        row = None
    if row is None:
        raise NotFound(_("There is no such project, or you are not a member of it."), param="project")
    return row


def search_people(text: str) -> QuerySet[User]:
    """People whose name or address holds the text."""
    return User.objects.filter(Q(email__icontains=text) | Q(name__icontains=text))


def search_keys(text: str) -> QuerySet[ApiKey]:
    """Keys whose name or id holds the text."""
    return ApiKey.objects.filter(Q(key_id__icontains=text) | Q(name__icontains=text))


def list_people() -> QuerySet[User]:
    return User.objects.all()


def list_projects() -> QuerySet[Project]:
    return Project.objects.all()


def list_projects_of(user: User) -> QuerySet[Project]:
    """The projects a person is a member of."""
    return Project.objects.filter(memberships__user=user)


def find_key(key_id: str) -> ApiKey | None:
    """The key with this id (its 8 public characters)."""
    return ApiKey.objects.filter(key_id=key_id).first()


def list_makers(ids: Collection[UUID]) -> dict[UUID, list[UUID]]:
    """Of each key that one of these made, directly or through others: all that made it."""
    rows = ApiKey.objects.filter(maker_ids__overlap=list(ids))
    return dict(rows.values_list("pk", "maker_ids"))


def find_project(name: str) -> Project | None:
    return Project.objects.filter(name=name).first()


def list_visible_api_keys(user: User) -> QuerySet[ApiKey]:
    """A person's own keys; with `accounts.view_apikey`, everyone's."""
    rows = ApiKey.objects.select_related("user", "project").prefetch_related("limits")
    return rows if user.has_perm("accounts.view_apikey") else rows.filter(user=user)


def get_visible_api_key(user: User, pk: UUID | str) -> ApiKey:
    """One of the keys the person may see. Raises NotFound."""
    row = list_visible_api_keys(user).filter(pk=pk).first()
    if row is None:
        raise NotFound(_("There is no such API key."))
    return row


def list_own_api_keys(user: User) -> QuerySet[ApiKey]:
    return ApiKey.objects.select_related("project").prefetch_related("limits").filter(user=user)


def list_grantable_scopes(user: User) -> list[tuple[str, str | Promise]]:
    """The scopes that a person may give a key of their own, with their labels."""
    return [
        (scope, label)
        for scope, label in ApiKey.Scope.choices
        if scope not in SCOPE_RIGHTS or user.has_perm(SCOPE_RIGHTS[scope])
    ]


def list_callable_models(door: KnownTenant, user: User) -> list[str]:
    """The names of the models that a person may call. The room that knows them stands above this one, so the
    settings name its selector.
    """
    routes = import_string(settings.MODEL_ROUTES)(UUID(door.plan_id), door.currency)
    closed = set(list_closed_objects(MODEL, user, get_default_project_id()))
    return sorted(name for name, route in routes.items() if route.model_id not in closed)


def list_visible_projects(user: User) -> QuerySet[Project]:
    """The projects a person may book on: the default one and those they are a member of; with
    `accounts.view_project`, all.
    """
    rows = Project.objects.all()
    return (
        rows
        if user.has_perm("accounts.view_project")
        else rows.filter(Q(is_default=True) | Q(memberships__user=user)).distinct()
    )


def get_visible_project(user: User, pk: UUID | str) -> Project:
    """One of the projects the person may book on. Raises NotFound."""
    row = list_visible_projects(user).filter(pk=pk).first()
    if row is None:
        raise NotFound(_("There is no such project."), param="project")
    return row


def get_visible_user(user: User, pk: UUID | str) -> User:
    """Oneself; with `accounts.view_user`, anyone. Raises NotFound."""
    row = User.objects.filter(pk=pk).first() if user.has_perm("accounts.view_user") or user.pk == pk else None
    if row is None:
        raise NotFound(_("There is no such person."), param="user")
    return row


def get_user_by_email(email: str) -> User:
    """The person with this address, whatever its case. Raises NotFound."""
    row = User.objects.filter(email__iexact=email.strip()).first()
    if row is None:
        raise NotFound(_("There is nobody with the address %(email)s.") % {"email": email}, param="email")
    return row


def get_project_policies() -> dict[UUID, str]:
    """Project id → where its data may go, of those that say so."""
    return dict(Project.objects.exclude(data_policy="").values_list("pk", "data_policy"))


def get_default_project_id() -> UUID:
    return Project.objects.values_list("pk", flat=True).get(is_default=True)


def list_web_origins() -> QuerySet[WebOrigin]:
    """The origins whose pages may call the active tenant; who may see them is the edges' question."""
    return WebOrigin.objects.all()


def get_web_origin(pk: str) -> WebOrigin:
    """Raises NotFound."""
    row = WebOrigin.objects.filter(pk=pk).first()
    if row is None:
        raise NotFound(_("There is no such origin."))
    return row
