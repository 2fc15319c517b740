"""Amounts of money: one notation for all who read them, and as people write them."""

import re
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.template import Context, Template
from django.utils import translation
from django.utils.html import strip_tags

from config.settings.env import BASE_DIR
from foundation.amounts import AmountField, show_exactly, show_money, show_price
from tests.proof.lint.engine import ROOMS

AMOUNTS = {
    ("en", "24.97", "EUR"): "24.97 €",
    ("en", "25", "EUR"): "25 €",
    ("en", "1234.567", "EUR"): "1,234.57 €",
    ("en", "0", "EUR"): "0 €",
    ("en", "-2.5", "EUR"): "-2.50 €",
    ("en", "0.005", "EUR"): "0.5 ct",
    ("en", "0.4735", "EUR"): "47.35 ct",
    ("en", "0.99994", "EUR"): "99.99 ct",
    ("en", "0.99996", "EUR"): "1 €",
    ("en", "-0.005", "EUR"): "-0.5 ct",
    ("en", "0.0001", "EUR"): "0.01 ct",
    ("en", "0.000019", "EUR"): "< 0.01 ct",
    ("en", "-0.000019", "EUR"): "> -0.01 ct",
    ("en", "24.97", "USD"): "$24.97",
    ("en", "-24.97", "USD"): "-$24.97",
    ("en", "0.005", "USD"): "0.5¢",
    ("en", "0.005", "GBP"): "0.5p",
    ("en", "3", "CHF"): "CHF 3",
    ("en", "0.005", "CHF"): "0.5 Rp.",
    ("en", "3", "CNY"): "CN¥3",
    ("en", "0.005", "CNY"): "0.5 fen",
    ("en", "3.5", "JPY"): "JPY 3.50",
    ("en", "0.00471", "JPY"): "JPY 0.0047",
    ("en", "0.00001", "JPY"): "< JPY 0.0001",
    ("en", "1200", ""): "1,200",
    ("de", "24.97", "EUR"): "24,97 €",
    ("de", "1234.567", "EUR"): "1.234,57 €",
    ("de", "0.005", "EUR"): "0,5 ct",
    ("de", "0.000019", "EUR"): "< 0,01 ct",
    ("de", "24.97", "USD"): "24,97 $",
    ("de", "0.005", "USD"): "0,5¢",
    ("de", "-2.5", "CHF"): "-2,50 CHF",
    ("de", "0.005", "CNY"): "0,5 Fen",
    ("zh-hans", "12", "CNY"): "¥12",
    ("zh-hans", "0.005", "CNY"): "¥0.005",
    ("zh-hans", "12", "USD"): "US$12",
    ("zh-hans", "0.005", "USD"): "US$0.005",
    ("zh-hans", "24.97", "EUR"): "€24.97",
    ("zh-hans", "0.005", "EUR"): "€0.005",
    ("zh-hans", "0.005", "CHF"): "CHF 0.005",
    ("zh-hans", "0.00001", "USD"): "< US$0.0001",
}
# what says of an amount in a template that it is one
IS_MONEY = re.compile(r"\{\{ (?:\w+\.)*(?:\w+_)?(?:cost|price|spent|held|monthly_budget)\b(?!\.)([^}]*)\}\}")
FILTERS = {"money", "money_cell", "exactly", "say_price"}
GIVEN = re.compile(r"\b(\w+)=(\S+)")
# formatting of numbers by hand, and signs of currencies; `:f` alone is the notation of programs
BY_HAND = re.compile(r":,?\.\d*f\}|floatformat|[€£¥]|localize\([^)]*(?:cost|limit|amount|price)")
READ_BY_PEOPLE = ("accounts", "administration", "models_registry", "prompts", "usage")


def plain(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("\N{NO-BREAK SPACE}", " ")


def render(name: str, amount: str | None, currency: str) -> str:
    template = Template("{{ amount|" + name + ":currency }}")
    return template.render(Context({"amount": amount and Decimal(amount), "currency": currency}))


@pytest.mark.parametrize(("language", "amount", "currency"), AMOUNTS)
def test_an_amount_is_told_in_units_and_hundredths_and_exactly_on_hover(language, amount, currency):
    with translation.override(language):
        html = render("money", amount, currency)
        text = show_money(Decimal(amount), currency)
    assert plain(strip_tags(html)) == plain(text) == AMOUNTS[language, amount, currency]
    title = re.search(r'title="([^"]*)"', html)
    places = len(amount.partition(".")[2])
    assert bool(title) == (places > (2 if abs(Decimal(amount)) >= 1 else 4)), "where it says more"
    if title:
        point = "," if language == "de" else "."
        exact = re.sub(rf"[^0-9{point}-]", "", title[1]).replace(",", ".")
        assert Decimal(exact) == Decimal(amount)


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        ("25", "25.00 €"),
        ("0.005", "0.50 ct"),
        ("0.4735", "47.35 ct"),
        ("0", "0.00 €"),
        (None, "0.00 €"),
        ("0.00001", "< 0.01 ct"),
    ],
)
def test_in_a_column_points_stand_below_each_other(amount, shown):
    assert plain(strip_tags(render("money_cell", amount, "EUR"))) == shown


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        ("0.075", "7.5 ct"),
        ("3", "3 €"),
        ("1200", "1,200 €"),
        ("1.2345", "1.2345 €"),
        ("0.0000123", "0.00123 ct"),
    ],
)
def test_a_price_is_never_rounded(amount, shown):
    assert plain(show_price(Decimal(amount), "EUR")) == shown


@pytest.mark.parametrize(
    ("amount", "shown"),
    [("0.000019", "0.000019 €"), ("0.500000000000", "0.50 €"), ("1E+3", "1,000.00 €"), ("0", "0.00 €")],
)
def test_the_exact_figure_is_the_books(amount, shown):
    assert plain(show_exactly(Decimal(amount), "EUR")) == shown


def test_of_no_amount_nothing_is_said():
    assert show_money(None, "EUR") == show_price(None, "EUR") == show_exactly(None, "EUR") == "–"


def list_shown_by_hand(template: str) -> list[str]:
    """Amounts in a template that no filter of ours shows, there or where their name is given."""
    given = {
        name
        for name, how in GIVEN.findall(template)
        if FILTERS & set(re.split(r"\W", how)) or how.endswith("_text")
    }
    return [
        found[0]
        for found in IS_MONEY.finditer(template)
        if found[0].split()[1] not in given and not FILTERS & set(re.split(r"\W", found[1]))
    ]


def test_nobody_shows_an_amount_by_other_means():
    wrong = [
        f"{path.relative_to(BASE_DIR)}: {text}"
        for path in (BASE_DIR / "templates").rglob("*.html")
        for text in list_shown_by_hand(path.read_text())
    ]
    wrong += [
        f"{path.relative_to(BASE_DIR)}: {found[0]}"
        for room in READ_BY_PEOPLE
        for path in (BASE_DIR / room).rglob("*.py")
        for found in BY_HAND.finditer(path.read_text())
    ]
    assert set(READ_BY_PEOPLE) <= set(ROOMS) and wrong == []


@pytest.mark.parametrize(
    "text", ["{{ row.cost }}", "{{ total_cost|floatformat:2 }}", "{{ budget.held|intcomma }}"]
)
def test_an_amount_shown_by_hand_is_found(text):
    assert list_shown_by_hand(text)


@pytest.mark.parametrize(
    "text", ['f"{cost:.6f} EUR"', 'f"{cost:,.2f}"', 'f"{cost} €"', "floatformat(cost, 2)"]
)
def test_an_amount_written_by_hand_is_found(text):
    assert BY_HAND.search(text)


@pytest.mark.parametrize(("language", "example"), [("en", "1000.50"), ("de", "1000,50")])
def test_what_is_no_amount_is_told_how_amounts_are_written(language, example):
    with translation.override(language), pytest.raises(ValidationError, match=example):
        AmountField().clean("12 euros")


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
