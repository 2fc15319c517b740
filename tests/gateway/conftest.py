"""What several modules of the gateway's tests need."""

from types import SimpleNamespace
from uuid import uuid4

import pytest

from accounts.services import create_api_key, create_project, create_user
from gateway.steps import attempts
from tenants.context import tenant
from tenants.provisioning.plans import set_plan
from tenants.provisioning.services import create_tenant
from tests.doubles import running_mockllm


@pytest.fixture(scope="module")
def mock():
    with running_mockllm() as running:
        yield running


@pytest.fixture
def short_pauses(monkeypatch):
    """Between the attempts at one server."""
    monkeypatch.setattr(attempts, "PAUSES_S", (0.01, 0.02))


def make_place(house) -> SimpleNamespace:
    """A tenant with a plan of its own."""
    slug = f"limits-{uuid4().hex[:8]}"
    set_plan(name=slug, label=slug)
    create_tenant(slug=slug, name=slug, host=f"{slug}.localhost", plan=slug)
    return SimpleNamespace(slug=slug, house=house)


def people(place: SimpleNamespace) -> SimpleNamespace:
    """The tenant with a person, a project and a key that no other test has."""
    mark = uuid4().hex[:8]
    with tenant(place.slug):
        person = create_user(
            actor=None, email=f"erin-{mark}@{place.slug}.example", name="Erin", roles=["user"]
        )
        project = create_project(actor=None, name=f"Law {mark}")
        key, text = create_api_key(actor=None, user=person, name="k", project=project)
    return SimpleNamespace(
        slug=place.slug, house=place.house, person=person, project=project, key=key, text=text
    )


@pytest.fixture(scope="module")
def shared_place(house, django_db_blocker):
    with django_db_blocker.unblock():
        yield make_place(house)


@pytest.fixture
def place(request, house, shared_place, django_db_blocker):
    """The module's tenant, and in it a person, a project and a key of the test's own. One that changes what
    the whole tenant has is marked `alone`: making a tenant takes half a second.
    """
    with django_db_blocker.unblock():
        is_alone = request.node.get_closest_marker("alone")
        yield people(make_place(house) if is_alone else shared_place)
