"""Reads with a rule: whose keys someone may see, and what the gateway must know of a key."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils.functional import Promise
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from accounts.models import ApiKey, Project, User
from foundation.errors import NotFound
from tenants.doors.hosts import KnownTenant
from tenants.local.models import WebOrigin

# what a person must be allowed to give a key this scope
SCOPE_RIGHTS: dict[str, str] = {ApiKey.Scope.ORGANIZATION: "usage.view_usageevent"}


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
    requests_per_minute: int | None
    expires_at: datetime | None
    is_in_force: bool  # neither revoked, nor its person kept out; it may have expired


def find_key_facts(key_id: str) -> KeyFacts | None:
    """The key with this id, usable or not, or None."""
    row = ApiKey.objects.select_related("user").filter(key_id=key_id).first()
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
        requests_per_minute=row.requests_per_minute,
        expires_at=row.expires_at,
        is_in_force=row.revoked_at is None and row.user.is_active,
    )


def is_active_user(user_id: UUID) -> bool:
    """Whether there is such a person, and they are not kept out."""
    return User.objects.filter(pk=user_id, is_active=True).exists()


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


def find_project(name: str) -> Project | None:
    return Project.objects.filter(name=name).first()


def list_visible_api_keys(user: User) -> QuerySet[ApiKey]:
    """A person's own keys; with `accounts.view_apikey`, everyone's."""
    rows = ApiKey.objects.select_related("user", "project")
    return rows if user.has_perm("accounts.view_apikey") else rows.filter(user=user)


def get_visible_api_key(user: User, pk: UUID | str) -> ApiKey:
    """One of the keys the person may see. Raises NotFound."""
    row = list_visible_api_keys(user).filter(pk=pk).first()
    if row is None:
        raise NotFound(_("There is no such API key."))
    return row


def list_own_api_keys(user: User) -> QuerySet[ApiKey]:
    return ApiKey.objects.select_related("project").filter(user=user)


def list_grantable_scopes(user: User) -> list[tuple[str, str | Promise]]:
    """The scopes that a person may give a key of their own, with their labels."""
    return [
        (scope, label)
        for scope, label in ApiKey.Scope.choices
        if scope not in SCOPE_RIGHTS or user.has_perm(SCOPE_RIGHTS[scope])
    ]


def list_callable_models(door: KnownTenant) -> list[str]:
    """The names of the models that the tenant's people may call. The room that knows them stands above this
    one, so the settings name its selector.
    """
    return sorted(import_string(settings.MODEL_ROUTES)(UUID(door.plan_id), door.currency))


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
