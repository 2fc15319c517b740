"""Rights of use, for whoever may see them."""

from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from accounts.models import Grant, User
from accounts.permissions import require
from foundation.errors import NotFound


def list_visible_grants(actor: User | None) -> QuerySet[Grant]:
    """All rights of use, for whoever may see them. Raises NotAllowed."""
    require(actor, "accounts.view_grant")
    return Grant.objects.select_related("role", "project", "user")


def get_visible_grant(actor: User | None, pk: UUID | str) -> Grant:
    """One right of use. Raises NotFound, NotAllowed."""
    row = list_visible_grants(actor).filter(pk=pk).first()
    if row is None:
        raise NotFound(_("There is no such right of use."))
    return row
