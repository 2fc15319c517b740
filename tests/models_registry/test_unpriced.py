"""A model without a price is callable and costs nothing: whoever adds models is told so."""

import json

import pytest

from models_registry.platform.models import Connection
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


@pytest.mark.scope("platform")
def test_an_operator_is_told_what_waits_for_a_price_and_finds_it(provider, on_platform: HostClient, olga):
    manage(*ADD[:-2], "--platform", "--base-url", provider.base_url, "--location", "us")
    said = manage("connection", "sync", "vLLM", "--platform")
    assert "Switched off" not in said
    provider.listed = ["small", "large", "new"]
    assert "Switched off, as their price is not known: new." in manage(
        "connection", "sync", "vLLM", "--platform"
    )
    provider.listed = ["small", "large", "new", "newer"]
    on_platform.login_as(olga)
    chosen = {"action": "sync", "confirmed": "yes", "_selected_action": [str(Connection.objects.get().pk)]}
    page = on_platform.post("/admin/registry_platform/connection/", chosen, follow=True).content.decode()
    assert "1 of those added stays switched off until you enter its price" in page
    manage("model", "set", "small", "--platform", *PRICE[:4])
    found = on_platform.get("/admin/registry_platform/model/?priced=no").content.decode()
    assert ">newer<" in found and ">small<" not in found
    found = on_platform.get("/admin/registry_platform/model/?priced=yes").content.decode()
    assert ">newer<" not in found and ">small<" in found
