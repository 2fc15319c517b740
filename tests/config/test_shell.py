"""Errors and the pages of the own account: inside the shell for who is logged in, else on a card."""

import importlib
import re

import pytest
from django.db import ProgrammingError
from django.urls import clear_url_caches

from config import urls_tenant
from tenants.doors import hosts
from tests.conftest import HostClient
from tests.foundation.test_error_pages import failing

pytestmark = pytest.mark.django_db
RAIL, CARD = 'id="rail"', 'class="plain-card"'
BAND = re.compile(r"<body[^>]*\bis-platform\b")
NOBODYS = "/c/00000000-0000-0000-0000-000000000000/"


@pytest.fixture
def browser(acme, bob) -> HostClient:
    """Bob's, which gets answers as a browser does: no exception comes through."""
    hosts.forget()
    return HostClient(acme.host, acme.scope, raise_request_exception=False).login_as(bob)


def assert_inside(response, status: int) -> str:
    html = response.content.decode()
    assert response.status_code == status
    assert RAIL in html and CARD not in html and html.count("<h1") == 1
    return html


@pytest.mark.parametrize("path", ["/nothing/", NOBODYS])
def test_what_is_not_there_is_told_inside_the_shell(browser, path):
    assert response_id(assert_inside(browser.get(path), 404))


def response_id(html: str) -> bool:
    return "<code>req_" in html


def test_what_is_forbidden_is_told_inside_the_shell(browser):
    assert_inside(browser.get("/admin/"), 403)


def test_a_form_without_its_token_is_told_inside_the_shell(acme, bob):
    strict = HostClient(acme.host, acme.scope, enforce_csrf_checks=True).login_as(bob)
    assert_inside(strict.post("/profile/", {"name": "Bob"}), 403)


def test_too_many_tries_are_told_inside_the_shell(browser, settings):
    settings.ACCOUNT_RATE_LIMITS = {"change_password": "1/h/user"}
    wrong = {"oldpassword": "wrong", "password1": "x", "password2": "x"}
    answers = [browser.post("/accounts/password/change/", wrong) for _try in range(2)]
    assert_inside(answers[0], 200)
    assert_inside(answers[1], 429)


def test_a_fault_of_ours_is_told_inside_the_shell(browser):
    with failing('FROM "prompts_conversation"', ProgrammingError("there is no such column")):
        assert response_id(assert_inside(browser.get("/"), 500))


def test_a_fault_of_what_the_shell_needs_is_told_without_it(browser):
    with failing('FROM "django_session"', ProgrammingError("there is no such column")):
        response = browser.get("/")
    html = response.content.decode()
    assert response.status_code == 500 and CARD in html and RAIL not in html and response_id(html)


@pytest.mark.parametrize("path", ["/accounts/password/change/", "/accounts/email/", "/accounts/logout/"])
def test_the_own_account_is_inside_the_shell(browser, path):
    html = assert_inside(browser.get(path), 200)
    assert 'href="/profile/"' in html.split('class="breadcrumb"')[1].split("</nav>")[0]


def test_nobodys_pages_are_on_a_card(acme):
    for path, status in (("/nothing/", 404), ("/accounts/login/", 200), ("/accounts/password/reset/", 200)):
        response = acme.get(path)
        html = response.content.decode()
        assert response.status_code == status and CARD in html and RAIL not in html


def test_operators_keep_their_own_chrome(on_platform, olga):
    browser = on_platform.login_as(olga)
    for path, status in (("/nothing/", 404), ("/accounts/password/change/", 200), ("/profile/", 200)):
        response = browser.get(path)
        html = response.content.decode()
        assert response.status_code == status and RAIL not in html
        assert BAND.search(html) and "Atrium platform" in html


def test_no_other_hosts_errors_have_the_operators_band(acme, browser, set_acme):
    elsewhere = HostClient("nobody.localhost", acme.scope).get("/")
    assert elsewhere.status_code == 404 and not BAND.search(elsewhere.content.decode())
    for client in (acme, browser):
        assert not BAND.search(client.get("/nothing/").content.decode())
    set_acme(status="suspended")
    suspended = acme.get("/")
    assert suspended.status_code == 403 and not BAND.search(suspended.content.decode())


@pytest.fixture
def as_in_production(settings):
    """The tenants' URLs as production has them."""
    settings.ATRIUM_ENV = "production"
    importlib.reload(urls_tenant)
    clear_url_caches()
    yield
    settings.ATRIUM_ENV = "test"
    importlib.reload(urls_tenant)
    clear_url_caches()


def test_production_has_no_style_guide(browser, as_in_production):
    assert browser.get("/styleguide/").status_code == 404
    assert browser.get("/usage/").status_code == 200
