"""Amounts of money as people who spend it see them: cents and signs, the exact figure on demand."""

import re
from decimal import Decimal

import pytest
from django.template import Context, Template
from django.utils import translation

AMOUNTS = {
    ("en", "0", "EUR"): "€0.00",
    ("en", "-2.5", "EUR"): "-€2.50",
    ("en", "0.01", "USD"): "$0.01",
    ("en", "0.0099", "EUR"): "< €0.01",
    ("en", "-0.0000001", "EUR"): "> -€0.01",
    ("en", "1234.567", "GBP"): "£1,234.57",
    ("en", "3", "CHF"): "CHF 3.00",
    ("en", "3", "CNY"): "CN¥3.00",
    ("en", "0.004", ""): "< 0.01",
    ("de", "1234.567", "EUR"): "1.234,57 €",
    ("de", "0.000019", "EUR"): "< 0,01 €",
    ("de", "-2.5", "CHF"): "-2,50 CHF",
    ("zh-hans", "12", "CNY"): "¥12.00",
    ("zh-hans", "12", "USD"): "US$12.00",
    ("zh-hans", "0.000019", "EUR"): "< €0.01",
}


def show(amount: str | None, name: str, currency: str, language: str = "en") -> str:
    with translation.override(language):
        template = Template("{{ amount|" + name + ":currency }}")
        return template.render(Context({"amount": amount and Decimal(amount), "currency": currency}))


def plain(html: str) -> str:
    words = re.sub(r"<[^>]*>", "", html)
    return words.replace("&lt;", "<").replace("&gt;", ">").replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(("language", "amount", "currency"), AMOUNTS)
def test_what_was_spent_is_shown_in_cents_and_exactly_on_hover(language, amount, currency):
    html = show(amount, "cost", currency, language)
    assert plain(html) == AMOUNTS[language, amount, currency]
    title = re.search(r'title="([^"]*)"', html)
    assert bool(title) == bool(Decimal(amount))
    if title:
        point = "," if language == "de" else "."
        exact = re.sub(rf"[^0-9{point}-]", "", title[1]).replace(",", ".")
        assert Decimal(exact) == Decimal(amount)


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        ("0.075", "€0.075"),
        ("3", "€3.00"),
        ("1200", "€1,200.00"),
        ("0.0000123", "€0.0000123"),
        (None, "€0.00"),
    ],
)
def test_a_price_is_never_rounded(amount, shown):
    assert plain(show(amount, "price", "EUR")) == shown


def test_without_an_amount_nothing_was_spent():
    assert plain(show(None, "cost", "EUR")) == "€0.00"
