"""What this room puts into a new tenant, and the people of the demonstration."""

import secrets

from django.db import transaction

from accounts import services
from accounts.models import ApiKey, User
from accounts.roles import ensure_roles
from tenants.context import tenant
from tenants.occasions import migrated_tenant, new_tenant
from tenants.provisioning.people import Cast, Login, People, register_people

# The cast of the demonstration: tenant → address, name, role, language
CAST: dict[str | None, list[tuple[str, str, str | None]]] = {
    "acme": [("alice@acme.example", "Alice Amsel", "owner"), ("bob@acme.example", "Bob Berger", "user")],
    "globex": [("charlie@globex.example", "Charlie Chen", "owner")],
    None: [("olga@atrium.example", "Olga Orlova", None)],
}


@new_tenant.register
def seed_tenant(slug: str) -> None:
    ensure_roles()
    services.ensure_default_project()


@migrated_tenant.register
def renew_roles(slug: str) -> None:
    ensure_roles()


def make_cast(slug: str | None, known: set[str]) -> Cast:
    """Make the people that are missing, and a key for each owner among them.

    `known` names those whose password the demo file holds: anyone else's is set anew, so that a killed
    first start leaves nobody locked out.
    """
    people: dict[str, Login] = {}
    api_key = None
    for email, name, role in CAST.get(slug, []):
        first_name = name.split()[0].lower()
        user = User.objects.filter(email=email).first()
        if user is not None and first_name in known:
            continue
        password = secrets.token_urlsafe(9)
        if user is None:
            user = services.create_user(
                actor=None,
                email=email,
                name=name,
                password=password,
                roles=[role] if role else None,
                is_operator=slug is None,
            )
        else:
            services.set_checked_password(user, password)
            user.save(update_fields=["password"])
        people[first_name] = Login(email, password)
        if role == "owner":
            scopes = [ApiKey.Scope.INFERENCE, ApiKey.Scope.READ, ApiKey.Scope.MANAGE]
            _row, api_key = services.create_api_key(actor=None, user=user, name="Demo", scopes=scopes)
    return Cast(people, api_key)


def make_owner(slug: str, email: str, password: str | None) -> None:
    with tenant(slug), transaction.atomic():
        user = services.create_user(
            actor=None, email=email, name=email.split("@")[0], password=password, roles=["owner"]
        )
        if password is None:
            services.invite_user(actor=None, user=user)


register_people(People(make_owner=make_owner, make_cast=make_cast))
