"""Prices that providers' catalogues name: shown as what they are, taken over on request, where bills are in
their currency.
"""

from django.http import HttpRequest
from django.utils.translation import gettext, ngettext, ngettext_lazy
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from administration.confirm import confirmed, name_some
from administration.model_admin import AtriumModelAdmin
from models_registry.providers.openai_compatible.prices import CURRENCY
from models_registry.selectors import list_tenants_left_out
from models_registry.services import set_free, take_listed_price
from models_registry.worlds import PLATFORM, Model, active_world
from usage.labels import show_prices
from usage.quantities import CLASSES


def bills_in(request: HttpRequest, currency: str) -> bool:
    """Whether a price in this currency could hold: an organisation has one, the platform all."""
    return request.tenant is None or request.tenant.currency == currency


def _show_amounts(row: Model) -> str:
    proposed = row.proposed_price
    amounts = {name: text for name, text in proposed.items() if name in CLASSES}
    return show_prices(amounts, proposed["currency"])


def _say_proposal(model_admin: AtriumModelAdmin, row: Model) -> str:
    return _show_amounts(row) if row.proposed_price else ""


def _warn_of_currencies(model_admin: AtriumModelAdmin, rows: list[Model]) -> str:
    """Whom a price in the catalogue's currency alone takes a model away from."""
    names = list_tenants_left_out(rows) if active_world() is PLATFORM else []
    text = ngettext(
        "%(count)d organisation is billed in another currency and is not offered models that have no price "
        "in it: %(names)s. Enter one there for what it is to keep.",
        "%(count)d organisations are billed in other currencies and are not offered models that have no "
        "price in them: %(names)s. Enter one there for what they are to keep.",
        len(names),
    )
    return text % {"count": len(names), "names": name_some(names)} if names else ""


class ListedPrices(AtriumModelAdmin):
    """For the administrations of models."""

    actions = ["take_price", "make_free"]
    actions_detail = ["take_price", "make_free"]

    def has_price_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.has_perm(active_world().may("add", "modelprice"))

    @display(description=_("price in the catalogue"))
    def show_listed_price(self, row: Model) -> str:
        """What holds only once somebody takes it over."""
        if row.is_priced_otherwise:
            return gettext(
                "It cannot be taken over: it is not for tokens alone, in another unit, or written in a way "
                "that this release does not know. Enter a price by hand."
            )
        text = gettext("%(prices)s. Proposed by the provider; nothing is billed by it.")
        return text % {"prices": _show_amounts(row)}

    def get_actions(self, request: HttpRequest) -> dict:
        actions = super().get_actions(request)
        if not bills_in(request, CURRENCY):
            actions.pop("take_price", None)
        return actions

    def list_fitting_actions(self, request: HttpRequest, row: Model) -> set[str]:
        proposed, names = row.proposed_price, set(self.actions_detail)
        if not (proposed and bills_in(request, proposed["currency"])):
            names -= {"take_price"}
        return names if row.waits_for_price else names - {"make_free"}

    @confirmed(
        description=_("Take over the catalogue's prices"),
        icon="tag",
        permissions=("price",),
        question=_("Make the prices of the providers' catalogues those of these models?"),
        explanation=_(
            "Calls are billed by them from now on, in the currency of the catalogue, and they take the place "
            "of the prices that you have set in it. Models that wait for their price are switched on."
        ),
        done=ngettext_lazy(
            "%(count)d model costs what its catalogue says.",
            "%(count)d models cost what their catalogues say.",
            "count",
        ),
        details=_say_proposal,
        warn=_warn_of_currencies,
    )
    def take_price(self, request: HttpRequest, row: Model) -> None:
        take_listed_price(actor=request.user, model=row)

    @confirmed(
        description=_("Mark as free of charge"),
        icon="circle-play",
        permissions=("price",),
        question=_("Are these models free of charge?"),
        explanation=_(
            "Their price is 0 from now on: calls count as costing nothing, and no budget stops them. Models "
            "that wait for their price are switched on."
        ),
        done=ngettext_lazy(
            "%(count)d model is free of charge.", "%(count)d models are free of charge.", "count"
        ),
    )
    def make_free(self, request: HttpRequest, row: Model) -> None:
        set_free(actor=request.user, model=row)
