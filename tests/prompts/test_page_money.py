"""Amounts of money as every template shows them."""

import re
from decimal import Decimal

import pytest
from django.template.loader import render_to_string

from tests.prompts.visitor import text_of

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        ("0", "0.00&nbsp;EUR"),
        ("-2.5", "-2.50&nbsp;EUR"),
        ("-0.02", "-0.0200&nbsp;EUR"),
        ("-0.0000001", "&gt; -0.000001&nbsp;EUR"),
        ("0.0000001", "&lt; 0.000001&nbsp;EUR"),
        ("1234.567", "1,234.57&nbsp;EUR"),
    ],
)
def test_an_amount_keeps_its_sign_and_shows_its_exact_value(amount, shown):
    plain, exact = (
        render_to_string(
            "_money.html", {"amount": Decimal(amount), "currency": "EUR", "exact": is_exact}
        ).strip()
        for is_exact in (False, True)
    )
    assert plain == shown and text_of(exact) == plain
    title = re.search(r'title="([^"]*) EUR"', exact)
    assert (Decimal(title[1].replace(",", "")) if title else 0) == Decimal(amount)
