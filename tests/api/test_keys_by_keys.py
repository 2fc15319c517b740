"""A key that makes or changes keys gives them at most what it has itself."""

from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import ApiKey, Limit
from accounts.selectors import find_key_facts
from accounts.services import create_api_key, create_project, revoke_api_key, set_limit
from foundation.errors import NotAllowed
from models_registry.services import add_connection, add_model, remove_model
from tenants.measures import Measure
from tests.estate import PROVIDER, make_estate
from usage.models import Budget
from usage.services import set_budget

pytestmark = pytest.mark.django_db
JSON = {"content_type": "application/json"}
LATER = timezone.now() + timedelta(days=7)
LIMITS = {
    "scopes": ["inference", "manage"],
    "model_names": ["small", "large"],
    "requests_per_minute": 10,
    "expires_at": LATER,
}


@pytest.fixture
def models():
    connection = add_connection(actor=None, name="Ours", **PROVIDER)
    return [add_model(actor=None, connection=connection, name=name) for name in LIMITS["model_names"]]


def client_of(user, **limits) -> tuple[Client, ApiKey]:
    row, text = create_api_key(
        actor=None, user=user, name="limited", **{"scopes": ["inference", "manage"]} | limits
    )
    return Client(headers={"host": "acme.localhost", "authorization": f"Bearer {text}"}), row


@pytest.fixture
def limited(alice, models):
    return client_of(alice, **LIMITS)


BEYOND = [
    {"scopes": ["organization"]},
    {"scopes": ["inference", "organization"]},
    {"model_names": []},
    {"model_names": ["small", "huge"]},
    {"requests_per_minute": 11},
    {"expires_at": (LATER + timedelta(seconds=1)).isoformat()},
]
WITHIN = [
    {"scopes": ["read"]}, {"scopes": ["manage"]}, {"model_names": ["small"]}, {"requests_per_minute": 10},
    {"expires_at": (LATER - timedelta(days=1)).isoformat()},
]  # fmt: skip


@pytest.mark.parametrize("wanted", BEYOND, ids=str)
def test_a_limited_key_makes_no_key_beyond_itself(limited, wanted):
    response = limited[0].post("/api/v1/api-keys/", {"name": "new", **wanted}, **JSON)
    assert (
        response.status_code == 403
        and response.json()["code"] == "beyond_own_key"
        and response.json()["param"] in wanted
    )
    assert ApiKey.objects.count() == 1


@pytest.mark.parametrize("wanted", WITHIN, ids=str)
def test_within_itself_it_may(limited, wanted):
    assert limited[0].post("/api/v1/api-keys/", {"name": "new", **wanted}, **JSON).status_code == 201


def test_a_key_with_a_budget_of_its_own_makes_none(alice):
    """The new one would spend what that budget does not count."""
    client, own = client_of(alice)
    set_budget(actor=None, level="key", subject_id=own.pk, limit=Decimal(5))
    response = client.post("/api/v1/api-keys/", {"name": "new"}, **JSON)
    assert (response.status_code, response.json()["code"]) == (
        403,
        "beyond_own_key",
    ) and ApiKey.objects.count() == 1
    other, _text = client_of(alice)
    assert other.post("/api/v1/api-keys/", {"name": "new"}, **JSON).status_code == 201, (
        "another key of the same person may"
    )


def test_a_model_that_is_gone_stands_in_the_way_of_no_key(limited, models):
    """Only names that are new must be known."""
    client, own = limited
    remove_model(actor=None, model=models[0])
    assert client.post("/api/v1/api-keys/", {"name": "new"}, **JSON).status_code == 201
    changes = {"model_names": ["small", "large"], "name": "kept"}
    assert client.patch(f"/api/v1/api-keys/{own.pk}/", changes, **JSON).status_code == 200


@pytest.fixture
def dear(alice):
    """A project beside the default one, in which Alice may make keys too."""
    return create_project(actor=alice, name="Dear")


def test_a_key_stays_in_its_project_and_makes_keys_there_only(limited, alice, dear):
    """Each project has a budget of its own, and a key of another project spends nothing of it."""
    client, own = limited
    for response in (
        client.post("/api/v1/api-keys/", {"name": "new", "project": str(dear.pk)}, **JSON),
        client.patch(f"/api/v1/api-keys/{own.pk}/", {"project": str(dear.pk)}, **JSON),
    ):
        assert (response.status_code, response.json()["code"], response.json()["param"]) == (
            403,
            "beyond_own_key",
            "project",
        )
    own.refresh_from_db()
    assert ApiKey.objects.get() == own and own.project != dear
    assert (
        client.post("/api/v1/api-keys/", {"name": "new", "project": str(own.project_id)}, **JSON).status_code
        == 201
    )


def test_a_session_makes_and_moves_keys_in_any_project_of_the_person(acme, alice, dear):
    acme.login_as(alice)
    key = acme.post("/api/v1/api-keys/", {"name": "new", "project": str(dear.pk)}, **JSON)
    assert key.status_code == 201 and key.json()["project"]["id"] == str(dear.pk)


def test_what_is_left_out_is_taken_over(limited):
    body = limited[0].post("/api/v1/api-keys/", {"name": "new"}, **JSON).json()
    new = ApiKey.objects.get(pk=body["id"])
    assert (new.scopes, new.model_names, new.requests_per_minute, new.expires_at) == (
        ["inference"],
        ["small", "large"],
        10,
        LATER,
    )


@pytest.mark.parametrize(
    "wanted",
    [{"model_names": []}, {"requests_per_minute": None}, {"requests_per_minute": 11}, {"expires_at": None}],
    ids=str,
)
def test_it_frees_neither_itself_nor_another_key(limited, alice, wanted):
    client, own = limited
    other, _text = create_api_key(actor=None, user=alice, name="other", **LIMITS)
    for row in (own, other):
        response = client.patch(f"/api/v1/api-keys/{row.pk}/", wanted, **JSON)
        assert response.status_code == 403 and response.json()["code"] == "beyond_own_key"
        row.refresh_from_db()
        assert (row.model_names, row.requests_per_minute, row.expires_at) == (["small", "large"], 10, LATER)
    assert (
        client.patch(
            f"/api/v1/api-keys/{other.pk}/", {"name": "renamed", "requests_per_minute": 5}, **JSON
        ).status_code
        == 200
    )


def test_an_unlimited_key_and_a_session_make_what_the_person_may(acme, alice):
    everything = {"name": "new", "model_names": [], "requests_per_minute": None, "expires_at": None}
    for client in (client_of(alice)[0], acme.login_as(alice)):
        assert client.post("/api/v1/api-keys/", everything, **JSON).status_code == 201
    assert (
        acme.post("/api/v1/api-keys/", {"name": "costs", "scopes": ["organization"]}, **JSON).status_code
        == 201
    )


@pytest.mark.parametrize("number", [3_000_000_000, 10**30, 0])
def test_a_number_that_cannot_be_stored_is_refused(acme, alice, number):
    response = acme.login_as(alice).post(
        "/api/v1/api-keys/", {"name": "k", "requests_per_minute": number}, **JSON
    )
    assert response.status_code == 400 and response.json()["code"] == "invalid_input"


# -- budgets -------------------------------------------------------------------------------------------------


def own_budgets(key) -> dict[str, Budget]:
    subjects = {"key": key.pk, "user": key.user_id, "project": key.project_id}
    return {
        level: set_budget(actor=None, level=level, subject_id=subject, limit=Decimal(5))
        for level, subject in subjects.items()
    }


@pytest.mark.parametrize("level", ["key", "user", "project"])
def test_a_key_frees_itself_of_no_budget_that_binds_it(alice, level):
    client, own = client_of(alice)
    budget = own_budgets(own)[level]
    path = f"/api/v1/budgets/{budget.pk}/"
    new = {"level": level, "subject_id": str(budget.subject_id), "limit": "6"}
    for response in (
        client.patch(path, {"limit": "6"}, **JSON),
        client.delete(path),
        client.post("/api/v1/budgets/", new, **JSON),
    ):
        assert (response.status_code, response.json()["code"]) == (403, "beyond_own_key")
    budget.refresh_from_db()
    assert budget.limit == 5
    assert client.patch(path, {"limit": "4", "warn_at_percent": 50}, **JSON).status_code == 200, (
        "it may lower it"
    )


def test_a_key_sets_the_budgets_of_others(alice, bob):
    client, _own = client_of(alice)
    other, _text = create_api_key(actor=None, user=bob, name="other")
    for level, subject in (("key", other.pk), ("user", bob.pk)):
        made = client.post(
            "/api/v1/budgets/", {"level": level, "subject_id": str(subject), "limit": "5"}, **JSON
        )
        assert made.status_code == 201
        assert (
            client.patch(f"/api/v1/budgets/{made.json()['id']}/", {"limit": "6"}, **JSON).status_code == 200
        )


def test_a_session_raises_any_budget(acme, alice):
    _client, own = client_of(alice)
    for budget in own_budgets(own).values():
        assert (
            acme.login_as(alice).patch(f"/api/v1/budgets/{budget.pk}/", {"limit": "6"}, **JSON).status_code
            == 200
        )


def test_a_key_whose_person_has_a_budget_makes_none_for_others(alice, bob):
    client, _own = client_of(alice)
    new = {"name": "new", "user": str(bob.pk)}
    assert client.post("/api/v1/api-keys/", new, **JSON).status_code == 201
    set_budget(actor=None, level="user", subject_id=alice.pk, limit=Decimal(5))
    assert client.post("/api/v1/api-keys/", new, **JSON).json()["code"] == "beyond_own_key"
    assert client.post("/api/v1/api-keys/", {"name": "mine"}, **JSON).status_code == 201, (
        "one of her own counts to the same budget"
    )


@pytest.mark.parametrize("way", ["models", "key", "user", "project"])
def test_a_key_with_limits_of_its_own_changes_nothing_they_hang_on(alice, way):
    """Else it sets the price of its calls to nothing, or gives its only model another one's place."""
    estate = make_estate(alice)
    client, own = client_of(alice, **{"model_names": [estate.model.name]} if way == "models" else {})
    free, _row = client_of(alice)
    assert free.patch(f"/api/v1/models/{estate.model.pk}/", {"label": "Mine"}, **JSON).status_code == 200
    subjects = {"key": own.pk, "user": own.user_id, "project": own.project_id}
    if way in subjects:
        set_budget(actor=None, level=way, subject_id=subjects[way], limit=Decimal(0))
    model, connection = f"/api/v1/models/{estate.model.pk}/", f"/api/v1/connections/{estate.connection.pk}/"
    before = estate.model.prices.count()
    for answer in (
        client.post(f"{model}prices/", {"input": "0", "output": "0"}, **JSON),
        client.patch(model, {"upstream_name": "dear"}, **JSON),
        client.patch(connection, {"base_url": "https://elsewhere.example/v1"}, **JSON),
        client.post("/api/v1/connections/", {"name": "new", "kind": "openai", "secret": "sk-1"}, **JSON),
        client.delete(model),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "beyond_own_key")
    assert estate.model.prices.count() == before


# -- makers --------------------------------------------------------------------------------------------------


def make_by(client) -> tuple[Client, ApiKey]:
    """A key that another one makes over the API, and a client that calls by it."""
    made = client.post("/api/v1/api-keys/", {"name": "made", "scopes": ["inference", "manage"]}, **JSON)
    assert made.status_code == 201, made.content
    body = made.json()
    key = ApiKey.objects.get(pk=body["id"])
    return Client(headers={"host": "acme.localhost", "authorization": f"Bearer {body['key']}"}), key


def bounds_of(key) -> list[tuple[str, str, int]]:
    return [(one.level, one.subject, one.amount) for one in find_key_facts(key.key_id).limits]


def limit_of(key, amount: int, measure: str = "requests_per_minute") -> Limit:
    return set_limit(actor=None, level="key", subject_id=key.pk, measure=measure, amount=amount)


def test_a_key_is_bound_by_those_that_made_it_one_after_another(alice):
    client, first = client_of(alice)
    second_client, second = make_by(client)
    third_client, third = make_by(second_client)
    assert (second.maker_ids, third.maker_ids) == ([first.pk], [first.pk, second.pk])
    limit_of(first, 10)
    limit_of(second, 20)
    assert bounds_of(third) == [("maker", str(first.pk), 10)], "what lets more through binds nobody"
    limit_of(second, 5)
    limit_of(third, 5)
    assert bounds_of(third) == [("maker", str(first.pk), 10), ("maker", str(second.pk), 5)]
    limit_of(third, 4)
    assert bounds_of(third)[2:] == [("key", str(third.pk), 4)] and bounds_of(first) == [
        ("key", str(first.pk), 10)
    ]
    revoke_api_key(actor=None, key=first)
    assert third_client.get("/api/v1/me/").status_code == 200 and bounds_of(third)[0][2] == 10
    # it may be gone altogether
    ApiKey.objects.filter(pk=second.pk).delete()
    assert [one[1] for one in bounds_of(third)] == [str(first.pk), str(third.pk)]


def test_a_key_of_a_session_has_no_maker(acme, alice):
    acme.login_as(alice)
    acme.post("/api/v1/api-keys/", {"name": "new"}, **JSON)
    assert ApiKey.objects.get().maker_ids == []


def test_a_made_key_loosens_no_limit_of_its_maker(alice):
    client, maker = client_of(alice, requests_per_minute=10)
    made_client, made = make_by(client)
    assert made.requests_per_minute == 10
    limit_of(made, 100)  # by somebody in the browser
    row = Limit.objects.get(key=maker)
    for response in (
        made_client.patch(f"/api/v1/limits/{row.pk}/", {"amount": 11}, **JSON),
        made_client.delete(f"/api/v1/limits/{row.pk}/"),
        made_client.patch(f"/api/v1/api-keys/{maker.pk}/", {"requests_per_minute": 11}, **JSON),
        made_client.patch(f"/api/v1/api-keys/{maker.pk}/", {"requests_per_minute": None}, **JSON),
        made_client.post("/api/v1/api-keys/", {"name": "x", "requests_per_minute": 11}, **JSON),
    ):
        assert (response.status_code, response.json()["code"]) == (403, "beyond_own_key")
    row.refresh_from_db()
    assert row.amount == 10
    grandchild = make_by(made_client)[1]
    assert grandchild.requests_per_minute == 10
    assert made_client.patch(f"/api/v1/limits/{row.pk}/", {"amount": 9}, **JSON).status_code == 200


@pytest.mark.parametrize("measure", Measure.values)
def test_a_made_key_may_ask_for_less_of_each_measure_and_for_no_more(alice, measure):
    _client, maker = client_of(alice, limits={measure: 10})
    new = {"actor": alice, "user": alice, "name": "k", "within": maker}
    with pytest.raises(NotAllowed) as refused:
        create_api_key(**new, limits={measure: 11})
    assert refused.value.param == measure and ApiKey.objects.count() == 1
    less, _text = create_api_key(**new, limits={measure: 9})
    assert Limit.objects.get(key=less).amount == 9


@pytest.mark.parametrize("measure", Measure.values)
def test_a_new_key_takes_over_the_least_of_the_whole_row(alice, measure):
    """Also what its maker has only from its own makers, which may be gone tomorrow."""
    client, first = client_of(alice)
    second_client, second = make_by(client)
    limit_of(first, 10, measure)  # later than the second key
    third = make_by(second_client)[1]
    limit_of(second, 20, measure)
    fourth = make_by(second_client)[1]
    limit_of(second, 5, measure)
    fifth = make_by(second_client)[1]
    found = {row.key_id: row.amount for row in Limit.objects.filter(measure=measure)}
    assert [found.get(key.pk) for key in (third, fourth, fifth)] == [10, 10, 5]
    ApiKey.objects.filter(pk__in=[first.pk, second.pk]).delete()
    assert bounds_of(third) == [("key", str(third.pk), 10)], "nobody behind it escapes"


def test_keys_do_not_make_one_another_without_end(alice):
    client, key = client_of(alice)
    ApiKey.objects.filter(pk=key.pk).update(maker_ids=[uuid4() for _ in range(99)])
    client, _last = make_by(client)
    response = client.post("/api/v1/api-keys/", {"name": "new"}, **JSON)
    assert (response.status_code, response.json()["code"]) == (403, "beyond_own_key")
    assert "100 keys in a row have made one another" in response.json()["detail"]
