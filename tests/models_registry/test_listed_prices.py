"""Prices that a provider's catalogue names: read in their unit and currency, shown as proposals, and nobody's
price before somebody takes them over.
"""

from decimal import Decimal

import pytest

from foundation.errors import InvalidInput, NotAllowed
from models_registry import services
from models_registry.models import Model, ModelPrice
from models_registry.platform.models import Model as PlatformModel
from models_registry.platform.models import ModelPrice as PlatformPrice
from models_registry.providers.openai_compatible.catalogue import read_catalogue
from models_registry.selectors import list_routes
from tenants.context import platform
from tenants.models import Tenant

# As https://openrouter.ai/docs shows an entry of its list, shortened, of a model that reads text alone.
PRICING = {
    "prompt": "0.00000015",
    "completion": "0.0000006",
    "request": "0",
    "image": "0",
    "web_search": "0",
    "internal_reasoning": "0",
    "input_cache_read": "0.000000075",
}
ENTRY = {"id": "openai/gpt-4o-mini", "context_length": 128_000, "pricing": PRICING}


def listed(**changes) -> dict[str, str] | None:
    """What the catalogue says of one model with this `pricing`."""
    pricing = {name: text for name, text in (PRICING | changes).items() if text is not None}
    (model,) = read_catalogue({"data": [ENTRY | {"pricing": pricing}]}).models
    return model.price.snapshot() if model.price else None


def test_dollars_for_a_token_are_dollars_for_a_million():
    assert listed() == {
        "currency": "USD", "input": "0.15", "cached": "0.075", "output": "0.6", "reasoning": "0.6",
    }  # fmt: skip
    whole = listed(input_cache_write="0.0000001875", audio="0.0001", internal_reasoning="0.000003")
    assert {name: whole[name] for name in ("cache_write", "input_audio", "reasoning")} == {
        "cache_write": "0.1875", "input_audio": "100", "reasoning": "3",
    }  # fmt: skip


def test_what_has_no_price_of_its_own_costs_what_it_is_a_part_of():
    for nothing in ("0", None, 0, ""):
        assert listed(input_cache_read=nothing)["cached"] == "0.15"


def test_what_is_free_beside_the_tokens_hinders_no_proposal():
    for nothing in ("0", "0.000", None, 0, 0.0, ""):
        assert listed(image=nothing, discount=nothing, request=nothing)["input"] == "0.15"


def test_what_is_free_is_free_and_nothing_is_rounded_down():
    assert listed(prompt="0", completion="0", input_cache_read=None)["input"] == "0"
    assert listed(prompt="1.5E-7")["input"] == "0.15"
    assert listed(prompt="0.0000000000001")["input"] == "0.000001"


@pytest.mark.parametrize(
    "changes",
    [
        {"prompt": "-1", "completion": "-1"},  # openrouter/auto
        {"prompt": None},
        {"completion": None},
        {"prompt": 0.00000015},
        {"prompt": "a little"},
        {"prompt": "NaN"},
        {"prompt": "0.15"},  # that is for a million already
        {"completion": "0.6"},
        {"prompt": "1" * 400},
        {"prompt": "1e-999999999"},
        {"request": "0.005"},
        {"request": "-1"},
        {"image": "0.000217"},  # what none of our classes counts would be free
        {"web_search": "0.01"},
        {"image_output": "0.00003"},
        {"video": 0.5},
        {"overrides": [{"prompt": "0.000001"}]},
        {"input_cache_read": "-1"},
        {"input_cache_write": 0.0000001875},
        {"audio": "a little"},
    ],
    ids=str,
)
def test_what_could_not_be_billed_so_is_no_price(changes):
    assert listed(**changes) is None


@pytest.mark.parametrize("pricing", [None, [], "free", {}, {"input": 2.5, "output": 10}])
def test_what_other_servers_call_so_is_not_guessed_at(pricing):
    (model,) = read_catalogue({"data": [ENTRY | {"pricing": pricing}]}).models
    assert model.price is None and model.context_window == 128_000


# -- at a synchronisation ------------------------------------------------------------------------------------


@pytest.fixture
def linked(make, provider):
    """Acme, which pays in euros, and its connection to the provider."""
    provider.listed = [ENTRY, "other"]
    return make.connection(base_url=provider.base_url, allow_private=True)


def sync(connection):
    return services.sync_catalogue(actor=None, connection=connection)


def priced(pricing: dict) -> list:
    return [ENTRY | {"pricing": PRICING | pricing}, "other"]


def test_a_price_comes_in_as_a_proposal_and_follows_the_catalogue(linked, provider):
    assert sync(linked).proposed == [ENTRY["id"]]
    rows = {row.name: row for row in Model.objects.all()}
    assert rows[ENTRY["id"]].listed_price["input"] == "0.15" and rows["other"].listed_price is None
    assert not ModelPrice.objects.exists() and rows[ENTRY["id"]].waits_for_price
    provider.listed = priced({"prompt": "0.0000003"})
    assert sync(linked).proposed == [], "nothing was added"
    assert Model.objects.get(name=ENTRY["id"]).listed_price["input"] == "0.3"
    provider.listed = priced({"prompt": "-1"})
    sync(linked)
    row = Model.objects.get(name=ENTRY["id"])
    assert row.proposed_price is None and row.is_priced_otherwise
    provider.listed = [ENTRY["id"], "other"]
    sync(linked)
    assert Model.objects.get(name=ENTRY["id"]).listed_price is None


def test_what_an_administrator_has_set_stays(linked, provider, make):
    sync(linked)
    row = Model.objects.get(name=ENTRY["id"])
    make.price(row)
    provider.listed = priced({"prompt": "0.0000003"})
    sync(linked)
    price = list_routes()[row.name].price
    assert (price.input, price.output, price.currency, row.prices.count()) == (1, 2, "EUR", 1)


def test_a_proposal_in_another_currency_than_the_bill_is_refused(linked):
    sync(linked)
    with pytest.raises(InvalidInput) as caught:
        services.take_listed_price(actor=None, model=Model.objects.get(name=ENTRY["id"]))
    assert "EUR" in caught.value.message and not ModelPrice.objects.exists()


def test_where_nothing_is_proposed_nothing_is_taken_over(linked):
    sync(linked)
    with pytest.raises(InvalidInput, match="does not say what this model costs"):
        services.take_listed_price(actor=None, model=Model.objects.get(name="other"))


def test_what_cannot_be_taken_over_is_told_as_that(linked, provider):
    provider.listed = priced({"request": "0.005"})
    assert sync(linked).proposed == []
    with pytest.raises(InvalidInput, match="cannot be taken over: it is not for tokens alone"):
        services.take_listed_price(actor=None, model=Model.objects.get(name=ENTRY["id"]))


def test_whoever_may_set_no_price_takes_none_over(linked, bob):
    sync(linked)
    with pytest.raises(NotAllowed):
        services.take_listed_price(actor=bob, model=Model.objects.get(name=ENTRY["id"]))


@pytest.mark.scope("platform")
def test_the_platform_takes_a_proposal_over_in_its_currency_alone(make, provider):
    provider.listed = [ENTRY]
    connection = make.connection(base_url=provider.base_url, allow_private=True, location="us")
    assert sync(connection).unpriced == [ENTRY["id"]]
    row = PlatformModel.objects.get()
    assert not row.is_enabled, "a proposal prices nothing"
    make.price(row, cached=Decimal("0.5"))
    services.set_model_price(
        actor=None, model=row, currency="USD", input=Decimal(9), output=Decimal(9), reasoning=Decimal(7)
    )
    taken = services.take_listed_price(actor=None, model=row)
    assert taken.currency == Tenant.Currency.USD
    assert taken.own_texts == {"input": "0.15", "cached": "0.075", "output": "0.6"}
    assert services.take_listed_price(actor=None, model=row).pk == taken.pk, "called twice"
    euros = PlatformPrice.objects.filter(currency="EUR").get()
    assert euros.own_texts == {"input": "1", "cached": "0.5", "output": "2"}
    with platform():
        services.set_model(actor=None, model=row, is_enabled=True)
        assert list_routes(currency="USD")[row.name].price.input == Decimal("0.15")


@pytest.mark.scope("platform")
def test_so_is_one_for_an_embedding(make, provider):
    provider.listed = [{"id": "qwen3-embedding", "pricing": {"prompt": "0.00000001", "completion": "0"}}]
    sync(make.connection(base_url=provider.base_url, allow_private=True))
    taken = services.take_listed_price(actor=None, model=PlatformModel.objects.get())
    assert taken.own_texts == {"input": "0.01", "output": "0"}


@pytest.mark.scope("platform")
@pytest.mark.parametrize("location", ["local", "us"])
def test_what_has_a_price_is_free_for_nobody_before_it_is_taken_over(make, provider, location):
    """A relay at a loopback address has a bill behind it too, as its catalogue says."""
    free = {"prompt": "0", "completion": "0"}
    by_request = {"id": "by-request", "pricing": free | {"request": "0.005"}}
    provider.listed = [ENTRY, by_request, {"id": "free", "pricing": free}, "silent"]
    report = sync(make.connection(base_url=provider.base_url, allow_private=True, location=location))
    others = [] if location == "local" else ["free", "silent"]
    assert sorted(report.unpriced) == sorted([*others, ENTRY["id"], "by-request"])
    off = PlatformModel.objects.filter(is_enabled=False).values_list("name", flat=True)
    assert sorted(off) == sorted(report.unpriced)


def test_an_organisations_own_waits_until_the_proposal_is_taken_over(linked, set_acme):
    assert ENTRY["id"] in sync(linked).unpriced
    row = Model.objects.get(name=ENTRY["id"])
    with pytest.raises(InvalidInput, match="Enter a price first"):
        services.set_model(actor=None, model=row, is_enabled=True)
    set_acme(currency="USD")
    services.take_listed_price(actor=None, model=row)
    assert str(list_routes()[row.name].price.input) == "0.15"
