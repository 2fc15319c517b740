"""Limits: how many requests, tokens and calls at once. One row per level, subject and measure."""

from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from accounts.models import ApiKey, Limit, Project, User
from accounts.objects import MODEL, get_object
from accounts.permissions import require
from accounts.selectors import find_limit, get_least_limits
from foundation.errors import InvalidInput, NotAllowed, NotFound
from tenants.measures import Measure
from tenants.notify import announce
from tenants.turns import take_turns

SUBJECTS: dict[str, Any] = {Limit.Level.PROJECT: Project, Limit.Level.USER: User, Limit.Level.KEY: ApiKey}


@transaction.atomic
def set_limit(
    *,
    actor: User | None,
    level: str,
    subject_id: UUID | None = None,
    measure: str,
    amount: int,
    within: ApiKey | None = None,
) -> Limit:
    """Bound what the organisation (no subject), a project, a person, a key or the callers of a model use; a
    limit that stands gets the new amount. Holds for calls within a second.

    `within` is the key by which the request came: it loosens no limit that binds it. Raises NotAllowed,
    InvalidInput, ValidationError.
    """
    require(actor, "accounts.change_limit")
    if measure not in Measure.values:
        raise InvalidInput(_("There is no measure “%(measure)s”.") % {"measure": measure}, param="measure")
    subject = _check_subject(level, subject_id)
    refuse_to_loosen(within, level, subject_id, measure, amount)
    return _write(level, subject, measure, amount)


@transaction.atomic
def change_limit(*, actor: User | None, limit: Limit, amount: int, within: ApiKey | None = None) -> Limit:
    """Give a limit another amount. Raises NotAllowed, NotFound, ValidationError."""
    require(actor, "accounts.change_limit")
    row = Limit.objects.select_for_update(of=("self",)).filter(pk=limit.pk).first()
    if row is None:
        raise NotFound(_("There is no such limit."))
    refuse_to_loosen(within, row.level, row.subject_id, row.measure, amount)
    return _save(row, amount)


@transaction.atomic
def remove_limit(*, actor: User | None, limit: Limit, within: ApiKey | None = None) -> None:
    """Lift a limit; again changes nothing. Raises NotAllowed."""
    require(actor, "accounts.delete_limit")
    refuse_to_loosen(within, limit.level, limit.subject_id, limit.measure, None)
    _remove(Limit.objects.filter(pk=limit.pk))


@transaction.atomic
def set_limits(
    *,
    actor: User | None,
    level: str,
    subject_id: UUID | None = None,
    amounts: dict[str, int | None],
) -> None:
    """The limits of one subject, by measure; None lifts one, and measures that are left out stay. Raises
    what `set_limit` and `remove_limit` raise.
    """
    _check_subject(level, subject_id)
    for measure, amount in amounts.items():
        if amount is not None:
            set_limit(actor=actor, level=level, subject_id=subject_id, measure=measure, amount=amount)
        elif row := find_limit(level, subject_id, measure):
            remove_limit(actor=actor, limit=row)


def write_key_limit(key: ApiKey, measure: str, amount: int | None) -> None:
    """For the services that make and change keys, which have asked who may. Raises ValidationError."""
    if amount is not None:
        _write(Limit.Level.KEY, {"key": key}, measure, amount)
    else:
        _remove(Limit.objects.filter(key=key, measure=measure))


def _check_subject(level: str, subject_id: UUID | None) -> dict[str, object]:
    """The column that names the subject, with its value. Raises InvalidInput."""
    if level not in Limit.Level.values:
        raise InvalidInput(_("There is no level “%(level)s”.") % {"level": level}, param="level")
    if level == Limit.Level.TENANT:
        return {}
    try:
        if subject_id is None:
            raise NotFound("")
        if level == Limit.Level.MODEL:
            return {"model_id": get_object(MODEL, subject_id).id}
        row = SUBJECTS[level].objects.filter(pk=subject_id).first()
        if row is None:
            raise NotFound("")
    except NotFound:
        raise InvalidInput(
            _("There is nobody and nothing with this id to give a limit to."), param="subject_id"
        ) from None
    return {level: row}


def _write(level: str, subject: dict[str, object], measure: str, amount: int) -> Limit:
    take_turns("limits")
    rows = Limit.objects.select_for_update(of=("self",)).filter(level=level, measure=measure, **subject)
    return _save(rows.first() or Limit(level=level, measure=measure, **subject), amount)


def _save(row: Limit, amount: int) -> Limit:
    if not row._state.adding and row.amount == amount:
        return row
    row.amount = amount
    row.full_clean(validate_unique=False, validate_constraints=False)
    row.save()
    _announce(row)
    return row


def _remove(rows: QuerySet[Limit]) -> None:
    for row in rows:
        _announce(row)
        row.delete()


def _announce(row: Limit) -> None:
    """To all, a key's too: it binds those that the key made, and one that it makes at this moment is not seen
    here yet.
    """
    announce("limit", row.pk)


def refuse_to_loosen(
    within: ApiKey | None, level: str, subject_id: UUID | None, measure: str, amount: int | None
) -> None:
    """A key neither raises nor lifts a limit that binds it, and gives no other key more than it has. Raises
    NotAllowed.
    """
    if within is None:
        return
    own: dict[str, UUID | None] = {
        Limit.Level.TENANT: None,
        Limit.Level.PROJECT: within.project_id,
        Limit.Level.USER: within.user_id,
        Limit.Level.KEY: subject_id,  # another key's is no way around its own
        Limit.Level.MODEL: subject_id,
    }
    if own.get(level, within.pk) != subject_id:
        return
    if level == Limit.Level.KEY:
        standing = get_least_limits(within).get(measure)
    else:
        row = find_limit(level, subject_id, measure)
        standing = row.amount if row is not None else None
    if standing is not None and (amount is None or amount > standing):
        raise NotAllowed(
            _("A key neither raises nor lifts a limit that binds it. Do it in the browser."),
            code="beyond_own_key",
            param="amount",
        )
