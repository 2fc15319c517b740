"""Budgets that follow from what other rooms decide: a tenant's plan, a key that is to have one."""

from django.db import transaction
from django.dispatch import receiver

from tenants.context import platform, tenant
from tenants.models import Plan, Tenant
from tenants.signals import key_budget_requested, plan_changed, tenant_provisioned
from usage.models import Budget
from usage.services import ensure_plan_budget, parse_amount, set_budget


@receiver(tenant_provisioned)
def give_first_budget(sender, slug: str, **kwargs) -> None:
    with platform():
        limit = Tenant.objects.values_list("plan__monthly_budget", flat=True).get(slug=slug)
    ensure_plan_budget(limit)


@receiver(plan_changed)
def follow_plan(sender, slug: str, plan: Plan, **kwargs) -> None:
    with tenant(slug), transaction.atomic():
        ensure_plan_budget(plan.monthly_budget)


@receiver(key_budget_requested)
def give_key_budget(sender, key, amount, **kwargs) -> None:
    set_budget(actor=None, level=Budget.Level.KEY, subject_id=key.pk, limit=parse_amount(amount))
