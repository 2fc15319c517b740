"""What the pages of the catalogue show."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.core.paginator import Paginator
from django.http import HttpRequest, QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from foundation.errors import NotFound
from models_registry.examples import list_examples
from models_registry.kinds import Location, ModelKind
from models_registry.offered import Entry, find_entry, list_catalogue

MAX_QUERY = 200
PER_PAGE = 100
LARGEST = Decimal("Infinity")


def _price_of(entry: Entry) -> Decimal:
    """What is read and written once; what nobody priced comes last."""
    price = entry.route.price
    return LARGEST if price.is_unset else (price.input or Decimal(0)) + (price.output or Decimal(0))


SORTS: dict[str, tuple[Any, Callable[[Entry], Any]]] = {
    "": (gettext_lazy("Name"), lambda one: 0),
    "price": (gettext_lazy("Price, lowest first"), _price_of),
    "context": (gettext_lazy("Context window, largest first"), lambda one: -(one.route.context_window or 0)),
    "speed": (gettext_lazy("Tokens per second, most first"), lambda one: -(one.speed.tokens_per_s or 0)),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """A value of a filter, and what people call it."""

    value: str
    label: str
    is_chosen: bool


def list_context(request: HttpRequest) -> dict[str, Any]:
    """The variables of models_registry/model_list.html. What a filter does not have is
    ignored.
    """
    entries = list_catalogue(request.user, request.tenant)
    given = request.GET
    kinds = _choices(given, "kind", _("All kinds"), ModelKind.choices, {one.route.kind for one in entries})
    found_places = {endpoint.location for one in entries for endpoint in one.endpoints}
    places = _choices(given, "place", _("Everywhere"), Location.choices, found_places - {""})
    abilities = sorted({word for one in entries for word in one.row.capabilities})
    capabilities = _choices(given, "can", _("Anything"), [(word, word) for word in abilities], {*abilities})
    sort = given.get("sort", "") if given.get("sort", "") in SORTS else ""
    query = given.get("q", "").strip()[:MAX_QUERY]
    found = [
        one
        for one in entries
        if _matches(one, query)
        and _chosen(kinds) in ("", one.route.kind)
        and _chosen(capabilities) in ("", *one.row.capabilities)
        and _chosen(places) in ("", *(endpoint.location for endpoint in one.endpoints))
    ]
    page = Paginator(sorted(found, key=SORTS[sort][1]), PER_PAGE).get_page(given.get("page"))
    return {
        "page": page,
        "count": len(entries),
        "q": query,
        "filters": [
            ("kind", _("Kind"), kinds),
            ("can", _("Can"), capabilities),
            ("place", _("Where it answers"), places),
            ("sort", _("Order"), [Choice(name, str(SORTS[name][0]), name == sort) for name in SORTS]),
        ],
        "is_filtered": bool(query or any(map(_chosen, (kinds, places, capabilities)))),
        "may_add": request.user.has_perm("models_registry.add_connection"),
    }


def detail_context(request: HttpRequest, model_id: UUID) -> dict[str, Any]:
    """The variables of models_registry/model_detail.html. Raises NotFound."""
    entry = find_entry(request.user, request.tenant, model_id)
    if entry is None:
        raise NotFound(_("There is no such model, or you may not use it."), code="model_not_found")
    base_url = request.build_absolute_uri("/v1")
    return {
        "entry": entry,
        "examples": list_examples(entry.route, base_url),
        "may_change": request.user.has_perm("models_registry.change_model"),
    }


def _choices(
    given: QueryDict, name: str, all_of_them: str, known: Iterable[tuple[str, Any]], found: set[str]
) -> list[Choice]:
    """Those that lead to something, behind the one for all."""
    offered = [(value, str(label)) for value, label in known if value in found]
    wanted = given.get(name, "")
    chosen = wanted if wanted in found else ""
    return [Choice(value, label, value == chosen) for value, label in [("", all_of_them), *offered]]


def _chosen(choices: list[Choice]) -> str:
    return next(one.value for one in choices if one.is_chosen)


def _matches(entry: Entry, query: str) -> bool:
    texts = (entry.route.name, entry.route.label, entry.row.notes, entry.row.licence, *entry.row.aliases)
    return all(any(word in text.casefold() for text in texts) for word in query.casefold().split())
