"""Budgets through the forms."""

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from auditlog.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.urls import reverse
from django.utils import timezone

from accounts.models import ApiKey, Limit
from accounts.services import create_api_key, revoke_api_key, set_limit
from foundation.ids import uuid7
from tests.admin.model_forms import url
from tests.estate import make_estate, make_people
from tests.routes import TENANT
from usage.models import Budget, BudgetOverrun
from usage.services import set_budget

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("level", ["tenant", "project", "user", "key"])
def test_budgets_are_set_for_each_level(acme, alice, level):
    estate = make_estate(alice)
    Budget.objects.all().delete()
    subjects = {"project": estate.project.pk, "user": estate.user.pk, "key": estate.key.pk}
    data = {"period": "month", "limit": "250.50", "warn_at_percent": 90, "level": level} | {
        name: subjects[name] for name in subjects if name == level
    }
    assert acme.login_as(alice).post(url("usage_budget_add"), data).status_code == 302
    row = Budget.objects.get()
    assert (row.level, row.limit, row.warn_at_percent, row.currency) == (level, Decimal("250.50"), 90, "EUR")


@pytest.mark.parametrize(
    "form", [{"level": "user"}, {"level": "key"}, {"level": "key", "key": ""}, {"level": "project"}]
)
def test_a_budget_without_its_subject_is_refused_in_the_form(acme, alice, form):
    response = acme.login_as(alice).post(
        url("usage_budget_add"), {"period": "month", "limit": "1", "warn_at_percent": 80} | form
    )
    assert response.status_code == 400 and not Budget.objects.exists()


def test_a_budget_that_stands_is_not_written_over(acme, alice):
    """By a form that says “add”."""
    acme.login_as(alice)
    form = {"level": "user", "user": alice.pk, "period": "day", "warn_at_percent": 80}
    assert acme.post(url("usage_budget_add"), form | {"limit": "5"}).status_code == 302
    page = acme.post(url("usage_budget_add"), form | {"limit": "500"}).content.decode()
    (budget,) = Budget.objects.filter(subject_id=alice.pk)
    assert budget.limit == 5 and f"/{budget.pk}/change/" in page and "exists already" in page
    assert acme.post(url("usage_budget_add"), form | {"limit": "50", "period": "month"}).status_code == 302


def test_who_may_not_see_keys_types_the_id_of_one(acme, alice):
    estate = make_estate(alice)
    Budget.objects.all().delete()
    acme.login_as(make_people("acme")["billing"])
    address = url("usage_budget_add")
    page = acme.get(address).content.decode()
    assert 'name="key_name"' in page and 'name="key"' not in page
    data = {"period": "month", "limit": "1", "warn_at_percent": 80, "level": "key"}
    for wrong in ({}, {"key": estate.key.pk}, {"key_name": "unknown1"}):
        refused = acme.post(address, data | wrong)
        assert refused.status_code == 400 and "no API key with this id" in refused.content.decode()
    assert acme.post(address, data | {"key_name": f" {estate.key.key_id} "}).status_code == 302
    assert Budget.objects.get().subject_id == estate.key.pk


def test_an_amount_stands_beside_its_currency_and_without_zeros_behind_it(acme, alice, in_dollars):
    row = set_budget(actor=None, level="tenant", subject_id=None, limit=Decimal("0.02"), period="day")
    acme.login_as(alice)
    for address in (url("usage_budget_add"), url("usage_budget_change", row.pk)):
        assert "In USD." in acme.get(address).content.decode()
    page = acme.get(url("usage_budget_change", row.pk)).content.decode()
    assert re.search(r'<input[^>]*name="limit"[^>]*', page)[0].count('value="0.02"') == 1
    Budget.objects.update(limit=Decimal(2500))
    page = acme.get(url("usage_budget_change", row.pk)).content.decode()
    assert re.search(r'<input[^>]*name="limit"[^>]*', page)[0].count('value="2500"') == 1


def test_keys_of_several_people_are_told_apart_by_their_owners(acme, alice, bob):
    estate = make_estate(alice)
    Budget.objects.all().delete()
    Limit.objects.all().delete()
    ApiKey.objects.update(name="Demo")
    acme.login_as(alice)
    source = {"app_label": "accounts", "model_name": "limit", "field_name": "key", "term": "Demo"}
    offered = acme.get(reverse("service:autocomplete", urlconf=TENANT), source).json()["results"]
    wanted = f"Demo (…{estate.key.key_id}…, {estate.key.user})"
    assert wanted in [one["text"] for one in offered]
    set_limit(actor=None, level="key", subject_id=estate.key.pk, measure="requests_per_minute", amount=20)
    set_budget(actor=None, level="key", subject_id=estate.key.pk, limit=Decimal(1), period="month")
    for name in ("accounts_limit_changelist", "usage_budget_changelist"):
        assert wanted in acme.get(url(name)).content.decode()


def test_who_may_not_see_people_types_the_address_of_one(acme, alice, bob):
    acme.login_as(make_people("acme")["billing"])
    address = url("usage_budget_add")
    page = acme.get(address).content.decode()
    assert 'name="user_email"' in page and 'name="user"' not in page
    data = {"period": "month", "limit": "1", "warn_at_percent": 80, "level": "user"}
    for wrong in ({}, {"user": bob.pk}):
        refused = acme.post(address, data | wrong)
        assert refused.status_code == 400 and "Choose whose budget this is" in refused.content.decode()
    refused = acme.post(address, data | {"user_email": "nobody@acme.example"})
    assert "nobody with the address" in str(refused.context["adminform"].form.errors["user_email"])
    source = {"app_label": "accounts", "model_name": "limit", "field_name": "user", "term": "b"}
    found = acme.get(reverse("service:autocomplete", urlconf=TENANT), source)
    assert found.status_code == 403 and not Budget.objects.exists()
    assert acme.post(address, data | {"user_email": f" {bob.email.upper()} "}).status_code == 302
    assert Budget.objects.get().subject_id == bob.pk
    page = acme.login_as(alice).get(address).content.decode()
    assert 'name="user"' in page and 'name="user_email"' not in page


def test_a_budget_of_the_plan_is_only_shown(acme):
    people = make_people("acme")
    estate = make_estate(people["user"])
    acme.login_as(people["owner"])
    address = url("usage_budget_change", estate.plan_budget.pk)
    assert acme.get(address).status_code == 200 and acme.post(address, {"limit": "1"}).status_code == 403
    assert acme.post(url("usage_budget_delete", estate.plan_budget.pk), {"post": "yes"}).status_code == 403
    assert Budget.objects.get(pk=estate.plan_budget.pk).limit == 500


def test_the_start_page_shows_what_went_above_a_budget_or_near_it(acme, alice):
    estate = make_estate(alice)
    acme.login_as(alice)
    assert "Which budgets were exceeded?" not in acme.get("/admin/").content.decode()
    Budget.objects.filter(pk=estate.budget.pk).update(spent=Decimal(85), period_start=timezone.now())
    for budget, request, days_ago in (
        (estate.budget.pk, uuid7(), 1),
        (uuid7(), None, 2),
        (estate.budget.pk, uuid7(), 31),
    ):
        BudgetOverrun.objects.create(
            budget_id=budget,
            request_id=request,
            amount=Decimal("1.25") * days_ago,
            created_at=timezone.now() - timedelta(days=days_ago),
        )
    page = acme.get("/admin/").content.decode()
    assert "85 %" in page and "Which budgets were exceeded?" in page
    assert (
        "1.25\N{NO-BREAK SPACE}€" in page
        and "a budget that was removed" in page
        and "2.50" in page
        and "38.75" not in page
    )
    acme.login_as(make_people("acme")["ai_developer"])
    assert acme.get("/admin/").status_code == 200


def test_a_budget_is_told_in_the_readers_notation_everywhere(acme, alice, bob):
    """Also by the log, which keeps it in the words of whoever wrote it."""
    budget = set_budget(actor=alice, level="user", subject_id=bob.pk, limit=Decimal("1250.5"))
    for text in ("user: 25 EUR", "Benutzer: 1.500,75 EUR", "something: else"):
        LogEntry.objects.create(
            content_type=ContentType.objects.get_for_model(Budget), object_repr=text, action=0, changes={}
        )
    acme.login_as(alice)
    german = {"accept-language": "de"}
    for page, text in (
        (url("usage_budget_change", budget.pk), "Bob: 1.250,50 €"),
        (url("usage_budget_delete", budget.pk), "Bob: 1.250,50 €"),
        (url("auditlog_logentry_changelist"), "Benutzer: 25 €"),
        (url("auditlog_logentry_changelist"), "Benutzer: 1.500,75 €"),
        (url("auditlog_logentry_changelist"), "Bob: 1.250,50 €"),
        (url("auditlog_logentry_changelist"), "something: else"),
    ):
        html = acme.get(page, headers=german).content.decode()
        assert text in html.replace("\N{NO-BREAK SPACE}", " "), page
        assert "1250.5" not in re.sub(r"<input[^>]*>", "", html), page


def test_a_budget_of_a_key_says_which_keys_spend_beside_it(acme, alice):
    """It makes none once it has a budget; those that it made before are told of."""
    maker, _text = create_api_key(actor=None, user=alice, name="maker")
    made = [create_api_key(actor=None, user=alice, name="made", within=maker)[0] for _number in range(3)]
    ApiKey.objects.filter(pk=made[1].pk).update(expires_at=timezone.now() + timedelta(days=1))
    revoke_api_key(actor=None, key=made[0])
    acme.login_as(alice)

    def say_of(key: ApiKey, period: str) -> str:
        form = {"level": "key", "key": key.pk, "period": period, "limit": "5", "warn_at_percent": 80}
        return acme.post(url("usage_budget_add"), form, follow=True).content.decode()

    assert "2 keys that this key has made are not bound by its budget" in say_of(maker, "month")
    assert "not bound by" not in say_of(made[1], "month")
    revoke_api_key(actor=None, key=made[1])
    ApiKey.objects.filter(pk=made[2].pk).update(expires_at=timezone.now())
    assert "not bound by" not in say_of(maker, "day")
    assert Budget.objects.filter(level="key").count() == 3


@pytest.mark.parametrize("spent", ["5", "5.15"])
def test_where_more_is_used_than_the_limit_the_page_says_why(acme, alice, spent):
    """Only there: what is just used up needs no word."""
    budget = set_budget(actor=None, level="user", subject_id=alice.pk, limit=Decimal(5))
    Budget.objects.filter(pk=budget.pk).update(spent=Decimal(spent), allowance=Decimal(spent))
    acme.login_as(alice)
    why = "the last calls cost more than was held for them"
    for address in (url("usage_budget_changelist"), url("usage_budget_change", budget.pk), "/usage/"):
        page = acme.get(address).content.decode()
        assert (why in page) is (spent != "5"), address
    assert "103 %" in acme.get(url("usage_budget_changelist")).content.decode() or spent == "5"
