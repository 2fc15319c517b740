"""The host names that lead to a tenant. All functions enter `with platform():`."""

from django.db import transaction
from django.utils.translation import gettext as _

from foundation.errors import Conflict
from tenants.context import platform
from tenants.models import Domain
from tenants.notify import announce
from tenants.provisioning.services import get_tenant, read_host


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
