"""A tenant of its own whose rows are committed, so that threads and processes see them."""

from types import SimpleNamespace
from uuid import uuid4

import pytest

from accounts.services import create_user
from tenants.context import tenant
from tenants.provisioning.plans import set_plan
from tenants.provisioning.services import create_tenant


@pytest.fixture(scope="module")
def archive(django_db_setup, django_db_blocker):
    """`slug`, whose plan has the same name, and `person`."""
    from django.db import connections

    slug = f"files-{uuid4().hex[:8]}"
    with django_db_blocker.unblock():
        set_plan(name=slug, label=slug)
        create_tenant(slug=slug, name=slug, host=f"{slug}.localhost", plan=slug)
        with tenant(slug):
            person = create_user(actor=None, email=f"erin@{slug}.example", name="Erin", roles=["user"])
            yield SimpleNamespace(slug=slug, person=person)
        connections.close_all()
