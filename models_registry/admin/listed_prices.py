"""Prices that providers' catalogues name: shown as what they are, taken over on request, where bills are in
their currency.
"""

from django.http import HttpRequest
from django.utils.translation import gettext, ngettext_lazy
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from administration.confirm import confirmed
from administration.model_admin import AtriumModelAdmin
from models_registry.providers.openai_compatible.prices import CURRENCY
from models_registry.services import take_listed_price
from models_registry.worlds import Model, active_world
from usage.labels import show_prices
from usage.quantities import CLASSES


def bills_in(request: HttpRequest, currency: str) -> bool:
    """Whether a price in this currency could hold: an organisation has one, the platform all."""
    return request.tenant is None or request.tenant.currency == currency


class ListedPrices(AtriumModelAdmin):
    """For the administrations of models."""

    actions = ["take_price"]
    actions_detail = ["take_price"]

    def has_price_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.has_perm(active_world().may("add", "modelprice"))

    @display(description=_("price in the catalogue"))
    def show_listed_price(self, row: Model) -> str:
        """What holds only once somebody takes it over."""
        if row.is_priced_otherwise:
            return gettext(
                "It cannot be taken over: it is not for tokens alone, or in another unit. Enter a price by "
                "hand."
            )
        amounts = {name: text for name, text in row.listed_price.items() if name in CLASSES}
        text = gettext("%(prices)s. Proposed by the provider; nothing is billed by it.")
        return text % {"prices": show_prices(amounts, row.listed_price["currency"])}

    def get_actions(self, request: HttpRequest) -> dict:
        actions = super().get_actions(request)
        if not bills_in(request, CURRENCY):
            actions.pop("take_price", None)
        return actions

    def get_actions_detail(self, request: HttpRequest, object_id: str):
        row = self.get_queryset(request).filter(pk=object_id).first()
        is_offered = row and row.proposed_price and bills_in(request, row.proposed_price["currency"])
        return super().get_actions_detail(request, object_id) if is_offered else []

    @confirmed(
        description=_("Take over the catalogue's prices"),
        icon="sell",
        permissions=("price",),
        question=_("Make the prices of the providers' catalogues those of these models?"),
        explanation=_(
            "Calls are billed by them from now on, in the currency of the catalogue, and they take the place "
            "of the prices that you have set in it."
        ),
        done=ngettext_lazy(
            "%(count)d model costs what its catalogue says.",
            "%(count)d models cost what their catalogues say.",
            "count",
        ),
    )
    def take_price(self, request: HttpRequest, row: Model) -> None:
        take_listed_price(actor=request.user, model=row)
