"""What an installation has at its start: the embedded runtime, and the providers found on the machine."""

from decimal import Decimal

import pytest

from models_registry import seeds, services
from models_registry.discovery import FoundProvider, find_providers, offer_providers
from models_registry.platform.models import Connection, Model
from models_registry.selectors import list_routes
from tenants.context import tenant
from tenants.models import Tenant
from tenants.sealing import Secret

pytestmark = pytest.mark.scope("platform")


def test_the_demo_model_is_there_for_every_tenant(db):
    seeds.seed_platform("http://127.0.0.1:4711", "token-1")
    with tenant("acme"):
        route = list_routes()["atrium-tiny"]
    (target,) = route.targets
    endpoint = target.endpoint
    assert (route.context_window, route.default_max_output_tokens, route.is_demo) == (512, 128, True)
    assert (endpoint.kind, endpoint.base_url) == ("embedded", "http://127.0.0.1:4711/v1")
    assert target.upstream_name == "atrium-tiny" and endpoint.allow_private
    for currency in Tenant.Currency.values:
        price = list_routes(currency=currency)["atrium-tiny"].price
        assert (price.currency, price.input, price.output) == (currency, Decimal("0.10"), Decimal("0.40"))


def test_seeding_again_follows_the_port_and_keeps_what_an_operator_changed(db):
    seeds.seed_platform("http://127.0.0.1:4711", "token-1")
    model = Model.objects.get()
    services.set_model(actor=None, model=model, label="House demo", is_enabled=False)
    services.set_model_price(actor=None, model=model, input=Decimal(5))
    seeds.seed_platform("http://127.0.0.1:4712/v1", "token-2")
    seeds.seed_platform("http://127.0.0.1:4712/v1", "token-2")
    model.refresh_from_db()
    assert (Connection.objects.get().base_url, model.label, model.is_enabled) == (
        "http://127.0.0.1:4712/v1",
        "House demo",
        False,
    )
    assert model.prices.filter(currency="EUR").count() == 2


def test_without_a_runtime_only_the_data_key_is_made(db):
    seeds.seed_platform("", "")
    assert not Connection.objects.exists()


def test_local_servers_and_keys_are_found(provider):
    environment = {
        "OPENAI_API_KEY": "sk-a",
        "ANTHROPIC_API_KEY": " ",
        "DASHSCOPE_API_KEY": "sk-b",
        "SILICONFLOW_API_KEY": "sk-c",
        "OTHER_API_KEY": "sk-d",
    }
    addresses = {"ollama": provider.base_url, "lmstudio": "http://127.0.0.1:1/v1"}
    found = find_providers(environment, addresses)
    assert [(one.kind, one.is_local) for one in found] == [
        ("ollama", True),
        ("openai", False),
        ("qwen", False),
        ("siliconflow", False),
    ]
    assert "sk-" not in repr(found)


def test_what_is_no_model_server_is_not_found(provider):
    for status, body in ((500, b"{}"), (200, b"<html>"), (200, b"[]")):
        provider.status = status
        provider.body = body
        assert find_providers({}, {"ollama": provider.base_url}) == []


def test_local_servers_are_switched_on_and_clouds_only_offered(db, provider):
    found = [
        FoundProvider("ollama", provider.base_url),
        FoundProvider("openai", "https://api.openai.com/v1", Secret("sk-a")),
    ]
    assert offer_providers(found) == ["Ollama", "OpenAI"]
    ollama, openai = Connection.objects.get(kind="ollama"), Connection.objects.get(kind="openai")
    assert (ollama.is_enabled, ollama.allow_private, openai.is_enabled, openai.open_secret().reveal()) == (
        True,
        True,
        False,
        "sk-a",
    )
    assert len(provider.paths) == 1  # the cloud was not called
    with tenant("acme"):
        assert set(list_routes()) == {"small", "large"}
    assert offer_providers(found) == [] and Connection.objects.count() == 2  # called twice


def test_what_an_operator_decided_stays(db, provider):
    found = [
        FoundProvider("ollama", provider.base_url),
        FoundProvider("openai", "https://api.openai.com/v1", Secret("sk-a")),
    ]
    offer_providers(found)
    services.update_connection(actor=None, connection=Connection.objects.get(kind="ollama"), is_enabled=False)
    services.update_connection(
        actor=None, connection=Connection.objects.get(kind="openai"), is_enabled=True, secret="sk-own"
    )
    provider.listed.append("new")
    offer_providers(found)
    assert (
        not Connection.objects.get(kind="ollama").is_enabled and not Model.objects.filter(name="new").exists()
    )
    assert Connection.objects.get(kind="openai").open_secret().reveal() == "sk-own"


def test_in_production_local_servers_are_only_offered_too(db, provider, settings):
    settings.ATRIUM_ENV = "production"
    offer_providers([FoundProvider("ollama", provider.base_url)])
    assert not Connection.objects.get().is_enabled and provider.paths == []


def test_a_name_that_is_taken_and_a_failing_provider_do_not_stop_the_start(db, provider, make, caplog):
    make.connection("Ollama")
    provider.status = 500
    found = [
        FoundProvider("ollama", provider.base_url),
        FoundProvider("openai", "not an address", Secret("sk-a")),
        FoundProvider("qwen", "https://dashscope.example/v1", Secret("sk-b")),
    ]
    assert offer_providers(found) == [f"Ollama ({provider.base_url})", "Qwen (Alibaba Cloud)"]
    assert "HTTP 500" in caplog.text and "sk-" not in caplog.text


def test_a_start_seeds_and_looks_for_nothing_in_tests(db, settings):
    settings.RUNTIME_URL = "http://127.0.0.1:4711"
    seeds.prepare_platform()
    assert list(Connection.objects.values_list("kind", flat=True)) == ["embedded"]
