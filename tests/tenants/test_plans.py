"""Plans, and the tenants that follow them."""

from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db import OperationalError, transaction
from django.utils import timezone

from tenants.context import platform, tenant
from tenants.duties import carry_out_duties
from tenants.models import Duty, Tenant
from tenants.plans import FOLLOW, set_plan
from tenants.signals import plan_changed
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


def test_a_suspended_tenant_follows_too():
    put_acme_on("tight")
    with platform():
        Tenant.objects.filter(slug="acme").update(status=Tenant.Status.SUSPENDED)
    set_plan(name="tight", monthly_budget=Decimal(3))
    assert plan_limit() == 3


def test_a_tenant_that_is_locked_follows_later():
    put_acme_on("tight")

    def refuse(sender, slug, **kwargs):
        with transaction.atomic():
            raise OperationalError("canceling statement due to lock timeout")

    plan_changed.connect(refuse)
    try:
        receivers = plan_changed.receivers
        plan_changed.receivers = receivers[-1:]
        plan_changed.sender_receivers_cache.clear()
        set_plan(name="tight", monthly_budget=Decimal(3))
        assert plan_limit() is None
    finally:
        plan_changed.receivers = receivers
        plan_changed.disconnect(refuse)
    with platform():
        assert Duty.objects.filter(kind=FOLLOW, due_at__lte=timezone.now()).exists()
        errors = []
        carry_out_duties(lambda *problem: errors.append(problem))
    assert plan_limit() == 3 and errors == []
