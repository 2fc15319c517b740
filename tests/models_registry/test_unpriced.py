"""A model without a price is callable and costs nothing: whoever adds models is told so."""

import json

import pytest

from tests.conftest import HostClient, manage

pytestmark = pytest.mark.django_db
HERE = ("--tenant", "acme")
ADD = ("connection", "add", "--name", "vLLM", "--kind", "vllm", "--allow-private", "--sync", *HERE)
SYNC = ("connection", "sync", "vLLM", *HERE)
PRICE = ("--input-price", "1", "--output-price", "2", *HERE)


def test_a_sync_says_how_many_models_have_no_price_and_what_to_do(provider):
    said = manage(*ADD, "--base-url", provider.base_url)
    assert (
        "Models without a price: 2." in said
        and "manage.py model set NAME --tenant acme --input-price P --output-price P" in said
    )
    manage("model", "set", "small", *PRICE)
    assert "Models without a price: 1." in manage(*SYNC)
    assert json.loads(manage(*SYNC, "--json"))["without_price"] == ["large"]
    manage("model", "set", "large", *PRICE)
    assert "without a price" not in manage(*SYNC)


def test_a_model_that_is_switched_off_needs_no_price(provider):
    manage(*ADD, "--base-url", provider.base_url)
    manage("model", "set", "large", "--disable", *HERE)
    assert json.loads(manage(*SYNC, "--json"))["without_price"] == ["small"]


def test_the_list_of_models_shows_which_have_no_price(provider, acme: HostClient, alice):
    manage(*ADD, "--base-url", provider.base_url)
    manage("model", "set", "small", *PRICE)
    page = acme.login_as(alice).get("/admin/models_registry/model/").content.decode()
    assert page.count("no price: calls cost nothing") == 1
