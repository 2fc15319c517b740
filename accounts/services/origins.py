"""Which web pages may call this tenant with its keys (tenants.doors.cors)."""

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.permissions import require
from foundation.errors import Conflict, QuotaExceeded
from tenants.doors.cors import read_origin
from tenants.local.models import WebOrigin
from tenants.notify import announce
from tenants.turns import take_turns

MAX_ORIGINS = 100  # every process keeps them in memory


@transaction.atomic
def allow_web_origin(*, actor: User | None, origin: str) -> WebOrigin:
    """Let pages of an origin read answers, within a second. Raises NotAllowed, InvalidInput, Conflict for one
    that is listed already, QuotaExceeded.
    """
    require(actor, "local.add_weborigin")
    origin = read_origin(origin)
    take_turns("web origins")
    if WebOrigin.objects.filter(origin=origin).exists():
        raise Conflict(_("This origin is listed already."), code="origin_exists", param="origin")
    if WebOrigin.objects.count() >= MAX_ORIGINS:
        raise QuotaExceeded(
            _("At most %(limit)d origins can be listed.") % {"limit": MAX_ORIGINS}, code="too_many_origins"
        )
    row = WebOrigin(origin=origin)
    row.full_clean()
    row.save()
    announce("weborigin", row.pk)
    return row


@transaction.atomic
def forbid_web_origin(*, actor: User | None, row: WebOrigin) -> None:
    """Pages of this origin read no answers any more, after a second at most. Raises NotAllowed."""
    require(actor, "local.delete_weborigin")
    row_id = row.pk
    row.delete()
    announce("weborigin", row_id)
