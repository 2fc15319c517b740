"""Rights of use and limits through the administration's forms: in their lists, and on the pages of what they
are about.
"""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import Grant, Limit
from accounts.services import grant, set_limit
from foundation.ids import uuid7
from tenants.context import platform
from tenants.models import Plan
from tests.admin.model_forms import model_form, prices
from tests.estate import make_estate, make_event, make_people
from tests.routes import PLATFORM, TENANT
from usage.models import Hold, HourlySum

pytestmark = pytest.mark.django_db
NO_LIMITS = dict.fromkeys(("requests_per_minute", "tokens_per_minute", "tokens_per_day", "calls_at_once"), "")


def url(name: str, *args) -> str:
    return reverse(f"service:accounts_{name}", args=args, urlconf=TENANT)


def limits_of(**subject) -> dict[str, int]:
    return dict(Limit.objects.filter(**subject).values_list("measure", "amount"))


def formsets(*names: str) -> dict[str, int]:
    return {f"{name}-{part}_FORMS": 0 for name in names for part in ("TOTAL", "INITIAL")}


def test_limits_of_a_person_stand_on_their_page(acme, alice, bob):
    acme.login_as(alice)
    data = {"email": bob.email, "name": bob.name, "language": "", "roles": [bob.groups.get().pk]}
    data |= formsets("api_keys", "memberships") | NO_LIMITS
    address = url("user_change", bob.pk)
    assert acme.post(address, data | {"tokens_per_day": 500, "calls_at_once": 2}).status_code == 302
    assert limits_of(user=bob) == {"tokens_per_day": 500, "calls_at_once": 2}
    assert b'value="500"' in acme.get(address).content
    assert acme.post(address, data | {"calls_at_once": 3}).status_code == 302
    assert limits_of(user=bob) == {"calls_at_once": 3}
    refused = acme.post(address, data | {"calls_at_once": 0})
    assert refused.status_code == 200 and limits_of(user=bob) == {"calls_at_once": 3}
    (said,) = refused.context["adminform"].form.errors["calls_at_once"]
    assert said == "A number from 1 to 2000000000, or nothing for no limit."


def test_limits_of_a_project_and_of_a_key_stand_on_their_pages(acme, alice):
    estate = make_estate(alice)
    acme.login_as(alice)
    project, key = estate.project, estate.key
    data = {"name": project.name, "tokens_per_minute": 700} | formsets("memberships")
    assert acme.post(url("project_change", project.pk), NO_LIMITS | data).status_code == 302
    assert limits_of(project=project) == {"tokens_per_minute": 700}
    data = {"name": key.name, "project": project.pk, "requests_per_minute": 60, "tokens_per_day": 9}
    assert acme.post(url("apikey_change", key.pk), NO_LIMITS | data).status_code == 302
    assert limits_of(key=key) == {"requests_per_minute": 60, "tokens_per_day": 9}


def test_who_may_use_a_model_stands_on_its_page(acme, alice, bob):
    estate = make_estate(alice)
    model, people = estate.model, make_people("acme")
    Grant.objects.all().delete()
    acme.login_as(alice)
    address = reverse("service:models_registry_model_change", args=[model.pk], urlconf=TENANT)
    data = model_form(model) | prices() | NO_LIMITS
    wanted = {
        "open_to_roles": [estate.role.pk],
        "open_to_projects": [estate.project.pk],
        "open_to_people": [bob.pk],
        "closed_to_people": [people["auditor"].pk],
        "calls_at_once": 4,
    }
    assert acme.post(address, data | wanted).status_code == 302
    found = {(row.role or row.project or row.user, row.effect) for row in Grant.objects.all()}
    assert found == {
        (estate.role, "allow"),
        (estate.project, "allow"),
        (bob, "allow"),
        (people["auditor"], "deny"),
    }
    assert limits_of(model_id=model.pk) == {"calls_at_once": 4}
    assert acme.post(address, data | {"open_to_people": [bob.pk]}).status_code == 302
    assert [row.user for row in Grant.objects.all()] == [bob] and limits_of(model_id=model.pk) == {}


def test_those_who_may_only_look_see_rights_and_limits(acme, alice, bob):
    estate = make_estate(alice)
    grant(actor=None, kind="model", target=estate.model.pk, user=bob)
    set_limit(actor=None, level="model", subject_id=estate.model.pk, measure="tokens_per_day", amount=77)
    set_limit(actor=None, level="user", subject_id=bob.pk, measure="tokens_per_day", amount=78)
    acme.login_as(make_people("acme")["auditor"])
    page = acme.get(reverse("service:models_registry_model_change", args=[estate.model.pk], urlconf=TENANT))
    assert b"Bob" in page.content and b"77" in page.content and b"Project canary" in page.content
    assert b"78" in acme.get(url("user_change", bob.pk)).content


def test_the_list_of_rights_gives_changes_and_takes_back(acme, alice, bob):
    estate = make_estate(alice)
    Grant.objects.all().delete()
    acme.login_as(alice)
    data = {"target": estate.model.pk, "effect": "allow", "holder": "user", "user": bob.pk}
    added = acme.post(url("grant_add"), data, follow=True)
    assert f"Only these may use {estate.model}: Bob." in added.content.decode()
    row = Grant.objects.get()
    assert estate.model.name in acme.get(url("grant_changelist")).content.decode()
    assert acme.post(url("grant_change", row.pk), {"effect": "deny"}).status_code == 302
    assert Grant.objects.get().effect == "deny"
    nobody = acme.post(url("grant_add"), data | {"holder": "role"})
    assert nobody.status_code == 400 and b"Choose whom this is about" in nobody.content
    nothing = acme.post(url("grant_add"), data | {"target": ""})
    assert nothing.status_code == 200 and b"This field is required" in nothing.content
    assert Grant.objects.count() == 1
    assert acme.post(url("grant_delete", row.pk), {"post": "yes"}).status_code == 302
    assert not Grant.objects.exists()


def test_a_right_or_limit_that_stands_is_not_written_over_by_adding_it_again(acme, alice, bob):
    estate = make_estate(alice)
    Grant.objects.all().delete()
    Limit.objects.all().delete()
    acme.login_as(alice)
    right = grant(actor=None, kind="model", target=estate.model.pk, user=bob)
    data = {"target": estate.model.pk, "effect": "deny", "holder": "user", "user": bob.pk}
    refused = acme.post(url("grant_add"), data)
    assert refused.status_code == 409 and Grant.objects.get().effect == "allow"
    assert f'<a href="{url("grant_change", right.pk)}"' in refused.content.decode()
    bound = set_limit(actor=None, level="user", subject_id=bob.pk, measure="requests_per_minute", amount=20)
    data = {"level": "user", "user": bob.pk, "measure": "requests_per_minute", "amount": 30}
    refused = acme.post(url("limit_add"), data)
    assert refused.status_code == 409 and Limit.objects.get().amount == 20
    assert f'<a href="{url("limit_change", bound.pk)}"' in refused.content.decode()


def test_who_may_use_a_model_is_said_before_and_after_a_right_goes(acme, alice, bob):
    estate = make_estate(alice)
    Grant.objects.all().delete()
    acme.login_as(alice)
    one = grant(actor=None, kind="model", target=estate.model.pk, user=bob)
    others = grant(actor=None, kind="model", target=estate.model.pk, role=estate.role)
    everybody = f"Everybody may use {estate.model}."
    page = acme.get(url("grant_delete", one.pk)).content.decode()
    assert f"After deleting: Only these may use {estate.model}: role {estate.role.name}." in page
    chosen = {"action": "delete_selected", "_selected_action": [one.pk, others.pk]}
    asked = acme.post(url("grant_changelist"), chosen).content.decode()
    assert asked.count(f"After deleting: {everybody}") == 1 and Grant.objects.count() == 2
    done = acme.post(url("grant_delete", one.pk), {"post": "yes"}, follow=True).content.decode()
    assert f"Only these may use {estate.model}: role {estate.role.name}." in done
    page = acme.get(url("grant_delete", others.pk)).content.decode()
    assert f"After deleting: {everybody}" in page
    chosen = {"action": "delete_selected", "_selected_action": [others.pk], "post": "yes"}
    done = acme.post(url("grant_changelist"), chosen, follow=True).content.decode()
    assert everybody in done and not Grant.objects.exists()


def test_the_form_of_a_right_says_who_may_use_the_model_afterwards(acme, alice, bob):
    """Also of a right that takes the place of one that stands."""
    estate = make_estate(alice)
    Grant.objects.all().delete()
    acme.login_as(alice)
    name = str(estate.model)

    def said(**asked) -> str:
        return acme.get(url("grant_reach"), {"target": estate.model.pk} | asked).content.decode()

    assert said() == f"At present: Everybody may use {name}."
    to_bob, to_role = {"holder": "user", "user": bob.pk}, {"holder": "role", "role": estate.role.pk}
    assert said(effect="allow", **to_bob) == f"After saving: Only these may use {name}: Bob."
    assert said(effect="deny", **to_bob) == f"After saving: Everybody may use {name} except: Bob."
    grant(actor=None, kind="model", target=estate.model.pk, role=estate.role)
    grant(actor=None, kind="model", target=estate.model.pk, user=bob)
    role = f"role {estate.role.name}"
    assert said() == f"At present: Only these may use {name}: Bob and {role}."
    assert said(effect="deny", **to_bob) == (
        f"After saving: Only these may use {name}: {role}. Refused to: Bob."
    )
    assert f"Everybody may use {name} except: {role}." not in said(effect="deny", **to_role)
    for nonsense in ({"target": "x"}, {"target": ""}):
        assert said(**nonsense) == "Choose a model."
    for nonsense in (
        {"holder": "pk", "pk": 1},
        {"holder": "user", "user": "x"},
        {"holder": "role", "role": ""},
    ):
        assert said(effect="deny", **nonsense).startswith("At present:")
    acme.login_as(bob)
    assert acme.get(url("grant_reach")).status_code == 403


@pytest.mark.parametrize("level", Limit.Level.values)
def test_the_list_of_limits_sets_changes_and_lifts(acme, alice, bob, level):
    estate = make_estate(alice)
    Limit.objects.all().delete()
    acme.login_as(alice)
    data = {
        "level": level,
        "project": estate.project.pk,
        "user": bob.pk,
        "key": estate.key.pk,
        "target": estate.model.pk,
        "measure": "requests_per_minute",
    }
    assert acme.post(url("limit_add"), data | {"amount": 60}).status_code == 302
    row = Limit.objects.get()
    subjects = {"project": estate.project, "user": bob, "key": estate.key, "model": estate.model}
    assert row.subject_id == (subjects[level].pk if level != "tenant" else None)
    assert acme.post(url("limit_change", row.pk), {"amount": 70}).status_code == 302
    assert acme.get(url("limit_changelist")).status_code == 200 and Limit.objects.get().amount == 70
    nobody = acme.post(
        url("limit_add"),
        {"level": level, "project": "", "user": "", "key": "", "target": "", "amount": 5}
        | {"measure": "tokens_per_day"},
    )
    assert nobody.status_code == (302 if level == "tenant" else 400)
    assert acme.post(url("limit_delete", row.pk), {"post": "yes"}).status_code == 302
    assert not Limit.objects.filter(measure="requests_per_minute").exists()


@pytest.mark.parametrize("level", Limit.Level.values)
@pytest.mark.parametrize("measure, amount", [("tokens_per_day", 0), ("calls_at_once", 10**12)])
def test_an_amount_that_no_limit_may_have_is_told_at_its_field(acme, alice, bob, level, measure, amount):
    estate = make_estate(alice)
    Limit.objects.all().delete()
    acme.login_as(alice)
    subjects = {"project": estate.project, "user": bob, "key": estate.key, "model": estate.model}
    row = set_limit(
        actor=None,
        level=level,
        subject_id=subjects[level].pk if level in subjects else None,
        measure=measure,
        amount=7,
    )
    whom = {"project": estate.project.pk, "user": bob.pk, "key": estate.key.pk}
    data = {"level": level, "target": estate.model.pk, "measure": measure, "amount": amount} | whom
    for address in (url("limit_add"), url("limit_change", row.pk)):
        page = acme.post(address, data)
        assert page.status_code == 200, address
        (said,) = page.context["adminform"].form.errors["amount"]
        assert said.startswith("A limit is a number from 1 to ")
    assert Limit.objects.get().amount == 7


def test_somebody_who_may_change_people_and_not_limits_changes_none(acme, alice, bob):
    from django.contrib.auth.models import Permission

    from accounts.services import create_role, set_roles

    names = ("access_admin", "view_user", "change_user")
    rights = Permission.objects.filter(content_type__app_label="accounts", codename__in=names)
    create_role(actor=None, name="people", permissions=rights)
    helper = make_people("acme")["ai_developer"]
    set_roles(actor=None, user=helper, roles=["people"])
    acme.login_as(helper)
    data = {"email": bob.email, "name": "Robert", "language": "", "roles": [bob.groups.get().pk]}
    data |= formsets("api_keys", "memberships") | NO_LIMITS
    assert acme.post(url("user_change", bob.pk), data | {"calls_at_once": 2}).status_code == 403
    assert not Limit.objects.exists()
    assert acme.post(url("user_change", bob.pk), data).status_code == 302


def test_who_may_set_limits_and_see_nobody_types_addresses_and_ids(acme, alice, bob):
    from django.contrib.auth.models import Permission

    from accounts.services import create_role, set_roles

    estate = make_estate(alice)
    Limit.objects.all().delete()
    names = ("access_admin", "add_limit", "change_limit", "view_limit")
    rights = Permission.objects.filter(content_type__app_label="accounts", codename__in=names)
    create_role(actor=None, name="limits", permissions=rights)
    helper = make_people("acme")["ai_developer"]
    set_roles(actor=None, user=helper, roles=["limits"])
    acme.login_as(helper)
    page = acme.get(url("limit_add")).content.decode()
    assert 'name="user_email"' in page and 'name="user"' not in page
    data = {"measure": "calls_at_once", "amount": 3}
    refused = acme.post(url("limit_add"), data | {"level": "user", "user": bob.pk})
    assert refused.status_code == 400 and not Limit.objects.exists()
    subjects = {"user": {"user_email": bob.email}, "key": {"key_name": estate.key.key_id}}
    for level, subject in subjects.items():
        assert acme.post(url("limit_add"), data | {"level": level} | subject).status_code == 302
    assert {row.subject_id for row in Limit.objects.all()} == {bob.pk, estate.key.pk}


@pytest.mark.scope("platform")
def test_an_operator_sets_a_plans_limits(on_platform, olga):
    on_platform.login_as(olga)
    data = {"name": "team", "label": "Team", "monthly_budget": ""} | NO_LIMITS
    add = reverse("system:tenants_plan_add", urlconf=PLATFORM)
    assert on_platform.post(add, data | {"tokens_per_day": 5_000}).status_code == 302
    with platform():
        plan = Plan.objects.get(name="team")
        assert dict(plan.limits.values_list("measure", "amount")) == {"tokens_per_day": 5_000}
    change = reverse("system:tenants_plan_change", args=[plan.pk], urlconf=PLATFORM)
    assert b'value="5000"' in on_platform.get(change).content
    assert on_platform.post(change, data | {"calls_at_once": 9}).status_code == 302
    with platform():
        assert dict(plan.limits.values_list("measure", "amount")) == {"calls_at_once": 9}


def test_a_limits_key_is_found_by_name_and_hint(acme, alice, bob):
    estate = make_estate(alice)
    address = reverse("service:autocomplete", urlconf=TENANT)
    source = {"app_label": "accounts", "model_name": "limit", "field_name": "key"}

    def found(term: str) -> list[str]:
        return [one["text"] for one in acme.get(address, source | {"term": term}).json()["results"]]

    acme.login_as(alice)
    assert 'name="key"' in acme.get(url("limit_add")).content.decode()
    assert found(estate.key.name) == found(estate.key.key_id) == [estate.key.name_with_owner]
    assert found("of nobody") == []
    acme.login_as(bob)
    assert acme.get(address, source | {"term": ""}).status_code == 403


def test_ones_own_limits_stand_where_one_sees_ones_usage(acme, alice, bob):
    set_limit(actor=None, level="user", subject_id=bob.pk, measure="tokens_per_day", amount=12_345)
    set_limit(actor=None, level="user", subject_id=alice.pk, measure="tokens_per_day", amount=67_890)
    page = acme.login_as(bob).get("/usage/").content.decode()
    assert "12,345" in page and "67,890" not in page


@pytest.mark.parametrize("level", Limit.Level.values)
def test_a_limit_says_what_is_used_of_it(acme, alice, bob, level):
    """By hours that are summed up, later events and calls under way; neither what is older nor others'."""
    estate = make_estate(alice)
    Limit.objects.all().delete()
    acme.login_as(alice)
    book_calls(bob, alice, estate)
    subject_id = {
        "tenant": None,
        "user": bob.pk,
        "key": estate.key.pk,
        "project": estate.project.pk,
        "model": estate.model.pk,
    }[level]

    def limit(measure: str, amount: int) -> Limit:
        return set_limit(actor=None, level=level, subject_id=subject_id, measure=measure, amount=amount)

    of_others = 1 if level == "tenant" else 0
    of_estate = 15 if level in ("tenant", "key", "project") else 0  # its event, a minute old
    for measure, used in (
        ("requests_per_minute", 2 + of_others),
        ("tokens_per_minute", 110 + 7 * of_others),
        ("tokens_per_day", 1_610 + 7 * of_others + of_estate),
        ("calls_at_once", 1),
    ):
        page = acme.get(url("limit_change", limit(measure, 2_000).pk)).content.decode()
        assert f"{used:,} of 2,000 {measure.replace('_', ' ')}" in page, (measure, used)
    page = acme.get(url("limit_changelist")).content.decode()
    assert "2,000 tokens per day" in page and page.count("A request counts for 60 seconds.") == 1
    limit("requests_per_minute", 1)
    page = acme.get(url("limit_changelist")).content.decode()
    assert page.count("1 request per minute") == 1 and "of 1 request" not in page
    if level == "user":
        page = acme.get(url("user_change", bob.pk)).content.decode()
        assert "2 used; is free again 60 seconds after each request" in page


def book_calls(bob, alice, estate) -> None:
    """Bob's, by the key, in the project and of the model of the estate; one of Alice's; one under way."""
    now = timezone.now()
    later = now + timedelta(minutes=10)  # within the last minute, however slow the machine is
    hour = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)
    mine = {"key_id": estate.key.pk, "project_id": estate.project.pk, "model": estate.model.name}
    older = ("calls", "errors", "cost", "input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens")
    for past, counted in ((hour, 500), (hour - timedelta(days=1), 9_000)):
        sums = {"hour": past, "currency": "EUR", "quantities": {"input": counted}, "user_id": bob.pk}
        HourlySum.objects.create(**dict.fromkeys(older, 0), **sums, **mine)
    make_event(bob, created_at=later, quantities={"input": 100, "output": 10}, **mine)
    make_event(bob, created_at=now - timedelta(minutes=2), quantities={"input": 1_000}, **mine)
    make_event(alice, created_at=later, quantities={"input": 7}, model="other")
    facts = ("source", "model_version", "deployment", "endpoint", "upstream_model", "trace_id")
    hold = {"id": uuid7(), "process_id": uuid7(), "amount": 1, "created_at": later, "user_id": bob.pk}
    Hold.objects.create(**dict.fromkeys(facts, ""), **hold, **mine)
