"""Whatever stands in a query string: an answer below 500. By day lists are drawn for one of the texts; of the
others their views and queries are seen, as drawing them asks. `ATRIUM_PROOF=night` draws them all.
"""

import os
import re
from uuid import uuid4

import pytest
from django.conf import settings
from django.urls import reverse
from django.utils.http import urlencode

from administration.sites import service_admin
from tests.permissions import SERVICE
from tests.proof.test_s03_filter_leak import ask
from tests.routes import PLATFORM, TENANT, list_routes

pytestmark = pytest.mark.django_db
PLACE = re.compile(r"\(\?P<\w+>[^)]*\)|<[^>]+>")  # of a value in a route
NUMBERS = ("9" * 5_000, "-1", "0", "٣", "\0", "9" * 30)


@pytest.mark.parametrize("name", SERVICE)
def test_lists_of_the_administration_take_any_page_order_and_search(acme, alice, name):
    acme.login_as(alice)
    path = reverse(f"service:{name}_changelist", urlconf=TENANT)
    drawn = acme.get(path, dict.fromkeys("oqp", "9" * 5_000))
    assert drawn.status_code < 500
    # what surrounds every view answers this one
    assert acme.get(path, dict.fromkeys("oqp", "\0")).status_code < 500
    for text in set(NUMBERS) - {"\0"}:
        answer = ask(drawn.wsgi_request, path, urlencode(dict.fromkeys("oqp", text)), TENANT)
        assert answer.status_code < 500, text[:20]
        read_list(answer)


HOSTILE = ("9" * 30, "²")


@pytest.mark.parametrize("name", SERVICE)
def test_the_filters_of_a_list_take_any_value(acme, alice, name):
    """Each name that a list's filters and its date hierarchy may put into an address."""
    acme.login_as(alice)
    path = reverse(f"service:{name}_changelist", urlconf=TENANT)
    (model_admin,) = (
        found
        for model, found in service_admin._registry.items()
        if model._meta.label_lower.replace(".", "_") == name
    )
    page = acme.get(path).wsgi_request
    for parameter in sorted(model_admin._filter_parameters):
        # what surrounds every view answers this one
        assert acme.get(path, {parameter: "\0x"}).status_code < 500, parameter
        for text in HOSTILE:
            answer = ask(page, path, urlencode({parameter: text}), TENANT)
            assert answer.status_code < 500, (parameter, text[:20])
            read_list(answer)


def read_list(answer) -> None:
    """All that drawing a list asks the database for and makes of what was typed; by night it is drawn."""
    if os.environ.get("ATRIUM_PROOF") == "night":
        getattr(answer, "render", str)()
    elif shown := getattr(answer, "context_data", {}).get("cl"):
        list(shown.result_list)
        for entry in shown.filter_specs:
            assert entry.title
            for choice in entry.choices(shown):
                assert str(choice)
                str(choice.get("form", ""))


@pytest.mark.parametrize("name", SERVICE)
def test_the_actions_of_a_list_take_anything_for_the_key_of_a_row(acme, alice, name):
    acme.login_as(alice)
    path = reverse(f"service:{name}_changelist", urlconf=TENANT)
    listed = acme.get(path)
    texts = [*NUMBERS, str(uuid4()), "x", "x" * 3_000, "[1]"]
    for action in {"delete_selected", *listed.context["cl"].model_admin.get_actions(listed.wsgi_request)}:
        assert acme.post(path, {"action": action, "_selected_action": texts}).status_code < 500, action


UNKNOWN = (
    "foo__bar=1",
    "password__startswith=x",
    "_to_field=name",
    "e=1&foo__bar=1",
    "e=1&is_enabled__exact=perhaps",
)


@pytest.mark.parametrize("query", UNKNOWN)
def test_a_filter_that_a_list_does_not_have_leads_to_the_list_and_fills_no_log(acme, alice, caplog, query):
    acme.login_as(alice)
    path = reverse("service:models_registry_model_changelist", urlconf=TENANT)
    answer = acme.get(f"{path}?{query}")
    assert (answer.status_code, answer.url) == (302, f"{path}?e=1")
    page = acme.get(answer.url)
    assert page.status_code == 200 and "Database error" not in page.text
    assert query.startswith("e=") or "a filter that the page does not have" in page.text
    assert caplog.records == []


def test_a_row_named_by_another_column_fills_no_log_either(acme, alice, caplog):
    acme.login_as(alice)
    for page in ("change", "delete"):
        path = reverse(f"service:accounts_user_{page}", args=[alice.pk], urlconf=TENANT)
        assert acme.get(f"{path}?_to_field=email").url == f"{path}?e=1"
    assert caplog.records == []


def test_nul_finds_nothing_rather_than_failing(acme, alice):
    acme.login_as(alice)
    asked = {"app_label": "accounts", "model_name": "apikey", "field_name": "user"}
    found = acme.get("/admin/autocomplete/", asked | {"term": "nobody\0"})
    assert (found.status_code, found.json()["results"]) == (200, [])
    assert len(acme.get("/admin/autocomplete/", asked | {"term": "alice"}).json()["results"]) == 1
    for term in ("\0", "\0alice", "al\0ice", "alice\0"):
        assert acme.get("/admin/autocomplete/", asked | {"term": term}).json()["results"] == [], term
    for path, name in (
        ("/admin/search/", "s"),
        ("/", "q"),
        ("/usage/", "days"),
        ("/accounts/login/", "next"),
    ):
        assert acme.get(path, {name: "al\0ice"}).status_code < 500, path


@pytest.mark.parametrize("text", NUMBERS)
def test_the_apis_limit_is_a_number_of_at_most_three_digits(acme, alice, text):
    response = acme.login_as(alice).get("/api/v1/models/", {"limit": text})
    assert response.status_code == 400 and response.json()["errors"]["limit"] == ["A number from 1 to 200."]


@pytest.mark.parametrize("path", ["docs/", "openapi.json"])
def test_the_document_and_its_pages_are_read_and_nothing_else(acme, alice, path):
    acme.login_as(alice)
    assert acme.get(f"/api/v1/{path}").status_code == 200
    for method in ("options", "post", "put", "delete", "patch"):
        assert getattr(acme, method)(f"/api/v1/{path}").status_code == 405


def test_the_document_is_made_once_per_language(acme, alice, monkeypatch):
    """drf-spectacular loads parts of itself while it makes one; two at once tripped each other."""
    from config.api_docs import OpenAPIView

    made = []
    monkeypatch.setattr(OpenAPIView, "_documents", {})
    monkeypatch.setattr(OpenAPIView, "generator_class", staticmethod(lambda **options: Generator()))

    class Generator:
        def get_schema(self, request, public):
            made.append(1)
            return {"openapi": "3.0.3"}

    acme.login_as(alice)
    for language in ("en", "de", "en"):
        assert acme.get("/api/v1/openapi.json", headers={"accept-language": language}).json() == {
            "openapi": "3.0.3"
        }
    assert len(made) == 2


@pytest.mark.parametrize("name", ["accounts_apikey", "usage_budget"])
def test_forms_of_the_administration_take_any_value(acme, alice, name):
    acme.login_as(alice)
    path = reverse(f"service:{name}_add", urlconf=TENANT)
    for text in ("x", "\0", "9" * 30):
        assert acme.post(path, {"user": text, "subject": text, "level": text}).status_code < 500, text


@pytest.mark.parametrize("name", ["models_registry_model", "models_registry_connection", "usage_budget"])
def test_actions_take_any_selection(acme, alice, name):
    acme.login_as(alice)
    path = reverse(f"service:{name}_changelist", urlconf=TENANT)
    for text in ("x", "\0", "9" * 30):
        answer = acme.post(path, {"action": "delete_selected", "_selected_action": text})
        assert answer.status_code < 500, text


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("patch", "/api/v1/me/", '{"theme": "\\ud800"}'),
        ("patch", "/api/v1/me/", '{"language": "\\uDC00"}'),
        ("post", "/api/v1/api-keys/", '{"name": "x", "scopes": ["\\ud800"]}'),
        ("post", "/api/v1/budgets/", '{"level": "\\ud800", "limit": "1"}'),
    ],
)
def test_halves_of_characters_are_refused_wherever_they_stand(acme, alice, method, path, body):
    acme.login_as(alice)
    answer = getattr(acme, method)(path, body, content_type="application/json")
    assert answer.status_code == 400 and answer.json()["code"] == "invalid_json"
    whole = acme.patch("/api/v1/me/", '{"name": "\\ud83d\\ude00 Alice"}', content_type="application/json")
    assert whole.status_code == 200 and whole.json()["name"] == "😀 Alice"


def test_a_model_of_impossible_name_is_no_model(acme, bob):
    acme.login_as(bob)
    assert acme.post("/c/new/", {"text": "hello", "model": "\0"}).status_code < 500
    assert acme.get("/?model=%00").status_code < 500


NULS = "&".join(f"{name}=%00x" for name in ("q", "o", "p", "s", "term", "next", "cursor", "limit"))


@pytest.mark.parametrize(("host", "urlconf"), [("acme", TENANT), ("on_platform", PLATFORM)])
def test_nul_in_a_path_or_a_parameter_breaks_no_route(request, alice, olga, host, urlconf):
    client = request.getfixturevalue(host).login_as(alice if host == "acme" else olga)
    tried = 0
    for route in list_routes(urlconf):
        pattern = route.pattern.replace("^", "").replace("$", "").replace("\\Z", "")
        path = "/" + PLACE.sub("x%00y", pattern)
        for query in {"" if "%00" in path else NULS, NULS}:
            assert client.get(path, QUERY_STRING=query).status_code < 500, (path, query)
        for method in ("post", "patch", "delete"):
            assert getattr(client, method)(path).status_code < 500, (method, path)
        tried += 1
    assert tried > 40


def test_nul_in_a_cookie_opens_nothing(acme):
    for name in (settings.SESSION_COOKIE_NAME, settings.EARLIER_SESSION_COOKIE_NAME):
        answer = acme.get("/profile/", headers={"cookie": f'{name}="\\000{"a" * 31}"'})
        assert answer.status_code == 302 and answer.url.startswith("/accounts/login/")
