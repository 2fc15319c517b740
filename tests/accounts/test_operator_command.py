"""`manage.py operator`: how an installation gets its first operator."""

import io
import json
import re

import pytest
from django.core import mail
from django.core.management import CommandError, call_command

from accounts.models import User
from tenants.context import platform, tenant
from tests.cast import PASSWORD
from tests.chores import do_work
from tests.conftest import manage

pytestmark = [pytest.mark.django_db, pytest.mark.scope(None)]
OTTO = "otto@atrium.example"


def operator(*arguments: str) -> str:
    """What `manage.py operator …` prints."""
    return manage("operator", *arguments)


def type_password(monkeypatch, password: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{password}\n"))


def test_an_operator_made_with_a_password_logs_in_on_the_platform_only(
    on_platform, acme, monkeypatch, clean_cache
):
    type_password(monkeypatch, PASSWORD)
    assert "is made" in operator("create", "Otto@Atrium.example", "--name", "Otto Ost", "--password-stdin")
    log_in = {"login": OTTO, "password": PASSWORD}
    assert acme.post("/accounts/login/", log_in).status_code == 200, "the form again"
    assert on_platform.post("/accounts/login/", log_in).status_code == 302
    assert on_platform.get("/admin/").status_code == 200
    with tenant("acme"):
        assert not User.objects.filter(email=OTTO).exists()


def test_without_a_password_a_mail_leads_to_one(on_platform, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    assert json.loads(operator("create", OTTO, "--json")) == {"email": OTTO, "invited": True}
    with platform():
        assert (
            User.objects.get(email=OTTO).name == "otto"
            and not User.objects.get(email=OTTO).has_usable_password()
        )
        assert do_work() == 1
    path = re.search(r"http://localhost[^/]*(/accounts/password/reset/key/\S+)", mail.outbox[0].body)[1]
    assert b'name="password1"' in on_platform.get(path, follow=True).content


@pytest.mark.parametrize("password", ["short", "password123"])
def test_a_weak_password_makes_nobody(monkeypatch, password):
    type_password(monkeypatch, password)
    with pytest.raises(CommandError):
        operator("create", OTTO, "--password-stdin")
    with platform():
        assert not User.objects.filter(email=OTTO).exists()


def test_the_same_address_twice_is_refused():
    with pytest.raises(CommandError, match="exists already"):
        operator("create", "OLGA@atrium.example")


def test_an_operator_is_deactivated_and_stays_in_the_list():
    operator("create", OTTO)
    assert "can no longer log in" in operator("deactivate", OTTO)
    assert {row["email"]: row["active"] for row in json.loads(operator("list", "--json"))} == {
        OTTO: False,
        "olga@atrium.example": True,
    }


def test_the_last_operator_and_a_stranger_are_refused():
    with pytest.raises(CommandError, match="last operator"):
        operator("deactivate", "olga@atrium.example")
    with pytest.raises(CommandError, match="nobody with the address"):
        operator("deactivate", OTTO)


@pytest.mark.parametrize("arguments", [[], ["--noinput", "--email", OTTO]])
def test_djangos_command_names_the_right_one(arguments):
    with pytest.raises(CommandError, match="operator create EMAIL"):
        call_command("createsuperuser", *arguments)
