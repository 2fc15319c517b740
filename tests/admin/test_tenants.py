"""Tenants in the system administration: ordered on the page, set up by a
worker, suspended after a question.
"""

import re

import pytest
from auditlog.models import LogEntry
from django.core import mail
from django.db import connections
from django.test import Client
from django.urls import reverse

from accounts.models import User
from tenants.context import owner, platform, tenant
from tenants.doors import hosts
from tenants.local.models import Work
from tenants.measures import Measure
from tenants.models import Domain, Plan, Tenant
from tenants.occasions import new_tenant
from tenants.provisioning.plans import create_plan
from tenants.provisioning.services import drop_schema
from tenants.provisioning.tasks import QUEUE, SET_UP
from tenants.work import services
from tests.chores import do_work
from tests.routes import PLATFORM

ORDER = {
    "name": "Initech",
    "slug": "initech",
    "host": "Initech.LOCALHOST",
    "contact_email": "ina@initech.example",
    "currency": "USD",
    "language": "de",
}


def url(name: str, *args) -> str:
    return reverse(f"system:tenants_{name}", args=args, urlconf=PLATFORM)


@pytest.fixture
def operator(django_db_setup, django_db_blocker) -> Client:
    """Olga, in a test whose rows are committed: the worker's login sees nothing else. What it leaves is
    removed.
    """
    with django_db_blocker.unblock():
        client = Client(headers={"host": "localhost"})
        with platform():
            client.force_login(User.objects.get(email="olga@atrium.example"))
        yield client
        with platform():
            Work.objects.all().delete()
            is_there = Tenant.objects.filter(slug="initech").exists()
        if is_there:
            with owner():
                made = Tenant.objects.get(slug="initech").status == Tenant.Status.ACTIVE
            _remove(made)
        hosts.forget()
        connections.close_all()


def _remove(is_made: bool) -> None:
    if is_made:
        drop_schema("initech")
        return
    with owner():
        Domain.objects.filter(tenant__slug="initech").delete()
        Tenant.objects.filter(slug="initech")._raw_delete("owner")


def order(client: Client, **changes):
    with platform():
        plan = Plan.objects.get(name="standard").pk
    return client.post(url("tenant_add"), ORDER | {"plan": plan} | changes)


def work() -> None:
    """What the worker does."""
    with platform():
        assert do_work(QUEUE) == 1


def status() -> str:
    with platform():
        return Tenant.objects.get(slug="initech").status


@pytest.mark.scope(None)
def test_a_tenant_is_ordered_on_the_page_and_set_up_by_a_worker(operator):
    response = order(operator)
    assert response.status_code == 302 and status() == Tenant.Status.PROVISIONING
    page = operator.get(response["Location"]).content.decode()
    assert "A worker is setting this tenant up" in page and 'hx-trigger="every 2s"' in page
    assert Client(headers={"host": "initech.localhost"}).get("/").status_code == 404, (
        "its door is shut until it is ready"
    )
    work()
    assert status() == Tenant.Status.ACTIVE
    page = operator.get(response["Location"]).content.decode()
    assert (
        "This tenant is ready at" in page
        and "http://initech.localhost:8000" in page
        and "every 2s" not in page
    )
    hosts.forget()
    assert Client(headers={"host": "initech.localhost"}).get("/accounts/login/").status_code == 200
    with tenant("initech"):
        (ina,) = User.objects.filter(email="ina@initech.example")
        assert (
            list(ina.groups.values_list("name", flat=True)) == ["owner"]
            and Work.objects.filter(kind="accounts.send_invitation").count() == 1
        )
    with platform():
        row = Tenant.objects.get(slug="initech")
        entries = LogEntry.objects.get_for_object(row)
        assert (
            entries.filter(action=LogEntry.Action.CREATE).get().actor.email == "olga@atrium.example"
            and row.currency == "USD"
        )
        services.order(SET_UP, "initech")
        work()  # once more
    with tenant("initech"):
        assert User.objects.count() == 1 and Work.objects.filter(kind="accounts.send_invitation").count() == 1


@pytest.mark.scope(None)
def test_a_set_up_that_fails_says_why_and_can_be_tried_again(operator, monkeypatch):
    def refuse(slug):
        raise ConnectionError("a room is not ready")

    order(operator)
    with monkeypatch.context() as patch:
        patch.setattr(new_tenant, "_functions", [*new_tenant._functions, refuse])
        work()
    assert status() == Tenant.Status.FAILED
    with platform():
        pk = Tenant.objects.get(slug="initech").pk
        row = Work.objects.get(kind=SET_UP)
        assert (row.state, row.error_code) == (Work.State.FAILED, "setup_failed"), "an operator tries again"
    page = operator.get(url("tenant_change", pk)).content.decode()
    assert "The set-up failed." in page and "Set up again" in page
    page = operator.get(url("tenant_change", pk), headers={"accept-language": "de"}).content.decode()
    assert "Die Einrichtung ist fehlgeschlagen. Den Grund nennt das Protokoll" in page
    assert (
        operator.post(url("tenant_retry", pk), {"confirmed": "yes"}).status_code == 302
        and status() == Tenant.Status.PROVISIONING
    )
    work()
    assert status() == Tenant.Status.ACTIVE


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"slug": "acme"}, "already exists"),
        ({"slug": "Bad_Slug"}, "lower-case letters"),
        ({"slug": "admin"}, "reserved"),
        ({"host": "acme.localhost"}, "another tenant"),
        ({"host": "localhost"}, "host name such as"),
        ({"host": "https://x.example"}, "host name such as"),
        ({"contact_email": ""}, "required"),
        ({"name": ""}, "required"),
    ],
)
def test_an_order_that_cannot_be_says_why(on_platform, olga, changes, says):
    on_platform.login_as(olga)
    response = order(on_platform, **changes)
    assert response.status_code in (200, 400, 409) and says in re.sub(
        r"<[^>]+>", "", response.content.decode()
    )
    with platform():
        assert Tenant.objects.count() == 2 and not Work.objects.exists()


@pytest.mark.django_db
def test_suspending_asks_first_and_is_undone_by_resuming(on_platform, olga, acme, alice):
    on_platform.login_as(olga)
    with platform():
        pk = Tenant.objects.get(slug="acme").pk
    page = on_platform.get(url("tenant_suspend", pk)).content.decode()
    assert "Suspend access to these tenants?" in page and "Acme" in page
    acme.login_as(alice)
    for action, expected in (("suspend", 403), ("resume", 200)):
        assert (
            on_platform.post(
                url("tenant_changelist"), {"action": action, "_selected_action": [pk], "confirmed": "yes"}
            ).status_code
            == 302
        )
        hosts.forget()
        assert acme.get("/profile/").status_code == expected
    hosts.forget()


@pytest.mark.django_db
def test_plan_and_name_change_but_slug_and_currency_stay(on_platform, olga):
    with platform():
        row, plan = Tenant.objects.get(slug="acme"), Plan.objects.get(name="standard")
    data = {
        "name": "Acme Corporation",
        "plan": plan.pk,
        "language": "de",
        "contact_email": "a@acme.example",
        "slug": "other",
        "currency": "USD",
    }
    assert (
        on_platform.login_as(olga)
        .post(url("tenant_change", row.pk), data | {"domains-TOTAL_FORMS": 0, "domains-INITIAL_FORMS": 0})
        .status_code
        == 302
    )
    with platform():
        after = Tenant.objects.select_related("plan").get(pk=row.pk)
    assert (after.name, after.plan, after.slug, after.currency, after.schema_name) == (
        "Acme Corporation",
        plan,
        "acme",
        "EUR",
        "acme",
    )


@pytest.mark.django_db
@pytest.mark.scope("platform")
def test_a_tenant_that_never_had_a_contact_is_changed_without_one(on_platform, olga):
    """The demonstration's have none."""
    with platform():
        row = Tenant.objects.get(slug="acme")
    assert row.contact_email == ""
    data = {"name": "Acme Corporation", "plan": row.plan_id, "language": "de", "contact_email": ""}
    on_platform.login_as(olga).post(
        url("tenant_change", row.pk), data | {"domains-TOTAL_FORMS": 0, "domains-INITIAL_FORMS": 0}
    )
    row.refresh_from_db()
    assert row.name == "Acme Corporation"


@pytest.mark.django_db
@pytest.mark.scope("platform")
def test_hosts_are_added_made_primary_and_removed(on_platform, olga):
    on_platform.login_as(olga)
    row = Tenant.objects.get(slug="acme")
    assert (
        on_platform.post(url("domain_add"), {"domain": "Chat.Acme.example.", "tenant": row.pk}).status_code
        == 302
    )
    second = Domain.objects.get(domain="chat.acme.example")
    on_platform.post(url("domain_make_primary", second.pk), {"confirmed": "yes"})
    assert list(row.domains.filter(is_primary=True)) == [second]
    on_platform.post(url("domain_delete", second.pk), {"post": "yes"})
    assert list(row.domains.values_list("domain", "is_primary")) == [("acme.localhost", True)]
    on_platform.post(url("domain_delete", row.domains.get().pk), {"post": "yes"})
    assert row.domains.count() == 1, "a tenant keeps its last host"


@pytest.mark.scope("platform")
def test_deleting_several_hosts_at_once_says_why_not_and_loses_none(on_platform, olga):
    rows = [Tenant.objects.get(slug=slug) for slug in ("acme", "globex")]
    spare = Domain.objects.create(domain="chat.globex.example", tenant=rows[1], is_primary=False)
    only = rows[0].domains.get()
    data = {"action": "delete_selected", "_selected_action": [spare.pk, only.pk], "post": "yes"}
    response = on_platform.login_as(olga).post(url("domain_changelist"), data, follow=True)
    page = response.content.decode()
    assert (
        response.status_code == 200
        and "acme.localhost: This is the tenant" in page
        and " deleted." not in page
    )
    assert Domain.objects.filter(pk__in=[spare.pk, only.pk]).count() == 2
    on_platform.post(url("domain_changelist"), data | {"_selected_action": [spare.pk]})
    assert not Domain.objects.filter(pk=spare.pk).exists()


@pytest.mark.django_db
@pytest.mark.scope("platform")
def test_a_plan_is_made_and_changed(on_platform, olga):
    on_platform.login_as(olga)
    data = {"name": "team", "label": "Team", "requests_per_minute": 60, "monthly_budget": "500"}
    assert on_platform.post(url("plan_add"), data).status_code == 302
    plan = Plan.objects.get(name="team")
    assert on_platform.post(url("plan_add"), data).status_code == 200, "the name is taken"
    on_platform.post(url("plan_change", plan.pk), {"label": "Teams", "name": "other"})
    plan.refresh_from_db()
    assert (plan.name, plan.label, plan.requests_per_minute, plan.monthly_budget) == (
        "team",
        "Teams",
        None,
        None,
    )


@pytest.mark.django_db
@pytest.mark.scope("platform")
def test_operators_are_added_and_locked_out_but_never_deleted(on_platform, olga):
    on_platform.login_as(olga)
    person = {"email": "otto@atrium.example", "name": "Otto", "language": "", "send_invitation": "on"}
    assert on_platform.post(reverse("system:accounts_user_add", urlconf=PLATFORM), person).status_code == 302
    otto = User.objects.get(email="otto@atrium.example")
    assert otto.is_superuser and do_work() == 1
    assert "http://localhost:8000/accounts/password/reset/key/" in mail.outbox[0].body
    assert (
        on_platform.post(
            reverse("system:accounts_user_delete", args=[otto.pk], urlconf=PLATFORM), {"post": "yes"}
        ).status_code
        == 403
    )
    address = reverse("system:accounts_user_deactivate", args=[otto.pk], urlconf=PLATFORM)
    on_platform.post(address, {"confirmed": "yes"})
    otto.refresh_from_db()
    assert not otto.is_active
    page = on_platform.post(
        reverse("system:accounts_user_deactivate", args=[olga.pk], urlconf=PLATFORM),
        {"confirmed": "yes"},
        follow=True,
    )
    assert b"cannot lock yourself out" in page.content and User.objects.get(pk=olga.pk).is_active


@pytest.mark.django_db
@pytest.mark.scope("platform")
def test_the_list_shows_what_each_tenant_used_this_month(on_platform, olga):
    from tests.estate import make_platform_estate

    make_platform_estate(olga)
    page = on_platform.login_as(olga).get(url("tenant_changelist")).content.decode()
    assert "Cost this month" in page and "1.50\N{NO-BREAK SPACE}€" in page and "chat.acme.example" in page


@pytest.mark.scope("platform")
def test_the_list_of_plans_shows_all_that_they_allow(on_platform, olga):
    with platform():
        create_plan(
            name="all",
            label="All",
            requests_per_minute=11,
            tokens_per_minute=2_222,
            tokens_per_day=33_333,
            calls_at_once=4,
        )
    page = on_platform.login_as(olga).get(reverse("system:tenants_plan_changelist", urlconf=PLATFORM))
    row = page.content.decode().partition(">All<")[2].partition("</tr>")[0]
    cells = dict(re.findall(r"field-show_(\w+)[^>]*>([^<]*)</td>", row))
    assert {name: cells[name] for name in Measure.values} == {
        "requests_per_minute": "11",
        "tokens_per_minute": "2,222",
        "tokens_per_day": "33,333",
        "calls_at_once": "4",
    }
