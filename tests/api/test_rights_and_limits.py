"""Rights of use and limits at `/api/v1`, in a session and by a key."""

import pytest

from accounts.models import ApiKey, Grant, Limit
from accounts.services import grant, set_limit
from models_registry.services import add_connection, add_model
from tenants.context import platform
from tenants.provisioning.plans import set_plan
from tests.api.test_keys_by_keys import client_of
from tests.estate import PROVIDER, make_estate

pytestmark = pytest.mark.django_db
JSON = {"content_type": "application/json"}
GRANTS, LIMITS = "/api/v1/grants/", "/api/v1/limits/"


@pytest.fixture
def estate(alice):
    return make_estate(alice)


@pytest.fixture
def alices(acme, alice, estate):
    return acme.login_as(alice)


def test_a_right_is_given_listed_changed_and_taken_back(alices, estate, bob):
    body = {"object": estate.model.name, "user": str(bob.pk)}
    made = alices.post(GRANTS, body, **JSON)
    assert made.status_code == 201, made.content
    row = made.json()
    assert (row["kind"], row["object_id"], row["effect"]) == ("model", str(estate.model.pk), "allow")
    assert row["user"] == str(bob.pk) and row["role"] is None
    again = alices.post(GRANTS, body | {"effect": "deny"}, **JSON).json()
    assert (again["id"], again["effect"]) == (row["id"], "deny")
    assert row["id"] in {one["id"] for one in alices.get(GRANTS).json()["results"]}
    assert alices.get(f"{GRANTS}{row['id']}/").json()["object_name"] == estate.model.name
    assert alices.delete(f"{GRANTS}{row['id']}/").status_code == 204
    assert alices.delete(f"{GRANTS}{row['id']}/").status_code == 404


def test_a_model_of_the_platform_is_granted_by_name_to_a_role(alices):
    with platform():
        shared = add_model(
            actor=None, connection=add_connection(actor=None, name="Theirs", **PROVIDER), name="shared"
        )
    made = alices.post(GRANTS, {"object": "shared", "role": "auditor"}, **JSON)
    assert made.status_code == 201 and made.json()["object_id"] == str(shared.pk)
    assert made.json()["role"] == "auditor"


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"object": "nothing"}, 404),
        ({"kind": "star"}, 400),
        ({"role": "nobody"}, 404),
        ({"user": "00000000-0000-0000-0000-000000000001"}, 404),
        ({"user": "x"}, 400),
        ({"effect": "perhaps"}, 400),
        ({"role": "auditor", "project": None}, 400),
        ({"role": None}, 400),
    ],
)
def test_a_right_that_makes_no_sense_is_refused(alices, estate, wrong, status):
    before = Grant.objects.count()
    response = alices.post(GRANTS, {"object": estate.model.name, "role": "auditor"} | wrong, **JSON)
    assert response.status_code == status, response.content
    assert Grant.objects.count() == before


def test_a_limit_is_set_listed_changed_and_lifted(alices, estate):
    body = {"level": "project", "subject_id": str(estate.project.pk), "measure": "tokens_per_day"}
    made = alices.post(LIMITS, body | {"amount": 5_000}, **JSON)
    assert made.status_code == 201, made.content
    row = made.json()
    assert (row["subject_id"], row["amount"]) == (str(estate.project.pk), 5_000)
    assert alices.post(LIMITS, body | {"amount": 6_000}, **JSON).json()["id"] == row["id"]
    address = f"{LIMITS}{row['id']}/"
    assert alices.patch(address, {"amount": 7_000}, **JSON).json()["amount"] == 7_000
    assert row["id"] in {one["id"] for one in alices.get(LIMITS).json()["results"]}
    assert alices.delete(address).status_code == 204 and alices.get(address).status_code == 404


@pytest.mark.parametrize("amount", [0, -1, 2_000_000_001, "many", None, 1e999, True, 1.5])
def test_an_amount_that_cannot_be_is_refused(alices, amount):
    before = list(Limit.objects.values_list("pk", "amount"))
    text = "1e999" if amount == 1e999 else None
    body = f'{{"level": "tenant", "measure": "calls_at_once", "amount": {text}}}' if text else None
    response = alices.post(
        LIMITS, body or {"level": "tenant", "measure": "calls_at_once", "amount": amount}, **JSON
    )
    assert response.status_code == 400, response.content
    assert list(Limit.objects.values_list("pk", "amount")) == before


def test_the_plans_limits_are_read_and_not_written(alices):
    set_plan(name="unlimited", tokens_per_minute=9_000)
    assert alices.get(f"{LIMITS}plan/").json() == [{"measure": "tokens_per_minute", "amount": 9_000}]
    assert alices.post(f"{LIMITS}plan/", {"amount": 1}, **JSON).status_code == 405
    page = alices.get("/admin/accounts/limit/").content.decode()
    assert "9,000" in page and "What does your plan allow?" in page


# -- by a key ------------------------------------------------------------------------------------------------


def test_a_key_that_is_bound_gives_no_rights_of_use(alice, bob, estate):
    """They say whom its limits let through to which model."""
    client, _key = client_of(alice, model_names=[estate.model.name])
    row = grant(actor=None, kind="model", target=estate.model.pk, user=bob)
    made = client.post(GRANTS, {"object": estate.model.name, "role": "auditor"}, **JSON)
    taken = client.delete(f"{GRANTS}{row.pk}/")
    assert {made.json()["code"], taken.json()["code"]} == {"beyond_own_key"}
    free, _key = client_of(alice)
    assert free.delete(f"{GRANTS}{row.pk}/").status_code == 204


def test_a_key_does_not_walk_out_of_its_persons_limits_by_a_key_of_another(alice, bob):
    client, _key = client_of(alice)
    new = {"name": "k", "user": str(bob.pk)}
    assert client.post("/api/v1/api-keys/", new, **JSON).status_code == 201
    set_limit(actor=None, level="user", subject_id=alice.pk, measure="requests_per_minute", amount=2)
    refused = client.post("/api/v1/api-keys/", new, **JSON)
    assert (refused.status_code, refused.json()["code"]) == (403, "beyond_own_key")
    assert client.post("/api/v1/api-keys/", {"name": "own"}, **JSON).status_code == 201


def test_a_key_loosens_none_of_its_limits_here_either(alice):
    client, key = client_of(alice, requests_per_minute=10)
    row = Limit.objects.get(key=key)
    for response in (
        client.patch(f"{LIMITS}{row.pk}/", {"amount": 11}, **JSON),
        client.delete(f"{LIMITS}{row.pk}/"),
        client.post(
            LIMITS,
            {
                "level": "key",
                "subject_id": str(key.pk),
                "measure": "requests_per_minute",
                "amount": 11,
            },
            **JSON,
        ),
    ):
        assert (response.status_code, response.json()["code"]) == (403, "beyond_own_key")
    assert client.patch(f"{LIMITS}{row.pk}/", {"amount": 9}, **JSON).json()["amount"] == 9


def test_a_key_that_a_key_makes_has_all_its_limits(alice):
    client, key = client_of(alice, requests_per_minute=10)
    for measure, amount in (("tokens_per_minute", 1_000), ("calls_at_once", 2)):
        set_limit(actor=None, level="key", subject_id=key.pk, measure=measure, amount=amount)
    made = client.post("/api/v1/api-keys/", {"name": "child", "requests_per_minute": 5}, **JSON)
    assert made.status_code == 201, made.content
    child = ApiKey.objects.get(pk=made.json()["id"])
    assert dict(child.limits.values_list("measure", "amount")) == {
        "requests_per_minute": 5,
        "tokens_per_minute": 1_000,
        "calls_at_once": 2,
    }
