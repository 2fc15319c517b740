"""API keys: made, limited, revoked."""

from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import keys
from accounts.models import ApiKey, Project, User
from accounts.permissions import require, require_standing
from accounts.services.projects import ensure_default_project
from tenants.context import current_tenant
from tenants.errors import Conflict, InvalidInput
from tenants.notify import announce

CHANGEABLE = ("name", "project", "model_names", "requests_per_minute", "expires_at")


@transaction.atomic
def create_api_key(*, actor: User | None, user: User, name: str, scopes: list[str] | None = None, model_names: list[str] | None = None,
                   requests_per_minute: int | None = None, expires_at: datetime | None = None,
                   project: Project | None = None) -> tuple[ApiKey, str]:  # fmt: skip
    """Make a key for a person; returns (row, the key's text, which is shown once and never again).

    Everyone may make keys for themselves; for others, `accounts.add_apikey` is needed, and no fewer rights than theirs: a key acts as its
    person. Raises NotAllowed, InvalidInput, ValidationError.
    """
    if actor is None or actor.pk != user.pk:
        require(actor, "accounts.add_apikey")
        require_standing(actor, user)
    chosen = scopes or [ApiKey.Scope.INFERENCE]
    unknown = set(chosen) - set(ApiKey.Scope.values)
    if unknown:
        raise InvalidInput(_("There is no scope “%(scope)s”.") % {"scope": min(unknown)}, param="scopes")
    if ApiKey.Scope.ORGANIZATION in chosen and actor is not None:
        require(actor, "usage.view_usageevent")
    _refuse_past(expires_at)
    text, parsed = keys.make_key(current_tenant())
    row = ApiKey(key_id=parsed.key_id, digest=parsed.digest, name=name, user=user, project=project or ensure_default_project(), scopes=list(chosen),
                 model_names=model_names or [], requests_per_minute=requests_per_minute, expires_at=expires_at)  # fmt: skip
    row.full_clean(exclude=["digest"])
    row.save()
    announce("apikey", row.key_id)
    return row, text


@transaction.atomic
def update_api_key(*, actor: User | None, key: ApiKey, **changes: Any) -> ApiKey:
    """Change a key's name, project, models or limits; never its person, scopes or secret. Raises NotAllowed, Conflict, InvalidInput, ValidationError."""
    if actor is None or actor.pk != key.user_id:
        require(actor, "accounts.change_apikey")
    if key.revoked_at is not None:
        raise Conflict(_("This key is revoked. Make a new one."), code="key_revoked")
    unknown = set(changes) - set(CHANGEABLE)
    if unknown:
        raise InvalidInput(_("“%(field)s” of a key cannot be changed.") % {"field": min(unknown)}, param=min(unknown))
    if changes.get("expires_at") != key.expires_at:
        _refuse_past(changes.get("expires_at"))
    for field, value in changes.items():
        setattr(key, field, value)
    key.full_clean(exclude=["digest"])
    key.save()
    announce("apikey", key.key_id)
    return key


def _refuse_past(expires_at: datetime | None) -> None:
    if expires_at is not None and expires_at <= timezone.now():
        raise InvalidInput(_("The expiry lies in the past."), param="expires_at")


@transaction.atomic
def revoke_api_key(*, actor: User | None, key: ApiKey) -> ApiKey:
    """Make a key useless within a second. Calling it again changes nothing."""
    if actor is None or actor.pk != key.user_id:
        require(actor, "accounts.change_apikey")
    if key.revoked_at is None:
        key.revoked_at = timezone.now()
        key.save(update_fields=["revoked_at", "updated_at"])
        announce("apikey", key.key_id)
    return key


def record_key_use(last_used: dict[str, datetime]) -> None:
    """Book when keys were last used: key id → time. Called by the gateway every minute, not per call."""
    for key_id, used_at in last_used.items():
        ApiKey.objects.filter(key_id=key_id).update(last_used_at=used_at)
