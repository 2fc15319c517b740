"""Log-in, profile and keys as pages."""

import time

import pytest
from django.conf import settings
from django.utils import translation

from tests.cast import PASSWORD

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh(clean_cache):
    """Log-ins are limited per address: each test starts with a clean slate."""


def test_bob_logs_in_with_his_address_in_any_case(acme):
    response = acme.post("/accounts/login/", {"login": "BOB@acme.example", "password": PASSWORD})
    assert response.status_code == 302 and response.url == "/"
    cookie = response.cookies[settings.SESSION_COOKIE_NAME]
    assert cookie["domain"] == "" and cookie["httponly"] and cookie["samesite"] == "Lax"


STRANGERS = [
    ("bob@acme.example", "wrong"),
    ("nobody@acme.example", PASSWORD),
    ("charlie@globex.example", PASSWORD),
    ("olga@atrium.example", PASSWORD),
]


@pytest.mark.parametrize(("email", "password"), STRANGERS)
def test_wrong_unknown_and_foreign_people_get_the_same_answer(acme, email, password):
    response = acme.post("/accounts/login/", {"login": email, "password": password})
    assert response.status_code == 200 and "password is wrong" in response.content.decode()


def test_an_operator_logs_in_on_the_platform_only(on_platform):
    assert (
        on_platform.post(
            "/accounts/login/", {"login": "olga@atrium.example", "password": PASSWORD}
        ).status_code
        == 302
    )


def test_guessing_is_limited(acme):
    answers = [
        acme.post("/accounts/login/", {"login": "bob@acme.example", "password": f"wrong {n}"})
        for n in range(12)
    ]
    told = "Too many failed tries. Try again in 5 minutes."
    assert [told in response.content.decode() for response in answers] == [False] * 5 + [True] * 7
    for language, text in (
        ("de", "Versuchen Sie es in 5 Minuten erneut."),
        ("zh-hans", "请在 5 分钟后重试。"),
    ):
        locked = acme.post(
            "/accounts/login/",
            {"login": "bob@acme.example", "password": PASSWORD},
            headers={"accept-language": language},
        )
        assert locked.status_code == 200 and text in locked.content.decode()


def test_a_lock_tells_how_long_it_still_lasts(acme, monkeypatch):
    def log_in(name: str) -> str:
        sent = {"login": f"{name}@acme.example", "password": "wrong"}
        return acme.post("/accounts/login/", sent).content.decode()

    for number in range(5):
        log_in("bob")
        log_in(f"person-{number}")
    assert "Try again in 1 minute." in log_in("another"), "the address is locked, for a minute"
    assert "Try again in 5 minutes." in log_in("bob"), "and for longer where the account is, too"
    later_s = time.time() + 130
    monkeypatch.setattr(time, "time", lambda: later_s)
    assert "Try again in 3 minutes." in log_in("bob")


def test_who_asks_for_too_many_links_reads_how_long_to_wait(acme):
    answers = [
        acme.post(
            "/accounts/password/reset/", {"email": "bob@acme.example"}, headers={"accept-language": "de"}
        )
        for _n in range(6)
    ]
    assert [answer.status_code for answer in answers] == [302] * 5 + [429]
    assert "Warten Sie eine Minute" in answers[-1].content.decode()
    waits = [
        rate.split("/")[1]
        for name, rates in settings.ACCOUNT_RATE_LIMITS.items()
        for rate in rates.split(",")
    ]
    assert sorted(set(waits)) == [f"{settings.LOGIN_LOCK_MINUTES}m", "m"], "the pages tell these"


def test_nobody_signs_up(acme):
    assert b'name="password1"' not in acme.get("/accounts/signup/").content
    acme.post(
        "/accounts/signup/", {"email": "eve@acme.example", "password1": PASSWORD, "password2": PASSWORD}
    )
    assert (
        acme.post("/accounts/login/", {"login": "eve@acme.example", "password": PASSWORD}).status_code == 200
    )


@pytest.mark.parametrize("path", ["/", "/profile/", "/keys/", "/usage/", "/c/"])
def test_pages_ask_who_you_are(acme, path):
    response = acme.get(path)
    assert response.status_code == 302 and response.url.startswith("/accounts/login/?next=")


def test_the_language_comes_from_the_profile_then_the_browser(acme, bob):
    assert acme.get("/accounts/login/", headers={"accept-language": "de"}).headers["Content-Language"] == "de"
    acme.login_as(bob)
    bob.language = "zh-hans"
    bob.save()
    assert acme.get("/profile/", headers={"accept-language": "de"}).headers["Content-Language"] == "zh-hans"
    assert translation.get_language() == "en", "nothing of it stays"


def test_a_profile_is_saved(acme, bob):
    acme.login_as(bob)
    data = {"name": "Bobby", "language": "de", "theme": "dark", "time_zone": "Asia/Shanghai"}
    assert acme.post("/profile/", data).status_code == 302
    assert 'lang="de"' in acme.get("/profile/").content.decode()
    assert acme.post("/profile/", data | {"time_zone": "Mars/Olympus"}).status_code == 200


def test_every_page_carries_the_security_headers(acme):
    headers = acme.get("/accounts/login/").headers
    assert (
        "require-trusted-types-for 'script'" in headers["Content-Security-Policy"]
        and "'unsafe-inline'" not in headers["Content-Security-Policy"]
    )
    assert (
        headers["X-Content-Type-Options"] == "nosniff"
        and headers["X-Frame-Options"] == "DENY"
        and headers["X-Request-ID"]
    )


def log_in(acme, **data):
    return acme.post("/accounts/login/", {"login": "bob@acme.example", "password": PASSWORD, **data})


def test_the_browser_tells_the_time_zone_of_whoever_chose_none(acme, bob):
    assert bob.time_zone == "" and "data-browser-time-zone" in acme.get("/accounts/login/").content.decode()
    for told, kept in (
        ("Mars/Olympus", ""),
        ("", ""),
        ("Asia/Shanghai", "Asia/Shanghai"),
        ("Europe/Paris", "Asia/Shanghai"),
    ):
        assert log_in(acme, time_zone=told).status_code == 302
        bob.refresh_from_db()
        assert bob.time_zone == kept, told
        acme.post("/accounts/logout/")


def test_without_a_time_zone_times_are_utc_and_the_profile_can_be_saved(acme, bob):
    acme.login_as(bob)
    assert '<option value="" selected>' in acme.get("/profile/").content.decode()
    assert (
        acme.post(
            "/profile/", {"name": "Bob", "language": "de", "theme": "dark", "time_zone": ""}
        ).status_code
        == 302
    )


@pytest.mark.parametrize("language", ["de", "en", "zh-hans"])
@pytest.mark.parametrize(
    "body",
    [{"name": "x" * 3_000_000}, {f"f{number}": "" for number in range(2_001)}],
    ids=["large", "many fields"],
)
def test_a_form_that_is_too_large_gets_a_page_like_the_others(acme, bob, body, language):
    response = acme.login_as(bob).post("/profile/", body, headers={"accept-language": language})
    assert (
        response.status_code == 400
        and 'class="shell"' in response.content.decode()
        and response["Content-Language"] == language
    )
