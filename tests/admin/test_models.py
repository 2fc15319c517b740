"""Models and their prices through the forms."""

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format

from foundation.ids import uuid7
from models_registry.models import Model, ModelPrice
from models_registry.platform import models as platform_models
from models_registry.services import add_connection, add_model, set_model, set_model_price
from tenants.context import platform
from tenants.models import Plan, Tenant
from tests.admin.model_forms import model_form, prices, url
from tests.estate import PROVIDER, make_estate, make_event, make_people, make_platform_estate
from tests.prompts.visitor import text_of
from tests.routes import PLATFORM
from usage.platform.models import Process
from usage.quantities import CLASSES

pytestmark = pytest.mark.django_db


def test_a_price_is_added_and_never_changed(acme, alice):
    estate = make_estate(alice)
    acme.login_as(alice)
    address = url("models_registry_model_change", estate.model.pk)
    form = model_form(estate.model) | prices({"input": "2", "output": "8"})
    form |= {"prices-INITIAL_FORMS": 0, "prices-0-id": estate.price.pk}
    assert acme.post(address, form).status_code == 302
    estate.price.refresh_from_db()
    newest = estate.model.prices.order_by("-valid_from").first()
    assert (estate.price.input, newest.input, newest.cached, newest.output, newest.currency) == (
        1,
        2,
        2,
        8,
        "EUR",
    )


@pytest.mark.parametrize(
    ("kind", "capabilities", "asked"),
    [
        ("chat", [], ["input", "cached", "cache_write", "output", "reasoning"]),
        ("chat", ["audio"], ["input", "cached", "cache_write", "input_audio"]),
        ("embedding", [], ["input"]),
        ("image", [], ["input", "cached", "output", "images"]),
        ("transcription", [], ["input", "input_audio", "output", "audio_ms"]),
    ],
)
def test_the_form_asks_for_the_prices_that_fit_the_kind(acme, alice, kind, capabilities, asked):
    """And says what becomes of one that is left empty."""
    estate = make_estate(alice)
    Model.objects.update(kind=kind, capabilities=capabilities)
    ModelPrice.objects.update(amounts={"input": "1", "output": "4", "images": "0.04"})
    page = acme.login_as(alice).get(url("models_registry_model_change", estate.model.pk)).content.decode()
    names = re.findall(r'name="prices-__prefix__-(\w+)"', page)
    found = [name for name in names if name in CLASSES]
    assert found[: len(asked)] == asked and ("images" in found) == (kind == "image")
    assert ('placeholder="as input"' in page) == ("cached" in asked or "input_audio" in asked)
    assert ("4\N{NO-BREAK SPACE}ct" in page) == (kind == "image"), "the row above tells the price that holds"


def test_a_price_of_a_newer_class_is_added_in_the_form(acme, alice):
    estate = make_estate(alice)
    acme.login_as(alice)
    address = url("models_registry_model_change", estate.model.pk)
    form = model_form(estate.model) | prices({"cache_write": "1.25"})
    assert acme.post(address, form).status_code == 302
    newest = estate.model.prices.order_by("-valid_from").first()
    assert newest.amounts == {"input": "1", "output": "4", "cache_write": "1.25"}
    wrong = acme.post(address, model_form(estate.model) | prices({"cache_write": "-1"}))
    assert wrong.status_code == 200 and estate.model.prices.count() == 2


def test_prices_are_typed_in_the_readers_notation_as_budgets_are(acme, alice):
    estate = make_estate(alice)
    acme.login_as(alice)
    alice.language = "de"
    alice.save()
    address = url("models_registry_model_change", estate.model.pk)
    page = acme.get(address).content.decode()
    assert 'type="number" name="prices' not in page and 'inputmode="decimal"' in page
    wrong = acme.post(address, model_form(estate.model) | prices({"input": "1.5", "output": "8"}))
    assert "1000,50" in wrong.content.decode() and estate.model.prices.count() == 1
    assert acme.post(address, model_form(estate.model) | prices({"input": "1,5"})).status_code == 302
    assert estate.model.prices.order_by("-valid_from").first().input == Decimal("1.5")


def test_deleting_says_what_it_does_and_when_prices_began(acme, alice):
    estate = make_estate(alice)
    page = acme.login_as(alice).get(url("models_registry_model_delete", estate.model.pk)).content.decode()
    shown = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    assert "Delete model" in shown and "Yes" not in shown and "Cancel" in shown
    assert not re.search(r"\d{4}-\d\d-\d\d", shown) and date_format(estate.price.valid_from) in shown
    kept = f"{estate.model} 2026-08-01"
    assert ModelPrice.name_text(kept) == f"{estate.model} · Aug 1, 2026"
    chosen = {"action": "delete_selected", "_selected_action": [estate.model.pk]}
    page = acme.post(url("models_registry_model_changelist"), chosen).content.decode()
    assert "> Delete model <" in " ".join(page.split())


def test_a_model_is_offered_at_once_only_if_somebody_says_that_it_is_free(acme, alice):
    estate = make_estate(alice)
    acme.login_as(alice)
    form = model_form(estate.model, connection=estate.model.connection_id) | prices()
    said = [
        acme.post(url("models_registry_model_add"), form | more, follow=True).content.decode()
        for more in ({"name": "waiting", "is_default": "on"}, {"name": "free", "is_free": "on"})
    ]
    assert ["switched off until you enter its price" in page for page in said] == [True, False]
    rows = Model.objects.filter(name__in=["waiting", "free"]).values_list("name", "is_enabled", "is_default")
    assert set(rows) == {("waiting", False, False), ("free", True, False)}


def test_the_list_tells_which_model_of_the_platform_an_alias_hides(acme, alice):
    estate = make_estate(alice)
    set_model(actor=None, model=estate.model, aliases=["late"])
    acme.login_as(alice)
    page = acme.get(url("models_registry_model_changelist")).content.decode()
    assert "hides it" not in page
    with platform():
        row = add_connection(actor=None, name="Shared", **PROVIDER)
        for name in ("late", "other"):
            model = add_model(actor=None, connection=row, name=name)
            set_model_price(actor=None, model=model, input=Decimal(1), output=Decimal(1))
        platform_models.Model.objects.update(is_enabled=True)
    page = acme.get(url("models_registry_model_changelist")).content.decode()
    assert page.count("hides it") == 1
    assert f"also offers “late”. Another name of your model “{estate.model.name}” hides it" in page


def test_a_price_of_the_past_is_refused_in_the_form(acme, alice):
    estate = make_estate(alice)
    yesterday = timezone.localtime() - timedelta(days=1)
    row = {"valid_from_0": f"{yesterday:%Y-%m-%d}", "valid_from_1": "12:00:00", "input": "2", "output": "8"}
    response = acme.login_as(alice).post(
        url("models_registry_model_change", estate.model.pk), model_form(estate.model) | prices(row)
    )
    assert (
        response.status_code == 400
        and b"cannot begin in the past" in response.content
        and estate.model.prices.count() == 1
    )


def test_the_policy_of_a_models_life_is_told_at_its_field(acme, alice):
    estate = make_estate(alice)
    data = model_form(estate.model, retire_on=f"{timezone.now() + timedelta(days=3):%Y-%m-%d}") | prices()
    response = acme.login_as(alice).post(url("models_registry_model_change", estate.model.pk), data)
    assert response.status_code == 400 and b"at least 6 months" in response.content


def test_the_default_mark_moves_from_model_to_model(acme, alice):
    estate = make_estate(alice)
    Model.objects.create(name="old-default", upstream_name="x", connection=estate.connection, is_default=True)
    acme.login_as(alice).post(
        url("models_registry_model_change", estate.model.pk),
        model_form(estate.model, is_default="on") | prices(),
    )
    assert list(Model.objects.filter(is_default=True)) == [estate.model]


def test_the_platforms_models_are_shown_below_ones_own(acme, alice, olga):
    with platform():
        make_platform_estate(olga)
    page = acme.login_as(alice).get(url("models_registry_model_changelist")).content.decode()
    assert "Which models does the platform offer you?" in page and "platform-model" in page
    assert "1\N{NO-BREAK SPACE}€ in, 4\N{NO-BREAK SPACE}€ out" in page, "as in the chat's picker"


def test_a_model_that_the_plan_has_lost_keeps_its_label_where_its_use_stands(acme, alice, olga):
    with platform():
        model = make_platform_estate(olga).model
        set_model(actor=None, model=model, label="House model")
        other = Plan.objects.create(name="other", label="Other")
        set_model(actor=None, model=model, plans=[other.pk])
    make_event(alice, model=model.name)
    acme.login_as(alice)
    for path in ("/usage/", url("usage_usageevent_changelist"), url("index")):
        assert "House model" in acme.get(path).content.decode(), path


def test_a_state_on_the_page_of_its_object_is_a_word(acme, on_platform, alice, olga):
    """In a list it is a coloured label, made of a key and a text."""
    estate = make_estate(alice)
    acme.login_as(alice)
    for name, pk, word in [
        ("usage_usageevent", estate.event.pk, "answered"),
        ("accounts_apikey", estate.key.pk, "usable"),
        ("models_registry_connection", estate.connection.pk, "not checked yet"),
    ]:
        page = acme.get(url(f"{name}_change", pk)).content.decode()
        assert word in page and "(&#x27;" not in page and "Badge" not in page, name
    with platform():
        tenant_pk = Tenant.objects.get(slug="acme").pk
    page = on_platform.login_as(olga).get(reverse("system:tenants_tenant_change", PLATFORM, [tenant_pk]))
    assert "(&#x27;" not in page.content.decode() and "Badge" not in page.content.decode()


def test_prices_and_sizes_are_told_in_the_readers_notation_with_their_unit(acme, alice):
    estate = make_estate(alice)
    set_model(actor=None, model=estate.model, context_window=1_047_576)
    add_model(actor=None, connection=estate.connection, name="vectors", kind="embedding")
    set_model_price(actor=None, model=Model.objects.get(name="vectors"), input=Decimal("0.02"))
    acme.login_as(alice)
    german = {"accept-language": "de"}
    page = text_of(
        acme.get(url("models_registry_model_change", estate.model.pk), headers=german).content.decode()
    )
    assert page.count("1 €") >= 2 and "4 €" in page and ",000000" not in page
    assert "je Million Token" in page
    page = text_of(acme.get(url("models_registry_model_changelist"), headers=german).content.decode())
    assert "1.047.576" in page and "1 € / 4 €" in page
    assert "2 ct" in page and "2 ct / " not in page, "no output to pay for"


def test_kinds_and_prices_are_words_not_identifiers(acme, on_platform, alice, olga):
    make_platform_estate(olga)
    snapshot = {"input": "1.5", "cached": "0.15", "output": "6", "reasoning": "6", "currency": "EUR"}
    event = make_event(alice, price_snapshot=snapshot)
    with platform():
        platform_models.Model.objects.update(kind="transcription")
        Process.objects.create(pk=uuid7(), kind="web", host="machine-1")
    models = acme.login_as(alice).get(url("models_registry_model_changelist")).content.decode()
    assert "<td>Transcription</td>" in models and "<td>transcription</td>" not in models
    assert "input 1.50 €, cached input 15 ct, output 6 €, reasoning 6 €" in text_of(
        acme.get(url("usage_usageevent_change", event.pk)).content.decode()
    )
    start = on_platform.login_as(olga).get("/admin/").content.decode()
    assert "Web server" in start and "machine-1" in start


@pytest.mark.scope("platform")
def test_the_platforms_prices_are_counted_in_the_list_and_told_line_by_line(on_platform, olga):
    row = make_platform_estate(olga).model
    with platform():
        for number, currency in enumerate(Tenant.Currency.values, 1):
            price = {"input": Decimal(number), "output": Decimal(2)}
            set_model_price(actor=None, model=row, currency=currency, **price)
    count = len(Tenant.Currency.values)
    on_platform.login_as(olga)
    listed = on_platform.get(reverse("system:registry_platform_model_changelist", urlconf=PLATFORM))
    assert f"; +{count - 2}<" in listed.content.decode()
    page = on_platform.get(reverse("system:registry_platform_model_change", args=[row.pk], urlconf=PLATFORM))
    said = page.content.decode().partition("rice at present")[2].partition("</fieldset>")[0]
    lines = re.findall(r"per million tokens: input [^,<]*[0-9][^,<]*, output [^,<]*[0-9][^,<]*</p>", said)
    assert len(lines) == count, said


def test_rows_are_added_by_their_own_name(acme, alice):
    """Not “another” where there is none, and not with a capital in the sentence."""
    acme.login_as(alice)
    page = acme.get(url("models_registry_model_change", make_estate(alice).model.pk)).content.decode()
    shown = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    assert "Add endpoint" in shown and "Add price" in shown and "Add another" not in shown


def test_models_are_switched_together_and_a_reason_stands_for_those_that_are_not(on_platform, olga):
    first = make_platform_estate(olga).model
    table = platform_models.Model
    with platform():
        table.objects.create(name="b", upstream_name="b", connection=first.connection)
        platform_models.Connection.objects.update(location="us")
        ids = list(table.objects.values_list("pk", flat=True))
    on_platform.login_as(olga)
    address = reverse("system:registry_platform_model_changelist", urlconf=PLATFORM)

    def switch(name: str, **more) -> str:
        chosen = {"action": name, "_selected_action": ids, **more}
        return on_platform.post(address, chosen, follow=True).content.decode()

    def states() -> set[bool]:
        with platform():
            return set(table.objects.values_list("is_enabled", flat=True))

    assert "Switch these models off?" in switch("switch_off") and states() == {True}, "it asks before"
    assert "2 models are switched off." in switch("switch_off", confirmed="yes") and states() == {False}
    page = switch("switch_on", confirmed="yes")
    assert "1 model is switched on." in page and "b: Without a price, all organisations would" in page
    with platform():
        assert list(table.objects.filter(is_enabled=True)) == [first]


def test_who_may_only_look_at_models_switches_none(acme, alice):
    estate = make_estate(alice)
    looker = make_people("acme")["auditor"]
    page = acme.login_as(looker).get(url("models_registry_model_changelist"))
    assert page.status_code == 200 and "switch_off" not in page.content.decode()
    chosen = {"action": "switch_off", "_selected_action": [estate.model.pk], "confirmed": "yes"}
    acme.post(url("models_registry_model_changelist"), chosen)
    assert Model.objects.get(pk=estate.model.pk).is_enabled
