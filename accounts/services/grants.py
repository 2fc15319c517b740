"""Rights of use: given to and taken from roles, projects and people."""

from uuid import UUID

from django.contrib.auth.models import Group
from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import Grant, Limit, Project, User
from accounts.objects import get_object
from accounts.permissions import require
from foundation.errors import InvalidInput
from tenants.notify import announce
from tenants.turns import take_turns


@transaction.atomic
def grant(
    *,
    actor: User | None,
    kind: str,
    target: UUID | str,
    effect: str = Grant.Effect.ALLOW,
    role: Group | None = None,
    project: Project | None = None,
    user: User | None = None,
) -> Grant:
    """Let a role, a project or a person use an object (`target`: its id or name), or refuse it to them; a
    grant that stands is changed. Within a second it holds for calls. Raises NotAllowed, NotFound,
    InvalidInput.
    """
    require(actor, "accounts.add_grant")
    if sum(holder is not None for holder in (role, project, user)) != 1:
        raise InvalidInput(_("Name one role, one project or one person."), param="role")
    if effect not in Grant.Effect.values:
        raise InvalidInput(_("There is no effect “%(effect)s”.") % {"effect": effect}, param="effect")
    found = get_object(kind, target)
    take_turns("grants")
    rows = Grant.objects.select_for_update(of=("self",)).filter(
        kind=kind, object_id=found.id, role=role, project=project, user=user
    )
    row = rows.first() or Grant(kind=kind, object_id=found.id, role=role, project=project, user=user)
    if not row._state.adding and row.effect == effect:
        return row
    row.effect = effect
    row.object_name = found.name
    row.full_clean(validate_unique=False)
    row.save()
    announce("grant", row.pk)
    return row


@transaction.atomic
def forget_object(*, kind: str, object_id: UUID) -> None:
    """An object is gone: rights of use and limits of it go too. For the room that owns it."""
    Limit.objects.filter(level=Limit.Level.MODEL, model_id=object_id).delete()
    Grant.objects.filter(kind=kind, object_id=object_id).delete()
    announce("grant", object_id)


@transaction.atomic
def revoke_grant(*, actor: User | None, grant: Grant) -> None:
    """Take a right of use back, or a refusal; again changes nothing. Raises NotAllowed."""
    require(actor, "accounts.delete_grant")
    grant_id = grant.pk
    Grant.objects.filter(pk=grant_id).delete()
    announce("grant", grant_id)
