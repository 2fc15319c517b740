"""The roles every tenant starts with. They are groups: an admin may change them, an upgrade only adds rights
to new things.
"""

from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.db.models import Q
from django.utils.translation import pgettext_lazy

ALL = "*"
# role → the models (app.model) and what may be done with them, in the order of Django's default permissions
_MANAGE, _VIEW = ("add", "change", "delete", "view"), ("view",)
ROLES: dict[str, dict[str, tuple[str, ...]]] = {
    "owner": {ALL: _MANAGE},
    "admin": {ALL: _MANAGE},
    "ai_developer": {"models_registry.*": _VIEW, "prompts.*": _VIEW, "rag.*": _MANAGE, "usage.*": _VIEW},
    "user": {},
    "auditor": {ALL: _VIEW},
    "billing": {"usage.*": _MANAGE},
}
LABELS = {
    "owner": pgettext_lazy("role", "Owner"),
    "admin": pgettext_lazy("role", "Administrator"),
    "ai_developer": pgettext_lazy("role", "AI developer"),
    "user": pgettext_lazy("role", "User"),
    "auditor": pgettext_lazy("role", "Auditor"),
    "billing": pgettext_lazy("role", "Billing"),
}
_MAY_ENTER_ADMIN = {"owner", "admin", "ai_developer", "auditor", "billing"}
OWNER, USER = "owner", "user"


def role_label(role: Group) -> str:
    """What people call a role: the built-in ones in their language, the others by the name that they were
    given.
    """
    return name_role(role.name)


def name_role(name: str) -> str:
    """The same for one of which only the stored name is known."""
    return str(LABELS.get(name, name))


def _tenant_apps() -> list[str]:
    """The labels of the apps that live in a tenant: rights on the platform's own objects would mean nothing
    there.
    """
    return [config.label for config in apps.get_app_configs() if config.name in settings.TENANT_APPS]


def _permissions_of(role: str) -> Q:
    wanted = Q(pk__in=[])
    for target, actions in ROLES[role].items():
        names = Q()
        for action in actions:
            names |= Q(codename__startswith=f"{action}_")
        names &= Q(content_type__app_label__in=_tenant_apps() if target == ALL else [target.split(".")[0]])
        wanted |= names
    if role in _MAY_ENTER_ADMIN:
        wanted |= Q(content_type__app_label="accounts", codename="access_admin")
    return wanted


@transaction.atomic
def ensure_roles() -> None:
    """Create the missing roles of the active tenant, and give those that exist their rights to what is new.
    Safe to call again.

    New is what the owner's role does not hold yet: it holds everything and nobody can change it. What an
    admin took from a role stays taken.
    """
    owner = Group.objects.filter(name=OWNER).first()
    known = set(owner.permissions.values_list("pk", flat=True)) if owner else set()
    for role in [name for name in ROLES if name != OWNER] + [OWNER]:
        group, is_new = Group.objects.get_or_create(name=role)
        wanted = Permission.objects.filter(_permissions_of(role))
        if is_new:  # with its rights from the beginning: the audit log needs no second entry
            held = Group.permissions.through
            held.objects.bulk_create(
                held(group_id=group.pk, permission_id=pk) for pk in wanted.values_list("pk", flat=True)
            )
        else:
            group.permissions.add(*wanted.exclude(pk__in=known))
