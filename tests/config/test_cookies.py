"""Two installations on one machine: the browser keeps one cookie of a name for all ports of a host."""

import json
import os
import subprocess
import sys

import pytest
from django.conf import settings

from tests.live import ROOT

PROGRAM = """
import django, json
django.setup()
from django.conf import settings
from config.message_storage import InstanceCookieStorage
names = [getattr(settings, f"{kind}_COOKIE_NAME") for kind in ("SESSION", "CSRF", "LANGUAGE")]
print(json.dumps([*names, InstanceCookieStorage.cookie_name]))
"""


def names_with(secret: str) -> set[str]:
    environment = {**os.environ, "ATRIUM_SECRET_KEY": secret, "DJANGO_SETTINGS_MODULE": "config.settings"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        check=True,
        timeout=60,
    )
    return set(json.loads(done.stdout))


def test_no_name_of_one_is_a_name_of_the_other_and_a_restart_changes_none():
    one, again, other = names_with("a" * 50), names_with("a" * 50), names_with("b" * 50)
    assert one == again and len(one) == 4 and not one & other


@pytest.mark.django_db
def test_every_cookie_that_is_set_carries_the_installation(acme, bob):
    password = "correct horse battery staple"
    acme.post("/accounts/login/", {"login": bob.email, "password": password})
    acme.post("/i18n/setlang/", {"language": "de", "next": "/"})
    acme.post("/profile/", {"name": "Bob", "language": "", "theme": "dark", "time_zone": ""})
    assert len(acme.cookies) == 3
    assert all(name.endswith(f"_{settings.INSTANCE}") for name in acme.cookies), acme.cookies


@pytest.mark.django_db
def test_whoever_was_logged_in_before_stays_so_and_the_new_name_counts_more(acme, alice, bob):
    sessions = {}
    for person in (alice, bob):
        acme.login_as(person)
        sessions[person] = acme.cookies.pop(settings.SESSION_COOKIE_NAME).value
    assert acme.get("/profile/").status_code == 302
    acme.cookies[settings.EARLIER_SESSION_COOKIE_NAME] = sessions[alice]
    assert alice.email in acme.get("/profile/").content.decode()
    acme.cookies[settings.SESSION_COOKIE_NAME] = sessions[bob]
    assert bob.email in acme.get("/profile/").content.decode()
