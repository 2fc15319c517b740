"""A model's endpoints, names and stand-ins through the forms."""

import re

import pytest

from models_registry.models import Model
from models_registry.services import add_connection, add_model
from tenants.context import platform
from tests.admin.model_forms import model_form, prices, url
from tests.estate import make_estate

pytestmark = pytest.mark.django_db


def endpoints(*rows: dict, kept: tuple = ()) -> dict:
    """The inline's form: the rows that are kept, by id, and these."""
    form = {"endpoints-TOTAL_FORMS": len(rows), "endpoints-INITIAL_FORMS": len(kept)}
    for number, row in enumerate(rows):
        form |= {f"endpoints-{number}-{name}": value for name, value in row.items()}
        if number < len(kept):
            form[f"endpoints-{number}-id"] = kept[number]
    return form


@pytest.fixture
def model_and_second(acme, alice):
    acme.login_as(alice)
    second = add_connection(
        actor=None, name="Second", kind="openai_compatible", base_url="https://second.example.com/v1"
    )
    return make_estate(alice).model, second


def test_endpoints_names_and_stand_ins_are_set_on_the_models_page(acme, model_and_second):
    model, second = model_and_second
    add_model(actor=None, connection=second, name="other")
    address = url("models_registry_model_change", model.pk)
    row = {"connection": second.pk, "upstream_name": "", "weight": 2}
    more = {"aliases": "gpt-4o\nbest", "fallbacks": "other", "weight": 3}
    data = model_form(model, **more) | prices() | endpoints(row)
    assert acme.post(address, data).status_code == 302
    model.refresh_from_db()
    assert (model.aliases, model.fallbacks, model.weight) == (["gpt-4o", "best"], ["other"], 3)
    (endpoint,) = model.endpoints.all()
    assert (endpoint.connection, endpoint.upstream_name, endpoint.weight) == (second, model.upstream_name, 2)
    page = acme.get(address).content.decode()
    assert "Further endpoints" in page and "gpt-4o" in page
    gone = row | {"upstream_name": endpoint.upstream_name, "DELETE": "on", "model": model.pk}
    data = model_form(model, **more) | prices() | endpoints(gone, kept=(endpoint.pk,))
    assert acme.post(address, data).status_code == 302
    assert not model.endpoints.exists()


def test_another_name_that_hides_a_model_of_the_platform_is_refused_in_the_form(acme, model_and_second):
    model, _second = model_and_second
    with platform():
        there = add_connection(actor=None, name="There", kind="openai", location="local")
        add_model(actor=None, connection=there, name="gpt-4o")
    answer = acme.post(
        url("models_registry_model_change", model.pk), model_form(model, aliases="gpt-4o") | prices()
    )
    assert answer.status_code == 400 and "“gpt-4o” is a model of the platform" in answer.content.decode()


def test_what_is_wrong_with_an_endpoint_is_told_in_the_form(acme, model_and_second):
    model, _second = model_and_second
    own = {"connection": model.connection_id, "upstream_name": model.upstream_name, "weight": 1}
    answer = acme.post(
        url("models_registry_model_change", model.pk),
        model_form(model) | prices() | endpoints(own),
    )
    assert answer.status_code == 400 and "has this endpoint already" in answer.content.decode()
    assert not model.endpoints.exists()


def test_the_form_offers_the_models_that_may_stand_in_and_keeps_what_is_gone(acme, model_and_second):
    model, second = model_and_second
    for name, kind in (("other", model.kind), ("vectors", "embedding")):
        add_model(actor=None, connection=second, name=name, label=name.title(), kind=kind)
    Model.objects.filter(pk=model.pk).update(fallbacks=["gone"])
    address = url("models_registry_model_change", model.pk)
    page = acme.get(address).content.decode()
    for field in ("fallbacks", "successor"):
        select = re.search(rf'<select name="{field}".*?</select>', page, re.DOTALL)[0]
        assert 'value="other"' in select and "Other (other)" in select
        assert 'value="vectors"' not in select and f'value="{model.name}"' not in select
        assert ("gone (does not exist any more)" in select) == (field == "fallbacks")
    kept = model_form(model, fallbacks=["gone", ""], notes="changed") | prices()
    assert acme.post(address, kept).status_code == 302, "nobody touched it"
    model.refresh_from_db()
    assert (model.fallbacks, model.notes) == (["gone"], "changed")
    refused = acme.post(address, model_form(model, fallbacks=["other", "gone"]) | prices())
    assert refused.status_code == 400 and "There is no model “gone”." in refused.content.decode()
    assert acme.post(address, model_form(model, fallbacks=["other", ""]) | prices()).status_code == 302
    model.refresh_from_db()
    assert model.fallbacks == ["other"]


def told(client, address: str, data: dict) -> str:
    """What the page says once the form is saved."""
    page = client.post(address, data, follow=True)
    return " ".join(str(message) for message in page.context["messages"])


def test_an_administrator_is_told_whose_stand_ins_are_not_asked(acme, model_and_second):
    model, second = model_and_second
    add_model(actor=None, connection=second, name="third", aliases=["last"])
    add_model(actor=None, connection=second, name="mutual", fallbacks=[model.name])
    add_model(actor=None, connection=second, name="other", fallbacks=["third"])
    address = url("models_registry_model_change", model.pk)
    assert "Their own stand-ins are not asked." in acme.get(address).content.decode()

    def saved_with(*names: str) -> str:
        return told(acme, address, model_form(model, fallbacks=[*names, ""]) | prices())

    text = saved_with("other")
    assert "“other” has stand-ins of its own" in text and "not answer for this model: third." in text
    assert "stand-ins" not in told(
        acme, address, model_form(model, fallbacks=["other"], notes="x") | prices()
    )
    for names in (["other", "third"], ["other", "last"], ["mutual"], ["third"]):
        assert "stand-ins" not in saved_with(*names), names


def test_so_it_is_of_a_new_model(acme, model_and_second):
    model, second = model_and_second
    add_model(actor=None, connection=second, name="other", fallbacks=[model.name])
    new = Model(name="new", kind=model.kind, connection=second)
    data = model_form(new, fallbacks=["other"], connection=second.pk, upstream_name="") | prices()
    text = told(acme, url("models_registry_model_add"), data)
    assert f"not answer for this model: {model.name}." in text
