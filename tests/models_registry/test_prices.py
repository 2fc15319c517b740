"""Prices: completed, dated, in the currency of who pays."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from foundation.errors import InvalidInput
from models_registry import services
from models_registry.models import ModelPrice
from models_registry.platform.models import ModelPrice as PlatformPrice
from models_registry.selectors import list_routes
from tenants.context import platform, tenant
from tenants.models import Tenant


def amounts(price) -> tuple[Decimal, ...]:
    return price.input, price.cached, price.output, price.reasoning


def test_prices_complete_themselves_and_follow(make):
    row = make.model()
    assert amounts(make.price(row)) == (1, 1, 2, 2)
    only_input = services.set_model_price(actor=None, model=row, input=Decimal("1.5"))
    assert amounts(only_input) == (Decimal("1.5"), Decimal("1.5"), 2, 2)
    assert amounts(services.set_model_price(actor=None, model=row, cached=Decimal("0.1"))) == (
        Decimal("1.5"),
        Decimal("0.1"),
        2,
        2,
    )
    assert amounts(services.set_model_price(actor=None, model=row, input=Decimal(3), output=Decimal(4))) == (
        3,
        Decimal("0.1"),
        4,
        4,
    )
    assert row.prices.count() == 4


def test_the_same_price_again_writes_nothing(make):
    row = make.model()
    assert make.price(row).pk == make.price(row).pk
    assert ModelPrice.objects.count() == 1


def test_the_price_of_a_moment_is_the_newest_that_has_begun(make):
    row = make.model()
    make.price(row)
    make.price(row, input=Decimal(9), valid_from=timezone.now() + timedelta(days=1))
    assert list_routes()["small"].price.input == 1
    ModelPrice.objects.filter(input=9).update(valid_from=timezone.now())
    assert list_routes()["small"].price.input == 9


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"input": Decimal(-1)}, ValidationError),
        ({"output": Decimal("1000001")}, ValidationError),
        ({"input": Decimal("0.1234567")}, ValidationError),
        ({"output": Decimal("NaN")}, ValidationError),
        ({"currency": "USD"}, InvalidInput),
        ({"valid_from": timezone.now() - timedelta(days=1)}, InvalidInput),
    ],
)
def test_bad_prices_are_refused(make, given, error):
    row = make.model()
    with pytest.raises(error):
        make.price(row, **given)
    assert not ModelPrice.objects.exists()


def test_a_first_price_needs_both_sides_unless_there_is_no_output(make):
    with pytest.raises(InvalidInput):
        services.set_model_price(actor=None, model=make.model(), input=Decimal(1))
    embedding = make.model("e", kind="embedding")
    assert amounts(services.set_model_price(actor=None, model=embedding, input=Decimal(1))) == (1, 1, 0, 0)


def test_only_what_has_a_price_of_its_own_is_kept_and_the_rest_follows(make):
    row = make.model()
    price = make.price(row, cached=Decimal(1), cache_write=Decimal("1.25"), reasoning=Decimal("2.0"))
    assert price.amounts == {"input": "1", "output": "2", "cache_write": "1.25"}
    assert amounts(price) == (1, 1, 2, 2), "what the release before reads"
    later = services.set_model_price(actor=None, model=row, input=Decimal(3))
    assert later.amounts == {"input": "3", "output": "2", "cache_write": "1.25"}
    found = list_routes()["small"].price.amounts
    assert (found["cached"], found["cache_write"], found["input_audio"], found["reasoning"]) == (
        3,
        Decimal("1.25"),
        3,
        2,
    )


def test_a_price_of_the_release_before_is_read_and_gone_on_from(make):
    row = make.model()
    ModelPrice.objects.create(model=row, input=1, cached="0.1", output=2, reasoning=2, currency="EUR")
    assert list_routes()["small"].price.snapshot() == {
        "currency": "EUR",
        "input": "1",
        "cached": "0.1",
        "output": "2",
        "reasoning": "2",
    }
    later = services.set_model_price(actor=None, model=row, output=Decimal(4))
    assert later.amounts == {"input": "1", "cached": "0.1", "output": "4"}
    assert amounts(later) == (1, Decimal("0.1"), 4, 4)


@pytest.mark.parametrize("kind", ["image", "speech", "transcription"])
def test_what_is_not_paid_by_the_token_needs_no_price_of_tokens(make, kind):
    row = make.model(kind=kind)
    with pytest.raises(InvalidInput):
        services.set_model_price(actor=None, model=row, cached=Decimal(1))  # of nothing
    name = "images" if kind == "image" else "audio_ms"
    services.set_model_price(actor=None, model=row, amounts={name: Decimal("0.04")})
    price = list_routes()["small"].price
    assert price.amounts == {name: Decimal("0.04")} and not price.is_free and price.input is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"input": "-1"},
        {"input": 0.1},
        {"input": None},
        {"input": "1e3"},
        {"input": "NaN"},
        {"input": "1000000.5"},
        {"input": "0.0000000000001"},
        {"input": ""},
        {"input": {"input": "-1"}},
    ],
)
def test_the_database_refuses_what_is_no_amount(make, wrong):
    price = make.price(make.model())
    assert ModelPrice.objects.update(amounts={"input": "1000000.000", "output": "0.000000000001"})
    with pytest.raises(IntegrityError), transaction.atomic():
        ModelPrice.objects.update(amounts=wrong)
    price.amounts = wrong
    with pytest.raises(ValidationError):
        price.full_clean()


def test_the_database_refuses_negative_prices_and_twins(make):
    price = make.price(make.model())
    with pytest.raises(IntegrityError), transaction.atomic():
        ModelPrice.objects.update(reasoning=-1)
    with pytest.raises(IntegrityError), transaction.atomic():
        ModelPrice.objects.create(
            model=price.model, valid_from=price.valid_from, input=1, cached=1, output=1, reasoning=1
        )


def test_a_tenants_price_is_in_its_currency(make):
    with platform():
        Tenant.objects.filter(slug="acme").update(currency="CHF")
    assert make.price(make.model()).currency == "CHF"


@pytest.mark.scope("platform")
def test_the_platform_prices_a_model_in_each_currency_it_bills(make):
    row = make.model()
    for currency, amount in (("EUR", 1), ("USD", 2)):
        make.price(row, input=Decimal(amount), currency=currency)
    assert PlatformPrice.objects.count() == 2
    with tenant("acme"):
        assert list_routes(currency="USD")["small"].price.input == 2
        assert list_routes(currency="EUR")["small"].price.input == 1
        assert "small" not in list_routes(currency="CNY")  # no bill adds up two currencies
