"""Amounts as people read and write them: as precise as small prices need, in the reader's language."""

from decimal import Decimal

from django.utils.formats import number_format
from django.utils.translation import gettext as _

from foundation.errors import InvalidInput


def show_money(amount: Decimal | None, currency: str = "") -> str:
    """The amount with 2 decimal places, with more below 1, and its currency."""
    if amount is None:
        return "–"
    places = 2 if abs(amount) >= 1 or not amount else 4 if abs(amount) >= Decimal("0.01") else 6
    return f"{number_format(amount, places, use_l10n=True, force_grouping=True)} {currency}".strip()


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
