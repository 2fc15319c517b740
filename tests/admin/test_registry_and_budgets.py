"""Connections, models, prices and budgets through the forms."""

import re
from datetime import timedelta
from decimal import Decimal
from functools import partial

import pytest
from auditlog.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.urls import reverse
from django.utils import timezone

from foundation.amounts import show_money
from foundation.ids import uuid7
from models_registry.models import Connection, Model, ModelPrice
from models_registry.platform import models as platform_models
from models_registry.services import add_connection, add_model, set_model, set_model_price
from tenants.context import platform
from tenants.models import Tenant
from tests.estate import make_estate, make_event, make_people, make_platform_estate
from tests.models_registry.provider import Provider
from tests.routes import PLATFORM, TENANT
from usage.models import Budget, BudgetOverrun, UsageEvent
from usage.platform.models import Process
from usage.quantities import CLASSES
from usage.services import set_budget

pytestmark = pytest.mark.django_db


def url(name: str, *args) -> str:
    return reverse(f"service:{name}", args=args, urlconf=TENANT)


def prices(*rows: dict) -> dict:
    """The inlines' forms: no further endpoint, no price so far, and these new ones."""
    form = {"prices-TOTAL_FORMS": len(rows), "prices-INITIAL_FORMS": 0}
    form |= {"endpoints-TOTAL_FORMS": 0, "endpoints-INITIAL_FORMS": 0}
    for number, row in enumerate(rows):
        form |= {f"prices-{number}-{name}": value for name, value in row.items()}
    return form


def model_form(model: Model, **changes) -> dict:
    names = (
        "name",
        "label",
        "upstream_name",
        "weight",
        "kind",
        "default_max_output_tokens",
        "channel",
        "licence",
        "successor",
        "notes",
    )
    return {name: getattr(model, name) for name in names} | {"is_enabled": "on", "capabilities": ""} | changes


def test_a_connections_key_goes_in_and_never_comes_out(acme, alice):
    acme.login_as(alice)
    data = {
        "name": "Own",
        "kind": "openai",
        "base_url": "",
        "secret": "sk-very-secret",
        "is_enabled": "on",
        "location": "",
    }
    assert acme.post(url("models_registry_connection_add"), data).status_code == 302
    row = Connection.objects.get()
    assert row.base_url == "https://api.openai.com/v1" and row.open_secret().reveal() == "sk-very-secret"
    for page in ("change", "history"):
        assert b"very-secret" not in acme.get(url(f"models_registry_connection_{page}", row.pk)).content
    changed = data | {"name": "Other", "secret": ""}
    acme.post(url("models_registry_connection_change", row.pk), changed | {"base_url": row.base_url})
    row.refresh_from_db()
    assert row.name == "Other" and row.open_secret().reveal() == "sk-very-secret", (
        "an empty field keeps the key"
    )
    acme.post(
        url("models_registry_connection_change", row.pk),
        changed | {"base_url": row.base_url, "remove_secret": "on"},
    )
    row.refresh_from_db()
    assert not row.has_secret


def test_the_key_is_not_sent_to_another_host_by_mistake(acme, alice):
    row = make_estate(alice).connection
    data = {
        "name": row.name,
        "kind": row.kind,
        "base_url": "https://elsewhere.example/v1",
        "secret": "",
        "is_enabled": "on",
        "location": "",
    }
    response = acme.login_as(alice).post(url("models_registry_connection_change", row.pk), data)
    assert response.status_code == 400 and b"Enter the API key again" in response.content
    assert Connection.objects.get(pk=row.pk).base_url == row.base_url


def test_an_address_that_is_kept_otherwise_than_it_was_entered_is_told(acme, alice):
    acme.login_as(alice)
    data = {"name": "Own", "kind": "vllm", "is_enabled": "on", "location": ""}
    add = partial(acme.post, url("models_registry_connection_add"), follow=True)
    told = add(data | {"base_url": "https://a.example/v1/chat/completions"})
    assert b"kept as https://a.example/v1:" in told.content
    row = Connection.objects.get()
    change = partial(acme.post, url("models_registry_connection_change", row.pk), follow=True)
    assert b"kept as https://a.example/v2:" in change(data | {"base_url": "https://a.example/v2/"}).content
    for page in (
        change(data | {"base_url": "https://a.example/v2", "name": "Other"}),
        add(data | {"base_url": "https://b.example/v1"}),
        add(data | {"name": "Usual", "kind": "openai", "base_url": ""}),
    ):
        assert b"kept as" not in page.content
    assert Connection.objects.count() == 3


def test_who_calls_a_strangers_server_the_houses_own_is_told_at_the_field(acme, alice):
    data = {
        "name": "Far",
        "kind": "vllm",
        "base_url": "https://a.example/v1",
        "is_enabled": "on",
        "location": "local",
    }
    response = acme.login_as(alice).post(url("models_registry_connection_add"), data)
    assert response.status_code == 400 and not Connection.objects.exists()
    assert "Only the operator" in str(response.context["adminform"].form.errors["location"])


def test_a_tenant_reaches_no_private_network(acme, alice):
    data = {
        "name": "In",
        "kind": "vllm",
        "base_url": "http://10.0.0.5:8000/v1",
        "is_enabled": "on",
        "location": "",
    }
    data |= {"allow_private": "on", "may_be_private": "on"}
    response = acme.login_as(alice).post(url("models_registry_connection_add"), data)
    assert response.status_code in (400, 403) and not Connection.objects.exists()
    page = response.content.decode()
    assert "Ask the operator of the platform" in page and "manage.py" not in page, "they have no shell"


@pytest.mark.scope("platform")
def test_an_operator_lets_a_connection_into_a_private_network(on_platform, olga):
    data = {
        "name": "In",
        "kind": "vllm",
        "base_url": "http://10.0.0.5:8000/v1",
        "is_enabled": "on",
        "location": "local",
        "may_be_private": "on",
    }
    response = on_platform.login_as(olga).post(
        reverse("system:registry_platform_connection_add", urlconf=PLATFORM), data
    )
    assert response.status_code == 302 and platform_models.Connection.objects.get(name="In").allow_private


def test_models_are_fetched_after_a_question_and_a_failure_is_told(acme, alice):
    provider = Provider()
    row = make_estate(alice).connection
    Connection.objects.filter(pk=row.pk).update(base_url=provider.base_url)
    acme.login_as(alice)
    address = url("models_registry_connection_sync", row.pk)
    assert b"Fetch the lists of models" in acme.get(address).content and not provider.paths
    page = acme.post(address, {"confirmed": "yes"}, follow=True).content.decode()
    assert "2 added" in page and Model.objects.filter(name="small", connection=row).exists()
    assert "at most 4,096 tokens" in page and "cannot be used here" not in page
    provider.listed = ["small", *(f"n° {number}" for number in range(11)), "<b>x"]
    page = acme.post(address, {"confirmed": "yes"}, follow=True).content.decode()
    assert "12 models have names that cannot be used here: n° 0, " in page and "n° 9…" in page
    provider.listed = ["small", "<b>x"]
    page = acme.post(address, {"confirmed": "yes"}, follow=True).content.decode()
    assert "cannot be used here: &lt;b&gt;x." in page and "<b>x" not in page
    assert "at most 4,096 tokens" not in page, "nothing was added"
    provider.status = 500
    page = acme.post(
        url("models_registry_connection_test", row.pk), {"confirmed": "yes"}, follow=True
    ).content.decode()
    row.refresh_from_db()
    assert row.last_error and row.last_error[:20] in page


def test_a_connection_with_models_stays(acme, alice):
    row = make_estate(alice).connection
    acme.login_as(alice).post(url("models_registry_connection_delete", row.pk), {"post": "yes"})
    assert Connection.objects.filter(pk=row.pk).exists()


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
    assert ("0.0400" in page) == (kind == "image"), "the row above tells the price that holds"


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


@pytest.mark.parametrize("level", ["tenant", "project", "user", "key"])
def test_budgets_are_set_for_each_level(acme, alice, level):
    estate = make_estate(alice)
    Budget.objects.all().delete()
    subjects = {"project": estate.project.pk, "user": estate.user.pk, "key": estate.key.key_id}
    data = {"period": "month", "limit": "250.50", "warn_at_percent": 90, "level": level} | {
        name: subjects[name] for name in subjects if name == level
    }
    assert acme.login_as(alice).post(url("usage_budget_add"), data).status_code == 302
    row = Budget.objects.get()
    assert (row.level, row.limit, row.warn_at_percent, row.currency) == (level, Decimal("250.50"), 90, "EUR")


@pytest.mark.parametrize(
    "form", [{"level": "user"}, {"level": "key", "key": "unknown1"}, {"level": "project"}]
)
def test_a_budget_without_its_subject_is_refused_in_the_form(acme, alice, form):
    response = acme.login_as(alice).post(
        url("usage_budget_add"), {"period": "month", "limit": "1", "warn_at_percent": 80} | form
    )
    assert response.status_code == 400 and not Budget.objects.exists()


def test_a_budget_of_the_plan_is_only_shown(acme):
    people = make_people("acme")
    estate = make_estate(people["user"])
    acme.login_as(people["owner"])
    address = url("usage_budget_change", estate.plan_budget.pk)
    assert acme.get(address).status_code == 200 and acme.post(address, {"limit": "1"}).status_code == 403
    assert acme.post(url("usage_budget_delete", estate.plan_budget.pk), {"post": "yes"}).status_code == 403
    assert Budget.objects.get(pk=estate.plan_budget.pk).limit == 500


def test_usage_events_are_filtered_by_person_key_model_and_status(acme, alice, bob):
    estate = make_estate(bob, "mine")
    acme.login_as(alice)
    address = url("usage_usageevent_changelist")
    there = [
        {"person": "bob"},
        {"key": estate.key.key_id},
        {"model": "mock"},
        {"status__exact": "ok"},
        {"q": str(estate.event.request_id)},
    ]
    elsewhere = [
        {"person": "alice@"},
        {"key": "nothing"},
        {"model": "other"},
        {"status__exact": "error"},
        {"q": "no-uuid"},
    ]
    for query, is_there in [(query, True) for query in there] + [(query, False) for query in elsewhere]:
        found = str(estate.event.pk) in acme.get(address, query).content.decode()
        assert found is is_there, query


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


def test_a_call_is_refunded_in_part_or_in_full(acme, alice, bob):
    part, whole, free = make_event(bob), make_event(bob), make_event(bob, cost=Decimal(0))
    acme.login_as(alice)
    address = url("usage_usageevent_refund", part.pk)
    page = acme.get(address).content.decode()
    assert "Give back what these calls cost?" in page and show_money(part.cost, "EUR") in page
    assert part.cost > 0 and not UsageEvent.objects.filter(kind="refund").exists()
    refused = acme.post(address, {"confirmed": "yes", "amount": "much"})
    assert refused.status_code == 200 and "errorlist" in refused.content.decode()
    too_much = acme.post(address, {"confirmed": "yes", "amount": str(part.cost + 1)})
    assert "at most what the call cost" in too_much.content.decode()
    assert not UsageEvent.objects.filter(kind="refund").exists()
    acme.post(address, {"confirmed": "yes", "amount": str(part.cost / 2)})
    chosen = {
        "action": "refund",
        "_selected_action": [part.pk, whole.pk, free.pk],
        "confirmed": "yes",
        "amount": "",
    }
    page = acme.post(url("usage_usageevent_changelist"), chosen, follow=True).content.decode()
    assert "1 call is refunded." in page and "This call was refunded before." in page
    refunds = UsageEvent.objects.filter(kind="refund").values_list("request_id", "cost")
    assert dict(refunds) == {part.request_id: -part.cost / 2, whole.request_id: -whole.cost}
    for closed in (free, part, UsageEvent.objects.filter(kind="refund").first()):
        assert "Refund" not in acme.get(url("usage_usageevent_change", closed.pk)).content.decode()
    gone = {"action": "refund", "_selected_action": [uuid7()]}
    page = acme.post(url("usage_usageevent_changelist"), gone, follow=True).content.decode()
    assert "what was chosen is gone" in page and "question-rows" not in page
    refund = UsageEvent.objects.get(kind="refund", request_id=whole.request_id)
    page = acme.post(url("usage_usageevent_refund", refund.pk), {"confirmed": "yes"}, follow=True)
    assert "Only a bill can be refunded" in page.content.decode()


def test_the_start_page_shows_what_went_above_a_budget_or_near_it(acme, alice):
    estate = make_estate(alice)
    acme.login_as(alice)
    assert "Which budgets were exceeded?" not in acme.get("/admin/").content.decode()
    Budget.objects.filter(pk=estate.budget.pk).update(spent=Decimal(85), period_start=timezone.now())
    for budget, request, days_ago in (
        (estate.budget.pk, uuid7(), 1),
        (uuid7(), None, 2),
        (estate.budget.pk, uuid7(), 31),
    ):
        BudgetOverrun.objects.create(
            budget_id=budget,
            request_id=request,
            amount=Decimal("1.25") * days_ago,
            created_at=timezone.now() - timedelta(days=days_ago),
        )
    page = acme.get("/admin/").content.decode()
    assert "85 %" in page and "Which budgets were exceeded?" in page
    assert (
        "1.25&nbsp;EUR" in page
        and "a budget that was removed" in page
        and "2.50" in page
        and "38.75" not in page
    )
    acme.login_as(make_people("acme")["ai_developer"])
    assert acme.get("/admin/").status_code == 200


def test_prices_and_sizes_are_told_in_the_readers_notation_with_their_unit(acme, alice):
    estate = make_estate(alice)
    set_model(actor=None, model=estate.model, context_window=1_047_576)
    add_model(actor=None, connection=estate.connection, name="vectors", kind="embedding")
    set_model_price(actor=None, model=Model.objects.get(name="vectors"), input=Decimal("0.02"))
    acme.login_as(alice)
    german = {"accept-language": "de"}
    page = acme.get(url("models_registry_model_change", estate.model.pk), headers=german).content.decode()
    assert page.count("1,00 EUR") >= 2 and "4,00 EUR" in page and ",000000" not in page
    assert "je Million Token" in page
    page = acme.get(url("models_registry_model_changelist"), headers=german).content.decode()
    assert "1.047.576" in page and "1,00 / 4,00 EUR" in page
    assert "0,0200 EUR" in page and "0,0200 / " not in page, "no output to pay for"


def test_timeouts_say_their_defaults(acme, alice):
    acme.login_as(alice)
    page = acme.get(url("models_registry_connection_add")).content.decode()
    assert "Empty: 5 s." in page and "Empty: 120 s, for servers of your own (such as vLLM) 600 s." in page
    for kind, seconds in (("openai", "120"), ("vllm", "600")):
        row = add_connection(
            actor=None, name=kind, kind=kind, base_url="https://model.example.com/v1", idle_timeout_s=7
        )
        page = acme.get(url("models_registry_connection_change", row.pk)).content.decode()
        assert f"Empty: {seconds} s." in page


def test_kinds_and_prices_are_words_not_identifiers(acme, on_platform, alice, olga):
    make_platform_estate(olga)
    snapshot = {"input": "1.5", "cached": "0.15", "output": "6", "reasoning": "6", "currency": "EUR"}
    event = make_event(alice, price_snapshot=snapshot)
    with platform():
        platform_models.Model.objects.update(kind="transcription")
        Process.objects.create(pk=uuid7(), kind="web", host="machine-1")
    models = acme.login_as(alice).get(url("models_registry_model_changelist")).content.decode()
    assert "<td>Transcription</td>" in models and "<td>transcription</td>" not in models
    assert (
        "input 1.50 EUR, cached input 0.1500 EUR, output 6.00 EUR, reasoning 6.00 EUR"
        in acme.get(url("usage_usageevent_change", event.pk)).content.decode()
    )
    start = on_platform.login_as(olga).get("/admin/").content.decode()
    assert "Web server" in start and "machine-1" in start


def test_a_booking_reads_as_people_and_clients_call_things(acme, alice):
    model = make_estate(alice).model
    set_model(actor=None, model=model, label="House model")
    row = make_event(
        alice, model=model.name, source="api", endpoint="chat.completions", estimated=True, over_hold=True
    )
    request = f"req_{row.request_id.hex}"
    acme.login_as(alice)
    page = acme.get(url("usage_usageevent_change", row.pk)).content.decode()
    for text in (f"House model ({model.name})", request, "did not report what was used", "was set aside"):
        assert text in page, text
    assert "chat.completions" not in page and str(row.request_id) not in page
    german = acme.get(
        url("usage_usageevent_change", row.pk), headers={"accept-language": "de"}
    ).content.decode()
    assert "Abrechnung" in german and "settle" not in german
    plain = make_event(alice, model="gone", source="", endpoint="rerank")
    page = acme.get(url("usage_usageevent_change", plain.pk)).content.decode()
    assert "gone" in page and "rerank" in page and "as the provider reported them" in page
    for wanted in (request, str(row.request_id), f" {request} "):
        found = acme.get(url("usage_usageevent_changelist"), {"q": wanted}).context["cl"].result_list
        assert [one.pk for one in found] == [row.pk], wanted
    listed = acme.get(url("usage_usageevent_changelist")).content.decode()
    assert "House model" in listed and model.name in listed


def test_a_budget_is_told_in_the_readers_notation_everywhere(acme, alice, bob):
    """Also by the log, which keeps it in the words of whoever wrote it."""
    budget = set_budget(actor=alice, level="user", subject_id=bob.pk, limit=Decimal("1250.5"))
    for text in ("user: 25 EUR", "Benutzer: 1.500,75 EUR", "something: else"):
        LogEntry.objects.create(
            content_type=ContentType.objects.get_for_model(Budget), object_repr=text, action=0, changes={}
        )
    acme.login_as(alice)
    german = {"accept-language": "de"}
    for page, text in (
        (url("usage_budget_change", budget.pk), "Bob: 1.250,50 EUR"),
        (url("usage_budget_delete", budget.pk), "Bob: 1.250,50 EUR"),
        (url("auditlog_logentry_changelist"), "Benutzer: 25,00 EUR"),
        (url("auditlog_logentry_changelist"), "Benutzer: 1.500,75 EUR"),
        (url("auditlog_logentry_changelist"), "Benutzer: 1.250,50 EUR"),
        (url("auditlog_logentry_changelist"), "something: else"),
    ):
        html = acme.get(page, headers=german).content.decode()
        assert text in html.replace("&nbsp;", " "), page
        assert "1250.5" not in re.sub(r"<input[^>]*>", "", html), page


# -- endpoints -----------------------------------------------------------------------------------------------


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


def test_an_event_shows_what_its_lost_attempts_cost(acme, alice):
    lost = {"upstream_model": "theirs", "error_code": "upstream_timeout", "latency_ms": 120}
    attempts = [{**lost, "cost": "0.25"}, {**lost, "error_code": "upstream_error", "cost": "0"}, lost]
    event = make_event(alice, attempts=attempts)
    acme.login_as(alice)
    page = acme.get(url("usage_usageevent_change", event.pk)).content.decode()
    assert (
        "theirs: upstream_timeout, 120 ms, 0.2500 EUR; theirs: upstream_error, 120 ms; "
        "theirs: upstream_timeout, 120 ms" in page.replace("\xa0", " ")
    )
