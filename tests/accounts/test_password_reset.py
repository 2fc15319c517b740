"""A stolen session does not gain the account, and nobody learns who has one."""

import re
from importlib import import_module

import pytest
from allauth.account.models import EmailAddress
from django.apps import apps
from django.core import mail
from django.db import connection
from django.urls import URLPattern, get_resolver

from accounts.mails import send_password_reset_mail
from accounts.models import User
from accounts.password_reset import PasswordResetForm
from tenants.context import platform, tenant
from tenants.local.models import Work
from tests.chores import do_work

pytestmark = pytest.mark.django_db
RESET = "/accounts/password/reset/"


@pytest.fixture(autouse=True)
def _mails(settings, clean_cache):
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


def orders() -> list[dict]:
    return [row.arguments for row in Work.objects.filter(kind="accounts.send_password_reset").order_by("pk")]


def test_the_page_of_the_address_takes_nothing(acme, bob):
    acme.login_as(bob)
    assert "bob@acme.example" in acme.get("/accounts/email/").content.decode()
    for body in (
        {"action_add": "", "email": "thief@evil.example"},
        {"action_primary": "", "email": "bob@acme.example"},
        {"action_remove": ""},
    ):
        assert acme.post("/accounts/email/", body).status_code == 405
    assert [address.email for address in EmailAddress.objects.filter(user=bob)] == ["bob@acme.example"]


def test_it_leads_those_who_may_change_addresses_to_their_own(acme, alice, bob):
    said = "An administrator of your organisation can change it."
    assert said in acme.login_as(bob).get("/accounts/email/").content.decode()
    page = acme.login_as(alice).get("/accounts/email/").content.decode()
    address = f"/admin/accounts/user/{alice.pk}/change/"
    assert said not in page and f'href="{address}"' in page
    assert 'name="email"' in acme.get(address).content.decode()


@pytest.mark.scope("platform")
def test_nor_does_the_platforms(on_platform, olga):
    on_platform.login_as(olga)
    assert on_platform.get("/accounts/email/").status_code == 200
    assert (
        on_platform.post("/accounts/email/", {"action_add": "", "email": "thief@evil.example"}).status_code
        == 405
    )
    assert [address.email for address in EmailAddress.objects.all()] == ["olga@atrium.example"]


def test_the_link_goes_to_the_persons_own_address_alone(acme, bob):
    """Whatever else stands in allauth's table of addresses."""
    EmailAddress.objects.create(user=bob, email="thief@evil.example", verified=True)
    for email in ("Bob@acme.example", "thief@evil.example"):
        acme.post(RESET, {"email": email})
    assert do_work() == 2
    (sent,) = mail.outbox
    assert sent.to == ["bob@acme.example"] and sent.subject == "Acme: Choose a new password"
    path = re.search(r"http://acme\.localhost:8000(/accounts/password/reset/key/\S+)", sent.body)[1]
    assert b'name="password1"' in acme.get(path, follow=True).content


def test_a_known_and_an_unknown_address_cause_the_same_work(acme, bob):
    """The same statements, the same answer, and no mail inside the request: a worker looks up whose it is."""
    answers, statements = [], []

    def note(execute, sql, *rest):
        # whose host it is, which is remembered for a second
        text = str(sql)  # psycopg's own composed statements are no strings
        if "tenants_tenant" not in text and "django_migrations" not in text:
            statements[-1].append(re.sub(r"_x\d+", "", text))  # savepoints have numbers
        return execute(sql, *rest)

    for email in ("bob@acme.example", "nobody@acme.example"):
        with connection.execute_wrapper(note):
            statements.append([])
            connection.run_on_commit.clear()  # a request of its own
            response = acme.post(RESET, {"email": email})
            answers.append((response.status_code, response.headers.get("Location"), response.content))
    assert answers[0] == answers[1] == (302, RESET + "done/", b"")
    assert statements[0] == statements[1] != []
    assert mail.outbox == [] and [order["email"] for order in orders()] == [
        "bob@acme.example",
        "nobody@acme.example",
    ]


def test_planted_bug_a_form_that_looks_the_person_up_is_noticed(acme, bob, monkeypatch):
    def save(self, request, **kwargs) -> str:
        email = self.cleaned_data["email"]
        for person in User.objects.filter(email=email):
            send_password_reset_mail(person, "Acme", "en")
        return email

    monkeypatch.setattr(PasswordResetForm, "save", save)
    with pytest.raises(AssertionError):
        test_a_known_and_an_unknown_address_cause_the_same_work(acme, bob)


def test_nobody_gets_a_mail_who_is_unknown_or_kept_out(acme, bob):
    bob.is_active = False
    bob.save()
    for email in ("bob@acme.example", "nobody@acme.example"):
        acme.post(RESET, {"email": email})
    assert do_work() == 2 and mail.outbox == []


def test_the_mail_speaks_the_persons_language_or_the_one_they_asked_in(acme, bob):
    acme.post(
        RESET, {"email": "bob@acme.example"}, headers={"accept-language": "de", "host": "acme.localhost"}
    )
    do_work()
    bob.language = "zh-hans"
    bob.save()
    acme.post(RESET, {"email": "bob@acme.example"}, headers={"accept-language": "de"})
    do_work()
    assert [message.subject for message in mail.outbox] == ["Acme: Neues Passwort wählen", "Acme: 设置新密码"]


@pytest.mark.parametrize("host", ["acme.localhost:1234", "acme.localhost.:8000", "ACME.localhost"])
def test_the_link_leads_to_the_tenants_own_address_whatever_host_was_written(acme, bob, host):
    acme.post(RESET, {"email": "bob@acme.example"}, headers={"host": host})
    do_work()
    assert re.findall(r"https?://[^/\s]+", mail.outbox[0].body) == ["http://acme.localhost:8000"] * 2


def test_addresses_that_were_added_by_hand_are_deleted_by_the_upgrade(bob, olga):
    migration = import_module("accounts.migrations.0004_one_address_per_person")

    class Editor:
        connection = connection

    for scope, person in ((tenant("acme"), bob), (platform(), olga)):
        with scope:
            EmailAddress.objects.filter(user=person).update(
                verified=False, primary=False, email=person.email.upper()
            )
            EmailAddress.objects.create(user=person, email="thief@evil.example", verified=True, primary=True)
            for _again in range(2):
                migration.delete_stray_addresses(apps, Editor)
            (left,) = EmailAddress.objects.filter(user=person)
            assert (left.email.lower(), left.verified, left.primary) == (person.email, True, True)


CHOSEN = {  # what of allauth's is offered, and why
    "login",
    "logout",
    "inactive",
    "reauthenticate",
    "change_password",
    "set_password",
    "reset_password",
    "reset_password_done",
    "reset_password_from_key",
    "reset_password_from_key_done",
    "signup",  # closed by the adapter; allauth links to it
    "email",  # our own view: allauth reverses the name
}


@pytest.mark.parametrize("urlconf", ["config.urls_tenant", "config.urls_platform"])
def test_no_page_of_allauth_is_offered_that_nobody_chose(urlconf):
    def patterns(resolver):
        for entry in resolver.url_patterns:
            yield from [entry] if isinstance(entry, URLPattern) else patterns(entry)

    found = {
        entry.name for entry in patterns(get_resolver(urlconf)) if (entry.name or "").startswith("account_")
    }
    assert {name.removeprefix("account_") for name in found} == CHOSEN
    library = {
        entry.name
        for entry in patterns(get_resolver(urlconf))
        if entry.callback.__module__.startswith("allauth")
    }
    assert {name.removeprefix("account_") for name in library} == CHOSEN - {"email"}
