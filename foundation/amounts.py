"""Money as people read it, in their own notation, and as they write it.

One rule for all who read it, in the chat, on pages and in both administrations: two digits behind the point,
of the currency's unit from 1 on and of its hundredth below ("24.97 €", "0.5 ct"); less than a hundredth of a
hundredth by that bound ("< 0.01 ct"). In Chinese, where the hundredths of several currencies are called
alike, an amount below 1 stays in units, behind its sign ("€0.005"). The exact figure is in the books: on
hover, and on the page of a row.
What is read by programs (CSV, JSON, commands) has decimal numbers beside the currency's code instead.
"""

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from django import forms, template
from django.core.exceptions import ValidationError
from django.template.defaultfilters import floatformat
from django.utils.formats import get_format, localize
from django.utils.html import format_html
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from foundation.errors import InvalidInput

PLACES = 2  # behind the point
SMALLEST = Decimal("0.0001")  # a hundredth of a hundredth: what is less is told by this bound
# currency → language → its sign and what its hundredth is called ("": nobody counts in it); readers of one
# may know a sign as another's
NAMES = {
    "EUR": {"en": ("€", "ct"), "de": ("€", "ct"), "zh": ("€", "")},
    "USD": {"en": ("$", "¢"), "de": ("$", "¢"), "zh": ("US$", "")},
    "GBP": {"en": ("£", "p"), "de": ("£", "p"), "zh": ("£", "")},
    "CHF": {"en": ("CHF", "Rp."), "de": ("CHF", "Rp."), "zh": ("CHF", "")},
    "CNY": {"en": ("CN¥", "fen"), "de": ("CN¥", "Fen"), "zh": ("¥", "")},
}
# in German signs stand behind their figures; in English the euro's does, as its cent
BEHIND = {("en", "EUR")}
CLOSE_BY = {"¢", "p"}  # written without a space, as signs in front are
GAP = "\N{NO-BREAK SPACE}"
register = template.Library()


def show_money(amount: Decimal | None, currency: str = "") -> str:
    """An amount in a sentence: whole units without digits behind the point ("25 €"). “–” for None."""
    return "–" if amount is None else _show(amount, currency, is_rounded=True)


def show_price(amount: Decimal | None, currency: str = "") -> str:
    """The same, never rounded: what a million tokens cost may be less than any bound."""
    return "–" if amount is None else _show(amount, currency)


def show_exactly(amount: Decimal | None, currency: str = "") -> str:
    """All digits, in units: as the books have it."""
    return "–" if amount is None else _in_units(amount, currency, max(PLACES, _places_of(amount)))


@register.filter
def money(amount: Decimal | None, currency: str | None = "") -> str:
    """`{{ amount|money:currency }}` in every template: as `show_money`, with the exact figure on hover."""
    amount, currency = Decimal(amount or 0), currency or ""
    return _with_exact(_show(amount, currency, is_rounded=True), amount, currency)


@register.filter
def money_cell(amount: Decimal | None, currency: str | None = "") -> str:
    """The same in a column, where points stand below each other: always with two digits behind them."""
    amount, currency = Decimal(amount or 0), currency or ""
    return _with_exact(_show(amount, currency, is_rounded=True, is_cell=True), amount, currency)


@register.filter
def exactly(amount: Decimal | None, currency: str | None = "") -> str:
    """`{{ amount|exactly:currency }}` in every template: as `show_exactly`."""
    return show_exactly(Decimal(amount or 0), currency or "")


def _show(amount: Decimal, currency: str, *, is_rounded: bool = False, is_cell: bool = False) -> str:
    size, (_sign, hundredth) = abs(amount), _names(currency)
    if is_rounded and 0 < size < SMALLEST:
        bound = SMALLEST if amount > 0 else -SMALLEST
        return f"{'<' if amount > 0 else '>'}{GAP}{_show(bound, currency)}"
    if not 0 < (size.quantize(SMALLEST, ROUND_HALF_UP) if is_rounded else size) < 1:
        places = PLACES if is_rounded else max(PLACES, _places_of(amount))
        is_whole = not is_cell and not _places_of(_round(amount, places))
        return _in_units(amount, currency, 0 if is_whole else places)
    if not hundredth:
        return _in_units(
            amount, currency, max(PLACES, _places_of(_round(amount, 4) if is_rounded else amount))
        )
    figure = amount.scaleb(PLACES)
    places = PLACES if is_cell else _places_of(_round(figure, PLACES) if is_rounded else figure)
    return f"{_figure(figure, places)}{'' if hundredth in CLOSE_BY else GAP}{hundredth}"


def _in_units(amount: Decimal, currency: str, places: int) -> str:
    sign, _hundredth = _names(currency)
    if not sign:
        return _figure(amount, places)
    if _language() == "de" or (_language(), currency) in BEHIND:
        return f"{_figure(amount, places)}{GAP}{sign}"
    minus = "-" if _round(amount, places) < 0 else ""
    return f"{minus}{sign}{GAP if sign == currency else ''}{_figure(abs(amount), places)}"


def _names(currency: str) -> tuple[str, str]:
    names = NAMES.get(currency, {})
    return names.get(_language()) or names.get("en") or (currency, "")


def _language() -> str:
    return (get_language() or "en")[:2]


def _figure(amount: Decimal, places: int) -> str:
    return floatformat(amount, f"{places}g")


def _round(amount: Decimal, places: int) -> Decimal:
    return amount.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)


def _places_of(amount: Decimal) -> int:
    """How many digits stand behind the point, without zeros at the end."""
    return max(0, -int(amount.normalize().as_tuple().exponent))


def _with_exact(shown: str, amount: Decimal, currency: str) -> str:
    """With the exact figure on hover, where it says more."""
    if _places_of(amount) <= (PLACES if abs(amount) >= 1 else 2 * PLACES):
        return shown
    return format_html('<span title="{}">{}</span>', show_exactly(amount, currency), shown)


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

    def prepare_value(self, value: Any) -> Any:
        """An amount that stands, without zeros at its end."""
        return round(value, _places_of(value)) if isinstance(value, Decimal) else value

    def to_python(self, value: Any) -> Any:
        """Raises ValidationError, which says how amounts are written."""
        example = {"example": localize(Decimal("1000.50"), use_l10n=True)}
        if isinstance(value, str) and get_format("THOUSAND_SEPARATOR") in value.strip():
            raise ValidationError(_("Write the amount as %(example)s, without other separators.") % example)
        try:
            return super().to_python(value)
        except ValidationError as exc:
            text = _("“%(text)s” is no amount. Write it as %(example)s.")
            raise ValidationError(text % {"text": str(value).strip()[:40], **example}) from exc
