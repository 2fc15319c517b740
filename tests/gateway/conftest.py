"""What several modules of the gateway's tests need."""

from types import SimpleNamespace
from uuid import uuid4

import pytest

from accounts.services import create_api_key, create_project, create_user
from gateway.steps import attempts
from tenants.context import tenant
from tenants.provisioning.plans import set_plan
from tenants.provisioning.services import create_tenant


@pytest.fixture
def short_pauses(monkeypatch):
    """Between the attempts at one server."""
    monkeypatch.setattr(attempts, "PAUSES_S", (0.01, 0.02))


@pytest.fixture
def place(house, django_db_blocker):
    """A tenant with a plan, a person, a project and a key of its own."""
    slug = f"limits-{uuid4().hex[:8]}"
    with django_db_blocker.unblock():
        set_plan(name=slug, label=slug)
        create_tenant(slug=slug, name=slug, host=f"{slug}.localhost", plan=slug)
        with tenant(slug):
            person = create_user(actor=None, email=f"erin@{slug}.example", name="Erin", roles=["user"])
            project = create_project(actor=None, name="Law")
            key, text = create_api_key(actor=None, user=person, name="k", project=project)
        yield SimpleNamespace(slug=slug, person=person, project=project, key=key, text=text, house=house)
