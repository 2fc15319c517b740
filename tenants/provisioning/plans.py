"""Plans, and changing what the platform decides about a tenant; those on a plan follow it within a second."""

import logging
from decimal import Decimal
from typing import TypedDict, Unpack

from django.db import DatabaseError, transaction
from django.db.models import prefetch_related_objects
from django.utils.translation import gettext as _

from foundation.errors import Conflict
from tenants.context import current_tenant, platform, tenant
from tenants.measures import Measure
from tenants.models import Plan, PlanLimit, Tenant
from tenants.notify import announce
from tenants.occasions import changed_plan
from tenants.provisioning.services import get_tenant
from tenants.work.duties import duty, note_duty

logger = logging.getLogger(__name__)

FOLLOW = "tenants.plan"


class PlanChanges(TypedDict, total=False):
    """What can be changed of a plan."""

    label: str
    requests_per_minute: int | None
    tokens_per_minute: int | None
    tokens_per_day: int | None
    calls_at_once: int | None
    monthly_budget: Decimal | None
    storage_bytes: int | None
    largest_file_bytes: int | None


def create_plan(*, name: str, **limits: Unpack[PlanChanges]) -> Plan:
    """Make a plan. Raises Conflict for a name that is taken, ValidationError."""
    with platform(), transaction.atomic():
        if Plan.objects.filter(name=name).exists():
            raise Conflict(_("There is a plan of this name already."), code="plan_exists", param="name")
        return set_plan(name=name, **limits)


def set_plan(*, name: str, **changes: Unpack[PlanChanges]) -> Plan:
    """Create or change a plan; None removes a limit. Its limits are read with it. Raises ValidationError."""
    with platform(), transaction.atomic():
        row = Plan.objects.select_for_update().filter(name=name).first() or Plan(
            name=name, label=name.capitalize()
        )
        amounts = {
            name: changes[name]  # type: ignore[literal-required]
            for name in Measure.values
            if name in changes
        }
        for field, value in changes.items():
            if field not in amounts:
                setattr(row, field, value)
        row.full_clean()
        row.save()
        for measure, amount in amounts.items():
            _set_plan_limit(row, measure, amount)
        prefetch_related_objects([row], "limits")  # who gets the row reads them outside this scope
        announce("plan", row.pk)
        slugs = list(
            Tenant.objects.filter(plan=row).exclude(status__in=Tenant.UNREADY).values_list("slug", flat=True)
        )
    for slug in slugs:
        tell_plan(slug, row)
    return row


def _set_plan_limit(plan: Plan, measure: str, amount: int | None) -> None:
    limit = plan.limits.filter(measure=measure).first()
    if amount is None:
        if limit is not None:
            limit.delete()
        return
    limit = limit or PlanLimit(plan=plan, measure=measure)
    limit.amount = amount
    limit.full_clean(validate_constraints=False)
    limit.save()


def tell_plan(slug: str, plan: Plan) -> None:
    """Let a tenant's rooms follow its plan; one whose tables are locked follows later."""
    try:
        changed_plan.run(slug, plan)
    except DatabaseError:
        logger.warning(
            "the tenant %s does not follow its plan yet; the scheduler tries again", slug, exc_info=True
        )
        with tenant(slug), transaction.atomic():
            note_duty(FOLLOW)


@duty(FOLLOW)
def follow_plan() -> None:
    """Carry out in one tenant what `tell_plan` could not."""
    slug = current_tenant()
    with platform():
        plan = Tenant.objects.select_related("plan").get(slug=slug).plan
    changed_plan.run(slug, plan)


class TenantChanges(TypedDict, total=False):
    """What can be changed of a tenant."""

    name: str
    plan: Plan
    language: str
    data_policy: str
    contact_email: str


def update_tenant(*, slug: str, **changes: Unpack[TenantChanges]) -> Tenant:
    """Change name, plan, language, data policy or contact. Slug and currency stay: schema, keys and bills are
    named after them. Raises ValidationError.
    """
    with platform(), transaction.atomic():
        row = get_tenant(slug, is_locked=True)
        old_plan = row.plan_id
        for field, value in changes.items():
            setattr(row, field, value)
        row.full_clean()
        row.save()
        announce("tenant", slug)
    if row.status not in Tenant.UNREADY and row.plan_id != old_plan:
        tell_plan(slug, row.plan)
    return row
