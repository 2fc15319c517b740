"""Usage events in the administration."""

from decimal import Decimal

import pytest
from django.urls import reverse

from foundation.amounts import show_money
from foundation.ids import uuid7
from models_registry.services import set_model
from tests.admin.model_forms import url
from tests.estate import make_estate, make_event
from tests.routes import TENANT
from usage.models import UsageEvent

pytestmark = pytest.mark.django_db


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


def test_an_event_shows_what_its_lost_attempts_cost(acme, alice):
    lost = {"upstream_model": "theirs", "error_code": "upstream_timeout", "latency_ms": 120}
    attempts = [{**lost, "cost": "0.25"}, {**lost, "error_code": "upstream_error", "cost": "0"}, lost]
    event = make_event(alice, attempts=attempts)
    acme.login_as(alice)
    page = acme.get(url("usage_usageevent_change", event.pk)).content.decode()
    assert (
        "theirs: no answer in time, 120 ms, 25 ct; theirs: error of the model server, 120 ms; "
        "theirs: no answer in time, 120 ms" in page.replace("\xa0", " ")
    )


def test_todays_failures_are_told_in_words_with_their_codes(acme, alice):
    for code in ("upstream_timeout", "a_code_of_tomorrow"):
        make_event(alice, status="error", error_code=code)
    page = acme.login_as(alice).get(reverse("service:index", urlconf=TENANT)).content.decode()
    assert "No answer in time" in page and "upstream_timeout" in page and "A_code_of_tomorrow" in page
