"""The questions every service asks first: may this person do it, and do they stand high enough to do it to
that person?
"""

from collections.abc import Iterable

from django.contrib.auth.models import Group, Permission
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.roles import OWNER
from foundation.errors import NotAllowed


def require(actor: User | None, permission: str) -> None:
    """Raise NotAllowed unless the actor holds the permission (`app.codename`). None is the command line,
    which holds them all.
    """
    if actor is not None and not (actor.is_active and actor.has_perm(permission)):
        raise NotAllowed(_("You are not allowed to do this. Ask an administrator of your organisation."))


def require_standing(actor: User | None, person: User) -> None:
    """Raise NotAllowed if the other person holds rights that the actor lacks: who could change them could
    become them.
    """
    if actor is None or actor.pk == person.pk or actor.is_superuser:
        return
    is_above = person.is_superuser or (
        person.groups.filter(name=OWNER).exists() and not actor.groups.filter(name=OWNER).exists()
    )
    if is_above or not _held_by(person) <= _held_by(actor):
        raise NotAllowed(_("This person has rights that you do not have. Ask an owner of your organisation."))


def require_to_hold(actor: User | None, rights: Iterable[Group | Permission]) -> None:
    """Raise NotAllowed unless the actor holds every one of these permissions, and all that these roles
    contain: nobody gives what they lack.
    """
    rights = list(rights)
    if actor is None or actor.is_superuser or not rights:
        return
    wanted = {row.pk for row in rights if isinstance(row, Permission)}
    groups = [row for row in rights if isinstance(row, Group)]
    wanted |= set(Permission.objects.filter(group__in=groups).values_list("pk", flat=True))
    if not wanted <= _held_by(actor):
        raise NotAllowed(_("You can only give rights that you have yourself."))


def _held_by(person: User) -> set[int]:
    """Ids of the permissions a person has by their roles; also of someone who is not active, who may be let
    in again.
    """
    return set(Permission.objects.filter(group__user=person).values_list("pk", flat=True))
