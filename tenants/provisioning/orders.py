"""What operators decide about tenants in the system administration. Web processes hold no owner's login: a
worker does the set-up.

All functions run inside `with platform():`, or enter it. Who may call them is asked at the edge:
operators hold every right of the platform.
"""

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from foundation.errors import Conflict
from tenants.context import platform
from tenants.models import Tenant
from tenants.notify import announce
from tenants.provisioning.services import DEFAULT_PLAN, get_tenant, insert_tenant
from tenants.provisioning.tasks import SET_UP
from tenants.work.services import order


def order_tenant(
    *,
    slug: str,
    name: str,
    host: str = "",
    plan: str = DEFAULT_PLAN,
    language: str = "en",
    currency: str = "EUR",
    contact_email: str,
    data_policy: str = "",
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
            data_policy=data_policy,
        )
        _enqueue_setup(row)
        announce("tenant", slug)
    return row


def retry_setup(*, slug: str) -> Tenant:
    """Have a worker try again what failed, or was lost. Raises NotFound,
    Conflict for a tenant that is ready.
    """
    with platform(), transaction.atomic():
        row = get_tenant(slug, is_locked=True)
        if row.status not in Tenant.UNREADY:
            raise Conflict(_("This tenant is set up already."), code="tenant_ready")
        row.status = Tenant.Status.PROVISIONING
        row.setup_error, row.setup_error_words = "", None
        row.save(update_fields=["status", "setup_error", "setup_error_words", "updated_at"])
        _enqueue_setup(row)
    return row


def _enqueue_setup(row: Tenant) -> None:
    order(SET_UP, row.slug)
