"""Rights for a person of a test, by a role of their own."""

from django.contrib.auth.models import Group, Permission

from accounts.models import User


def give_rights(person: User, *names: str) -> Group:
    """The role, which holds these permissions (`app.codename`)."""
    role = Group.objects.create(name=f"role of {person.pk}")
    for app_label, _dot, codename in (name.partition(".") for name in names):
        role.permissions.add(Permission.objects.get(content_type__app_label=app_label, codename=codename))
    person.groups.add(role)
    return role
