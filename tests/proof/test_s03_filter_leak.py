"""Filters read no column that a list does not show (S03 of docs/proofs.md): every list × every field and
chain of its model × every lookup; in `make test` every third chain, and one lookup each, in turn.

Whoever may see a list of people must not learn a password's hash letter by letter from whether a row
appears, nor what others asked from the titles that no page shows. Anything but the list's own filters is
refused, before the database is asked.
"""

import copy
import logging
import os
from collections.abc import Iterator

import pytest
from django.contrib.messages.storage.fallback import FallbackStorage
from django.db.models import Field, Model
from django.db.models.fields.related import RelatedField
from django.http import QueryDict
from django.urls import resolve, reverse
from django.utils.http import urlencode
from unfold.admin import ModelAdmin

from accounts.models import User
from administration.model_admin import AtriumModelAdmin
from administration.sites import service_admin, system_admin
from tests.permissions import SERVICE, SYSTEM
from tests.rights import give_rights
from tests.routes import PLATFORM, TENANT, list_routes

pytestmark = pytest.mark.django_db
NIGHT = os.environ.get("ATRIUM_PROOF") == "night"
LOOKUPS = ("__startswith", "__gt")
VALUE = "0"


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.CRITICAL)


def fields_of(model: type[Model]) -> Iterator[str]:
    """The model's fields, those of the models it points to, and of those that point to it."""
    for field in model._meta.get_fields():
        if field.related_model and isinstance(field.related_model, type):
            yield from (f"{field.name}__{other.name}" for other in field.related_model._meta.concrete_fields)
        if isinstance(field, Field):
            yield field.name


def queries_of(model: type[Model]) -> Iterator[str]:
    for number, name in enumerate(fields_of(model)):
        if "__" in name and number % 3 and not NIGHT:
            continue
        for lookup in LOOKUPS if NIGHT else [LOOKUPS[number % 2]]:
            yield urlencode({f"{name}{lookup}": VALUE})
    yield from (
        urlencode({"_to_field": field.name}) for field in model._meta.concrete_fields if not field.primary_key
    )


def ask(page, path: str, query: str, urlconf: str):
    """The list's answer to another query of the one who has this page: its view with all that guards it,
    without what surrounds every view.
    """
    request = copy.copy(page)
    request.path = request.path_info = path
    request.GET = QueryDict(query)
    request.META = page.META | {"QUERY_STRING": query}
    request._messages = FallbackStorage(request)  # each refusal adds one, and no page shows them here
    view, arguments, named = resolve(path, urlconf)
    return view(request, *arguments, **named)


def leaks(
    client, site, urlconf: str, table: dict, models: tuple[type[Model], ...] = ()
) -> tuple[int, list[str]]:
    """(how many queries were tried, those that were not refused)"""
    tried, open_ones = 0, []
    page = client.get(reverse(f"{site.name}:index", urlconf=urlconf)).wsgi_request
    for model in models or site._registry:
        name = f"{model._meta.app_label}_{model._meta.model_name}"
        assert name in table
        path = reverse(f"{site.name}:{name}_changelist", urlconf=urlconf)
        for query in queries_of(model):
            tried += 1
            answer = ask(page, path, query, urlconf)
            if (answer.status_code, answer.headers.get("location")) != (302, f"{path}?e=1"):
                open_ones.append(f"{path}?{query}")
    return tried, open_ones


def test_no_list_of_a_tenants_administration_can_be_filtered_by_what_it_does_not_offer(acme, alice):
    tried, open_ones = leaks(acme.login_as(alice), service_admin, TENANT, SERVICE)
    assert open_ones == []
    assert tried >= (1_200 if NIGHT else 500)


@pytest.mark.scope("platform")
def test_nor_can_one_of_the_platforms(on_platform, olga):
    tried, open_ones = leaks(on_platform.login_as(olga), system_admin, PLATFORM, SYSTEM)
    assert open_ones == []
    assert tried >= (600 if NIGHT else 250)


def test_what_filters_offer_is_taken(acme, alice, on_platform, olga):
    """Otherwise the tests above would pass on lists that take nothing at all."""
    acme.login_as(alice)
    on_platform.login_as(olga)
    for client, site, urlconf in ((acme, service_admin, TENANT), (on_platform, system_admin, PLATFORM)):
        for model, model_admin in site._registry.items():
            path = reverse(
                f"{site.name}:{model._meta.app_label}_{model._meta.model_name}_changelist", urlconf=urlconf
            )
            for entry in model_admin.list_filter:
                name = (
                    entry.parameter_name
                    if isinstance(entry, type)
                    else entry
                    if isinstance(entry, str)
                    else entry[0]
                )
                if not isinstance(entry, type) and isinstance(
                    field := model._meta.get_field(name), RelatedField
                ):
                    name = f"{name}__{field.target_field.name}__exact"
                assert client.get(path, {name: ""}).status_code in (200, 302), (path, name)


LISTS = (
    "api-apikey-list",
    "api-budget-list",
    "api-project-list",
    "api-collection-list",
    "api-connection-list",
    "api-conversation-list",
    "api-grant-list",
    "api-limit-list",
    "api-model-list",
    "api-usage-event-list",
    "api-weborigin-list",
)
API_NAMES = (
    "owner__password__startswith",
    "user__password",
    "ordering",
    "order_by",
    "fields",
    "search",
    "filter",
    "expand",
    "digest__gt",
)


def test_no_list_of_the_api_is_forgotten():
    routes = {route.name for route in list_routes(TENANT) if "GET" in route.methods}
    assert {name for name in routes if name.startswith("api-") and name.endswith("-list")} == set(LISTS)


@pytest.mark.parametrize("route", LISTS)
def test_the_api_refuses_parameters_it_does_not_name(acme, alice, route):
    acme.login_as(alice)
    path = reverse(route, urlconf=TENANT)
    assert acme.get(path).status_code == 200
    for name in API_NAMES:
        assert acme.get(path, {name: "a"}).status_code == 400, name


def test_planted_bug_a_list_that_allows_what_django_allows_is_noticed(acme, bob, monkeypatch):
    """Bob may see the people's list, as auditors do, and nothing more."""
    monkeypatch.setattr(AtriumModelAdmin, "lookup_allowed", ModelAdmin.lookup_allowed)
    give_rights(bob, "accounts.access_admin", "accounts.view_user")
    bob.refresh_from_db()
    path = reverse("service:accounts_user_changelist", urlconf=TENANT)
    first, second = (
        acme.login_as(bob)
        .get(path, {"q": "alice@acme.example", "password__startswith": start})
        .context["cl"]
        .result_count
        for start in ("pbkdf2", "x")
    )
    assert (first, second) == (1, 0), "Django has changed: this hole is closed by itself"
    with pytest.raises(AssertionError):
        _tried, open_ones = leaks(acme, service_admin, TENANT, SERVICE, (User,))
        assert open_ones == []
