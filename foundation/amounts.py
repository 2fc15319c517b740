"""Money as people read it, as precise as small prices need, in their own notation; and as they write it."""

from decimal import Decimal
from typing import Any

from django import forms, template
from django.core.exceptions import ValidationError
from django.template.defaultfilters import floatformat
from django.utils.formats import get_format, localize
from django.utils.html import format_html
from django.utils.translation import gettext as _

from foundation.errors import InvalidInput

SMALLEST = Decimal("0.000001")
register = template.Library()


def show_money(amount: Decimal | None, currency: str = "") -> str:
    """Two digits after the point from 1 on, four from 0.01, six below; what is smaller still is told by its
    bound ("< 0.000001"). With the currency behind, if any; "–" for None.
    """
    if amount is None:
        return "–"
    return f"{_figure(amount)} {currency}".rstrip()


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
    if size >= Decimal("0.01"):
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
