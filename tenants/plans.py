"""Changing plans; the tenants on them follow within a second."""

from typing import Any

from django.db import transaction

from tenants.context import platform
from tenants.models import Plan, Tenant
from tenants.notify import announce
from tenants.signals import plan_changed


def set_plan(*, name: str, **changes: Any) -> Plan:
    """Create or change a plan; 0 removes a limit. Raises ValidationError."""
    with platform(), transaction.atomic():
        row = Plan.objects.filter(name=name).first() or Plan(name=name, label=name.capitalize())
        for field, value in changes.items():
            setattr(row, field, value or None if field != "label" else value)
        row.full_clean()
        row.save()
        announce("plan", row.pk)
        slugs = list(Tenant.objects.filter(plan=row, status=Tenant.Status.ACTIVE).values_list("slug", flat=True))
    for slug in slugs:
        plan_changed.send(sender=Plan, slug=slug, plan=row)
    return row
