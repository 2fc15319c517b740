"""Changing plans; the tenants on them follow within a second."""

import logging
from typing import Any

from django.db import DatabaseError, transaction

from tenants.context import current_tenant, platform, tenant
from tenants.duties import duty, note_duty
from tenants.models import Plan, Tenant
from tenants.notify import announce
from tenants.signals import plan_changed

logger = logging.getLogger(__name__)

FOLLOW = "tenants.plan"


def set_plan(*, name: str, **changes: Any) -> Plan:
    """Create or change a plan; None removes a limit. Raises ValidationError."""
    with platform(), transaction.atomic():
        row = Plan.objects.filter(name=name).first() or Plan(name=name, label=name.capitalize())
        for field, value in changes.items():
            setattr(row, field, value)
        row.full_clean()
        row.save()
        announce("plan", row.pk)
        slugs = list(
            Tenant.objects.filter(plan=row).exclude(status__in=Tenant.UNREADY).values_list("slug", flat=True)
        )
    for slug in slugs:
        tell_plan(slug, row)
    return row


def tell_plan(slug: str, plan: Plan) -> None:
    """Let a tenant's rooms follow its plan; one whose tables are locked follows later."""
    try:
        plan_changed.send(sender=Plan, slug=slug, plan=plan)
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
    plan_changed.send(sender=Plan, slug=slug, plan=plan)
