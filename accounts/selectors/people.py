"""People and their roles."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from django.contrib.auth.models import Group
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.roles import OWNER
from foundation.errors import NotFound


def list_people() -> QuerySet[User]:
    return User.objects.all()


def get_visible_user(user: User, pk: UUID | str) -> User:
    """Oneself; with `accounts.view_user`, anyone. Raises NotFound."""
    row = User.objects.filter(pk=pk).first() if user.has_perm("accounts.view_user") or user.pk == pk else None
    if row is None:
        raise NotFound(_("There is no such person."), param="user")
    return row


def get_known_user(user_id: UUID) -> User:
    """Whoever makes a call or has ordered a piece of work, by the id that is kept with it. Not for ids that
    come from outside: see get_visible_user. Raises User.DoesNotExist.
    """
    return User.objects.filter(pk=user_id).get()


def get_user_by_email(email: str) -> User:
    """The person with this address, whatever its case. Raises NotFound."""
    row = User.objects.filter(email__iexact=email.strip()).first()
    if row is None:
        raise NotFound(_("There is nobody with the address %(email)s.") % {"email": email}, param="email")
    return row


def search_people(text: str) -> QuerySet[User]:
    """People whose name or address holds the text."""
    return User.objects.filter(Q(email__icontains=text) | Q(name__icontains=text))


def name_people(ids: Iterable[UUID], *, with_address: bool = False) -> dict[UUID, str]:
    """Id → name (and address), of those there are."""
    people = User.objects.filter(pk__in=ids)
    return {row.pk: f"{row.name} <{row.email}>" if with_address else str(row) for row in people}


def get_role(name: str) -> Group:
    """The role of this name. Raises NotFound."""
    row = Group.objects.filter(name=name).first()
    if row is None:
        raise NotFound(_("There is no role “%(role)s”.") % {"role": name}, param="role")
    return row


def find_first_active(user_ids: Sequence[UUID | None]) -> UUID | None:
    """The first of these people who is let in."""
    wanted = [pk for pk in user_ids if pk is not None]
    found = set(User.objects.filter(pk__in=wanted, is_active=True).values_list("pk", flat=True))
    return next((pk for pk in user_ids if pk in found), None)


def find_owner_id() -> UUID | None:
    """Who answers for the organisation where nobody else does: its first owner who is let in."""
    owners = User.objects.filter(is_active=True, groups__name=OWNER).order_by("pk")
    return owners.values_list("pk", flat=True).first()
