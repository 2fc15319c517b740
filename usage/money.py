"""Amounts of money as people write them."""

from decimal import Decimal

from django.utils.translation import gettext as _

from foundation.errors import InvalidInput


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
