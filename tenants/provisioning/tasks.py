"""The set-up of a tenant that was ordered in the system administration. Runs in workers that hold the
owner's login (queue `provisioning`).
"""

import logging

from django.conf import settings
from django.utils.translation import gettext_lazy

from foundation.errors import AtriumError, Conflict
from foundation.told import gettext as _
from tenants.models import Tenant
from tenants.provisioning.services import fail_setup, set_up_tenant
from tenants.work.earlier import take_messages
from tenants.work.kinds import work_kind
from tenants.work.runs import Run

logger = logging.getLogger(__name__)
SET_UP, QUEUE = "tenants.set_up_ordered_tenant", "provisioning"


def set_up_ordered_tenant(run: Run) -> None:
    """Set the tenant up, or note why not. A second order finds it ready and does nothing; one that was
    deleted meanwhile is forgotten.
    """
    slug = run.object_id
    if not settings.HAS_OWNER_LOGIN:
        raise _fail(
            slug,
            _(
                "This worker has no owner's login. Set ATRIUM_OWNER_DATABASE_URL for the worker of the "
                "queue “provisioning”."
            ),
        )
    try:
        set_up_tenant(slug)
    except Tenant.DoesNotExist:
        logger.info("tenant %s was ordered and is gone", slug)
    except AtriumError as exc:
        fail_setup(slug=slug, reason=exc.message if isinstance(exc.message, str) else str(exc.message))
        raise
    except Exception as exc:
        logger.exception("tenant %s could not be set up", slug)
        raise _fail(slug, _("The set-up failed. The worker's log says why; try again.")) from exc


def _fail(slug: str, reason: str) -> Conflict:
    """For good: an operator reads it and tries again."""
    fail_setup(slug=slug, reason=reason)
    return Conflict(reason, code="setup_failed")


work_kind(
    SET_UP,
    queue=QUEUE,
    run=set_up_ordered_tenant,
    label=gettext_lazy("Setting up a tenant"),
    is_killable=False,
    is_platforms=True,
)
take_messages(SET_UP, "slug")
