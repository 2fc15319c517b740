"""What a provider counted, by class; and models whose prices do not cover what is asked of them."""

import asyncio
import base64
import time
from decimal import Decimal

import openai
import pytest

from foundation.errors import InvalidInput
from gateway.answers.billed import billed_usage
from gateway.answers.usage import usage_frame
from gateway.steps.reserve import reserve
from gateway.steps.settle import settle
from models_registry.providers.openai_compatible.usage import read_report
from tests.gateway.calling import OpenBooks, call_of, make_call, make_endpoint, make_route
from tests.live import TENANTS
from usage.pricing import Price, Usage

ONLY_IMAGES = Price("EUR", images=Decimal("0.04"))


def report(prompt: dict, completion: dict, read: int = 100, written: int = 50) -> dict:
    return {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
        "prompt_tokens_details": prompt,
        "completion_tokens_details": completion,
    }


@pytest.mark.parametrize(
    ("prompt", "completion", "expected"),
    [
        ({"audio_tokens": 30}, {"audio_tokens": 20}, Usage(70, 0, 30, 0, input_audio=30, output_audio=20)),
        ({"cached_tokens": 10, "audio_tokens": 0}, {"audio_tokens": None}, Usage(90, 10, 50, 0)),
        ({"cache_write_tokens": 60, "cached_tokens": 5}, {}, Usage(35, 5, 50, 0, cache_write=60)),
        ({"cache_creation_tokens": 60}, {}, Usage(40, 0, 50, 0, cache_write=60)),
        ({"cache_creation_input_tokens": 60}, {"reasoning_tokens": 7}, Usage(40, 0, 43, 7, cache_write=60)),
        # details that overlap or cannot be: never more than there was, and the rest of the report counts
        ({"cached_tokens": 90, "audio_tokens": 30}, {}, Usage(0, 90, 50, 0, input_audio=10)),
        (
            {"cache_write_tokens": 80, "audio_tokens": 30},
            {"reasoning_tokens": 45, "audio_tokens": 30},
            Usage(0, 0, 0, 45, cache_write=80, input_audio=20, output_audio=5),
        ),
        ({"audio_tokens": -3}, {"audio_tokens": "some"}, Usage(100, 0, 50, 0)),
        ({"audio_tokens": True, "cache_write_tokens": 1.5}, {"audio_tokens": [1]}, Usage(100, 0, 50, 0)),
        ([], "no object", Usage(100, 0, 50, 0)),
    ],
)
def test_classes_that_a_provider_names_are_told_apart(prompt, completion, expected):
    usage = read_report(report(prompt, completion))
    assert usage == expected and (usage.total_input, usage.total_output) == (100, 50)


def test_the_client_is_told_all_tokens_of_each_side():
    call = make_call("http://nowhere/v1", "any")
    frame = usage_frame(call, Usage(10, 4, 3, 2, cache_write=5, input_audio=1, output_audio=6))
    assert b'"prompt_tokens":20,"completion_tokens":11,"total_tokens":31' in frame


def test_an_input_that_was_only_sound_is_no_missing_count():
    call = make_call("http://nowhere/v1", "any")
    call.was_dispatched = True
    call.note_usage(Usage(output_tokens=5, input_audio=90))
    assert billed_usage(call) == (Usage(output_tokens=5, input_audio=90), False)


def test_what_was_seen_is_added_to_what_was_counted_of_every_class():
    call = make_call("http://nowhere/v1", "any")
    call.was_dispatched = True
    call.note_usage(Usage(10, 0, 3, 2, output_audio=4))
    call.note_piece(20)
    assert billed_usage(call) == (Usage(10, 0, 3 + 20 - 9, 2, output_audio=4), True)


PICTURE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
SOUND = {"data": base64.b64encode(b"RIFF" + bytes(4) + b"WAVEfmt ").decode(), "format": "wav"}
PDF = f"data:application/pdf;base64,{base64.b64encode(b'%PDF-1.7').decode()}"


def sent(*parts) -> dict:
    return {"messages": [{"role": "user", "content": list(parts)}]}


def priced(price: Price, **body):
    return call_of(make_route([make_endpoint("http://nowhere/v1")], price=price), **body)


@pytest.mark.parametrize(
    ("changes", "has_sound"),
    [
        ({"user": "x"}, False),
        ({"modalities": ["text"]}, False),
        ({"modalities": ["text", "audio"]}, True),
        ({"modalities": [5]}, True),
        ({"audio": {"voice": "alloy"}}, True),
        ({"messages": [{"role": "assistant", "audio": {"id": "audio_1"}}]}, True),
        (sent(PICTURE, {"type": "text", "text": "x"}), False),
        (sent({"type": "file", "file": {"file_data": PDF}}), False),
        (sent({"type": "document", "source": {"type": "text", "data": "x"}}), False),
        (sent({"type": "file", "file": {"file_data": "data:audio/mpeg;base64,AAAA"}}), True),
        (sent({"type": "file", "file": {"file_id": "file-1"}}), True),
        (sent(PICTURE, {"type": "input_audio", "input_audio": SOUND}), True),
        (sent({"type": "text", "text": "x", "input_audio": SOUND}), True),
        (sent({**PICTURE, "uuid": "u", "audio_url": {"url": "https://example.com/a.wav"}}), True),
        (sent({"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}}), True),
        (sent({"type": "of_another_kind"}), True),
    ],
)
def test_sound_is_held_for_where_it_is_heard_or_asked_for(changes, has_sound):
    price = Price("EUR", Decimal(0), Decimal(0), Decimal(1), output_audio=Decimal(9))
    books, call = OpenBooks(), priced(price, **changes)
    call.operation.check(call)
    asyncio.run(reserve(call, books))
    assert books.holds[0].amount == call.max_output_tokens * Decimal("0.000001") * (9 if has_sound else 1)


def test_without_a_price_for_what_it_will_use_no_call_is_sent():
    books, call = OpenBooks(), priced(ONLY_IMAGES)
    with pytest.raises(InvalidInput, match="input") as refused:
        asyncio.run(reserve(call, books))
    assert (refused.value.code, refused.value.param, books.holds) == ("model_not_priced", "model", [])


def test_a_class_that_nobody_expected_costs_what_was_held_and_never_nothing():
    books, call = OpenBooks(), priced(Price("EUR", input=Decimal(1)))
    call.held, call.was_dispatched = Decimal("0.5"), True
    call.note_usage(Usage(10, 0, 5, 0))
    asyncio.run(settle(call, books))
    assert [(bill.cost, bill.usage) for bill in books.bills] == [(Decimal("0.5"), Usage(10, 0, 5, 0))]


@pytest.mark.scope(None)
def test_a_model_that_lacks_a_price_answers_with_a_refusal_at_v1(house):
    """One that was priced as another kind. In OpenAI's shape, and nothing is booked."""
    from models_registry.platform.models import Model
    from models_registry.services import add_model, set_model, set_model_price
    from tenants.context import platform, tenant
    from usage.models import Hold, UsageEvent

    with platform():
        connection = Model.objects.get(name="mock").connection
        painter = add_model(
            actor=None, connection=connection, name="painter", upstream_name="mock", kind="image"
        )
        set_model_price(actor=None, model=painter, amounts={"images": Decimal("0.04")})
        set_model(actor=None, model=painter, kind="chat")
    try:
        while "painter" not in {model.id for model in house.client().models.list()}:
            time.sleep(0.05)  # the gateway hears of it
        with pytest.raises(openai.BadRequestError, match="“input”") as refused:
            house.client().chat.completions.create(
                model="painter", messages=[{"role": "user", "content": "hi"}]
            )
        assert (refused.value.code, refused.value.param) == ("model_not_priced", "model")
        with tenant(TENANTS[0]):
            assert not Hold.objects.filter(model="painter").exists()
            assert not UsageEvent.objects.filter(model="painter").exists()
    finally:
        with platform():
            painter.delete()
