"""Routes: what a tenant may call, from whom, and at what price."""

from decimal import Decimal

import pytest

from foundation.errors import NotFound
from models_registry import services
from models_registry.models import Model
from models_registry.selectors import get_visible_model, list_routes
from tenants.context import platform, tenant
from tenants.models import Plan


def set_model(row, **changes):
    return services.set_model(actor=None, model=row, **changes)


def test_a_route_carries_what_the_gateway_needs(make):
    row = make.model(
        connection_row=make.connection(
            secret="sk-canary-12345678", kind="openai", location="eu", no_storage=True
        )
    )
    make.price(row)
    route = list_routes()["small"]
    endpoint = route.targets[0].endpoint
    assert (route.label, route.kind, route.channel, route.price.output) == ("small", "chat", "stable", 2)
    assert (endpoint.origin, endpoint.base_url) == ("tenant", "https://api.example.com/v1")
    assert (endpoint.connect_timeout_s, endpoint.first_byte_timeout_s, endpoint.idle_timeout_s) == (
        5.0,
        120.0,
        30.0,
    )
    assert endpoint.secret.reveal() == "sk-canary-12345678" and "canary" not in repr(route)
    assert not endpoint.policy.allow_private
    hash(route)


def test_what_costs_nothing_does_so_in_every_currency(make):
    row = make.model()
    make.price(row, input=Decimal(0), output=Decimal(0))
    price = list_routes(currency="CHF")["small"].price
    assert (price.currency, price.is_free, price.is_unset) == ("CHF", True, False)


@pytest.mark.scope("platform")
def test_what_costs_nothing_in_one_currency_alone_is_no_gift_in_a_third(make):
    row = make.model()
    make.price(row, currency="USD", input=Decimal(0), output=Decimal(0))
    make.price(row, currency="EUR")
    assert list_routes(currency="USD")["small"].price.is_free
    assert "small" not in list_routes(currency="CHF")


def test_a_model_without_a_price_costs_nothing_in_the_tenants_currency(make):
    make.model()
    assert list_routes(currency="CHF")["small"].price.currency == "CHF"


@pytest.mark.parametrize("switch", [{"is_enabled": False}, {"channel": "retired"}])
def test_what_is_off_or_retired_is_not_offered(make, switch):
    row = make.model(channel="experimental")
    set_model(row, **switch)
    assert list_routes() == {}


def test_models_of_a_disabled_connection_are_not_offered(make):
    row = make.model()
    services.update_connection(actor=None, connection=row.connection, is_enabled=False)
    assert list_routes() == {}


def test_a_broken_secret_takes_only_its_own_models(make, caplog):
    healthy = make.connection(name="Healthy", secret="sk-a")
    broken = make.connection(name="Broken", secret="sk-b")
    make.model("healthy", healthy)
    make.model("broken", broken)
    type(broken).objects.filter(pk=broken.pk).update(secret=type(broken).objects.get(pk=healthy.pk).secret)
    assert set(list_routes()) == {"healthy"}
    assert str(broken.pk) in caplog.text and "sk-" not in caplog.text


def test_the_platforms_models_are_offered_by_plan(make):
    with platform():
        ids = dict(Plan.objects.values_list("name", "pk"))
        for name, plans in (
            ("for-all", []),
            ("for-standard", ["standard"]),
            ("for-both", ["standard", "unlimited"]),
        ):
            row = make.model(name)
            services.set_model(actor=None, model=row, plans=[ids[plan] for plan in plans])
    assert set(list_routes(ids["standard"])) == {"for-all", "for-standard", "for-both"}
    assert set(list_routes(ids["unlimited"])) == {"for-all", "for-both"}
    assert set(list_routes()) == {"for-all"}
    route = list_routes()["for-all"]
    assert route.origin == "platform"


def test_a_tenants_own_name_and_default_win(make):
    with platform():
        services.set_model(actor=None, model=make.model("shared"), is_default=True)
        make.model("both")
    own = make.model("both")
    assert (list_routes()["both"].origin, list_routes()["shared"].is_default) == ("tenant", True)
    set_model(own, is_default=True)
    assert [name for name, route in list_routes().items() if route.is_default] == ["both"]
    set_model(own, is_enabled=False)
    assert "both" not in list_routes()  # a switched-off name does not lead to another provider by surprise


def test_the_platforms_secrets_are_opened_with_the_platforms_key(make):
    with platform():
        make.model("shared", make.connection(secret="sk-platform"))
    for slug in ("acme", "globex"):
        with tenant(slug):
            assert list_routes()["shared"].targets[0].endpoint.secret.reveal() == "sk-platform"


def test_two_tenants_do_not_see_each_others_models(make, charlie):
    row = make.model("own")
    with tenant("globex"):
        assert list_routes() == {} and not Model.objects.exists()
        for key in (row.pk, row.name):
            with pytest.raises(NotFound):
                get_visible_model(charlie, key)


def test_listing_routes_takes_a_fixed_number_of_queries(make, django_assert_max_num_queries):
    with platform():
        shared = make.connection(secret="sk-a")
        for number in range(3):
            make.price(make.model(f"shared-{number}", shared))
    for name in ("A", "B", "C"):
        row = make.connection(name=name, secret="sk-b")
        for number in range(3):
            make.price(make.model(f"{name}-{number}", row))
    with django_assert_max_num_queries(
        10
    ):  # models, endpoints, prices, data key of each world, and own names
        assert len(list_routes()) == 12
