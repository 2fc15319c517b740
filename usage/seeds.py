"""Budgets that follow from what other rooms decide (a tenant's plan, a key that is to have one), and what
follows from budgets there.
"""

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.key_rules import KeyRules, register_key_rules
from accounts.models import ApiKey, User
from foundation.amounts import parse_amount
from foundation.errors import NotAllowed
from tenants.context import tenant
from tenants.models import Plan
from tenants.occasions import changed_plan, new_tenant
from tenants.selectors import get_plan_budget
from usage.models import Budget
from usage.services import ensure_plan_budget, set_budget


@new_tenant.register
def give_first_budget(slug: str) -> None:
    ensure_plan_budget(get_plan_budget(slug))


@changed_plan.register
def follow_plan(slug: str, plan: Plan) -> None:
    with tenant(slug), transaction.atomic():
        ensure_plan_budget(plan.monthly_budget)


def give_key_budget(key: ApiKey, amount: str) -> None:
    set_budget(actor=None, level=Budget.Level.KEY, subject_id=key.pk, limit=parse_amount(amount))


def has_budget(key: ApiKey) -> bool:
    return Budget.objects.filter(level=Budget.Level.KEY, subject_id=key.pk).exists()


def spends_budgets(key: ApiKey) -> bool:
    """Whether a budget of its own, its person's or its project's binds it."""
    subjects = (key.pk, key.user_id, key.project_id)
    return Budget.objects.filter(subject_id__in=subjects).exists()


def refuse_to_escape_budget(within: ApiKey, user: User) -> None:
    """The new key would spend what the budget of the asking one, or of its person, does not count."""
    if (
        user.pk != within.user_id
        and Budget.objects.filter(level=Budget.Level.USER, subject_id=within.user_id).exists()
    ):
        raise NotAllowed(
            _(
                "A key whose person has a budget makes keys for that person only. Make the new one in the "
                "browser."
            ),
            code="beyond_own_key",
        )
    if has_budget(within):
        raise NotAllowed(
            _("A key with a budget of its own makes no other keys. Make the new one in the browser."),
            code="beyond_own_key",
        )


register_key_rules(
    KeyRules(check=refuse_to_escape_budget, is_bound=spends_budgets, give_budget=give_key_budget)
)
