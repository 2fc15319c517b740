"""The permission table holds: each role gets at each route what tests/permissions.py says, and no route is
missing from it.

By day pages are drawn for the roles for which no other test draws them all, each page for one of them:
`tests/admin/test_pages.py` and `tests/test_words_on_pages.py` look at the others'. `ATRIUM_PROOF=night` draws
every page for every role.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from unittest.mock import patch
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.template.base import Template
from django.urls import reverse

from accounts.forms import ProfileForm
from rest.permissions import ByAction
from tests.estate import make_estate, make_people, make_platform_estate
from tests.permissions import ELSEWHERE, OPERATORS, PLATFORM_ROWS, ROLES, TENANT_ROWS, Row
from tests.routes import PLATFORM, TENANT, list_routes

pytestmark = pytest.mark.django_db


# What a form's page may write: the session that holds its CSRF token, and the note to delete it some day.
OF_SESSIONS = re.compile(r'"django_session"|atrium_duty')
WRITES = re.compile(
    r"\s*(INSERT|UPDATE|DELETE|LOCK|MERGE|TRUNCATE)\b|.*\bFOR (NO KEY )?UPDATE\b|.*atrium_duty", re.DOTALL
)


DRAWN_FOR = ("ai_developer", "billing")


def drawing(number: int, row: Row, role: str):
    """While the page of this row, of this number, is asked for: whether its template is filled in. Its view
    and its queries run in any case.
    """
    is_drawn = row.method == "GET" and role == DRAWN_FOR[number % len(DRAWN_FOR)]
    if is_drawn or os.environ.get("ATRIUM_PROOF") == "night":
        return nullcontext()
    return patch.object(Template, "_render", lambda *_: "")


@contextmanager
def noting_writes() -> Iterator[list[str]]:
    """The statements meanwhile that write or lock."""
    found: list[str] = []

    def note(execute, sql, *rest):
        text = str(sql)
        if WRITES.match(text) and not OF_SESSIONS.search(text):
            found.append(text[:160])
        return execute(sql, *rest)

    with connection.execute_wrapper(note):
        yield found


def knock(client, row: Row, urlconf: str, estate) -> int:
    """The status of one request; what it changed is undone. A GET writes nothing and locks nothing."""
    arguments = {row.keyword: getattr(estate, row.object).pk} if row.object else {}
    address = reverse(row.route, urlconf=urlconf, kwargs=arguments)
    cookies = client.cookies.copy()
    with transaction.atomic(), noting_writes() as writes:
        is_form = row.method == "POST" and not row.route.startswith("api-")
        response = (
            client.post(address, row.data)
            if is_form
            else client.generic(row.method, address, content_type="application/json")
        )
        transaction.set_rollback(True)
    client.cookies = cookies  # a log-out must not end the others' session
    assert row.method != "GET" or writes == [], f"GET {row.route} writes: {writes}"
    return response.status_code


def differences(
    client, role: str, rows: list[Row], roles: tuple[str, ...], urlconf: str, estate
) -> list[str]:
    found = []
    for number, row in enumerate(rows):
        expected = row.expected(roles).get(role)
        if expected is None:
            continue
        with drawing(number, row, role):
            status = knock(client, row, urlconf, estate)
        if status != expected:
            found.append(f"{row.method} {row.route} ({row.object}): {role} gets {status}, not {expected}")
    return found


@pytest.mark.parametrize("role", ROLES)
def test_each_role_gets_what_the_table_says(acme, role):
    people = make_people("acme")
    estate = make_estate(people["user"])
    client = acme if role == "anonymous" else acme.login_as(people[role])
    assert differences(client, role, TENANT_ROWS, ROLES, TENANT, estate) == []


@pytest.mark.scope("platform")
@pytest.mark.parametrize("role", OPERATORS)
def test_operators_get_what_the_table_says(on_platform, olga, role):
    estate = make_platform_estate(olga)
    client = on_platform if role == "anonymous" else on_platform.login_as(olga)
    assert differences(client, role, PLATFORM_ROWS, OPERATORS, PLATFORM, estate) == []


@pytest.mark.parametrize(
    ("urlconf", "rows"), [(TENANT, TENANT_ROWS), (PLATFORM, PLATFORM_ROWS)], ids=["tenant", "platform"]
)
def test_no_route_is_missing_from_the_table(urlconf, rows):
    listed = {(row.route, row.method) for row in rows}
    names = {route for route, _method in listed} | ELSEWHERE
    for route in list_routes(urlconf):
        assert route.name in names, f"{route.name} ({route.pattern}) has no row in tests/permissions.py"
        if route.name.startswith("api-"):
            missing = set(route.methods) - {method for name, method in listed if name == route.name}
            assert not missing, f"{route.name}: {missing} have no row"
    assert names <= {route.name for route in list_routes(urlconf)} | ELSEWHERE


def test_planted_bug_an_api_that_lets_everybody_in_is_noticed(acme, monkeypatch):
    estate = make_estate(make_people("acme")["user"])
    rows = [row for row in TENANT_ROWS if row.method == "GET" and row.route.startswith("api-")]
    assert differences(acme, "anonymous", rows, ROLES, TENANT, estate) == []
    monkeypatch.setattr(ByAction, "has_permission", lambda self, request, view: True)
    acme.raise_request_exception = False
    assert len(differences(acme, "anonymous", rows, ROLES, TENANT, estate)) > 5


def test_planted_bug_a_page_that_writes_when_it_is_looked_at_is_noticed(acme, monkeypatch):
    people = make_people("acme")
    estate = make_estate(people["user"])
    rows = [row for row in TENANT_ROWS if row.route == "accounts:profile" and row.method == "GET"]
    client = acme.login_as(people["user"])
    assert rows and differences(client, "user", rows, ROLES, TENANT, estate) == []
    build = ProfileForm.__init__

    def build_and_write(form, data, instance) -> None:
        build(form, data, instance=instance)
        instance.save()

    monkeypatch.setattr(ProfileForm, "__init__", build_and_write)
    with pytest.raises(AssertionError, match="GET accounts:profile writes"):
        differences(client, "user", rows, ROLES, TENANT, estate)


def test_planted_bug_a_route_without_a_row_is_noticed():
    rows = [row for row in TENANT_ROWS if row.route != "accounts:profile"]
    with pytest.raises(AssertionError, match="accounts:profile"):
        test_no_route_is_missing_from_the_table(TENANT, rows)


def test_a_missing_object_and_one_of_another_tenant_look_the_same(acme, globex, charlie, cast):
    """Alice (acme's owner) asks for globex's ids, and for ids that nobody has: the same status, and the same
    words.
    """
    from tenants.context import tenant

    with tenant("globex"):
        foreign = make_estate(charlie, "of-globex")
    acme.login_as(cast.alice)
    tried = 0
    for row in TENANT_ROWS:
        if not row.object or row.route.startswith(("service:", "prompts:message")) or "-" in row.statuses:
            continue
        answers = []
        for pk in (getattr(foreign, row.object).pk, uuid4()):
            address = reverse(row.route, urlconf=TENANT, kwargs={row.keyword: pk})
            response = acme.generic(row.method, address, content_type="application/json")
            text = response.content.decode().replace(str(pk), "ID").replace(response["X-Request-ID"], "")
            answers.append((response.status_code, text if row.route.startswith("api-") else ""))
        assert answers[0] == answers[1] and answers[0][0] == 404, (row.route, row.method, answers)
        tried += 1
    assert tried >= 20
