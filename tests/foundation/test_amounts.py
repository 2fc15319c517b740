"""Amounts as people write them."""

from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.utils import translation

from foundation.amounts import AmountField


@pytest.mark.parametrize(
    ("language", "text", "amount"),
    [
        ("en", "1.5", "1.5"),
        ("en", "1.000", "1"),
        ("en", "1,000", None),
        ("en", "0,5", None),
        ("de", "1,5", "1.5"),
        ("de", "1.000", None),
        ("de", "0.5", None),
        ("zh-hans", "1.5", "1.5"),
        ("zh-hans", "1,500", None),
        ("en", "NaN", None),
        ("en", "1e999999", None),
    ],
)
def test_an_amount_is_read_in_ones_own_notation_and_never_guessed(language, text, amount):
    with translation.override(language):
        if amount is None:
            with pytest.raises(ValidationError):
                AmountField().clean(text)
        else:
            assert AmountField().clean(text) == Decimal(amount)
