"""What models cost, in the list and on the page of one."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from administration.model_admin import AtriumModelAdmin
from administration.sites import service_admin
from foundation.amounts import show_price
from models_registry.kinds import list_priced_classes
from models_registry.selectors import list_current_prices
from models_registry.services.prices import costs_the_platform
from models_registry.worlds import Model, active_world
from usage.labels import say_price, show_prices
from usage.pricing import Price

SHOWN = 2  # prices of a model of the platform, in its list: one per currency


class PriceFilter(admin.SimpleListFilter):
    """By whether a price holds now."""

    title = _("price")
    parameter_name = "priced"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("no", _("no price")), ("yes", _("with a price"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if self.value() not in ("no", "yes"):
            return queryset
        prices = active_world().prices.objects.filter(model=OuterRef("pk"), valid_from__lte=timezone.now())
        return queryset.filter(Exists(prices) if self.value() == "yes" else ~Exists(prices))


class ShownPrices(AtriumModelAdmin):
    """For the administrations of models."""

    def get_changelist_instance(self, request: HttpRequest):
        changelist = super().get_changelist_instance(request)
        self._load_prices(list(changelist.result_list))
        return changelist

    @staticmethod
    def _load_prices(rows: Iterable[Model]) -> None:
        prices = list_current_prices(rows)
        for row in rows:
            row.current_prices = prices.get(row.pk, [])

    @display(description=_("input / output per million"))
    def show_prices(self, row: Model) -> str:
        prices = getattr(row, "current_prices", [])
        is_own = service_admin is self.admin_site
        shown = [_show_price(price.as_price(), row.kind) for price in (prices if is_own else prices[:SHOWN])]
        if len(prices) > len(shown):
            shown.append(f"+{len(prices) - len(shown)}")
        if not shown and row.proposed_price:
            listed = _show_price(Price.from_snapshot(row.proposed_price), row.kind)
            return gettext("no price set; in the catalogue: %(price)s") % {"price": listed}
        return "; ".join(shown) or _say_no_price(row)

    @display(description=_("price at present"))
    def show_current_price(self, row: Model) -> str:
        wanted = list_priced_classes(row.kind, row.capabilities)
        prices = [(one.currency, one.own_texts) for one in list_current_prices([row]).get(row.pk, [])]
        lines = [
            (show_prices({name: texts[name] for name in wanted if name in texts}, currency),)
            for currency, texts in prices
        ]
        return format_html_join("", "<p>{}</p>", lines) or _say_no_price(row)


def _say_no_price(row: Model) -> str:
    if row.is_priced_otherwise:
        return gettext("no price set; that of the catalogue cannot be taken over")
    if row.waits_for_price:
        return gettext("off until it has a price")
    if costs_the_platform(active_world(), row.connection):
        return gettext("no price set")
    return gettext("no price set: calls cost nothing")


def _show_price(price: Price, kind: str) -> str:
    """In short, for a column headed “input / output per million”; in words where that says less."""
    if price.is_free or price.input is None:
        return say_price(price)
    if price.output is None or "output" not in list_priced_classes(kind, ()):
        return show_price(price.input, price.currency)
    return f"{show_price(price.input, price.currency)} / {show_price(price.output, price.currency)}"
