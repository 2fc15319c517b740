"""Amounts as people read them: as precise as small prices need, in the reader's language."""

from decimal import Decimal

from django.utils.formats import number_format


def show_money(amount: Decimal | None, currency: str = "") -> str:
    """The amount with 2 decimal places, with more below 1, and its currency."""
    if amount is None:
        return "–"
    places = 2 if abs(amount) >= 1 or not amount else 4 if abs(amount) >= Decimal("0.01") else 6
    return f"{number_format(amount, places, use_l10n=True, force_grouping=True)} {currency}".strip()
