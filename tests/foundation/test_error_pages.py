"""A database that does not answer is a 503 that says when to come again, wherever it shows; a fault of ours
stays a 500.
"""

import pytest
from django.db import InterfaceError, OperationalError, ProgrammingError, connection
from django.test import RequestFactory

from config.middleware import ErrorMiddleware
from foundation.error_pages import is_outage
from foundation.errors import Conflict, Unavailable
from tenants.doors import hosts
from tests.conftest import HostClient

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser(acme, alice) -> HostClient:
    """Alice's, which gets answers as a browser does: no exception comes through."""
    hosts.forget()
    return HostClient(acme.host, acme.scope, raise_request_exception=False).login_as(alice)


def failing(part: str, error: Exception):
    """Every statement that contains `part` fails."""

    def execute(go_on, sql, *arguments):
        if part in sql:
            raise error
        return go_on(sql, *arguments)

    return connection.execute_wrapper(execute)


GONE = OperationalError("the connection is closed")
PLACES = {
    "the tenant's door": ('FROM "tenants_tenant"', "/"),
    "reading the session": ('FROM "django_session"', "/"),
    "a page": ('FROM "prompts_conversation"', "/"),
    "the API": ('FROM "prompts_conversation"', "/api/v1/conversations/"),
    "the administration": ('FROM "accounts_user"', "/admin/accounts/user/"),
}


@pytest.mark.parametrize(
    "error", [GONE, InterfaceError("connection already closed")], ids=["broken", "closed"]
)
@pytest.mark.parametrize(("part", "path"), PLACES.values(), ids=PLACES)
def test_an_outage_is_told_wherever_it_shows(browser, part, path, error):
    with failing(part, error):
        answer = browser.get(path, headers={"accept-language": "de"})
    assert answer.status_code == 503 and answer["Retry-After"] == "5" and answer["X-Request-ID"]
    if path.startswith("/api/"):
        assert answer["Content-Type"] == "application/problem+json" and answer.json()["code"] == "unavailable"
    else:
        assert (
            'lang="de"' in answer.content.decode() and "Datenbank antwortet nicht" in answer.content.decode()
        )


def test_a_session_that_cannot_be_saved_is_no_fault_of_the_browsers(browser):
    """Django itself takes it for one that was deleted meanwhile."""
    session = browser.session
    session["new_api_key"] = {"id": "0", "sealed": "", "made_at": 0}  # the page takes it out
    session.save()
    with failing('UPDATE "django_session"', GONE):
        answer = browser.get("/keys/")
    assert answer.status_code == 503 and answer["Retry-After"] == "5"


def test_a_fault_of_ours_stays_one(browser):
    with failing('FROM "prompts_conversation"', ProgrammingError("there is no such column")):
        assert [browser.get(path).status_code for path in ("/", "/api/v1/conversations/")] == [500, 500]


def test_for_htmx_an_outage_is_a_notice(browser):
    with failing('FROM "prompts_conversation"', GONE):
        answer = browser.get("/", headers={"hx-request": "true"})
    assert (
        answer.status_code == 503
        and "data-notice" in answer.content.decode()
        and "<html" not in answer.content.decode()
    )


def test_an_outage_shows_in_what_came_of_it():
    try:
        try:
            raise GONE
        except OperationalError as exc:
            raise ValueError("no session") from exc
    except ValueError as exc:
        assert is_outage(exc)
    assert not is_outage(ValueError("no session")) and not is_outage(None)


def test_an_error_with_a_time_to_wait_says_it_on_pages_too():
    request, middleware = RequestFactory().get("/"), ErrorMiddleware(lambda request: None)
    assert middleware.process_exception(request, Unavailable("later", retry_after_s=7))["Retry-After"] == "7"
    assert "Retry-After" not in middleware.process_exception(request, Conflict("no"))


def test_a_static_file_that_is_not_there_costs_no_query(browser, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert browser.get("/static/nothing.css").status_code == 404
        assert browser.get("/static/css/app.css").status_code == 200
