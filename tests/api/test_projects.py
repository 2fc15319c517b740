"""Projects of `/api/v1`: what may be done, is refused, and binds."""

from uuid import uuid4

import pytest

from accounts.models import Project
from models_registry.services import add_connection, add_model
from tests.api.test_keys_by_keys import client_of
from tests.estate import PROVIDER, make_estate

pytestmark = pytest.mark.django_db
JSON = {"content_type": "application/json"}
ADDRESS = "/api/v1/projects/"


def test_a_project_is_made_read_changed_and_deleted(acme, alice):
    acme.login_as(alice)
    body = {"name": "Law", "data_policy": "eu+unstored", "auto_models": ["small", "large"]}
    made = acme.post(ADDRESS, body, **JSON)
    assert made.status_code == 201 and made.json().items() >= body.items()
    address = f"{ADDRESS}{made.json()['id']}/"
    assert acme.get(address).json().items() >= (body | {"is_default": False}).items()
    changes = {"name": "Tax", "data_policy": "", "auto_models": []}
    assert acme.patch(address, changes, **JSON).json().items() >= changes.items()
    row = Project.objects.get(pk=made.json()["id"])
    assert (row.name, row.data_policy, row.auto_models) == ("Tax", "", [])
    assert acme.delete(address).status_code == 204 and not Project.objects.filter(pk=row.pk).exists()


@pytest.mark.parametrize(
    "body",
    [
        {"data_policy": "mars"},
        {"data_policy": None},
        {"auto_models": "small"},
        {"auto_models": ["x" * 121]},
        {"auto_models": ["twice", "twice"]},
        {"auto_models": [str(number) for number in range(21)]},
        {"name": ""},
        {"is_default": True},
    ],
    ids=lambda body: f"{body}"[:30],
)
def test_what_makes_no_sense_is_refused(acme, alice, body):
    acme.login_as(alice)
    before = list(Project.objects.values())
    address = f"{ADDRESS}{Project.objects.get(is_default=True).pk}/"
    assert acme.patch(address, body, **JSON).status_code == 400
    assert acme.post(ADDRESS, {"name": "Law"} | body, **JSON).status_code == 400
    assert list(Project.objects.values()) == before


def test_only_those_that_one_may_book_on_are_seen(acme, alice, bob):
    theirs = make_estate(alice).project
    acme.login_as(bob)
    assert [one["is_default"] for one in acme.get(ADDRESS).json()["results"]] == [True]
    missing, hidden = acme.get(f"{ADDRESS}{uuid4()}/"), acme.get(f"{ADDRESS}{theirs.pk}/")
    assert missing.status_code == hidden.status_code == 404
    assert missing.json()["detail"] == hidden.json()["detail"]


def test_the_default_project_is_not_deleted(acme, alice):
    acme.login_as(alice)
    answer = acme.delete(f"{ADDRESS}{Project.objects.get(is_default=True).pk}/")
    assert (answer.status_code, answer.json()["code"]) == (409, "default_project")


def test_a_key_with_limits_of_its_own_loosens_no_policy(alice):
    connection = add_connection(actor=None, name="Ours", **PROVIDER)
    add_model(actor=None, connection=connection, name="small")
    address = f"{ADDRESS}{Project.objects.get(is_default=True).pk}/"
    for names, status in (([], 200), (["small"], 403)):
        client, _key = client_of(alice, model_names=names)
        assert client.patch(address, {"data_policy": "eu"}, **JSON).status_code == status
        assert client.post(ADDRESS, {"name": str(status)}, **JSON).status_code == {200: 201}.get(
            status, status
        )


def test_two_who_give_one_name_at_the_same_moment_are_told(acme, alice, monkeypatch):
    """Both looked before either wrote: what one of them then meets is a conflict, no fault of ours."""
    acme.login_as(alice)
    assert acme.post(ADDRESS, {"name": "Twice"}, **JSON).status_code == 201
    monkeypatch.setattr(Project, "full_clean", lambda project: None)
    late = acme.post(ADDRESS, {"name": "Twice"}, **JSON)
    assert (late.status_code, late.json()["code"]) == (409, "conflict")
    assert [row["name"] for row in acme.get(ADDRESS).json()["results"]].count("Twice") == 1
