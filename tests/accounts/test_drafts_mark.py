"""Whose drafts a tab keeps: pages say it anew after each log-out, and for each person."""

import re

import pytest

pytestmark = pytest.mark.django_db


def mark_of(client) -> str:
    found = re.search(r'data-drafts="(\w*)"', client.get("/accounts/password/change/").content.decode())
    return found[1] if found else ""


@pytest.mark.parametrize("way", ["/accounts/logout/", "/admin/logout/"])
def test_a_log_out_changes_the_mark_and_a_visit_does_not(acme, alice, bob, way):
    acme.login_as(alice)
    mark = mark_of(acme)
    assert mark and mark == mark_of(acme) and str(alice.pk) not in mark
    cookie = acme.post(way).cookies["atrium_left_" + _instance()]
    assert cookie["httponly"] and cookie["samesite"] == "Lax"
    assert mark_of(acme) == "", "nobody is logged in: what the tab has waits for who comes"
    acme.login_as(alice)
    after = mark_of(acme)
    acme.login_as(bob)
    assert len({mark, after, mark_of(acme)}) == 3


def _instance() -> str:
    from django.conf import settings

    return settings.LEFT_COOKIE_NAME.removeprefix("atrium_left_")
