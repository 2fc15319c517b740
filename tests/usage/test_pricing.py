"""The one function behind every estimate, hold and bill."""

from decimal import Context, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usage.pricing import COST_PLACES, MAX_PRICE, TOKEN_CLASSES, Price, Usage, cost

prices = st.decimals(0, MAX_PRICE, places=6)
tokens = st.integers(0, 10**9)
a_price = st.builds(Price, st.sampled_from(["EUR", "CNY"]), prices, prices, prices, prices)
a_usage = st.builds(Usage, tokens, tokens, tokens, tokens)
EXACT = Context(prec=200)


@given(a_price, a_usage)
def test_the_cost_is_the_exact_sum_over_the_classes(price, usage):
    exact = Decimal(0)
    for name in TOKEN_CLASSES:
        count, per_million = getattr(usage, f"{name}_tokens"), getattr(price, name)
        exact = EXACT.add(
            exact, EXACT.multiply(EXACT.multiply(Decimal(count), per_million), Decimal("0.000001"))
        )
    assert cost(price, usage) == exact
    assert -cost(price, usage).as_tuple().exponent <= COST_PLACES


@given(a_price, a_usage, a_usage)
def test_costs_add_up(price, one, other):
    both = Usage(
        one.input_tokens + other.input_tokens,
        one.cached_tokens + other.cached_tokens,
        one.output_tokens + other.output_tokens,
        one.reasoning_tokens + other.reasoning_tokens,
    )
    assert cost(price, both) == cost(price, one) + cost(price, other)


@given(a_price)
def test_a_snapshot_gives_back_the_price(price):
    assert Price.from_snapshot(price.snapshot()) == price
    assert all(
        isinstance(value, str) and "E" not in value
        for name, value in price.snapshot().items()
        if name != "currency"
    )


def test_what_a_thousand_tokens_cost():
    price = Price("EUR", Decimal("0.15"), Decimal("0.075"), Decimal("0.60"), Decimal("0.60"))
    assert cost(price, Usage(input_tokens=800, cached_tokens=200, output_tokens=50)) == Decimal("0.000165")
    assert cost(price, Usage()) == 0


@pytest.mark.parametrize(
    "wrong",
    [Decimal("-0.01"), Decimal("NaN"), Decimal("Infinity"), Decimal("0.0000001"), MAX_PRICE + 1, 0.5, None],
)
def test_what_cannot_be_a_price_is_refused(wrong):
    with pytest.raises(ValueError, match="output tokens"):
        Price("EUR", Decimal(1), Decimal(1), wrong, Decimal(1))


def test_token_counts_are_never_negative():
    with pytest.raises(ValueError, match="never negative"):
        Usage(input_tokens=5, cached_tokens=-1)
