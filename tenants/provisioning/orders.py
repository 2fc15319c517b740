"""What operators decide about tenants in the system administration. Web processes hold no owner's login: a
worker does the set-up.

All functions run inside `with platform():`, or enter it. Who may call them is asked at the edge:
operators hold every right of the platform.
"""

from typing import TypedDict, Unpack

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from foundation.errors import Conflict
from tenants.context import platform
from tenants.models import Domain, Plan, Tenant
from tenants.notify import announce
from tenants.provisioning.plans import tell_plan
from tenants.provisioning.services import DEFAULT_PLAN, get_tenant, insert_tenant, read_host
from tenants.provisioning.tasks import set_up_ordered_tenant
from tenants.work.tasks import enqueue

QUEUE = "provisioning"


def order_tenant(
    *,
    slug: str,
    name: str,
    host: str = "",
    plan: str = DEFAULT_PLAN,
    language: str = "en",
    currency: str = "EUR",
    contact_email: str,
) -> Tenant:
    """Write a new tenant down and have a worker set it up; the row's status tells how far it is. Raises
    InvalidInput, Conflict.
    """
    with platform(), transaction.atomic():
        row = insert_tenant(
            slug=slug,
            name=name,
            host=host or f"{slug}{settings.DEMO_HOST_SUFFIX}",
            plan=plan,
            language=language,
            currency=currency,
            contact_email=contact_email,
        )
        _enqueue_setup(row)
        announce("tenant", slug)
    return row


def retry_setup(*, slug: str) -> Tenant:
    """Have a worker try again what failed, or was lost. Raises NotFound,
    Conflict for a tenant that is ready.
    """
    with platform(), transaction.atomic():
        row = get_tenant(slug)
        if row.status not in Tenant.UNREADY:
            raise Conflict(_("This tenant is set up already."), code="tenant_ready")
        row.status = Tenant.Status.PROVISIONING
        row.setup_error = ""
        row.save(update_fields=["status", "setup_error", "updated_at"])
        _enqueue_setup(row)
    return row


def _enqueue_setup(row: Tenant) -> None:
    enqueue(set_up_ordered_tenant, queue=QUEUE, slug=row.slug)


class TenantChanges(TypedDict, total=False):
    """What can be changed of a tenant."""

    name: str
    plan: Plan
    language: str
    contact_email: str


def update_tenant(*, slug: str, **changes: Unpack[TenantChanges]) -> Tenant:
    """Change name, plan, language or contact. Slug and currency stay: schema, keys and bills are named
    after them. Raises ValidationError.
    """
    with platform(), transaction.atomic():
        row = get_tenant(slug)
        old_plan = row.plan_id
        for field, value in changes.items():
            setattr(row, field, value)
        row.full_clean()
        row.save()
        announce("tenant", slug)
    if row.status not in Tenant.UNREADY and row.plan_id != old_plan:
        tell_plan(slug, row.plan)
    return row


def add_domain(*, slug: str, host: str, is_primary: bool = False) -> Domain:
    """Let a host name lead to a tenant. Raises InvalidInput, Conflict, NotFound."""
    with platform(), transaction.atomic():
        row = get_tenant(slug)
        host = read_host(host)
        if Domain.objects.filter(domain=host).exists():
            raise Conflict(
                _("The host “%(host)s” leads to a tenant already.") % {"host": host},
                code="domain_exists",
                param="domain",
            )
        domain = Domain.objects.create(domain=host, tenant=row, is_primary=is_primary)
        announce("tenant", slug)
    return domain


def set_primary_domain(*, domain: Domain) -> Domain:
    """Make a host the one that links in mails lead to."""
    with platform(), transaction.atomic():
        domain.is_primary = True
        domain.save()  # takes the mark from the others
        announce("tenant", domain.tenant.slug)
    return domain


def remove_domain(*, domain: Domain) -> None:
    """Take a host name away from a tenant. Raises Conflict for its last one."""
    with platform(), transaction.atomic():
        others = (
            Domain.objects.select_for_update()
            .filter(tenant=domain.tenant_id)
            .exclude(pk=domain.pk)
            .order_by("domain")
        )
        successor = next(iter(others), None)
        if successor is None:
            raise Conflict(_("This is the tenant's only host. Add another one first."), code="last_domain")
        slug, was_primary = domain.tenant.slug, domain.is_primary
        domain.delete()
        if was_primary:
            successor.is_primary = True
            successor.save()
        announce("tenant", slug)
