"""A model waits for its price, or for a word that it is free; whoever adds models is told so."""

import json
from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.management import CommandError
from django.utils import timezone

from foundation.errors import InvalidInput
from models_registry import services
from models_registry.models import Model as OwnModel
from models_registry.platform.models import Connection, Model
from models_registry.selectors import list_routes
from tests.admin.model_forms import model_form, prices
from tests.conftest import HostClient, manage

pytestmark = pytest.mark.django_db
HERE = ("--tenant", "acme")
ADD = ("connection", "add", "--name", "vLLM", "--kind", "vllm", "--allow-private", "--sync", *HERE)
SYNC = ("connection", "sync", "vLLM", *HERE)
PRICE = ("--input-price", "1", "--output-price", "2", *HERE)


def tenants_own() -> dict[str, tuple[bool, bool]]:
    """Name → whether it is on, and whether it waits for its price."""
    return {row.name: (row.is_enabled, row.waits_for_price) for row in OwnModel.objects.all()}


def test_what_an_organisation_fetches_waits_for_its_price_or_a_word_that_it_is_free(provider):
    said = manage(*ADD, "--base-url", provider.base_url)
    assert (
        "Switched off, as their price is not known: small, large. For each: manage.py model set NAME" in said
    )
    assert "--tenant acme --input-price P --output-price P (per million tokens), or --free" in said
    assert tenants_own() == {"small": (False, True), "large": (False, True)} and list_routes() == {}
    manage(*SYNC)
    assert tenants_own()["small"] == (False, True), "still, after it was seen again"
    row = OwnModel.objects.get(name="small")
    with pytest.raises(InvalidInput, match="Enter a price first, or mark it as free of charge"):
        services.set_model(actor=None, model=row, is_enabled=True)
    later = timezone.now() + timedelta(days=1)
    services.set_model_price(actor=None, model=row, valid_from=later, input=Decimal(1), output=Decimal(2))
    assert tenants_own()["small"] == (False, True), "that price does not hold yet"
    manage("model", "set", "small", *PRICE)
    manage("model", "set", "large", "--free", *HERE)
    routes = list_routes()
    assert tenants_own() == {"small": (True, False), "large": (True, False)}
    assert routes["small"].price.input == 1 and routes["large"].price.is_free
    assert not routes["large"].price.is_unset and "images" in routes["large"].price.amounts
    manage("model", "set", "large", "--disable", *HERE)
    manage("model", "set", "large", *PRICE)
    assert tenants_own()["large"] == (False, False), "who switched it off meant it"


def test_what_an_earlier_release_left_on_without_a_price_stays_on_and_is_told(provider, acme, alice):
    manage(*ADD, "--base-url", provider.base_url)
    OwnModel.objects.update(is_enabled=True, listed_values={})
    said = manage(*SYNC)
    assert "Models without a price: 2." in said and "Switched off" not in said
    manage("model", "set", "small", *PRICE)
    assert json.loads(manage(*SYNC, "--json"))["without_price"] == ["large"]
    page = acme.login_as(alice).get("/admin/models_registry/model/").content.decode()
    assert page.count("no price set: calls cost nothing") == 1
    manage("model", "set", "large", "--disable", *HERE)
    assert json.loads(manage(*SYNC, "--json"))["without_price"] == []
    provider.listed = ["large"]
    manage(*SYNC)
    provider.listed = ["small", "large"]
    manage(*SYNC)
    assert tenants_own()["small"] == (True, False), "what was on comes back on"


def test_one_click_in_the_administration_takes_the_catalogues_price_or_says_free(provider, acme, alice):
    usd = {"prompt": "0.000001", "completion": "0.000002"}
    provider.listed = [{"id": "small", "pricing": usd}, "large"]
    acme.login_as(alice)
    row = services.add_connection(
        actor=None, name="vLLM", kind="vllm", base_url=provider.base_url, allow_private=True
    )
    chosen = {"action": "sync", "confirmed": "yes", "_selected_action": [str(row.pk)]}
    page = acme.post("/admin/models_registry/connection/", chosen, follow=True).content.decode()
    assert "2 of those added or back again stay switched off until you enter their prices or mark" in page
    models = "/admin/models_registry/model/"
    assert acme.get(models).content.decode().count("off until it has a price") == 1
    chosen = {"action": "make_free", "_selected_action": [str(one.pk) for one in OwnModel.objects.all()]}
    assert "Are these models free of charge?" in acme.post(models, chosen).content.decode()
    acme.post(models, chosen | {"confirmed": "yes"})
    assert {name: on for name, (on, _waits) in tenants_own().items()} == {"small": True, "large": True}
    assert {route.price.is_free for route in list_routes().values()} == {True}


def test_programs_add_what_waits_too(make, acme, alice):
    row = make.connection()
    acme.login_as(alice)
    body = {"connection": str(row.pk), "name": "new", "is_default": True}
    made = acme.post("/api/v1/models/", body, content_type="application/json").json()
    assert (made["is_enabled"], made["waits_for_price"], made["is_default"]) == (False, True, False)
    price = {"input": "0", "output": "0"}
    acme.post(f"/api/v1/models/{made['id']}/prices/", price, content_type="application/json")
    shown = acme.get(f"/api/v1/models/{made['id']}/").json()
    assert (shown["is_enabled"], shown["waits_for_price"]) == (True, False)


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
    assert "1 of those added or back again stays switched off until you enter its price" in page
    manage("model", "set", "small", "--platform", *PRICE[:4])
    found = on_platform.get("/admin/registry_platform/model/?priced=no").content.decode()
    assert ">newer<" in found and ">small<" not in found
    found = on_platform.get("/admin/registry_platform/model/?priced=yes").content.decode()
    assert ">newer<" not in found and ">small<" in found


# -- the platform's models elsewhere cost the operator -------------------------------------------------------


@pytest.fixture
def waiting(make):
    """A model of the platform elsewhere that is switched off and has no price."""
    return make.model("remote", make.connection(location="us"), is_enabled=False)


def is_on(row) -> bool:
    return Model.objects.get(pk=row.pk).is_enabled


@pytest.mark.scope("platform")
def test_what_the_operator_pays_for_is_not_switched_on_without_a_price(waiting, make):
    with pytest.raises(InvalidInput, match="Enter a price first; 0 if it is meant to cost nothing"):
        services.set_model(actor=None, model=waiting, is_enabled=True)
    make.price(waiting, valid_from=timezone.now() + timedelta(days=1))
    with pytest.raises(InvalidInput):
        services.set_model(actor=None, model=waiting, is_enabled=True)
    assert not is_on(waiting)
    make.price(waiting, input=Decimal(0), output=Decimal(0))
    services.set_model(actor=None, model=waiting, is_enabled=True)
    assert is_on(waiting)


@pytest.mark.scope("platform")
def test_what_runs_here_needs_no_price(make):
    row = make.model("local", make.connection(location="local"), is_enabled=False)
    assert services.set_model(actor=None, model=row, is_enabled=True).is_enabled


@pytest.mark.parametrize("location", ["us", "local"])
def test_an_organisations_own_model_needs_one_wherever_it_runs(make, location):
    """But whoever may say what it costs may say that it costs nothing."""
    row = make.model(
        "own",
        make.connection(location=location, base_url="http://127.0.0.1:9000/v1", allow_private=True),
        is_enabled=False,
    )
    with pytest.raises(InvalidInput, match="mark it as free of charge"):
        services.set_model(actor=None, model=row, is_enabled=True)
    services.set_free(actor=None, model=row)
    assert services.set_model(actor=None, model=row, is_enabled=True).is_enabled


@pytest.mark.scope("platform")
def test_the_form_refuses_it_and_takes_it_with_a_price(waiting, on_platform: HostClient, olga):
    on_platform.login_as(olga)
    address = f"/admin/registry_platform/model/{waiting.pk}/change/"
    form = model_form(waiting) | prices() | {"is_enabled": "on"}
    refused = on_platform.post(address, form)
    assert refused.status_code == 400 and "Enter a price first" in refused.content.decode()
    assert not is_on(waiting)
    form |= prices({"currency": "EUR", "input": "1", "output": "2"})
    assert on_platform.post(address, form).status_code == 302 and is_on(waiting)


@pytest.mark.scope("platform")
def test_the_command_refuses_it_and_takes_it_with_a_price(waiting):
    with pytest.raises(CommandError, match="Enter a price first"):
        manage("model", "set", "remote", "--platform", "--enable")
    manage("model", "set", "remote", "--platform", "--enable", *PRICE[:4])
    assert is_on(waiting)


@pytest.mark.scope("platform")
def test_what_is_added_by_hand_waits_for_its_price_too(waiting, on_platform: HostClient, olga):
    said = manage("model", "set", "by-command", "--platform", "--connection", "Provider")
    assert "stays switched off until it has a price" in said
    form = model_form(waiting) | prices() | {"connection": waiting.connection_id, "name": "by-form"}
    on_platform.login_as(olga)
    added = on_platform.post("/admin/registry_platform/model/add/", form, follow=True)
    assert "switched off until you enter its price" in added.content.decode()
    rows = Model.objects.filter(name__in=["by-command", "by-form"])
    assert [row.is_enabled for row in rows] == [False, False]
    added_with = ("--platform", "--connection", "Provider", *PRICE[:4])
    manage("model", "set", "on", *added_with)
    manage("model", "set", "off", *added_with, "--disable")
    assert Model.objects.get(name="on").is_enabled and not Model.objects.get(name="off").is_enabled


def test_a_command_that_adds_an_organisations_own_model_adds_it_waiting(make):
    make.connection()
    add = (*HERE, "--connection", "Provider")
    said = manage("model", "set", "bare", *add, "--default")
    assert "stays switched off until it has a price: see --input-price and --free" in said
    manage("model", "set", "priced", *add, "--default", *PRICE)
    manage("model", "set", "free", *add, "--free")
    manage("model", "set", "off", *add, "--disable")
    assert tenants_own() == {
        "bare": (False, True),
        "priced": (True, False),
        "free": (True, False),
        "off": (False, False),
    }
    assert OwnModel.objects.get(is_default=True).name == "priced"
    with pytest.raises(CommandError, match="mark it as free of charge"):
        manage("model", "set", "wanted", *add, "--enable")
    assert not OwnModel.objects.filter(name="wanted").exists()


@pytest.mark.scope("platform")
def test_what_runs_here_is_on_at_once_by_whichever_door_it_comes(make, provider, on_platform, olga):
    row = make.connection(location="local", base_url=provider.base_url, allow_private=True)
    form = model_form(make.model("usual", row)) | prices() | {"connection": row.pk, "name": "by-form"}
    on_platform.login_as(olga)
    added = on_platform.post("/admin/registry_platform/model/add/", form | {"is_default": "on"}, follow=True)
    assert "switched off" not in added.content.decode()
    assert "stays" not in manage("model", "set", "by-command", "--platform", "--connection", "Provider")
    services.sync_catalogue(actor=None, connection=row)
    by_door = Model.objects.filter(name__in=["by-form", "by-command", "small"])
    assert {one.name: one.is_enabled for one in by_door} == dict.fromkeys(
        ("by-form", "by-command", "small"), True
    )
    assert Model.objects.get(is_default=True).name == "by-form"
    page = on_platform.get("/admin/registry_platform/model/?priced=no").content.decode()
    assert page.count("no price set: calls cost nothing") == 5, "and nobody overlooks it"


@pytest.mark.scope("platform")
def test_whoever_adds_what_the_operator_pays_for_adds_it_switched_off(make):
    paid_for, here = make.connection(location="us"), make.connection("Here", location="local")
    for wanted in ({}, {"is_enabled": True}):
        assert not make.model(f"paid-{len(wanted)}", paid_for, **wanted).is_enabled
        assert make.model(f"here-{len(wanted)}", here, **wanted).is_enabled


@pytest.mark.scope("platform")
@pytest.mark.parametrize(
    "change", [{"base_url": "https://api.elsewhere.com/v1"}, {"location": "us"}], ids=str
)
def test_a_connection_that_begins_to_cost_needs_the_prices_of_its_models_first(make, change):
    row = make.connection(location="local")
    at_it, off = make.model("at-it", row), make.model("off", row, is_enabled=False)
    other = make.model("other", make.connection("Other", location="local"))
    services.set_endpoints(actor=None, model=other, endpoints=[services.EndpointSpec(row)])
    with pytest.raises(InvalidInput, match="no price: at-it, other") as caught:
        services.update_connection(actor=None, connection=row, **change)
    assert caught.value.param == next(iter(change))
    make.price(at_it)
    services.set_model(actor=None, model=other, is_enabled=False)
    assert services.update_connection(actor=None, connection=row, **change).location != "local"
    for model in (off, other):
        with pytest.raises(InvalidInput, match="Enter a price first"):
            services.set_model(actor=None, model=model, is_enabled=True)
    Model.objects.update(is_enabled=True)  # as earlier releases let them be
    assert services.update_connection(actor=None, connection=row, name="New").name == "New"


@pytest.mark.scope("platform")
def test_a_further_endpoint_that_costs_needs_a_price_first(make):
    model = make.model("local", make.connection(location="local"))
    paid_for = services.EndpointSpec(make.connection("Elsewhere", location="us"))
    with pytest.raises(InvalidInput, match="Enter a price first") as caught:
        services.set_endpoints(actor=None, model=model, endpoints=[paid_for])
    assert caught.value.param == "endpoints" and not model.endpoints.exists()
    make.price(model)
    assert services.set_endpoints(actor=None, model=model, endpoints=[paid_for]).is_enabled


@pytest.mark.scope("platform")
def test_a_further_endpoint_and_its_price_are_entered_at_once(make, on_platform: HostClient, olga):
    row, elsewhere = make.connection(location="local"), make.connection("Elsewhere", location="us")
    model = make.model("local", row, is_enabled=False)
    new = {"endpoints-TOTAL_FORMS": 1, "endpoints-0-connection": elsewhere.pk, "endpoints-0-weight": 1}
    form = model_form(model) | prices() | new | {"is_enabled": "on"}
    address = f"/admin/registry_platform/model/{model.pk}/change/"
    on_platform.login_as(olga)
    refused = on_platform.post(address, form)
    assert refused.status_code == 400 and "Enter a price first" in refused.content.decode()
    assert not is_on(model) and not model.endpoints.exists()
    form |= prices({"currency": "EUR", "input": "1", "output": "2"}) | new
    assert on_platform.post(address, form).status_code == 302
    assert is_on(model) and model.endpoints.exists()
    make.model("second", row)
    command = ("model", "set", "second", "--platform", "--endpoint", "Elsewhere")
    with pytest.raises(CommandError, match="Enter a price first"):
        manage(*command)
    manage(*command, *PRICE[:4])
    assert Model.objects.get(name="second").endpoints.exists()


@pytest.mark.scope("platform")
def test_what_comes_back_where_it_costs_by_now_waits_for_its_price(make, provider):
    row = make.connection(base_url=provider.base_url, allow_private=True, location="local")
    services.sync_catalogue(actor=None, connection=row)
    provider.listed = ["large"]
    services.sync_catalogue(actor=None, connection=row)
    services.set_model(actor=None, model=Model.objects.get(name="large"), is_enabled=False)
    services.update_connection(actor=None, connection=row, location="us")
    provider.listed = ["large", "small"]
    report = services.sync_catalogue(actor=None, connection=row)
    assert (report.added, report.returned, report.unpriced) == ([], ["small"], ["small"])
    assert not is_on(Model.objects.get(name="small"))


@pytest.mark.scope("platform")
def test_what_waits_for_its_price_takes_nobodys_place_as_the_default(make, on_platform: HostClient, olga):
    usual = make.model("usual", make.connection("Here", location="local"), is_default=True)
    row = make.connection(location="us")
    assert not make.model("by-service", row, is_default=True).is_default
    on_platform.login_as(olga)
    form = model_form(usual) | prices() | {"connection": row.pk, "name": "by-form", "is_default": "on"}
    added = on_platform.post("/admin/registry_platform/model/add/", form, follow=True)
    assert "It is not the default" in added.content.decode()
    assert Model.objects.get(is_default=True) == usual
    manage("model", "set", "by-command", "--platform", "--connection", "Provider", "--default", *PRICE[:4])
    assert Model.objects.get(is_default=True).name == "by-command"
