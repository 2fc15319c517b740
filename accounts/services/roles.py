"""Roles (groups) of a tenant: their names and rights. The owner's role stays as it is."""

from collections.abc import Iterable

from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import Grant, User
from accounts.permissions import require, require_to_hold
from accounts.roles import OWNER, ROLES
from foundation.errors import Conflict
from tenants.notify import announce


@transaction.atomic
def create_role(*, actor: User | None, name: str, permissions: Iterable[Permission]) -> Group:
    """Create a role. Raises NotAllowed (also for rights that the actor lacks), ValidationError."""
    require(actor, "auth.add_group")
    wanted = list(permissions)
    require_to_hold(actor, wanted)
    row = Group(name=name.strip())
    row.full_clean()
    row.save()
    row.permissions.set(wanted)
    return row


@transaction.atomic
def update_role(*, actor: User | None, role: Group, name: str, permissions: Iterable[Permission]) -> Group:
    """Change a role's name and rights; its people have them at their next request. Raises
    NotAllowed, Conflict, ValidationError.
    """
    require(actor, "auth.change_group")
    name, wanted = name.strip(), list(permissions)
    before = set(role.permissions.all())
    _refuse_owner(role)
    if role.name in ROLES and name != role.name:
        raise Conflict(
            _("The roles that every organisation starts with keep their names."),
            code="built_in_role",
            param="name",
        )
    require_to_hold(actor, set(wanted) ^ before)
    if name != role.name:
        role.name = name
        role.full_clean()
        role.save()
    role.permissions.set(wanted)
    announce("role", role.pk)
    return role


@transaction.atomic
def delete_role(*, actor: User | None, role: Group) -> None:
    """Delete a role that nobody has. Raises NotAllowed, Conflict."""
    require(actor, "auth.delete_group")
    if role.name in ROLES:
        raise Conflict(
            _("The roles that every organisation starts with stay. Take their people out instead."),
            code="built_in_role",
        )
    if role.user_set.exists():
        raise Conflict(_("People have this role. Give them another one first."), code="role_in_use")
    if Grant.objects.filter(role=role).exists():
        raise Conflict(_("Rights of use are given to this role. Take them back first."), code="role_in_use")
    role.delete()


def _refuse_owner(role: Group) -> None:
    if role.name == OWNER:
        raise Conflict(_("The owner's role has all rights and stays as it is."), code="built_in_role")
