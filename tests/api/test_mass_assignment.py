"""S02: nothing that a form or the API does not name can be set through it, whatever a model has or may once
have had.
"""

import json
from collections.abc import Iterator

import pytest
from django.apps import apps
from django.forms.models import model_to_dict
from django.urls import reverse

from accounts.models import ApiKey, Grant, Limit, Project, User
from accounts.services import create_api_key
from models_registry.models import Connection, Model
from prompts.models import Conversation
from rag.models import Collection, Document
from rest.serializers import StrictMixin
from tests.estate import make_estate
from tests.routes import TENANT, list_routes
from usage.models import Budget

pytestmark = pytest.mark.django_db
COLUMNS = {
    field.name
    for model in (
        User,
        ApiKey,
        Connection,
        Model,
        Conversation,
        Budget,
        Grant,
        Limit,
        Project,
        Collection,
        Document,
    )
    for field in model._meta.get_fields()
}
TEMPTING = {
    "tenant",
    "owner",
    "role",
    "roles",
    "is_staff",
    "is_superuser",
    "spend",
    "budget",
    "id",
    "pk",
    "key_hash",
    "admin",
    "permissions",
    "groups",
    "_state",
}
NAMES = sorted(COLUMNS | TEMPTING)
# endpoint → the estate's object, and what may be sent
CHANGES = {
    "api-apikey-detail": ("key", {"name", "project", "model_names", "requests_per_minute", "expires_at"}),
    "api-budget-detail": ("budget", {"limit", "warn_at_percent"}),
    "api-collection-detail": (
        "collection",
        {
            *(
                "name",
                "description",
                "languages",
                "engine",
                "uses_graph",
                "embedding_model",
                "chunk_characters",
            ),
            *("data_policy", "metadata", "vision_model", "page_reader", "vision_pages", "relations_model"),
            *("engine", "uses_graph"),
        },
    ),
    "api-connection-detail": (
        "connection",
        {
            *("name", "kind", "base_url", "secret", "location", "no_storage", "is_enabled"),
            *("connect_timeout_s", "first_byte_timeout_s", "idle_timeout_s", "total_timeout_s"),
            "token_limit_name",
        },
    ),
    "api-conversation-detail": ("conversation", {"title"}),
    "api-document-detail": ("document", {"title", "metadata"}),
    "api-limit-detail": ("limit", {"amount"}),
    "api-me": ("user", {"name", "language", "theme", "time_zone"}),
    "api-model-detail": (
        "model",
        {
            "name",
            "label",
            "upstream_name",
            "weight",
            "endpoints",
            "aliases",
            "fallbacks",
            "kind",
            "context_window",
            "max_output_tokens",
            "default_max_output_tokens",
            "capabilities",
            "languages",
            "licence",
            "channel",
            "retire_on",
            "successor",
            "is_enabled",
            "is_default",
            "notes",
        },
    ),
    "api-project-detail": ("project", {"name", "data_policy", "auto_models"}),
}
CREATIONS = {
    "api-apikey-list": CHANGES["api-apikey-detail"][1] | {"user", "scopes"},
    "api-budget-list": CHANGES["api-budget-detail"][1] | {"level", "subject_id", "period"},
    "api-collection-list": CHANGES["api-collection-detail"][1] | {"visibility"},
    "api-collection-documents": {"file", "text", "url", "title", "recrawl_days", "metadata"},
    "api-collection-graph": {"model", "passages", "cost", "cap"},
    "api-collection-hand-over": {"to", "person"},
    "api-collection-questions": {"text", "document", "char_from", "char_to"},
    "api-collection-search": {"question", "count", "leg", "reranker", "filters"},
    "api-connection-list": CHANGES["api-connection-detail"][1],
    "api-grant-list": {"kind", "object", "effect", "role", "project", "user"},
    "api-limit-list": {"level", "subject_id", "measure", "amount"},
    "api-model-list": CHANGES["api-model-detail"][1] | {"connection"},
    "api-model-prices": {"amounts", "input", "cached", "output", "reasoning", "valid_from"},
    "api-project-list": CHANGES["api-project-detail"][1],
    "api-weborigin-list": {"origin"},
}
VALUES = [True, "owner", 1]
NO_FIELDS = {  # they read no body
    *("api-connection-sync", "api-connection-test"),
    *("api-collection-rebuild", "api-document-retry", "api-document-cancel"),
}


def state() -> list:
    """Every row of the rooms' tables, as far as a form could change it."""
    models = [
        model
        for label in ("accounts", "models_registry", "prompts", "rag", "usage")
        for model in apps.get_app_config(label).get_models()
    ]
    return [
        (model.__name__, sorted(str(model_to_dict(row)) for row in model.objects.all())) for model in models
    ]


def send(client, method: str, address: str, body: dict):
    return client.generic(method, address, json.dumps(body), content_type="application/json")


def bodies(allowed: set[str], value: object) -> Iterator[dict[str, object]]:
    """All other names, as many at once as a refusal names; it names each of them."""
    strange = [name for name in NAMES if name not in allowed]
    for start in range(0, len(strange), 20):
        yield dict.fromkeys(strange[start : start + 20], value)


def test_no_route_that_writes_is_forgotten():
    """Each route of `/api/v1` that takes fields stands in one of the lists above."""
    for method, listed in (("PATCH", CHANGES), ("POST", CREATIONS)):
        routes = {route.name for route in list_routes(TENANT) if method in route.methods}
        assert {name for name in routes if name.startswith("api-")} - NO_FIELDS == set(listed), method


@pytest.mark.parametrize("route", CHANGES)
def test_no_other_field_can_be_changed(acme, alice, route):
    item, allowed = CHANGES[route]
    estate = make_estate(alice)
    address = reverse(
        route, urlconf=TENANT, kwargs={} if route == "api-me" else {"pk": getattr(estate, item).pk}
    )
    acme.login_as(alice)
    before, tried = state(), 0
    for value in VALUES:
        for body in bodies(allowed, value):
            response = send(acme, "PATCH", address, body)
            assert response.status_code == 400 and set(response.json()["errors"]) == set(body), (
                response.content
            )
            tried += len(body)
    assert state() == before and tried > 150


@pytest.mark.parametrize("route", CREATIONS)
def test_no_other_field_can_be_set_at_birth(acme, alice, route):
    estate = make_estate(alice)
    parent = {"api-model-prices": estate.model}.get(route)
    if route.startswith("api-collection-") and route != "api-collection-list":
        parent = estate.collection
    address = reverse(route, urlconf=TENANT, kwargs={"pk": parent.pk} if parent is not None else {})
    acme.login_as(alice)
    before = state()
    for body in bodies(CREATIONS[route], "x"):
        response = send(acme, "POST", address, body)
        assert response.status_code == 400 and set(response.json()["errors"]) == set(body), response.content
    assert state() == before


def test_planted_bug_a_serializer_that_drops_what_it_does_not_know_is_noticed(acme, alice, monkeypatch):
    monkeypatch.delattr(StrictMixin, "to_internal_value")
    with pytest.raises(AssertionError):
        test_no_other_field_can_be_changed(acme, alice, "api-conversation-detail")


def test_the_administrations_forms_take_only_what_they_show(acme, alice, bob):
    """A form's other values are dropped, not refused: the person, scopes and digest of a key stay."""
    key, _text = create_api_key(actor=None, user=bob, name="k")
    acme.login_as(alice)
    before = model_to_dict(ApiKey.objects.get())
    hidden = {
        name: "1"
        for name in NAMES
        if name not in ("name", "project", "model_names", "requests_per_minute", "expires_at")
    }
    shown = {"name": "k", "project": key.project_id}
    assert (
        acme.post(
            reverse("service:accounts_apikey_change", args=[key.pk], urlconf=TENANT), hidden | shown
        ).status_code
        == 302
    )
    assert model_to_dict(ApiKey.objects.get()) == before
    tables = {
        f"{name}-{part}_FORMS": 0 for name in ("api_keys", "memberships") for part in ("TOTAL", "INITIAL")
    }
    shown = {
        "email": bob.email,
        "name": bob.name,
        "language": "",
        "roles": [group.pk for group in bob.groups.all()],
    }
    hidden = {name: "1" for name in NAMES if name not in shown}
    assert (
        acme.post(
            reverse("service:accounts_user_change", args=[bob.pk], urlconf=TENANT), hidden | shown | tables
        ).status_code
        == 302
    )
    after = User.objects.get(pk=bob.pk)
    assert (after.is_superuser, after.password, after.is_active) == (False, bob.password, True)
