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
