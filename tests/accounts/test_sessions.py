"""A visit to the log-in form leaves little and not for long; whoever is logged in stays so."""

import re
from datetime import timedelta

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.utils import timezone

from accounts import sessions
from accounts.sessions import SESSIONS, SessionStore, delete_expired_sessions, sweep_sessions
from tenants.context import platform, tenant
from tenants.models import Duty
from tenants.work.duties import carry_out_duties
from tests.cast import PASSWORD
from tests.conftest import HostClient

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def forget(monkeypatch):
    monkeypatch.setattr(sessions, "_noted", {})


def make_session(lives: timedelta, **data) -> str:
    store = SessionStore()
    store.update(data)
    store.create()
    Session.objects.filter(pk=store.session_key).update(expire_date=timezone.now() + lives)
    return store.session_key


def kept() -> set[str]:
    return set(Session.objects.values_list("pk", flat=True))


def duties() -> list[Duty]:
    with platform():
        return list(Duty.objects.filter(kind=SESSIONS).order_by("due_at"))


def lifetime(acme) -> timedelta:
    return (
        Session.objects.get(pk=acme.cookies[settings.SESSION_COOKIE_NAME].value).expire_date - timezone.now()
    )


def open_form(client) -> str:
    return re.search(
        r'name="csrfmiddlewaretoken" value="(\w+)"', client.get("/accounts/login/").content.decode()
    )[1]


def log_in(client, token: str):
    return client.post(
        "/accounts/login/", {"login": "bob@acme.example", "password": PASSWORD, "csrfmiddlewaretoken": token}
    )


@pytest.fixture
def strict(acme) -> HostClient:
    """A browser at Acme whose CSRF tokens count."""
    return HostClient(acme.host, acme.scope, enforce_csrf_checks=True)


def test_a_visitors_session_is_short_and_logging_in_makes_it_long(strict):
    token = open_form(strict)
    assert HOUR * 0.9 < lifetime(strict) <= HOUR
    assert strict.cookies[settings.SESSION_COOKIE_NAME]["max-age"] == 3600
    assert log_in(strict, token).status_code == 302
    assert lifetime(strict) > timedelta(days=13)
    assert strict.get("/profile/").status_code == 200


def test_a_session_is_long_by_being_logged_in_and_by_nothing_else(acme, bob):
    acme.login_as(bob)  # past allauth, which sets a time of its own
    assert lifetime(acme) > timedelta(days=13)


def test_a_form_that_was_open_for_long_can_still_be_sent(strict):
    token = open_form(strict)
    Session.objects.update(expire_date=timezone.now() + timedelta(minutes=1))
    assert delete_expired_sessions() == 0
    assert log_in(strict, "x" * 64).status_code == 403, "the token is looked at"
    assert log_in(strict, token).status_code == 302


def test_sessions_from_before_this_store_still_count(acme, bob):
    from django.contrib.sessions.backends.db import SessionStore as DjangosStore

    acme.login_as(bob)
    old = DjangosStore(acme.cookies[settings.SESSION_COOKIE_NAME].value)
    assert old.load() and SessionStore(old.session_key).load() == old.load()


@pytest.mark.parametrize("scope", ["acme", pytest.param("platform", marks=pytest.mark.scope("platform"))])
def test_the_expired_are_deleted_and_the_living_stay(scope, monkeypatch):
    monkeypatch.setattr(sessions, "AT_ONCE", 2)
    living, expired = {make_session(HOUR) for _ in range(3)}, {make_session(-HOUR) for _ in range(7)}
    assert kept() >= living | expired
    assert delete_expired_sessions() >= 7
    assert kept() >= living and not kept() & expired
    assert delete_expired_sessions() == 0


def test_a_session_that_goes_on_meanwhile_is_not_deleted(monkeypatch):
    """Its owner did something between the look and the deletion."""
    key, look, looks = make_session(-HOUR), sessions._expired, []

    def look_and_act():
        if looks:
            Session.objects.update(expire_date=timezone.now() + HOUR)
        looks.append(1)
        return look()

    monkeypatch.setattr(sessions, "_expired", look_and_act)
    assert delete_expired_sessions() == 0 and key in kept()


def test_many_visits_note_one_duty_that_is_carried_out_when_they_have_expired(
    django_capture_on_commit_callbacks,
):
    for _visit in range(5):
        with django_capture_on_commit_callbacks(execute=True):
            make_session(HOUR)
    [noted] = duties()
    assert timezone.now() + HOUR - timedelta(minutes=1) < noted.due_at <= timezone.now() + 2 * HOUR


def test_a_note_that_was_rolled_back_is_made_again():
    make_session(HOUR)  # nothing commits here
    make_session(HOUR)
    assert len(duties()) == 2


def test_the_duty_goes_on_while_there_are_sessions_and_ends_with_the_last(django_capture_on_commit_callbacks):
    Session.objects.all().delete()
    with django_capture_on_commit_callbacks(execute=True):
        expired, living = make_session(-HOUR), make_session(HOUR)
    failures = []

    def carry_out() -> None:
        with platform():
            Duty.objects.filter(kind=SESSIONS).update(due_at=timezone.now())
            carry_out_duties(lambda *failure: failures.append(failure))

    carry_out()
    assert kept() == {living} and expired not in kept()
    [next_time] = duties()
    assert timezone.now() + HOUR - timedelta(minutes=1) < next_time.due_at <= timezone.now() + 2 * HOUR
    Session.objects.update(expire_date=timezone.now() - HOUR)
    carry_out()
    assert kept() == set() and duties() == [] and failures == []


def test_a_backlog_is_deleted_in_steps(monkeypatch):
    monkeypatch.setattr(sessions, "AT_ONCE", 2)
    monkeypatch.setattr(sessions, "MOST_BATCHES", 2)
    Session.objects.all().delete()
    for _row in range(5):
        make_session(-HOUR)
    with platform():
        Duty.objects.all().delete()
    sweep_sessions()
    assert len(kept()) == 1
    assert [duty.due_at <= timezone.now() for duty in duties()] == [True], "the rest is due at once"
    sweep_sessions()
    assert kept() == set()


def test_a_tenants_sweep_touches_no_other_tenants_sessions():
    with tenant("globex"):
        theirs = make_session(-HOUR)
    assert delete_expired_sessions() >= 0
    with tenant("globex"):
        assert theirs in kept()
