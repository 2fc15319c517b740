"""A model's dated prices, below it. A price is added, never changed: what was booked stays right."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSplitDateTimeWidget, UnfoldAdminTextInputWidget

from administration.model_admin import Inline
from foundation.amounts import AmountField, show_price
from models_registry.kinds import list_priced_classes
from models_registry.worlds import Model, ModelPrice
from usage.labels import LABELS, PER, label_of_price
from usage.pricing import MAX_PRICE, TOKEN_CLASSES
from usage.quantities import CLASSES

NEWER_CLASSES = tuple(name for name in CLASSES if name not in TOKEN_CLASSES)  # without a column of their own


def _price_field(name: str) -> AmountField:
    return AmountField(
        label=label_of_price(name),
        min_value=0,
        max_value=MAX_PRICE,
        decimal_places=CLASSES[name].price_places,
    )


def _price_column(name: str) -> Callable[[Inline, ModelPrice], str]:
    @display(description=label_of_price(name))
    def show(self: Inline, row: ModelPrice) -> str:
        return show_price(row.as_price().amounts.get(name), row.currency)

    return show


# A field for each class; and for those without a column of the table what it would show.
_PriceFields = type("PriceFields", (forms.Form,), {name: _price_field(name) for name in CLASSES})
_NewerColumns = type("NewerColumns", (), {name: _price_column(name) for name in NEWER_CLASSES})


class ShownPrice(forms.Widget):
    """An amount that stands, with its currency; a text is one already. Django shows what such a widget makes
    of a value, rather than the column with all its places.
    """

    read_only = True

    def __init__(self, currency: str) -> None:
        super().__init__()
        self.currency = currency

    def render(self, name: str, value: Any, attrs: dict | None = None, renderer: Any = None) -> str:
        return value if isinstance(value, str) else show_price(value, self.currency)


class PriceForm(_PriceFields, forms.ModelForm):
    """A new price. What is left empty follows the earlier price, or the price of what it is a part of."""

    valid_from = forms.SplitDateTimeField(
        label=_("valid from"),
        required=False,
        widget=UnfoldAdminSplitDateTimeWidget(),
        help_text=_("Empty: from now on."),
    )

    class Meta:
        fields = ["valid_from", "currency", *TOKEN_CLASSES]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        for name in CLASSES.keys() & self.fields.keys():
            parent = CLASSES[name].parent
            hint = (
                gettext("as %(what)s") % {"what": LABELS[parent]} if parent else str(PER[CLASSES[name].per])
            )
            self.fields[name].required = False
            self.fields[name].widget = (
                UnfoldAdminTextInputWidget(attrs={"placeholder": hint, "inputmode": "decimal"})
                if self.instance._state.adding
                else ShownPrice(self.instance.currency)
            )


class PriceInline(_NewerColumns, Inline):
    form = PriceForm
    classes = ("wide-forms",)
    terms: tuple[str, ...] = ("valid_from", "currency")
    verbose_name_plural = _(
        "Prices, the newest first. Tokens per million; what is left empty costs what it is a part of."
    )
    ordering = ["-valid_from"]
    per_page = 12

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        wanted = list_priced_classes(obj.kind, obj.capabilities) if obj else ()
        return [*self.terms, *wanted]

    def get_queryset(self, request: HttpRequest):
        return super().get_queryset(request).select_related("model")

    def has_change_permission(self, request: HttpRequest, obj: ModelPrice | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ModelPrice | None = None) -> bool:
        return False
