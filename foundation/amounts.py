"""Money as people read it, in their own notation, and as they write it.

Those who spend it see cents and signs of currencies, and what is smaller on demand; those who keep the books
see every figure and the codes.
"""

from decimal import Decimal
from typing import Any

from django import forms, template
from django.core.exceptions import ValidationError
from django.template.defaultfilters import floatformat
from django.utils.formats import get_format, localize
from django.utils.html import format_html
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from foundation.errors import InvalidInput

SMALLEST = Decimal("0.000001")
CENT = Decimal("0.01")
MOST_PLACES = 12
SIGNS = {"EUR": "€", "USD": "$", "GBP": "£", "CNY": "¥"}
# where a sign of their own means another currency to readers
SIGNS_ABROAD = {("en", "CNY"): "CN¥", ("de", "CNY"): "CN¥", ("zh", "USD"): "US$"}
register = template.Library()


def show_money(amount: Decimal | None, currency: str = "") -> str:
    """Two digits after the point from 1 on, four from 0.01, six below; what is smaller still is told by its
    bound ("< 0.000001"). With the currency behind, if any; "–" for None.
    """
    if amount is None:
        return "–"
    return f"{_figure(amount)} {currency}".rstrip()


def show_cost(amount: Decimal, currency: str = "") -> str:
    """With two digits after the point and the currency's sign where the language puts it; less than a cent
    is told by that bound.
    """
    if 0 < abs(amount) < CENT:
        bound, relation = (CENT, "<") if amount > 0 else (-CENT, ">")
        return f"{relation} {_with_sign(bound, 2, currency)}"
    return _with_sign(amount, 2, currency)


def show_price(amount: Decimal, currency: str = "") -> str:
    """The same without rounding: what a million tokens cost may be less than a cent."""
    exponent = amount.normalize().as_tuple().exponent
    return _with_sign(amount, min(MOST_PLACES, max(2, -int(exponent))), currency)


def _with_sign(amount: Decimal, places: int, currency: str) -> str:
    language = (get_language() or "en")[:2]
    figure = floatformat(abs(amount), f"{places}g")
    minus = "-" if round(amount, places) < 0 else ""
    sign = SIGNS_ABROAD.get((language, currency)) or SIGNS.get(currency, currency)
    if not sign:
        return f"{minus}{figure}"
    if language == "de":
        return f"{minus}{figure}\N{NO-BREAK SPACE}{sign}"
    return f"{minus}{sign}{chr(0xA0) if sign == currency else ''}{figure}"


@register.filter
def price(amount: Decimal | None, currency: str | None = "") -> str:
    """`{{ amount|price:currency }}` in every template: as `show_price`."""
    return show_price(Decimal(amount or 0), currency or "")


@register.filter
def cost(amount: Decimal | None, currency: str | None = "") -> str:
    """`{{ amount|cost:currency }}` in every template: as `show_cost`, with the exact figure on hover."""
    amount, currency = Decimal(amount or 0), currency or ""
    if not amount:
        return show_cost(amount, currency)
    return format_html(
        '<span title="{}">{}</span>', show_price(amount, currency), show_cost(amount, currency)
    )


@register.filter
def short_amount(amount: Decimal | int | None, currency: str | None = "") -> str:
    """`{{ amount|short_amount:currency }}` in every template: as `show_money`, never broken over two lines;
    nothing is 0.
    """
    figure = _figure(Decimal(amount or 0))
    return format_html("{}&nbsp;{}", figure, currency) if currency else figure


def _figure(amount: Decimal) -> str:
    size = abs(amount)
    if not size:
        return floatformat(0, 2)
    if size >= 1:
        return floatformat(amount, "2g")
    if size >= CENT:
        return floatformat(amount, 4)
    if size >= SMALLEST:
        return floatformat(amount, 6)
    return f"< {floatformat(SMALLEST, 6)}" if amount > 0 else f"> {floatformat(-SMALLEST, 6)}"


def parse_amount(text: str | Decimal) -> Decimal:
    """An amount of money as somebody wrote it. Raises InvalidInput."""
    try:
        amount = Decimal(text)
    except (ArithmeticError, ValueError):
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise InvalidInput(
            _("“%(amount)s” is not an amount. Write it as 250 or 0.50.") % {"amount": text}, param="limit"
        )
    return amount


class AmountField(forms.DecimalField):
    """An amount in the reader's own notation. Separators of thousands are refused: "1.000" is a thousand to
    some and one to others.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_digits": 24, "decimal_places": 12, "localize": True, **kwargs})

    def to_python(self, value: Any) -> Any:
        if isinstance(value, str) and get_format("THOUSAND_SEPARATOR") in value.strip():
            example = {"example": localize(Decimal("1000.50"), use_l10n=True)}
            raise ValidationError(_("Write the amount as %(example)s, without other separators.") % example)
        return super().to_python(value)
