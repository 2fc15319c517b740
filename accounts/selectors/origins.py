"""Web origins of the active tenant."""

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from foundation.errors import NotFound
from tenants.local.models import WebOrigin


def list_web_origins() -> QuerySet[WebOrigin]:
    """The origins whose pages may call the active tenant; who may see them is the edges' question."""
    return WebOrigin.objects.all()


def get_web_origin(pk: str) -> WebOrigin:
    """Raises NotFound."""
    row = WebOrigin.objects.filter(pk=pk).first()
    if row is None:
        raise NotFound(_("There is no such origin."))
    return row
