"""The doors of the two administrations: who gets in, and that log-ins go through allauth."""

import pytest
from django.contrib import admin
from django.urls import NoReverseMatch, reverse

from administration.start_page import list_cards
from tests.estate import make_estate, make_event, make_people, make_platform_estate
from tests.routes import PLATFORM, TENANT, list_routes

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("path", ["/admin/", "/admin/accounts/user/", "/admin/login/"])
def test_strangers_are_sent_to_the_log_in_page_of_the_house(acme, path):
    response = acme.get(path)
    assert response.status_code == 302 and response["Location"].startswith(
        "/accounts/login/?next=%2Fadmin%2F"
    )


def test_after_the_log_in_one_is_where_one_wanted_to_be(acme, alice):
    response = acme.post(
        "/accounts/login/?next=%2Fadmin%2Faccounts%2Fuser%2F",
        {"login": alice.email, "password": "correct horse battery staple"},
    )
    assert response["Location"] == "/admin/accounts/user/"


def test_the_sites_have_no_log_in_form_that_allauth_does_not_count(acme, alice):
    response = acme.post(
        "/admin/login/", {"username": alice.email, "password": "correct horse battery staple"}
    )
    assert response.status_code == 302 and "_auth_user_id" not in acme.session


@pytest.mark.parametrize("path", ["/admin/", "/admin/login/", "/admin/accounts/user/", "/admin/nothing/"])
def test_a_member_without_the_right_gets_no_loop_but_a_refusal(acme, bob, path):
    assert acme.login_as(bob).get(path).status_code == (404 if path == "/admin/nothing/" else 403)


def test_the_right_to_enter_can_be_given_and_taken(acme, bob):
    people = make_people("acme")
    assert acme.login_as(people["auditor"]).get("/admin/").status_code == 200
    people["auditor"].groups.clear()
    assert acme.get("/admin/").status_code == 403


def test_someone_who_is_locked_out_is_out_at_the_next_request(acme, alice):
    acme.login_as(alice)
    alice.is_active = False
    alice.save()
    assert acme.get("/admin/").status_code == 302


def test_logging_out_takes_a_post_and_ends_the_session(acme, alice):
    acme.login_as(alice)
    assert acme.get("/admin/logout/").status_code == 405
    assert acme.post("/admin/logout/")["Location"] == "/accounts/login/"
    assert acme.get("/admin/").status_code == 302


def test_djangos_own_site_is_mounted_nowhere():
    assert not any(
        route.name.startswith("admin:") for urlconf in (TENANT, PLATFORM) for route in list_routes(urlconf)
    )
    with pytest.raises(NoReverseMatch):
        reverse(f"{admin.site.name}:view_on_site", args=[1, 1], urlconf=TENANT)


@pytest.mark.parametrize("name", ["view_on_site"])
def test_what_would_tell_which_ids_exist_is_withheld(name):
    assert not any(
        route.name.endswith(name) for urlconf in (TENANT, PLATFORM) for route in list_routes(urlconf)
    )


def test_each_site_answers_in_its_own_world_only(acme, alice, on_platform, olga):
    assert b"AI service administration" in acme.login_as(alice).get("/admin/").content
    body = on_platform.login_as(olga).get("/admin/").content
    assert b"System administration" in body and b"site-system" in body
    assert (
        on_platform.get("/admin/usage/budget/").status_code == 404
        and acme.get("/admin/tenants/tenant/").status_code == 404
    )


def test_the_start_page_shows_what_matters_today(acme, alice):
    estate = make_estate(alice)
    make_event(alice, status="error", error_code="upstream_timeout")
    page = acme.login_as(alice).get("/admin/").content.decode()
    for text in (
        "How does today compare",
        "When was it busy",
        "Which models cost most",
        "Which budgets run low",
        "upstream_timeout",
        estate.event.model,
    ):
        assert text in page, text
    assert "canary" not in page, "the start page tells nothing of what people write"


def test_cards_are_shown_to_those_who_hold_their_right(acme):
    people = make_people("acme")
    assert list_cards("service", people["user"]) == []
    assert {"usage-today", "usage-budgets-running-low"} <= {
        card.name for card in list_cards("service", people["billing"])
    }
    assert b"How does today compare" in acme.login_as(people["billing"]).get("/admin/").content


@pytest.mark.scope("platform")
def test_the_platforms_start_page_sums_over_tenants(on_platform, olga):
    make_platform_estate(olga)
    page = on_platform.login_as(olga).get("/admin/").content.decode()
    for text in ("What did all tenants use today?", "Which tenants used most", "acme", "1.50"):
        assert text in page, text


def test_the_palette_finds_lists_and_people_but_no_conversations(acme, alice):
    make_estate(alice, "zebra")
    acme.login_as(alice)
    found = acme.get("/admin/search/", {"s": "zebra", "extended": 1}).content.decode()
    assert "Project zebra" in found and "Key zebra" in found and "Title zebra" not in found
    assert "Budgets" in acme.get("/admin/search/", {"s": "budg", "extended": 1}).content.decode()
    assert acme.get("/admin/search/", {"s": "x"}).status_code == 200


def test_the_palette_finds_only_what_one_may_see(acme):
    people = make_people("acme")
    make_estate(people["user"], "zebra")
    found = (
        acme.login_as(people["billing"]).get("/admin/search/", {"s": "zebra", "extended": 1}).content.decode()
    )
    assert "zebra" not in found
