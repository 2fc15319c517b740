"""The audit log as people read it: who it was, and values in their words."""

from datetime import UTC, datetime
from decimal import Decimal
from html import unescape

import pytest
from auditlog.models import LogEntry
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.translation import override

from accounts.models import Limit, Project
from accounts.services import (
    create_api_key,
    create_project,
    create_user,
    remove_limit,
    set_limit,
    set_roles,
    update_api_key,
)
from administration.history import name_entry
from tenants.context import platform
from tenants.doors import hosts
from tenants.provisioning.plans import set_plan
from tests.admin.test_people import refusal, url
from tests.cast import PASSWORD
from tests.estate import make_estate, make_platform_estate
from tests.routes import PLATFORM, TENANT
from usage.models import Budget
from usage.services import change_budget, remove_budget

pytestmark = pytest.mark.django_db


def read(client, address: str, language: str = "en") -> str:
    """The page as text, without tags."""
    return " ".join(refusal(client.get(address, headers={"accept-language": language})).split())


def test_what_a_log_in_brings_is_the_persons_own_doing(acme, alice, bob):
    acme.post("/accounts/login/", {"login": bob.email, "password": PASSWORD, "time_zone": "Europe/Berlin"})
    entry = LogEntry.objects.get_for_object(bob).first()
    assert set(entry.changes) == {"time_zone"} and (entry.actor, entry.remote_addr) == (bob, "127.0.0.1")


def test_objects_are_named_and_those_that_are_gone_keep_their_id(acme, alice, bob):
    project, gone = create_project(actor=None, name="Blue"), create_project(actor=None, name="Red")
    key, _text = create_api_key(actor=None, user=bob, name="k", project=gone)
    update_api_key(actor=None, key=key, project=project)
    gone_id = str(gone.pk)
    gone.delete()
    page = read(acme.login_as(alice), url("accounts_apikey_history", key.pk))
    assert (
        "Blue" in page
        and "Bob" in page
        and gone_id in page
        and str(project.pk) not in page
        and str(bob.pk) not in page
    )


def test_the_platforms_objects_are_named_too(on_platform, olga):
    estate = make_platform_estate(olga)
    on_platform.login_as(olga)
    page = read(
        on_platform, reverse("system:tenants_domain_history", args=[estate.domain.pk], urlconf=PLATFORM)
    )
    assert "Acme" in page and str(estate.tenant.pk) not in page and "Main host – No" in page
    with platform():
        estate.tenant.plan = estate.plan
        estate.tenant.save()
    page = read(
        on_platform, reverse("system:tenants_tenant_history", args=[estate.tenant.pk], urlconf=PLATFORM)
    )
    assert str(estate.plan) in page and str(estate.plan.pk) not in page and "active" in page


def test_truths_choices_and_dates_are_in_the_readers_language_and_time(acme, alice):
    dora = create_user(actor=None, email="dora@acme.example", name="Dora", language="zh-hans")
    key, _text = create_api_key(
        actor=None, user=dora, name="k", expires_at=datetime(2031, 2, 3, 14, 5, tzinfo=UTC)
    )
    acme.login_as(alice)
    page = read(acme, url("accounts_user_history", dora.pk), "de")
    assert "Aktiv – Ja" in page and "wie Gerät" in page and "Vereinfachtes Chinesisch" in page
    assert not {"True", "False", "system", "zh-hans"} & set(page.split())
    assert "3. Feb. 2031, 14:05" in read(acme, url("accounts_apikey_history", key.pk), "de")


def test_what_the_log_keeps_as_codes_or_in_english_is_said_in_the_readers_language(acme, alice):
    estate = make_estate(alice)
    acme.login_as(alice)
    page = read(acme, url("accounts_apikey_history", estate.key.pk), "de")
    assert "Modelle aufrufen (/v1)" in page and "inference" not in page
    assert "Art des Objekts – Modell " in read(acme, url("accounts_grant_history", estate.right.pk), "de")
    page = read(acme, url("auditlog_logentry_changelist"), "de")
    assert "Project canary: darf nutzen" in page and "may use it" not in page


def test_roles_are_called_as_in_the_lists(acme, alice, bob):
    set_roles(actor=None, user=bob, roles=["ai_developer"])
    role = Group.objects.get(name="ai_developer")
    acme.login_as(alice)
    assert "AI developer" in read(acme, url("accounts_user_history", bob.pk)) and "ai_developer" not in read(
        acme, url("accounts_user_history", bob.pk)
    )
    assert "History of AI developer" in read(acme, url("auth_group_history", role.pk))
    page = read(acme, url("auditlog_logentry_changelist"))
    assert "AI developer" in page and "ai_developer" not in page


def test_a_page_of_history_takes_a_constant_number_of_queries(acme, alice, bob):
    key, _text = create_api_key(
        actor=None, user=bob, name="k", project=create_project(actor=None, name="First")
    )
    acme.login_as(alice)
    acme.get(url("accounts_apikey_history", key.pk))  # some tables are read once per process
    counts = []
    for number in range(2):
        hosts.forget()
        with CaptureQueriesContext(connection) as queries:
            assert acme.get(url("accounts_apikey_history", key.pk)).status_code == 200
        counts.append(len(queries))
        for step in range(8):
            update_api_key(actor=None, key=key, project=create_project(actor=None, name=f"P{number}{step}"))
    assert counts[0] == counts[1]


def test_the_default_project_is_called_in_the_readers_language_until_it_is_renamed(monkeypatch):
    monkeypatch.setattr("accounts.models.pgettext", lambda context, text: f"{text}, as a {context}")
    project = Project.objects.get(is_default=True)
    assert (project.name, str(project)) == ("Default", "Default, as a project")
    project.name = "House"
    assert str(project) == "House"
    assert str(Project(name="Default")) == "Default", "another of this name is what somebody called it"


def test_limits_are_called_in_the_readers_language(acme, alice, bob):
    for measure, amount in (("tokens_per_minute", 1_000), ("calls_at_once", 2)):
        set_limit(actor=None, level="user", subject_id=bob.pk, measure=measure, amount=amount)
    with override("zh-hans"):
        set_limit(actor=None, level="tenant", subject_id=None, measure="tokens_per_day", amount=5_000)
    page = read(acme.login_as(alice), url("auditlog_logentry_changelist"), "de")
    assert "1.000 Token pro Minute" in page and "2 Aufrufe gleichzeitig" in page and "at once" not in page
    assert "Organisation: 5.000 Token pro Tag" in page
    kept = LogEntry.objects.get(additional_data__measure="tokens_per_minute")
    assert kept.additional_data == {
        "subject": "Bob",
        "level": "user",
        "measure": "tokens_per_minute",
        "amount": 1_000,
    }


def text_of(page) -> str:
    return unescape(page.content.decode()).replace("\N{NO-BREAK SPACE}", " ")


def test_budgets_and_limits_say_whose_they_are(acme, alice):
    """In the log, for whatever was done to them, and where the page says that it is done."""
    estate = make_estate(alice)
    Budget.objects.all().delete()
    Limit.objects.all().delete()
    acme.login_as(alice)
    key, model = estate.key.name_with_owner, str(estate.model)
    form = {"period": "month", "warn_at_percent": 80, "level": "key", "key": estate.key.pk, "limit": "2.5"}
    told = acme.post(reverse("service:usage_budget_add", urlconf=TENANT), form, follow=True)
    assert f"{key}: 2.50 €" in text_of(told)
    form = {"level": "model", "target": estate.model.pk, "measure": "calls_at_once", "amount": 3}
    told = acme.post(reverse("service:accounts_limit_add", urlconf=TENANT), form, follow=True)
    assert f"{model}: 3 calls at once" in text_of(told)
    change_budget(actor=None, budget=Budget.objects.get(), limit=Decimal(3))
    remove_budget(actor=None, budget=Budget.objects.get())
    remove_limit(actor=None, limit=Limit.objects.get())
    entries = LogEntry.objects.filter(additional_data__level__in=["key", "model"]).order_by("pk")
    said = [(entry.action, name_entry(entry).replace("\N{NO-BREAK SPACE}", " ")) for entry in entries]
    create, update, delete = LogEntry.Action.CREATE, LogEntry.Action.UPDATE, LogEntry.Action.DELETE
    assert said == [
        (create, f"{key}: 2.50 €"),
        (create, f"{model}: 3 calls at once"),
        (update, f"{key}: 3 €"),
        (delete, f"{key}: 3 €"),
        (delete, f"{model}: 3 calls at once"),
    ]


@pytest.mark.scope("platform")
def test_so_are_those_of_a_plan(on_platform, olga):
    set_plan(name="team", tokens_per_minute=1_000)
    address = reverse("system:auditlog_logentry_changelist", urlconf=PLATFORM)
    assert "1.000 Token pro Minute" in read(on_platform.login_as(olga), address, "de")


def test_a_limit_of_which_the_log_keeps_the_text_alone_is_called_by_it(acme, alice):
    LogEntry.objects.create(
        content_type=ContentType.objects.get_for_model(Limit),
        object_repr="Bob Berger: 2 calls at once",
        action=0,
        changes={},
    )
    assert "Bob Berger: 2 calls at once" in read(
        acme.login_as(alice), url("auditlog_logentry_changelist"), "de"
    )
