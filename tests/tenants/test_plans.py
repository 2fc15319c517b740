"""Plans, and the tenants that follow them."""

from decimal import Decimal
from io import StringIO

import psycopg
import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from foundation.errors import Conflict
from tenants.context import platform, tenant
from tenants.models import Duty, Plan, Tenant
from tenants.provisioning.plans import FOLLOW, create_plan, set_plan, update_tenant
from tenants.provisioning.services import set_tenant_status
from tenants.work.duties import carry_out_duties
from usage.models import Budget

pytestmark = [pytest.mark.django_db, pytest.mark.scope(None)]


def put_acme_on(name: str, **changes) -> None:
    plan = set_plan(name=name, **changes)
    with platform():
        Tenant.objects.filter(slug="acme").update(plan=plan)


def plan_limit() -> Decimal | None:
    with tenant("acme"):
        return Budget.objects.filter(managed_by="plan").values_list("limit", flat=True).first()


def test_zero_is_a_budget_and_none_is_no_budget():
    put_acme_on("tight", monthly_budget=Decimal(5))
    for limit in (Decimal(0), None, Decimal(7)):
        set_plan(name="tight", monthly_budget=limit)
        assert plan_limit() == limit
    with pytest.raises(ValidationError):
        set_plan(name="tight", requests_per_minute=0)


@pytest.mark.parametrize(
    ("table", "write"),
    [
        ("tenants_tenant", lambda: update_tenant(slug="acme", name="Acme & Co.")),
        ("tenants_tenant", lambda: set_tenant_status(slug="acme", status=Tenant.Status.SUSPENDED)),
        ("tenants_plan", lambda: set_plan(name="standard", requests_per_minute=5)),
    ],
)
def test_who_writes_a_row_reads_it_locked(table, write):
    """Else a suspension that comes between is written over, by somebody who changed the name."""
    with CaptureQueriesContext(connection) as queries:
        write()
    reads = [query["sql"] for query in queries if f'FROM "{table}"' in query["sql"]]
    assert reads and "FOR UPDATE" in reads[0]


def test_a_plan_is_made_once():
    plan = create_plan(name="tight", label="Tight", monthly_budget=Decimal(5))
    assert (plan.label, plan.monthly_budget, plan.requests_per_minute) == ("Tight", 5, None)
    with pytest.raises(Conflict) as refusal:
        create_plan(name="tight", label="Other")
    assert (refusal.value.code, refusal.value.param) == ("plan_exists", "name")
    with platform():
        assert Plan.objects.get(name="tight").label == "Tight"


def test_a_suspended_tenant_follows_too():
    put_acme_on("tight")
    with platform():
        Tenant.objects.filter(slug="acme").update(status=Tenant.Status.SUSPENDED)
    set_plan(name="tight", monthly_budget=Decimal(3))
    assert plan_limit() == 3


def test_a_tenant_that_is_locked_follows_later():
    put_acme_on("tight")
    login = connections["owner"].settings_dict
    where = {
        "host": login["HOST"],
        "port": login["PORT"] or None,
        "dbname": login["NAME"],
        "user": login["USER"],
        "password": login["PASSWORD"],
    }
    with psycopg.connect(**where) as other, connection.cursor() as cursor:
        other.execute("LOCK TABLE acme.usage_budget IN ACCESS EXCLUSIVE MODE")
        with platform():
            cursor.execute("SET LOCAL lock_timeout = '200ms'")
        set_plan(name="tight", monthly_budget=Decimal(3))
    assert plan_limit() is None
    with platform():
        assert Duty.objects.filter(kind=FOLLOW, due_at__lte=timezone.now()).exists()
        errors = []
        carry_out_duties(lambda *problem: errors.append(problem))
    assert plan_limit() == 3 and errors == []


def test_the_command_changes_what_is_named_and_keeps_the_rest():
    call_command(
        "plan", "set", "tight", "--requests-per-minute", "60", "--monthly-budget", "12.5", stdout=StringIO()
    )
    for words, expected in (
        ([], (60, Decimal("12.5"))),
        (["--requests-per-minute", "none"], (None, Decimal("12.5"))),
        (["--monthly-budget", "0"], (None, 0)),
    ):
        call_command("plan", "set", "tight", "--label", "Tight", *words, stdout=StringIO())
        with platform():
            plan = Plan.objects.get(name="tight")
            assert (plan.requests_per_minute, plan.monthly_budget) == expected


def test_the_command_sets_each_limit_and_lifts_it():
    measures = ("requests-per-minute", "tokens-per-minute", "tokens-per-day", "calls-at-once")
    words = [word for number, name in enumerate(measures, 7) for word in (f"--{name}", str(number))]
    call_command("plan", "set", "tight", *words, stdout=StringIO())
    with platform():
        limits = Plan.objects.get(name="tight").limits
        assert dict(limits.values_list("measure", "amount")) == {
            name.replace("-", "_"): number for number, name in enumerate(measures, 7)
        }
    call_command("plan", "set", "tight", "--tokens-per-day", "none", stdout=StringIO())
    with platform():
        assert not limits.filter(measure="tokens_per_day").exists() and limits.count() == 3


@pytest.mark.parametrize(
    "words",
    [
        ["--monthly-budget", "much"],
        ["--requests-per-minute", "-3"],
        ["--requests-per-minute", "0"],
        ["--monthly-budget", "-1"],
    ],
)
def test_the_command_refuses_what_is_no_limit(words):
    with pytest.raises(CommandError):
        call_command("plan", "set", "tight", *words, stdout=StringIO())
    with platform():
        assert not Plan.objects.filter(name="tight").exists()
