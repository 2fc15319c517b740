"""The one function behind every estimate, hold and bill."""

from decimal import Context, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usage.labels import LABELS, PER
from usage.pricing import (
    MAX_PRICE,
    TOKEN_CLASSES,
    Price,
    UnpricedClass,
    Usage,
    billed_cost,
    cost,
    highest_cost,
    with_parents,
    without_inherited,
)
from usage.quantities import CLASSES, COST_PLACES, INPUT, OUTPUT, SOUND, TOKENS, add, four_counts, subtract

ROOTS = [name for name, one in CLASSES.items() if one.parent is None]
ALL_ROOTS = st.just(ROOTS)
EXACT = Context(prec=200)


@st.composite
def some_amounts(draw, roots=ALL_ROOTS):
    """Prices of these roots, and of some of what they have below them."""
    wanted = set(draw(roots))
    names = [name for name in CLASSES if name in wanted or (name not in ROOTS and draw(st.booleans()))]
    return {name: draw(st.decimals(0, MAX_PRICE, places=CLASSES[name].price_places)) for name in names}


counts = st.integers(0, 10**7)
a_price = st.builds(
    lambda currency, own: Price(currency, **own), st.sampled_from(["EUR", "CNY"]), some_amounts()
)
a_usage = st.builds(Usage.of, st.dictionaries(st.sampled_from(sorted(CLASSES)), counts))


@given(some_amounts(), a_usage)
def test_the_cost_is_the_exact_sum_over_the_classes(own, usage):
    """Worked out here by hand: a class without a price costs what the nearest one above it costs."""
    exact = Decimal(0)
    for name, count in usage.quantities.items():
        priced = name
        while priced not in own:
            priced = CLASSES[priced].parent
        per_unit = EXACT.divide(own[priced], Decimal(CLASSES[name].per))
        exact = EXACT.add(exact, EXACT.multiply(Decimal(count), per_unit))
    found = cost(Price("EUR", **own), usage)
    assert found == exact
    assert -found.as_tuple().exponent <= COST_PLACES


@given(a_price, a_usage, a_usage)
def test_costs_add_up(price, one, other):
    both = Usage.of(add(one.quantities, other.quantities))
    assert cost(price, both) == cost(price, one) + cost(price, other)


@given(a_price, st.integers(0, 10**6), st.integers(0, 10**6), st.data())
def test_no_way_of_counting_costs_more_than_the_highest(price, read, written, data):
    """However a provider spreads the tokens over the classes."""

    def spread(count: int, family: tuple[str, ...]) -> dict[str, int]:
        cuts = sorted(data.draw(st.integers(0, count)) for _ in family[1:])
        ends = zip(family, [0, *cuts], [*cuts, count], strict=True)
        return {name: end - begin for name, begin, end in ends}

    usage = Usage.of(spread(read, INPUT) | spread(written, OUTPUT))
    assert (usage.total_input, usage.total_output) == (read, written)
    assert cost(price, usage) <= highest_cost(price, read, written)
    if not SOUND & usage.quantities.keys():
        assert cost(price, usage) <= highest_cost(price, read, written, has_sound=False)


def test_text_is_not_held_at_the_price_of_sound():
    price = Price(
        "EUR", input=Decimal(1), output=Decimal(2), input_audio=Decimal(40), output_audio=Decimal(80)
    )
    assert highest_cost(price, 10, 10) == Decimal("0.0012")
    assert highest_cost(price, 10, 10, has_sound=False) == Decimal("0.00003")


@given(a_price)
def test_a_snapshot_gives_back_the_price(price):
    snapshot = price.snapshot()
    assert Price.from_snapshot(snapshot) == price and hash(Price.from_snapshot(snapshot)) == hash(price)
    assert snapshot.keys() >= set(TOKEN_CLASSES), "whoever read prices before there were classes finds these"
    assert all(isinstance(value, str) and "E" not in value for value in snapshot.values() if value != "EUR")


@pytest.mark.parametrize(
    "nothing",
    [None, "EUR", ["EUR"], {}, {"input": "1"}, {"currency": "EUR", "input": {}},
     {"currency": "EUR", "input": "x"}, {"currency": "EUR", "smell": "1"},
     {"currency": "EUR", "self": "1"}, {"currency": "EUR", "input": "1e999999"}],
    ids=str,
)  # fmt: skip
def test_what_is_no_snapshot_is_a_value_error_whatever_it_is(nothing):
    with pytest.raises(ValueError):
        Price.from_snapshot(nothing)


def test_a_snapshot_of_the_release_before_is_read():
    old = {"currency": "EUR", "input": "0.15", "cached": "0.075", "output": "0.6", "reasoning": "0.6"}
    price = Price.from_snapshot(old)
    assert price.snapshot() == old
    usage = Usage(input_tokens=1, cached_tokens=1, output_tokens=1, reasoning_tokens=1)
    assert cost(price, usage) == Decimal("0.000001425")


@given(some_amounts(st.sets(st.sampled_from(ROOTS))))
def test_what_follows_its_parent_can_be_left_out(own):
    assert with_parents(without_inherited(own)) == with_parents(own)


@given(some_amounts(st.sets(st.sampled_from(ROOTS), max_size=len(ROOTS) - 1)).filter(bool), a_usage)
def test_a_class_without_any_price_is_never_free(own, usage):
    """It is refused by name, be it used as much as once; a bill of it is what was held."""
    price = Price("EUR", **own)
    missing = [name for name in usage.quantities if name not in own and CLASSES[name].parent not in own]
    if missing:
        with pytest.raises(UnpricedClass) as refused:
            cost(price, usage)
        assert refused.value.name in missing
        assert billed_cost(price, usage, Decimal("1.5")) == Decimal("1.5")
    else:
        assert cost(price, usage) == billed_cost(price, usage, Decimal("1.5"))


@pytest.mark.parametrize(("read", "written", "missing"), [(1, 0, "input"), (0, 1, "output")])
def test_a_hold_needs_the_price_of_what_will_be_used(read, written, missing):
    assert highest_cost(Price("EUR", images=Decimal(1)), 0, 0) == 0
    with pytest.raises(UnpricedClass, match=missing):
        highest_cost(Price("EUR", images=Decimal(1)), read, written)


def test_a_model_without_a_price_costs_nothing():
    everything = Usage.of(dict.fromkeys(CLASSES, 10**6))
    assert cost(Price("EUR"), everything) == highest_cost(Price("EUR"), 10**6, 10**6) == 0
    assert Price("EUR").is_free and not Price("EUR", images=Decimal(1)).is_free


def test_seconds_and_images_are_priced_as_people_do():
    price = Price("EUR", images=Decimal("0.04"), audio_ms=Decimal("0.0001"), gpu_ms=Decimal("0.000694444"))
    assert cost(price, Usage(images=3)) == Decimal("0.12")
    assert cost(price, Usage(audio_ms=90_500)) == Decimal("0.00905")
    assert cost(price, Usage(gpu_ms=1)) == Decimal("0.000000694444")


def test_what_a_thousand_tokens_cost():
    price = Price("EUR", Decimal("0.15"), Decimal("0.075"), Decimal("0.60"), Decimal("0.60"))
    assert cost(price, Usage(input_tokens=800, cached_tokens=200, output_tokens=50)) == Decimal("0.000165")
    assert cost(price, Usage()) == 0


@pytest.mark.parametrize(
    "wrong",
    [Decimal("-0.01"), Decimal("NaN"), Decimal("Infinity"), Decimal("0.0000001"), MAX_PRICE + 1, 0.5],
)
def test_what_cannot_be_a_price_is_refused(wrong):
    with pytest.raises(ValueError, match="price of output"):
        Price("EUR", Decimal(1), Decimal(1), wrong, Decimal(1))


def test_what_is_unknown_has_no_price_and_is_not_counted():
    with pytest.raises(ValueError, match="tears"):
        Price("EUR", tears=Decimal(1))
    for make in (lambda: Usage(tears=0), lambda: Usage.of({"tears": 1})):
        with pytest.raises(ValueError, match="tears"):
            make()


def test_token_counts_are_never_negative():
    with pytest.raises(ValueError, match="never negative"):
        Usage(input_tokens=5, cached_tokens=-1)
    for wrong in (-1, 1.5, True, "1"):
        with pytest.raises(ValueError, match="never negative"):
            Usage.of({"images": wrong})


def test_usage_is_a_value():
    usage = Usage(5, 0, 3, images=2)
    assert usage == Usage.of({"images": 2, "output": 3, "input": 5, "cached": 0})
    assert len({usage, Usage(5, 0, 3, images=2)}) == 1 and usage != Usage(5, 0, 3)
    assert usage.having(output=4, images=0) == Usage(5, 0, 4) and usage.quantities["output"] == 3
    with pytest.raises(TypeError):
        usage.quantities["output"] = 4


def test_every_class_has_a_name_for_people_and_its_price_a_measure():
    assert LABELS.keys() == CLASSES.keys()
    assert {one.per for one in CLASSES.values()} == PER.keys()


@given(a_usage)
def test_the_four_counts_add_up_to_all_tokens(usage):
    four = four_counts(usage.quantities)
    assert four == {name: getattr(usage, name) for name in four}
    assert sum(four.values()) == usage.total_tokens
    assert usage.total_tokens == sum(usage.quantities.get(name, 0) for name in TOKENS)
    assert (four["input_tokens"] + four["cached_tokens"]) == usage.total_input


@given(a_usage, a_usage)
def test_a_correction_makes_one_of_the_other(one, other):
    assert add(other.quantities, subtract(one.quantities, other.quantities)) == one.quantities
