"""What the pages of the catalogue show."""

from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.contrib.humanize.templatetags.humanize import intcomma
from django.core.paginator import Paginator
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from foundation.errors import NotFound
from models_registry.examples import list_examples
from models_registry.filters import CatalogueFilter
from models_registry.offered import Entry, find_entry, list_catalogue, measure
from models_registry.selectors import label_models

PER_PAGE = 50
IN_PALETTE = 6


def list_context(request: HttpRequest) -> dict[str, Any]:
    """The variables of models_registry/model_list.html."""
    entries = list_catalogue(request.user, request.tenant)
    form = CatalogueFilter(request.GET, entries)
    found = form.find(entries)
    if form.needs_speeds:
        found = measure(found)
    page = Paginator(form.sort_entries(found), PER_PAGE).get_page(request.GET.get("page"))
    if not form.needs_speeds:  # the ledger is asked about those that are shown
        page.object_list = measure(page.object_list)
    applied = form.list_applied(request.GET)
    return {
        "page": page,
        "count": len(entries),
        "form": form,
        "applied": applied,
        "clear_url": form.clear_url(request.GET),
        "count_text": _say_count(len(found) if applied else None, len(entries)),
        "sort": form.data["sort"] or "name",
        "may_add": request.user.has_perm("models_registry.add_connection"),
    }


def _say_count(shown: int | None, count: int) -> str:
    """`shown`: None where no filter leaves any out."""
    texts = {"shown": intcomma(shown or 0), "counter": intcomma(count)}
    if shown is None:
        return ngettext("%(counter)s model", "%(counter)s models", count) % texts
    return ngettext("%(shown)s of %(counter)s model", "%(shown)s of %(counter)s models", count) % texts


def find_for_palette(request: HttpRequest) -> list[Entry]:
    """The first few that `?q=` finds; none without it."""
    entries = list_catalogue(request.user, request.tenant) if request.GET.get("q", "").strip() else []
    return CatalogueFilter(request.GET, entries).find(entries)[:IN_PALETTE]


def detail_context(request: HttpRequest, model_id: UUID) -> dict[str, Any]:
    """The variables of models_registry/model_detail.html. Raises NotFound."""
    entry = find_entry(request.user, request.tenant, model_id)
    if entry is None:
        raise NotFound(_("There is no such model, or you may not use it."), code="model_not_found")
    return {
        "entry": entry,
        "successor_label": _name_successor(entry),
        "examples": list_examples(entry.route, _base_url(request)),
        "may_change": request.user.has_perm("models_registry.change_model"),
    }


def _name_successor(entry: Entry) -> str:
    name = entry.row.successor
    return label_models([name])[name] if name else ""


def _base_url(request: HttpRequest) -> str:
    """Where programs reach `/v1`. Browsers find names below .localhost, many programs do not; the key tells
    whose it is at any of our hosts.
    """
    address = urlsplit(request.build_absolute_uri("/v1"))
    if address.hostname and address.hostname.endswith(settings.DEMO_HOST_SUFFIX):
        host = settings.DEMO_HOST_SUFFIX.removeprefix(".")
        address = address._replace(netloc=f"{host}:{address.port}" if address.port else host)
    return address.geturl()
