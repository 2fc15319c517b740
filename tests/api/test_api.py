"""What all of `/api/v1` has in common: doors, problems, paging, strictness, and its OpenAPI document."""

import json

import pytest
from auditlog.models import LogEntry
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import ApiKey
from accounts.services import create_api_key, create_role, grant, set_limit
from tenants.doors import hosts
from tests.api.query_counts import LISTS
from tests.estate import make_estate, make_event
from tests.prompts.chats import make_conversation
from tests.routes import TENANT, list_routes

pytestmark = pytest.mark.django_db
ROUTES = [
    route for route in list_routes(TENANT) if route.name.startswith("api-") and route.name != "api-docs"
]


def url(name: str, **kwargs) -> str:
    return reverse(name, urlconf=TENANT, kwargs=kwargs)


def bearer(text: str) -> dict:
    return {"authorization": f"Bearer {text}"}


@pytest.fixture
def key_of(alice):
    def make(user=alice, *scopes: str) -> dict:
        return bearer(
            create_api_key(actor=None, user=user, name="k", scopes=list(scopes) or ["read", "manage"])[1]
        )

    return make


def test_me_says_who_where_and_by_what(acme, alice, key_of):
    by_session = acme.login_as(alice).get("/api/v1/me/").json()
    assert by_session["email"] == alice.email and by_session["tenant"] == {
        "slug": "acme",
        "name": "Acme",
        "currency": "EUR",
        "language": "en",
    }
    assert (
        by_session["roles"] == ["owner"]
        and "usage.view_usageevent" in by_session["permissions"]
        and by_session["access"]["kind"] == "session"
    )
    by_key = Client(headers={"host": "localhost"} | key_of(alice, "read")).get("/api/v1/me/").json()
    assert by_key["id"] == by_session["id"] and by_key["access"] == {
        "kind": "api_key",
        "key_id": ApiKey.objects.get().key_id,
        "scopes": ["read"],
    }


def test_a_session_needs_its_csrf_token_and_a_key_does_not(alice, key_of):
    client = Client(headers={"host": "acme.localhost"}, enforce_csrf_checks=True)
    client.force_login(alice)
    assert client.patch("/api/v1/me/", {"name": "New"}, content_type="application/json").status_code == 403
    other = Client(headers={"host": "acme.localhost"} | key_of(), enforce_csrf_checks=True)
    assert other.patch("/api/v1/me/", {"name": "New"}, content_type="application/json").status_code == 200


def test_scopes_open_reading_and_changing(acme, alice, key_of):
    for scope, reading, changing in (
        ("inference", 403, 403),
        ("read", 200, 403),
        ("manage", 200, 200),
        ("organization", 403, 403),
    ):
        headers = key_of(alice, scope)
        assert acme.get("/api/v1/me/", headers=headers).status_code == reading, scope
        assert (
            acme.patch(
                "/api/v1/me/", {"name": "Alice"}, content_type="application/json", headers=headers
            ).status_code
            == changing
        ), scope


@pytest.mark.parametrize(
    "text", ["atr_acme_00000000_" + "x" * 43, "atr_globex_00000000_" + "x" * 43, "nonsense", ""]
)
def test_a_wrong_key_gets_one_and_the_same_answer(acme, text):
    response = acme.get("/api/v1/me/", headers=bearer(text))
    assert response.status_code == 401 and response["WWW-Authenticate"] == "Bearer"
    assert response.json()["code"] == "invalid_api_key"


@pytest.mark.parametrize("path", ["me/", "docs/", "openapi.json", "nothing/"])
def test_the_platforms_host_asks_for_a_key_too(on_platform, path):
    """There the key names the organisation, so without a good one there is nothing to look for."""
    strangers = {
        "": "not_authenticated",
        "Bearer nonsense": "invalid_api_key",
        "Bearer atr_nobody_00000000_x": "invalid_api_key",
        "Basic eDp5": "not_authenticated",  # a proxy's own, and no key
    }
    for header, code in strangers.items():
        response = on_platform.get(f"/api/v1/{path}", headers={"authorization": header} if header else {})
        assert response.status_code == 401 and response["WWW-Authenticate"] == "Bearer", header
        assert response["Content-Type"] == "application/problem+json" and response.json()["code"] == code
    german = on_platform.get("/api/v1/me/", headers={"accept-language": "de"} | bearer("nonsense"))
    assert german.json()["detail"].startswith("Dieser API-Schlüssel")


def test_a_revoked_key_and_one_of_someone_locked_out_are_useless(acme, alice, bob, key_of):
    headers = key_of(bob, "read")
    bob.is_active = False
    bob.save()
    assert acme.get("/api/v1/me/", headers=headers).status_code == 401


def test_problems_have_one_shape_in_the_language_of_the_request(acme, alice, key_of):
    german = {"accept-language": "de"} | key_of()
    answers = [
        acme.get("/api/v1/me/"),
        acme.get("/api/v1/nothing/", headers=german),
        acme.get(url("api-model-detail", pk=alice.pk), headers=german),
        acme.post("/api/v1/models/", {}, content_type="application/json", headers=german),
        acme.put("/api/v1/me/", headers=german),
        acme.post("/api/v1/models/", "{", content_type="application/json", headers=german),
        acme.post("/api/v1/models/", {"a": "b"}, headers=german),
    ]
    assert [answer.status_code for answer in answers] == [401, 404, 404, 400, 405, 400, 415]
    for answer in answers:
        body = answer.json()
        assert answer["Content-Type"] == "application/problem+json", body
        assert {"type", "title", "status", "detail", "code", "request_id"} <= set(body) and body[
            "request_id"
        ] == answer["X-Request-ID"]


def test_unknown_fields_and_parameters_are_refused(acme, alice):
    acme.login_as(alice)
    body = acme.post(
        "/api/v1/api-keys/", {"name": "k", "digest": "x", "is_staff": True}, content_type="application/json"
    ).json()
    assert set(body["errors"]) == {"digest", "is_staff"} and not ApiKey.objects.exists()
    assert acme.get("/api/v1/api-keys/?user__password__startswith=a").status_code == 400
    assert acme.get("/api/v1/api-keys/?ordering=digest").json()["errors"] == {
        "ordering": ["There is no such parameter."]
    }


BAD_BODIES = [
    '{"name": "\\ud800"}',
    '{"\\ud800": 1}',
    '{"name": "a\\u0000b"}',
    '{"name": NaN}',
    '{"name": 1e999}',
    "[" * 5_000,
    '{"a":' * 5_000,
    "null",
    "[]",
    '"x"',
    "1",
    '{"name": {"a": 1}}',
    '{"requests_per_minute": 1e999, "name": "k"}',
    '{"requests_per_minute": ' + "9" * 5_000 + "}",
    '{"name": "k", "scopes": [["read"]]}',
    '{"name": "k", "expires_at": "9999-12-31T23:59:59-14:00"}',
    '{"name": "k", "user": "x"}',
    "\xff",
    '{"name": "k"',
    '{"name": "' + "x" * 2_000 + '"}',
]
BAD_PAGING = [
    "limit=0",
    "limit=201",
    "limit=x",
    "limit=-1",
    "cursor=x",
    "cursor=cD1ub3QrYStkYXRl",
    "cursor=cD0yMDI2JTAw",
]


@pytest.mark.parametrize("body", BAD_BODIES)
def test_bad_bodies_are_refused_not_stumbled_over(acme, alice, body):
    response = acme.login_as(alice).post(
        "/api/v1/api-keys/",
        body.encode("latin-1") if body == "\xff" else body,
        content_type="application/json",
    )
    assert response.status_code == 400 and response.json()["code"] in ("invalid_input", "invalid_json"), body[
        :60
    ]


def test_a_huge_body_is_refused_while_it_is_read(acme, alice):
    response = acme.login_as(alice).post(
        "/api/v1/api-keys/", json.dumps({"name": "x" * 1_100_000}), content_type="application/json"
    )
    assert response.status_code == 413 and response.json()["code"] == "request_too_large"


@pytest.mark.parametrize("query", BAD_PAGING)
def test_bad_paging_is_refused(acme, alice, query):
    make_conversation(alice)
    response = acme.login_as(alice).get(f"/api/v1/conversations/?{query}")
    assert response.status_code == 400, response.content


def test_paging_by_cursor_gives_each_row_once(acme, alice):
    made = {str(make_conversation(alice, f"t{number}").pk) for number in range(7)}
    address, seen = "/api/v1/conversations/?limit=3", []
    acme.login_as(alice)
    while address:
        body = acme.get(address).json()
        seen += [row["id"] for row in body["results"]]
        make_conversation(alice, "new meanwhile")
        address = body["next"]
    assert len(seen) == len(set(seen)) == 7 and set(seen) == made


def test_the_audit_log_knows_the_person_behind_a_key(acme, alice, key_of):
    acme.patch("/api/v1/me/", {"name": "Alicia"}, content_type="application/json", headers=key_of())
    assert LogEntry.objects.get_for_object(alice).latest("pk").actor == alice


@pytest.mark.parametrize("route", [route.name for route in ROUTES if route.name.endswith("-list")])
def test_lists_take_a_stored_number_of_queries(acme, alice, route):
    estate = make_estate(alice)
    acme.login_as(alice)
    counts = []
    for rows in (0, 8):
        for number in range(rows):
            make_conversation(alice, turns=2)
            make_event(alice)
            key, _text = create_api_key(actor=None, user=alice, name=f"k{number}", requests_per_minute=5)
            set_limit(actor=None, level="key", subject_id=key.pk, measure="calls_at_once", amount=5)
            role = create_role(actor=None, name=f"r{number}", permissions=[])
            grant(actor=None, kind="model", target=estate.model.pk, role=role)
        # what is remembered of a tenant for a second would make the number depend on the clock
        hosts.forget()
        with CaptureQueriesContext(connection) as queries:
            assert acme.get(url(route)).status_code == 200
        counts.append(len(queries))
    assert counts[1] <= counts[0] and counts[1] <= LISTS[route], (
        f"{route} takes {counts} queries: {[query['sql'][:90] for query in queries.captured_queries]}"
    )


def test_the_openapi_document_is_valid_and_names_every_route(tmp_path, acme, alice):
    file = tmp_path / "openapi.json"
    call_command("spectacular", validate=True, fail_on_warn=True, file=str(file), format="openapi-json")
    document = json.loads(file.read_text())
    routes = {"/" + route.pattern.replace("<uuid:pk>", "{id}") for route in ROUTES}
    assert set(document["paths"]) == routes
    served = acme.login_as(alice).get("/api/v1/openapi.json").json()
    assert set(served["paths"]) == routes and "Problem" in served["components"]["schemas"]


def test_the_pages_of_the_document_need_no_script_of_their_own(acme, alice):
    page = acme.login_as(alice).get("/api/v1/docs/")
    assert page.status_code == 200 and b"<script>" not in page.content and b"cdn" not in page.content
    assert "script-src 'self' 'unsafe-eval'" in page["Content-Security-Policy"]
