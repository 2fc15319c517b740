"""Alice owns Acme, Bob is its member, Charlie owns Globex, Olga operates the platform."""

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.db import connections

from accounts.services import create_user
from tenants.context import platform, tenant
from tenants.database.schemas import migrate_public, migrate_template
from tenants.occasions import platform_start
from tenants.provisioning.services import create_tenant, ensure_default_plans

PASSWORD = "correct horse battery staple"
ROUNDS = 1_000  # of a password's hash: what log-ins do is tested, not how long it takes
PEOPLE = {"acme": [("alice", "owner"), ("bob", "user")], "globex": [("charlie", "owner")]}


def move_in() -> None:
    """Migrate public and the template, clone both tenants, and make the people."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PBKDF2PasswordHasher, "iterations", ROUNDS)
        migrate_public()
        migrate_template()
        with platform():
            ensure_default_plans()
            platform_start.run()
            create_user(
                actor=None,
                email="olga@atrium.example",
                name="Olga Orlova",
                password=PASSWORD,
                is_operator=True,
            )
        for slug, people in PEOPLE.items():
            create_tenant(slug=slug, name=slug.capitalize(), host=f"{slug}.localhost", plan="unlimited")
            with tenant(slug):
                for name, role in people:
                    create_user(
                        actor=None,
                        email=f"{name}@{slug}.example",
                        name=name.capitalize(),
                        password=PASSWORD,
                        roles=[role],
                    )
    connections.close_all()
