"""Whose keys someone may see, which made which, and what a key may open."""

from collections.abc import Collection, Iterable
from uuid import UUID

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from accounts.grants import list_closed_objects
from accounts.models import ApiKey, User
from accounts.objects import MODEL
from accounts.selectors.projects import get_default_project_id
from foundation.errors import NotFound
from tenants.doors.hosts import KnownTenant

# what a person must be allowed to give a key this scope
SCOPE_RIGHTS: dict[str, str] = {ApiKey.Scope.ORGANIZATION: "usage.view_usageevent"}


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


def find_key(key_id: str) -> ApiKey | None:
    """The key with this id (its 8 public characters)."""
    return ApiKey.objects.filter(key_id=key_id).first()


def find_key_name(pk: UUID, *, is_usable: bool = False) -> str:
    """Its 8 public characters; "" of a key that does not exist any more, or (`is_usable`) that is revoked or
    has expired.
    """
    rows = ApiKey.objects.filter(pk=pk)
    if is_usable:
        has_time = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
        rows = rows.filter(has_time, revoked_at=None)
    return rows.values_list("key_id", flat=True).first() or ""


def list_makers(ids: Collection[UUID]) -> dict[UUID, list[UUID]]:
    """Of each key that one of these made, directly or through others: all that made it."""
    rows = ApiKey.objects.filter(maker_ids__overlap=list(ids))
    return dict(rows.values_list("pk", "maker_ids"))


def count_made_keys(maker_id: UUID) -> int:
    """How many keys that this one made, directly or through others, still work."""
    made = ApiKey.objects.filter(maker_ids__contains=[maker_id], revoked_at=None)
    return made.filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now())).count()


def name_keys(ids: Iterable[UUID]) -> dict[UUID, str]:
    """Id → what a key is called, of those there are."""
    return {key.pk: str(key) for key in ApiKey.objects.filter(pk__in=ids)}


def name_keys_with_owners(ids: Iterable[UUID]) -> dict[UUID, str]:
    rows = ApiKey.objects.filter(pk__in=ids).select_related("user")
    return {key.pk: key.name_with_owner for key in rows}


def search_keys(text: str) -> QuerySet[ApiKey]:
    """Keys whose name or id holds the text."""
    return ApiKey.objects.filter(Q(key_id__icontains=text) | Q(name__icontains=text))
