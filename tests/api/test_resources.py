"""The API's resources: keys, conversations, connections, models, prices, budgets and usage."""

from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.utils import timezone

from accounts.models import ApiKey
from accounts.services import create_api_key
from models_registry.models import Connection, Model
from models_registry.services import add_connection, add_model
from prompts.models import Conversation
from tenants.context import platform, tenant
from tests.estate import PROVIDER, make_estate, make_event, make_people
from tests.models_registry.provider import Provider
from tests.prompts.chats import add_turns, make_conversation
from usage.models import Budget

pytestmark = pytest.mark.django_db
JSON = {"content_type": "application/json"}


@pytest.fixture
def api(acme, alice):
    return acme.login_as(alice)


def test_a_new_keys_secret_is_given_once(api, alice):
    body = api.post(
        "/api/v1/api-keys/",
        {"name": "CI", "scopes": ["inference", "read"], "requests_per_minute": 60},
        **JSON,
    ).json()
    text = body.pop("key")
    assert (
        text.startswith(f"atr_acme_{body['key_id']}_")
        and body["user"]["email"] == alice.email
        and body["is_usable"]
    )
    assert api.get("/api/v1/me/", headers={"authorization": f"Bearer {text}"}).status_code == 200
    secret = text.rsplit("_", 1)[1]
    for address in ("/api/v1/api-keys/", f"/api/v1/api-keys/{body['id']}/"):
        answer = api.get(address).content.decode()
        assert secret not in answer and '"key"' not in answer and "digest" not in answer
    assert api.delete(f"/api/v1/api-keys/{body['id']}/").status_code == 204
    assert api.delete(f"/api/v1/api-keys/{body['id']}/").status_code == 204, "again changes nothing"
    assert api.get("/api/v1/me/", headers={"authorization": f"Bearer {text}"}).status_code == 401


def test_one_makes_keys_for_others_only_with_the_right(acme, alice, bob):
    assert (
        acme.login_as(bob).post("/api/v1/api-keys/", {"name": "k", "user": str(alice.pk)}, **JSON).status_code
        == 404
    )
    assert (
        acme.login_as(alice).post("/api/v1/api-keys/", {"name": "k", "user": str(bob.pk)}, **JSON).status_code
        == 201
    )
    assert ApiKey.objects.get().user == bob


def test_an_admin_makes_no_key_that_acts_as_the_owner(acme):
    people = make_people("acme")
    response = acme.login_as(people["admin"]).post(
        "/api/v1/api-keys/", {"name": "k", "user": str(people["owner"].pk), "scopes": ["manage"]}, **JSON
    )
    assert response.status_code == 403 and not ApiKey.objects.exists()


def test_a_keys_limits_change_and_nothing_else(api, alice):
    connection = add_connection(actor=None, name="Ours", **PROVIDER)
    add_model(actor=None, connection=connection, name="a")
    key, _text = create_api_key(actor=None, user=alice, name="k")
    address = f"/api/v1/api-keys/{key.pk}/"
    assert api.patch(address, {"model_names": ["a"], "expires_at": None}, **JSON).json()["model_names"] == [
        "a"
    ]
    for field, value in {
        "scopes": ["manage"],
        "user": str(uuid4()),
        "digest": "x",
        "key_id": "12345678",
        "revoked_at": None,
        "id": str(uuid4()),
    }.items():
        assert api.patch(address, {field: value}, **JSON).status_code == 400, field
    assert ApiKey.objects.get().scopes == ["inference"]


def test_a_key_of_anothers_project_or_of_none_is_refused(acme, bob, alice, charlie):
    mine = make_estate(alice).project
    with tenant("globex"):
        theirs = make_estate(charlie).project
    acme.login_as(bob)
    answers = [
        acme.post("/api/v1/api-keys/", {"name": "k", "project": str(pk)}, **JSON)
        for pk in (mine.pk, theirs.pk, uuid4())
    ]
    assert {answer.status_code for answer in answers} == {404} and len(
        {answer.json()["detail"] for answer in answers}
    ) == 1


def test_creating_twice_under_one_key_happens_once(api, clean_cache):
    headers = {"idempotency-key": "order-1"}
    first, second = (
        api.post("/api/v1/api-keys/", {"name": "k", "scopes": ["read"]}, headers=headers, **JSON)
        for _attempt in range(2)
    )
    assert (
        first.status_code == second.status_code == 201
        and first.json() == second.json()
        and ApiKey.objects.count() == 1
    )
    assert "Idempotency-Replayed" in second and "Idempotency-Replayed" not in first
    other = api.post("/api/v1/api-keys/", {"name": "other"}, headers=headers, **JSON)
    assert (
        other.status_code == 422
        and other.json()["code"] == "idempotency_key_reused"
        and ApiKey.objects.count() == 1
    )
    assert (
        api.post(
            "/api/v1/api-keys/", {"name": "k"}, headers={"idempotency-key": "x" * 300}, **JSON
        ).status_code
        == 400
    )


def test_a_refused_creation_leaves_its_key_free(api, clean_cache):
    headers = {"idempotency-key": "order-2"}
    assert (
        api.post(
            "/api/v1/api-keys/", {"name": "k", "expires_at": "2001-01-01T00:00:00Z"}, headers=headers, **JSON
        ).status_code
        == 400
    )
    assert api.post("/api/v1/api-keys/", {"name": "k"}, headers=headers, **JSON).status_code == 201


def test_an_idempotency_key_is_ones_own(acme, alice, bob, clean_cache):
    headers = {"idempotency-key": "same"}
    for person in (alice, bob):
        acme.login_as(person).post("/api/v1/api-keys/", {"name": "k"}, headers=headers, **JSON)
    assert set(ApiKey.objects.values_list("user__name", flat=True)) == {"Alice", "Bob"}


def test_the_kept_answer_is_sealed(api, clean_cache):
    from django.core.cache import cache

    text = api.post("/api/v1/api-keys/", {"name": "k"}, headers={"idempotency-key": "sealed"}, **JSON).json()[
        "key"
    ]
    client = cache._cache.get_client()
    kept = b"".join(client.get(name) or b"" for name in client.keys("*idempotency*"))
    assert kept and text.rsplit("_", 1)[1].encode() not in kept


def test_conversations_are_read_renamed_and_deleted(api, alice):
    conversation = make_conversation(alice, "Ledgers", turns=2)
    address = f"/api/v1/conversations/{conversation.pk}/"
    assert api.get("/api/v1/conversations/?q=ledg").json()["results"][0]["title"] == "Ledgers"
    assert api.get("/api/v1/conversations/?q=nothing").json()["results"] == []
    assert [row["position"] for row in api.get(f"{address}messages/?limit=3").json()["results"]] == [1, 2, 3]
    assert api.patch(address, {"title": " Books "}, **JSON).json()["title"] == "Books"
    assert api.patch(address, {"title": "x", "user": str(uuid4())}, **JSON).status_code == 400
    assert api.delete(address).status_code == 204 and not Conversation.objects.exists()


def test_messages_are_those_of_the_branch_that_was_written_to_last_or_all(api, alice):
    conversation = make_conversation(alice, turns=2)
    first = conversation.messages.get(position=1)
    branch = add_turns(conversation, 1, conversation.messages.get(position=2))
    address = f"/api/v1/conversations/{conversation.pk}/"
    assert api.get(address).json()["leaf"] == str(branch[-1].pk)
    rows = api.get(f"{address}messages/").json()["results"]
    assert [row["position"] for row in rows] == [1, 2, 3, 4] and rows[-1]["id"] == str(branch[-1].pk)
    assert rows[0]["parent"] is None and rows[1]["parent"] == str(first.pk)
    assert rows[0]["parts"] == [{"kind": "text", "text": "text 1", "data": {}, "duration_ms": None}]
    assert rows[0]["text"] == "text 1"
    rows = api.get(f"{address}messages/?all_branches=true").json()["results"]
    assert [row["position"] for row in rows] == [1, 2, 3, 3, 4, 4]


def test_not_even_the_owner_of_the_organisation_reads_anothers_conversations(api, bob):
    conversation = make_conversation(bob, "private")
    assert api.get("/api/v1/conversations/").json()["results"] == []
    assert api.get(f"/api/v1/conversations/{conversation.pk}/messages/").status_code == 404


def test_another_name_that_hides_a_model_of_the_platform_is_refused(api):
    with platform():
        there = add_connection(actor=None, name="There", kind="openai", location="local")
        add_model(actor=None, connection=there, name="gpt-4o")
    own = add_connection(actor=None, name="Own", kind="openai")
    model = add_model(actor=None, connection=own, name="own")
    answer = api.patch(f"/api/v1/models/{model.pk}/", {"aliases": ["gpt-4o"]}, **JSON)
    assert (answer.status_code, answer.json()["param"]) == (400, "aliases")


def test_a_connection_is_made_tested_and_its_models_fetched(api):
    provider = Provider()
    body = api.post(
        "/api/v1/connections/",
        {"name": "Own", "kind": "openai_compatible", "base_url": "https://x.example/v1", "secret": "sk-1"},
        **JSON,
    )
    assert body.status_code == 201 and body.json()["has_secret"] and "secret" not in body.json()
    Connection.objects.update(base_url=provider.base_url, allow_private=True)
    address = f"/api/v1/connections/{body.json()['id']}/"
    assert api.post(f"{address}test/", **JSON).json() | {"latency_ms": 0} == {
        "is_ok": True,
        "latency_ms": 0,
        "model_count": 2,
        "error": "",
    }
    assert sorted(api.post(f"{address}sync/", **JSON).json()["added"]) == ["large", "small"]
    provider.listed.append({"id": "dear", "pricing": {"prompt": "0.000001", "completion": "0.000002"}})
    provider.listed.append({"id": "router", "pricing": {"prompt": "-1", "completion": "-1"}})
    assert api.post(f"{address}sync/", **JSON).json()["proposed"] == ["dear"]
    prices = {row["name"]: row["listed_price"] for row in api.get("/api/v1/models/").json()["results"]}
    assert prices["small"] is None and prices["router"] is None
    assert (prices["dear"]["currency"], prices["dear"]["input"], prices["dear"]["output"]) == (
        "USD",
        "1",
        "2",
    )
    assert api.delete(address).json()["code"] == "connection_in_use"
    assert b"sk-1" not in api.get(address).content


@pytest.mark.parametrize(
    "changes",
    [
        {"allow_private": True},
        {"last_error": ""},
        {"id": str(uuid4())},
        {"created_at": "2020-01-01T00:00:00Z"},
    ],
)
def test_what_only_the_house_sets_cannot_be_sent(api, alice, changes):
    estate = make_estate(alice)
    assert api.patch(f"/api/v1/connections/{estate.connection.pk}/", changes, **JSON).status_code == 400


def test_models_and_prices(api, alice):
    estate = make_estate(alice)
    body = api.post(
        "/api/v1/models/",
        {"name": "mine", "connection": str(estate.connection.pk), "capabilities": ["tools"]},
        **JSON,
    ).json()
    address = f"/api/v1/models/{body['id']}/"
    assert (
        api.patch(address, {"is_default": True, "context_window": 8_000}, **JSON).json()["context_window"]
        == 8_000
    )
    price = api.post(f"{address}prices/", {"input": "1.5", "output": "6"}, **JSON).json()
    assert (price["input"], price["cached"], price["output"], price["currency"]) == ("1.5", "1.5", "6", "EUR")
    later = (timezone.now() + timedelta(days=7)).isoformat()
    api.post(f"{address}prices/", {"input": "1", "valid_from": later}, **JSON)
    assert [row["input"] for row in api.get(f"{address}prices/").json()["results"]] == ["1", "1.5"]
    assert api.post(f"{address}prices/", {"input": "-1"}, **JSON).status_code == 400
    assert price["amounts"] == {"input": "1.5", "output": "6"}
    assert api.patch(address, {"retire_on": "2026-12-01"}, **JSON).json()["errors"].keys() == {"retire_on"}
    assert api.delete(address).status_code == 204 and not Model.objects.filter(name="mine").exists()


def test_stand_ins_and_successors_are_models_that_there_are(api, alice):
    model = make_estate(alice).model
    address = f"/api/v1/models/{model.pk}/"
    for name, value in (("fallbacks", ["gone"]), ("successor", "gone"), ("successor", model.name)):
        answer = api.patch(address, {name: value}, **JSON)
        assert answer.status_code == 400 and answer.json()["param"] == name
    Model.objects.filter(pk=model.pk).update(fallbacks=["gone"])
    assert api.patch(address, {"label": "Changed"}, **JSON).json()["fallbacks"] == ["gone"]


def test_prices_of_every_class_go_in_and_out_exactly(api, alice):
    address = f"/api/v1/models/{make_estate(alice).model.pk}/prices/"
    amounts = {"input": "0.1", "cache_write": "0.125", "images": "0.000000000001", "output": "1000000"}
    price = api.post(address, {"amounts": amounts}, **JSON).json()
    assert price["amounts"] == amounts
    assert {name: price[name] for name in ("input", "cached", "output", "reasoning")} == {
        "input": "0.1",
        "cached": "0.1",
        "output": "1000000",
        "reasoning": "1000000",
    }
    price = api.post(address, {"cached": "0.01", "amounts": {"images": "0.04"}}, **JSON).json()
    assert price["amounts"] == amounts | {"cached": "0.01", "images": "0.04"}, "the rest stays as it was"
    assert api.get(address).json()["results"][0] == price


@pytest.mark.parametrize(
    "body",
    [
        {"amounts": {"tears": "1"}},
        {"amounts": {"actor": "1"}},
        {"amounts": {"input": "-1"}},
        {"amounts": {"input": "0.0000001"}},
        {"amounts": {"images": "NaN"}},
        {"amounts": {"input": "1000000.000001"}},
        {"amounts": {"input": {"input": "1"}}},
        {"amounts": ["input"]},
        {"amounts": {"input": "1"}, "input": "2"},
        {"tears": "1"},
    ],
)
def test_a_price_that_cannot_be_is_refused(api, alice, body):
    estate = make_estate(alice)
    answer = api.post(f"/api/v1/models/{estate.model.pk}/prices/", body, **JSON)
    assert answer.status_code == 400 and estate.model.prices.count() == 1


def test_an_event_tells_what_was_used_by_class_and_in_the_four_counts_of_old(api, alice):
    used = {"input": 10, "cached": 4, "cache_write": 3, "input_audio": 2, "output": 5, "images": 1}
    make_event(alice, quantities=used, dropped_params=["seed"])
    make_event(alice, model="old", input_tokens=7, cached_tokens=0, output_tokens=1, reasoning_tokens=2)
    new, old = (
        api.get(f"/api/v1/usage/events/?model={model}").json()["results"][0] for model in ("mock", "old")
    )
    four = ("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens")
    assert (new["quantities"], new["units"]) == (used, {"images": 1})
    assert [new[name] for name in four] == [10 + 3 + 2, 4, 5, 0]
    assert (old["quantities"], old["units"]) == ({"input": 7, "output": 1, "reasoning": 2}, {})
    assert [old[name] for name in four] == [7, 0, 1, 2]
    assert (new["dropped_params"], old["dropped_params"]) == (["seed"], None)


def test_budgets_are_set_changed_and_lifted(api, alice, bob):
    body = api.post(
        "/api/v1/budgets/", {"level": "user", "subject_id": str(bob.pk), "limit": "12.5"}, **JSON
    ).json()
    assert (body["limit"], body["spent"], body["period"], body["managed_by"]) == (
        "12.5",
        "0",
        "month",
        "tenant",
    )
    address = f"/api/v1/budgets/{body['id']}/"
    assert api.patch(address, {"limit": "20"}, **JSON).json()["limit"] == "20"
    for field in ("spent", "held", "allowance", "managed_by", "level", "subject_id", "currency"):
        assert api.patch(address, {field: "0"}, **JSON).status_code == 400, field
    assert api.delete(address).status_code == 204 and not Budget.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        {"level": "user"},
        {"level": "user", "subject_id": str(uuid4())},
        {"level": "tenant", "limit": "-1"},
        {"level": "all"},
    ],
)
def test_a_budget_that_cannot_be_is_refused(api, body):
    assert api.post("/api/v1/budgets/", {"limit": "1"} | body, **JSON).status_code == 400


def test_usage_is_ones_own_or_everyones(acme, alice, bob):
    make_event(alice, model="a", cost=Decimal(2))
    make_event(bob, model="b", cost=Decimal(1))
    for person, models in ((bob, {"b"}), (alice, {"a", "b"})):
        acme.login_as(person)
        report = acme.get("/api/v1/usage/report/?by=model").json()
        assert (
            {row["key"] for row in report["rows"]}
            == models
            == {row["model"] for row in acme.get("/api/v1/usage/events/").json()["results"]}
        )
    assert report["rows"][0] == {
        "key": "a",
        "label": "a",
        "currency": "EUR",
        "calls": 1,
        "errors": 0,
        "cost": "2",
        "quantities": {"input": 10, "output": 5},
        "input_tokens": 10,
        "cached_tokens": 0,
        "output_tokens": 5,
        "reasoning_tokens": 0,
    }


@pytest.mark.parametrize("by", ["user", "key", "project", "day"])
def test_usage_is_reported_by_each_dimension(api, alice, by):
    estate = make_estate(alice)
    rows = api.get(f"/api/v1/usage/report/?by={by}").json()["rows"]
    expected = {
        "user": estate.user.pk,
        "key": estate.key.pk,
        "project": estate.project.pk,
        "day": timezone.now().date(),
    }[by]
    assert [row["key"] for row in rows] == [str(expected)]


@pytest.mark.parametrize(
    "query",
    [
        "by=secret",
        "since=2026-01-01&until=2020-01-01",
        "since=2000-01-01",
        "until=0001-01-01",
        "since=x",
        "by=user__password",
    ],
)
def test_a_report_that_cannot_be_is_refused(api, query):
    assert api.get(f"/api/v1/usage/report/?{query}").status_code == 400


def test_events_are_filtered(api, alice, bob):
    estate = make_estate(bob)
    for query, count in (
        ("model=mock", 1),
        ("model=x", 0),
        (f"user={bob.pk}", 1),
        (f"user={alice.pk}", 0),
        (f"key={estate.key.pk}", 1),
        ("status=error", 0),
        ("since=2020-01-01T00:00:00Z", 1),
        ("until=2020-01-01T00:00:00Z", 0),
    ):
        assert len(api.get(f"/api/v1/usage/events/?{query}").json()["results"]) == count, query
