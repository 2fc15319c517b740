"""API keys: made, limited, revoked.

Where the request itself came by a key, `within` is that key: what it makes or changes gets no more than it
has. Limits that are left out are taken over from it, and its own bind what it made too, in the same counters
(ApiKey.maker_ids): keys that it makes give it no more room. A key goes on where its maker is revoked, still
within that one's limits. Budgets of keys are known to a room above, which registers what it knows
(accounts.key_rules).

The row that a caller hands in may be old: it is read again under a lock, and only what changes is written.
Otherwise a change that crosses a revocation would take it back.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import keys
from accounts.grants import list_closed_objects
from accounts.key_rules import key_rules
from accounts.models import ApiKey, Project, User
from accounts.objects import MODEL, list_objects
from accounts.permissions import require, require_standing
from accounts.selectors import SCOPE_RIGHTS, get_least_limits
from accounts.services.limits import write_key_limit
from accounts.services.projects import ensure_default_project
from foundation.errors import Conflict, InvalidInput, NotAllowed
from tenants.context import current_tenant
from tenants.measures import Measure
from tenants.notify import announce

LIMIT = Measure.REQUESTS_PER_MINUTE.value  # a row of its own (accounts.models.Limit)
MOST_MAKERS = 100  # in a row: each may have limits, all of which every call asks
CHANGEABLE = ("name", "project", "model_names", LIMIT, "expires_at")


@dataclass(frozen=True)
class Terms:
    """What a new key may do, as far as its maker says so; None: left out."""

    scopes: list[str]
    model_names: list[str] | None
    expires_at: datetime | None
    project: Project | None
    limits: Mapping[str, int]  # measure → amount


@transaction.atomic
def create_api_key(
    *,
    actor: User | None,
    user: User,
    name: str,
    scopes: Sequence[str] | None = None,
    model_names: list[str] | None = None,
    requests_per_minute: int | None = None,
    limits: Mapping[str, int | None] | None = None,
    expires_at: datetime | None = None,
    project: Project | None = None,
    within: ApiKey | None = None,
) -> tuple[ApiKey, str]:
    """Make a key for a person; returns (row, the key's text, which is shown once and never again).

    Everyone may make keys for themselves; for others, `accounts.add_apikey` is needed, and no fewer rights
    than theirs: a key acts as its person. `limits`: by measure. Raises NotAllowed, InvalidInput,
    ValidationError.
    """
    if actor is None or actor.pk != user.pk:
        require(actor, "accounts.add_apikey")
        require_standing(actor, user)
    amounts = {LIMIT: requests_per_minute, **(limits or {})}
    terms = Terms(
        scopes=list(scopes or [ApiKey.Scope.INFERENCE]),
        model_names=model_names,
        expires_at=expires_at,
        project=project,
        limits={measure: amount for measure, amount in amounts.items() if amount is not None},
    )
    _refuse_scopes(actor, terms.scopes)
    if within is not None:
        terms = _bind(within, terms, user)
    _refuse_past(terms.expires_at)
    project = terms.project or ensure_default_project()
    new_names = set(terms.model_names or []) - set(within.model_names if within else [])
    _refuse_unknown_models(actor, new_names, user, project)
    row, text = _make_key(user, name, project, terms, within)
    announce("apikey", row.key_id)
    return row, text


def _refuse_scopes(actor: User | None, scopes: Collection[str]) -> None:
    """Raise InvalidInput for a scope that there is not, NotAllowed for one that the actor may not give."""
    unknown = set(scopes) - set(ApiKey.Scope.values)
    if unknown:
        raise InvalidInput(_("There is no scope “%(scope)s”.") % {"scope": min(unknown)}, param="scopes")
    for right in {SCOPE_RIGHTS[scope] for scope in scopes if scope in SCOPE_RIGHTS}:
        require(actor, right)


def _bind(within: ApiKey, terms: Terms, user: User) -> Terms:
    """The terms of a key that another one makes. Raises NotAllowed where that is not for it to make."""
    terms = _take_over_terms(within, terms)
    _refuse_beyond(within, **vars(terms), **terms.limits)
    _refuse_to_escape_limits(within, user)
    key_rules().check(within, user)
    _refuse_long_rows(within)
    return terms


def _take_over_terms(within: ApiKey, terms: Terms) -> Terms:
    """What the terms leave out comes from the asking key. An empty list of models leaves out nothing: it asks
    for all of them. Of each measure, the least limit of what binds the asking key: whoever made it may be
    gone one day.
    """
    return replace(
        terms,
        model_names=within.model_names if terms.model_names is None else terms.model_names,
        expires_at=terms.expires_at or within.expires_at,
        project=terms.project or within.project,
        limits={**get_least_limits(within), **terms.limits},
    )


def _make_key(
    user: User, name: str, project: Project, terms: Terms, within: ApiKey | None
) -> tuple[ApiKey, str]:
    text, parsed = keys.make_key(current_tenant())
    row = ApiKey(
        key_id=parsed.key_id,
        digest=parsed.digest,
        name=name,
        user=user,
        project=project,
        scopes=terms.scopes,
        model_names=terms.model_names or [],
        maker_ids=[*within.maker_ids, within.pk] if within is not None else [],
        expires_at=terms.expires_at,
    )
    row.full_clean(exclude=["digest"])
    row.save()
    for measure, amount in terms.limits.items():
        write_key_limit(row, measure, amount)
    return row, text


def _refuse_to_escape_limits(within: ApiKey, user: User) -> None:
    """The new key's calls would not count against the limits of the asking key's person."""
    if user.pk != within.user_id and within.user.limits.exists():
        raise NotAllowed(
            _(
                "A key whose person has limits makes keys for that person only. Make the new one in the "
                "browser."
            ),
            code="beyond_own_key",
        )


def _refuse_long_rows(within: ApiKey) -> None:
    if len(within.maker_ids) >= MOST_MAKERS:
        raise NotAllowed(
            _(
                "%(most)d keys in a row have made one another; this one makes none. Make the new one in the "
                "browser."
            )
            % {"most": MOST_MAKERS},
            code="beyond_own_key",
        )


@transaction.atomic
def update_api_key(
    *, actor: User | None, key: ApiKey, within: ApiKey | None = None, **changes: Any
) -> ApiKey:
    """Change a key's name, project, models or limits; never its person, scopes or secret. Raises NotAllowed,
    Conflict, InvalidInput, ValidationError.
    """
    if actor is None or actor.pk != key.user_id:
        require(actor, "accounts.change_apikey")
    key.refresh_from_db(from_queryset=_locked())
    if key.revoked_at is not None:
        raise Conflict(_("This key is revoked. Make a new one."), code="key_revoked")
    unknown = set(changes) - set(CHANGEABLE)
    if unknown:
        raise InvalidInput(
            _("“%(field)s” of a key cannot be changed.") % {"field": min(unknown)}, param=min(unknown)
        )
    if within is not None:
        _refuse_beyond(within, **changes)
    if changes.get("expires_at") != key.expires_at:
        _refuse_past(changes.get("expires_at"))
    new_names = set(changes.get("model_names") or []) - set(key.model_names)
    _refuse_unknown_models(actor, new_names, key.user, changes.get("project") or key.project)
    if LIMIT in changes:
        write_key_limit(key, LIMIT, changes.pop(LIMIT))
    for field, value in changes.items():
        setattr(key, field, value)
    key.full_clean(exclude=["digest"])
    key.save(update_fields=[*changes, "updated_at"])
    announce("apikey", key.key_id)
    return key


def _locked() -> QuerySet[ApiKey]:
    return ApiKey.objects.select_for_update(of=("self",)).select_related("user", "project")


def _refuse_beyond(within: ApiKey, **wanted: Any) -> None:
    """Raise NotAllowed naming the first of these values of another key that goes beyond `within`. Values
    that are no limits are not looked at.
    """
    most = get_least_limits(within)
    # who may change may read
    scopes = {*within.scopes, *([ApiKey.Scope.READ] if ApiKey.Scope.MANAGE in within.scopes else [])}
    lies_within: dict[str, Callable[[Any], bool]] = {
        "scopes": lambda names: set(names) <= scopes,
        "model_names": lambda names: (
            not within.model_names or (bool(names) and set(names) <= set(within.model_names))
        ),
        "expires_at": lambda moment: (
            within.expires_at is None or (moment is not None and moment <= within.expires_at)
        ),
        "project": lambda project: project.pk == within.project_id,  # a project's budget binds its keys only
    }
    for name, value in wanted.items():
        is_above = name in most and (value is None or value > most[name])
        if is_above or (name in lies_within and not lies_within[name](value)):
            raise NotAllowed(
                _("A key gives other keys at most what it has itself."), code="beyond_own_key", param=name
            )


def _refuse_unknown_models(actor: User | None, names: Collection[str], user: User, project: Project) -> None:
    """Raise InvalidInput for the first of these names that is of no model, switched on or off. To those who
    make keys only for themselves, a model that they may not use is none.
    """
    if not names:
        return
    sees_all = actor is None or actor.has_perm("accounts.add_apikey")
    closed = set() if sees_all else set(list_closed_objects(MODEL, user, project.pk))
    known = {name for row in list_objects(MODEL) if row.id not in closed for name in (row.name, *row.aliases)}
    if unknown := set(names) - known:
        raise InvalidInput(
            _(
                "There is no model “%(name)s” for this key. Give each model's own name or alias; no "
                "character stands for others."
            )
            % {"name": min(unknown)[:100]},
            code="model_not_found",
            param="model_names",
        )


def _refuse_past(expires_at: datetime | None) -> None:
    if expires_at is not None and expires_at <= timezone.now():
        raise InvalidInput(_("The expiry lies in the past."), param="expires_at")


@transaction.atomic
def revoke_api_key(*, actor: User | None, key: ApiKey) -> ApiKey:
    """Make a key useless within a second. Calling it again changes nothing."""
    if actor is None or actor.pk != key.user_id:
        require(actor, "accounts.change_apikey")
    key.refresh_from_db(from_queryset=_locked())
    if key.revoked_at is None:
        key.revoked_at = timezone.now()
        key.save(update_fields=["revoked_at", "updated_at"])
        announce("apikey", key.key_id)
    return key


def record_key_use(last_used: dict[str, datetime]) -> None:
    """Book when keys were last used: key id → time. Called by the gateway every minute, not per call."""
    for key_id, used_at in last_used.items():
        ApiKey.objects.filter(key_id=key_id).update(last_used_at=used_at)
