"""Prices of providers' catalogues in both administrations: shown as proposals, taken over on request."""

import pytest
from django.urls import reverse

from models_registry.models import Model, ModelPrice
from models_registry.platform import models as platform_models
from tenants.context import platform
from tenants.models import Plan, Tenant
from tests.admin.model_forms import url
from tests.estate import make_estate, make_platform_estate
from tests.routes import PLATFORM

pytestmark = pytest.mark.django_db
LISTED = {"currency": "USD", "input": "0.15", "cached": "0.075", "output": "0.6", "reasoning": "0.6"}


def of_platform(name: str, *args) -> str:
    return reverse(f"system:registry_platform_model_{name}", args=args, urlconf=PLATFORM)


def test_a_proposal_is_told_apart_from_the_price_that_holds(acme, alice):
    estate = make_estate(alice)
    acme.login_as(alice)
    address = url("models_registry_model_change", estate.model.pk)
    assert "price in the catalogue" not in acme.get(address).content.decode().lower()
    Model.objects.filter(pk=estate.model.pk).update(listed_price=LISTED)
    page = acme.get(address).content.decode().replace("\xa0", " ")
    row = page.split(">Price in the catalogue</label>")[1].split('<div class="readonly', 1)[1]
    assert row.split("</div>")[0].partition(">")[2] == (
        "per million tokens: input 15¢, cached input 7.5¢, output 60¢, reasoning 60¢. Proposed by the "
        "provider; nothing is billed by it."
    )
    names = url("models_registry_model_changelist")
    assert "in the catalogue:" not in acme.get(names).content.decode()
    ModelPrice.objects.all().delete()
    assert "no price set; in the catalogue: " in acme.get(names).content.decode()


def test_an_operator_takes_over_what_the_catalogue_says(on_platform, olga):
    row = make_platform_estate(olga).model
    with platform():
        platform_models.Model.objects.filter(pk=row.pk).update(listed_price=LISTED)
    on_platform.login_as(olga)
    address = of_platform("take_price", row.pk)
    assert "take the place" in on_platform.get(address).content.decode()
    with platform():
        assert not row.prices.filter(currency="USD").exists(), "nobody has said yes"
    page = on_platform.post(address, {"confirmed": "yes"}, follow=True).content.decode()
    assert "1 model costs what its catalogue says." in page
    with platform():
        (price,) = row.prices.filter(currency="USD")
        assert price.own_texts == {"input": "0.15", "cached": "0.075", "output": "0.6"}
        assert row.prices.filter(currency="EUR").count() == 1


def test_it_is_asked_with_the_prices_and_who_is_left_out(on_platform, olga):
    row = make_platform_estate(olga).model
    monies = ["USD", "GBP", *["CHF"] * 5]
    with platform():
        standard, unlimited = (Plan.objects.get(name=name) for name in ("standard", "unlimited"))
        Tenant.objects.update(plan=standard)
        Tenant.objects.bulk_create(
            Tenant(slug=f"t{at}", schema_name=f"t{at}", name=f"Firm {at}", currency=money, plan=standard)
            for at, money in enumerate(monies)
        )
        Tenant.objects.filter(slug="t1").update(plan=unlimited)
        platform_models.Model.objects.filter(pk=row.pk).update(listed_price=LISTED)
        row.plans.set([standard])
    on_platform.login_as(olga)
    address = of_platform("take_price", row.pk)

    def asked() -> str:
        return on_platform.get(address).content.decode().replace("\xa0", " ")

    assert "input 15¢" in asked()
    assert "billed in" not in asked(), "it has a price in euros: who pays in others has no part in it already"
    with platform():
        row.prices.all().delete()
    page = asked()
    assert "7 organisations are billed in other currencies and are not offered models" in page
    assert ": Acme, Firm 2, Firm 3, Firm 4, Firm 5 …. Enter one" in page
    with platform():
        row.plans.set([unlimited])
    assert "1 organisation is billed in another currency" in asked() and "in it: Firm 1." in asked()
    with platform():
        free = {"currency": "USD", "input": "0", "output": "0"}
        platform_models.Model.objects.update(listed_price=free)
    assert "billed in" not in asked(), "nothing is nothing in every currency"


def test_of_several_those_that_the_catalogue_prices_and_a_reason_for_the_others(on_platform, olga):
    row = make_platform_estate(olga).model
    with platform():
        second = platform_models.Model.objects.create(
            name="second", upstream_name="second", connection=row.connection, listed_price=LISTED
        )
    on_platform.login_as(olga)
    chosen = {"action": "take_price", "_selected_action": [row.pk, second.pk], "confirmed": "yes"}
    page = on_platform.post(of_platform("changelist"), chosen, follow=True).content.decode()
    assert "1 model costs what its catalogue says." in page
    assert "platform-model: The catalogue does not say what this model costs." in page
    assert "take_price" not in on_platform.get(of_platform("change", row.pk)).content.decode()
    assert (
        of_platform("take_price", second.pk)
        in on_platform.get(of_platform("change", second.pk)).content.decode()
    )


def test_many_that_are_refused_for_one_reason_are_one_message(on_platform, olga):
    first = make_platform_estate(olga).model
    with platform():
        rows = platform_models.Model.objects.bulk_create(
            platform_models.Model(name=f"m{at}", upstream_name="m", connection=first.connection)
            for at in range(7)
        )
        platform_models.Model.objects.filter(name="m6").update(listed_price={"reason": "not_by_tokens"})
    on_platform.login_as(olga)
    chosen = {"action": "take_price", "_selected_action": [row.pk for row in rows], "confirmed": "yes"}
    page = on_platform.post(of_platform("changelist"), chosen, follow=True).content.decode()
    assert page.count("does not say what this model costs") == 1
    assert "Not done for 6 (m0, m1, m2, m3, m4 …): The catalogue does not say" in page
    assert "m6: The catalogue&#x27;s price cannot be taken over" in page


def offers(acme, row: Model) -> list[bool]:
    """Whether the model's page and the list offer to take the proposal over."""
    page = acme.get(url("models_registry_model_change", row.pk)).content.decode()
    names = acme.get(url("models_registry_model_changelist")).content.decode()
    assert "Proposed by the provider" in page, "the proposal is shown in any case"
    return [url("models_registry_model_take_price", row.pk) in page, 'value="take_price"' in names]


def test_an_organisation_that_is_billed_in_euros_is_offered_no_dollars(acme, alice):
    estate = make_estate(alice)
    Model.objects.filter(pk=estate.model.pk).update(listed_price=LISTED)
    assert offers(acme.login_as(alice), estate.model) == [False, False]
    address = url("models_registry_model_take_price", estate.model.pk)
    page = acme.post(address, {"confirmed": "yes"}, follow=True).content.decode()
    assert "billed in EUR" in page and ModelPrice.objects.count() == 1


def test_one_that_is_billed_in_dollars_takes_them_over(acme, alice, in_dollars):
    estate = make_estate(alice)
    Model.objects.filter(pk=estate.model.pk).update(listed_price=LISTED)
    assert offers(acme.login_as(alice), estate.model) == [True, True]
    address = url("models_registry_model_take_price", estate.model.pk)
    page = acme.post(address, {"confirmed": "yes"}, follow=True).content.decode()
    assert "1 model costs what its catalogue says." in page
    assert ModelPrice.objects.order_by("-valid_from").first().own_texts["input"] == "0.15"


def test_a_price_that_cannot_be_taken_over_is_no_price_of_nothing(on_platform, olga):
    row = make_platform_estate(olga).model
    with platform():
        platform_models.ModelPrice.objects.all().delete()
        platform_models.Connection.objects.update(location="us")
    on_platform.login_as(olga)
    said = on_platform.get(of_platform("changelist")).content.decode()
    assert "calls cost nothing" not in said, "they cost the operator"
    with platform():
        platform_models.Model.objects.update(listed_price={"reason": "not_by_tokens"})
    assert (
        "that of the catalogue cannot be taken over"
        in on_platform.get(of_platform("changelist")).content.decode()
    )
    page = on_platform.get(of_platform("change", row.pk)).content.decode()
    assert "It cannot be taken over: it is not for tokens alone" in page and "calls cost nothing" not in page
    assert of_platform("take_price", row.pk) not in page


@pytest.mark.parametrize(
    "marker",
    [
        {"cause": "by_the_hour"},
        {"currency": "USD"},
        {"currency": "USD", "input": "0.1", "smell": "2"},
        {"currency": "USD", "input": {"up_to_128k": "1"}, "output": "2"},
        ["USD", "1"],
        "later",
    ],
    ids=str,
)
def test_what_a_newer_release_says_of_a_price_is_none_here_and_no_accident(on_platform, olga, marker):
    """Its worker fetches catalogues while our web processes still show them."""
    row = make_platform_estate(olga).model
    with platform():
        platform_models.ModelPrice.objects.all().delete()
        platform_models.Model.objects.update(listed_price=marker)
    on_platform.login_as(olga)
    assert b"catalogue cannot be taken over" in on_platform.get(of_platform("changelist")).content
    page = on_platform.get(of_platform("change", row.pk)).content.decode()
    assert "It cannot be taken over" in page and of_platform("take_price", row.pk) not in page
    chosen = {"action": "take_price", "_selected_action": [row.pk]}
    assert on_platform.post(of_platform("changelist"), chosen).status_code == 200
    done = on_platform.post(of_platform("changelist"), chosen | {"confirmed": "yes"}, follow=True)
    assert b"price cannot be taken over" in done.content


def test_a_program_reads_no_price_in_what_a_newer_release_says(acme, alice):
    row = make_estate(alice).model
    Model.objects.update(listed_price={"cause": "by_the_hour", "since": 3})
    listed = acme.login_as(alice).get("/api/v1/models/").json()["results"]
    (found,) = [one for one in listed if one["id"] == str(row.pk)]
    assert found["listed_price"] is None
