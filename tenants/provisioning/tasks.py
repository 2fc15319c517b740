"""The set-up of a tenant that was ordered in the system administration. Runs in workers that hold the
owner's login (queue `provisioning`).
"""

import logging

from celery import shared_task
from django.conf import settings
from django.utils import translation

from foundation.errors import AtriumError
from foundation.told import gettext as _
from tenants.models import Tenant
from tenants.provisioning.services import fail_setup, set_up_tenant
from tenants.work.tasks import TenantTask

logger = logging.getLogger(__name__)


@shared_task(base=TenantTask, acks_late=True, name="tenants.set_up_ordered_tenant")
def set_up_ordered_tenant(slug: str) -> None:
    """Set the tenant up, or note why not. A second delivery finds it ready and does nothing; one that
    was deleted meanwhile is forgotten.
    """
    with translation.override(settings.LANGUAGE_CODE):
        if not settings.HAS_OWNER_LOGIN:
            fail_setup(
                slug=slug,
                reason=_(
                    "This worker has no owner's login. Set ATRIUM_OWNER_DATABASE_URL for the worker of the "
                    "queue “provisioning”."
                ),
            )
            return
        try:
            set_up_tenant(slug)
        except Tenant.DoesNotExist:
            logger.info("tenant %s was ordered and is gone", slug)
        except AtriumError as exc:
            fail_setup(slug=slug, reason=exc.message if isinstance(exc.message, str) else str(exc.message))
        except Exception:
            fail_setup(slug=slug, reason=_("The set-up failed. The worker's log says why; try again."))
            raise
