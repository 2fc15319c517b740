"""People: who they are, what roles they have, whether they may come in. In `public`: operators.

The row that a caller hands in may be old: it is read again under a lock, and only what changes is written.
Otherwise a change that crosses a lock-out or a new password would take it back.
"""

from django.contrib.auth.models import Group
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.permissions import require, require_standing, require_to_hold
from accounts.roles import OWNER
from accounts.work_names import INVITATION
from foundation.errors import Conflict, InvalidInput, NotAllowed
from foundation.spacing import join_texts
from foundation.time_zones import list_time_zones
from tenants.notify import announce
from tenants.work.services import order


@transaction.atomic
def create_user(
    *,
    actor: User | None,
    email: str,
    name: str,
    password: str | None = None,
    roles: list[str] | None = None,
    is_operator: bool = False,
    language: str = "",
) -> User:
    """Create a person with roles (default: `user`). Without a password they set one through "forgotten
    password".

    Raises NotAllowed, Conflict (the address is taken), InvalidInput (password, role), ValidationError (other
    fields).
    """
    from allauth.account.models import EmailAddress

    require(actor, "accounts.add_user")
    email = email.strip().lower()
    _refuse_taken(email)
    user = User(email=email, name=name, is_superuser=is_operator, language=language)
    user.set_unusable_password()
    user.full_clean()
    if password is not None:
        set_checked_password(user, password)
    user.save()
    EmailAddress.objects.create(user=user, email=email, primary=True, verified=True)
    if not is_operator:
        set_roles(actor=actor, user=user, roles=roles or ["user"], is_new=True)
    announce("user", user.pk)
    return user


def set_checked_password(user: User, password: str) -> None:
    """Set a password that obeys the rules. Raises InvalidInput naming what is wrong. Does not save."""
    try:
        validate_password(password, user)
    except ValidationError as exc:
        raise InvalidInput(join_texts(exc.messages), code="weak_password", param="password") from exc
    user.set_password(password)


@transaction.atomic
def update_user(*, actor: User | None, user: User, **changes: str) -> User:
    """An administrator corrects a person's address, name or language. Raises NotAllowed, Conflict (address
    taken), ValidationError.

    The address decides who gets the link for a new password: of people with more rights than the actor's it
    cannot be changed.
    """
    from allauth.account.models import EmailAddress

    require(actor, "accounts.change_user")
    user.refresh_from_db(from_queryset=User.objects.select_for_update())
    require_standing(actor, user)
    if "email" in changes:
        changes["email"] = changes["email"].strip().lower()
        if changes["email"] != user.email:
            _refuse_taken(changes["email"])
            EmailAddress.objects.filter(user=user).delete()
            EmailAddress.objects.create(user=user, email=changes["email"], primary=True, verified=True)
    _change(user, changes, allowed=("email", "name", "language"))
    announce("user", user.pk)
    return user


def _change(user: User, changes: dict[str, str], allowed: tuple[str, ...]) -> None:
    """Write these fields of a locked row and no others. Raises ValidationError."""
    fields = [field for field in allowed if field in changes]
    for field in fields:
        setattr(user, field, changes[field])
    user.full_clean(exclude=["password"])
    user.save(update_fields=[*fields, "updated_at"])


def _refuse_taken(email: str) -> None:
    if User.objects.filter(email__iexact=email).exists():
        raise Conflict(
            _("Someone with the address %(email)s exists already.") % {"email": email},
            code="user_exists",
            param="email",
        )


@transaction.atomic
def invite_user(*, actor: User | None, user: User) -> None:
    """Send a mail with a link to choose a password. Raises NotAllowed, Conflict for someone who may not log
    in.
    """
    require(actor, "accounts.change_user")
    if not user.is_active:
        raise Conflict(_("This person is not active. Let them in first."), code="user_inactive")
    order(INVITATION, user.pk)


@transaction.atomic
def set_roles(*, actor: User | None, user: User, roles: list[str], is_new: bool = False) -> None:
    """Replace a person's roles. Only an owner makes owners, the last owner stays one, and nobody gives away
    rights that they lack.
    """
    require(actor, "accounts.add_user" if is_new else "accounts.change_user")
    groups = list(Group.objects.filter(name__in=roles))
    unknown = set(roles) - {group.name for group in groups}
    if unknown:
        raise InvalidInput(_("There is no role “%(role)s”.") % {"role": min(unknown)}, param="roles")
    before = set(user.groups.values_list("name", flat=True))
    if before == set(roles):
        return
    if (OWNER in roles) != (OWNER in before):
        if actor is not None and not actor.groups.filter(name=OWNER).exists():
            raise NotAllowed(_("Only an owner can name or remove an owner."), param="roles")
        if OWNER in before:
            _keep_an_owner(user)
    require_standing(actor, user)
    require_to_hold(actor, [group for group in groups if group.name not in before])
    user.groups.set(groups)
    announce("user", user.pk)


def _keep_an_owner(leaving: User) -> None:
    owners = User.objects.select_for_update().filter(groups__name=OWNER, is_active=True)
    if not [owner for owner in owners if owner.pk != leaving.pk]:
        raise Conflict(_("This is the last owner. Name another owner first."), code="last_owner")


def _keep_an_operator(leaving: User) -> None:
    operators = User.objects.select_for_update().filter(is_superuser=True, is_active=True)
    if not [operator for operator in operators if operator.pk != leaving.pk]:
        raise Conflict(_("This is the last operator. Add another one first."), code="last_operator")


@transaction.atomic
def set_user_active(*, actor: User | None, user: User, is_active: bool) -> None:
    """Let a person in or keep them out; their keys and sessions follow within a second."""
    require(actor, "accounts.change_user")
    require_standing(actor, user)
    if not is_active and actor is not None and actor.pk == user.pk:
        raise Conflict(_("You cannot lock yourself out. Ask another administrator."), code="own_account")
    if not is_active and user.groups.filter(name=OWNER).exists():
        _keep_an_owner(user)
    if not is_active and user.is_superuser:
        _keep_an_operator(user)
    user.is_active = is_active
    user.save(update_fields=["is_active", "updated_at"])
    announce("user", user.pk)


@transaction.atomic
def update_profile(*, user: User, **changes: str) -> User:
    """A person changes their own name, language, theme or time zone. Raises ValidationError."""
    user.refresh_from_db(from_queryset=User.objects.select_for_update())
    _change(user, changes, allowed=("name", "language", "theme", "time_zone"))
    return user


def adopt_time_zone(*, user: User, zone: str) -> None:
    """Give a person who has no time zone that of their browser. What is no time zone, or too rare to be known
    here, changes nothing.
    """
    if not user.time_zone and zone in list_time_zones():
        user.time_zone = zone
        user.save(update_fields=["time_zone", "updated_at"])
