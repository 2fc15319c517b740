"""What “auto” chooses, and what it tells of its choice."""

import time
from dataclasses import replace
from decimal import Decimal
from uuid import uuid4

import httpx
import pytest

from accounts.grants import ObjectGrants
from accounts.services import set_auto_models
from foundation.errors import AtriumError
from gateway.calls import Call, Principal
from gateway.operations import chat_completions, completions, embeddings
from gateway.operations.chat_completions.media import KINDS
from gateway.steps.auto import MOST_MODELS, PARTS, list_models
from gateway.steps.resolve import resolve
from models_registry.routes import Route
from tenants.context import tenant
from tests.gateway.calling import PROJECT, make_endpoint, make_route, snapshot
from tests.gateway.test_routing import endpoint, principal
from usage.models import UsageEvent
from usage.pricing import Price

SEEN = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
HEARD_THERE = {"type": "audio_url", "audio_url": {"url": "https://a.example/b.wav"}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
HEARD = {"type": "input_audio", "input_audio": {"data": "UklGRiQAAABXQVZFZm10IA==", "format": "wav"}}


def model(name: str, cost: int | str | None, *capabilities: str, **fields) -> Route:
    """Its input costs that much, its output twice; None: nobody said."""
    price = Price("EUR") if cost is None else Price("EUR", input=Decimal(cost), output=2 * Decimal(cost))
    fields = {"price": price, "context_window": 32_000, "capabilities": frozenset(capabilities)} | fields
    return make_route(fields.pop("endpoints", None) or [endpoint("eu")], name=name, **fields)


def chosen(known, who: Principal | None = None, size: int = 100, **body) -> list[str]:
    """The models that are tried, in their order; an error's code where there is none."""
    body = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]} | body
    call = Call(who or principal(), body, size, chat_completions.OPERATION)
    chat_completions.OPERATION.check(call)
    try:
        resolve(call, known)
    except AtriumError as exc:
        return [exc.code]
    names = [one.route.name for one in call.candidates]
    assert names == [one.asked_name for one in call.candidates], "the choice is told by its own name"
    return names


SOME = [model("dear", 10, "tools", "vision", "json_schema"), model("cheap", 1), model("middle", 3, "tools")]


# -- by rules ------------------------------------------------------------------------------------------------


def test_the_cheapest_comes_first_and_the_next_ones_stand_in():
    assert chosen(snapshot(*SOME)) == ["cheap", "middle", "dear"]
    many = [model(f"m{number}", number + 1) for number in range(6)]
    assert chosen(snapshot(*many)) == ["m0", "m1", "m2"] and MOST_MODELS == 3


@pytest.mark.parametrize(
    ("body", "first"),
    [
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "middle"),
        ({"messages": [{"role": "user", "content": [SEEN]}]}, "dear"),
        ({"messages": [{"role": "user", "content": [HEARD]}]}, "no_capable_model"),
        ({"modalities": ["text", "audio"], "audio": {"voice": "a"}}, "no_capable_model"),
        ({"messages": [{"role": "user", "content": [HEARD_THERE]}]}, "no_capable_model"),
        ({"response_format": SCHEMA}, "dear"),
        ({"response_format": {"type": "json_object"}}, "cheap"),
        ({"response_format": {"type": "text"}}, "cheap"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]}, "cheap"),
    ],
    ids=[
        *("tools", "an image", "sound", "sound asked for", "sound elsewhere"),
        *("JSON by a schema", "any JSON, which servers of its kind keep", "text", "parts of text"),
    ],
)
def test_a_model_can_do_what_the_call_asks_for(body, first):
    assert chosen(snapshot(*SOME), **body)[0] == first


@pytest.mark.parametrize(
    ("source", "first"),
    [
        ({"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}, "reads"),
        ({"type": "url", "url": "https://a.example/b.pdf"}, "reads"),
        ({"type": "text", "media_type": "text/plain", "data": "x"}, "cheap"),
    ],
)
def test_a_document_of_anthropics_needs_a_model_that_reads_files(source, first):
    seen = [{"role": "user", "content": [{"type": "document", "source": source}]}]
    assert chosen(snapshot(*SOME, model("reads", 4, "files")), messages=seen)[0] == first


def test_a_picture_of_anthropics_needs_a_model_that_sees():
    source = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
    seen = [{"role": "user", "content": [{"type": "image", "source": source}]}]
    assert chosen(snapshot(*SOME), messages=seen)[0] == "dear"


def test_a_provider_that_does_not_do_what_is_asked_is_passed_over():
    """However many such models are cheaper. Where nobody does it the caller is told by what."""
    there = make_endpoint("https://there.example/v1", kind="anthropic", location="us")
    cheap = [model(f"claude{number}", number, endpoints=[there]) for number in range(MOST_MODELS + 1)]
    able = model("able", 9, endpoints=[there, endpoint("eu")])
    for asked in ({"n": 2}, {"logprobs": True}, {"logit_bias": {"1": 2}}):
        assert chosen(snapshot(*cheap, able), **asked) == ["able", "able"]
        assert chosen(snapshot(*cheap), **asked)[0] == "claude0"
    text = Call(principal(), {"model": "auto", "prompt": "x"}, 10, completions.OPERATION)
    resolve(text, snapshot(*cheap, able))
    assert {one.route.name for one in text.candidates} == {"able"}
    far = model("far", 1, endpoints=[endpoint("us")])
    near = model("near", 2, endpoints=[replace(there, location="eu")])
    assert chosen(snapshot(far, near, policy="eu"), n=2) == ["data_policy"]


def test_json_is_helped_along_where_nobody_keeps_to_it():
    assert chosen(snapshot(model("a", 2), model("b", 1)), response_format=SCHEMA)[0] == "b"


@pytest.mark.parametrize(
    ("kind", "wanted", "first"),
    [
        ("openai", "json_schema", "dear"),
        ("anthropic", "json_object", "cheap"),
        ("lmstudio", "json_object", "cheap"),
    ],
)
def test_who_keeps_a_form_is_asked_of_each_endpoint(kind, wanted, first):
    """Not of the model's capabilities alone, and not of one endpoint for all."""
    keeps = make_endpoint("https://there.example/v1", kind=kind, location="eu")
    form = SCHEMA if wanted == "json_schema" else {"type": wanted}
    cheap, dear = model("cheap", 1), model("dear", 2, endpoints=[keeps])
    assert chosen(snapshot(cheap, dear), response_format=form)[0] == first
    mixed = model("dear", 2, endpoints=[keeps, cheap.targets[0].endpoint])
    assert chosen(snapshot(cheap, mixed), response_format=form)[0] == "cheap"


GERMAN, CHINESE = "Was ist der Unterschied zwischen Wetter und Klima?", "天气和气候有什么区别？"


@pytest.mark.parametrize(
    ("texts", "first"),
    [
        (["What is the weather like in spring?"], "english"),
        ([GERMAN], "european"),
        ([CHINESE], "any"),
        (["Привет, как дела?"], "any"),
        ([GERMAN, "?"], "european"),
        ([GERMAN, "And what is it in English?"], "english"),
    ],
    ids=["English", "German", "Chinese", "unknown", "as the last question that tells", "the last one counts"],
)
def test_a_model_is_asked_in_the_languages_it_names(texts, first):
    english = model("english", 1, languages=("en",))
    european = model("european", 2, languages=("en", "de"))
    asked = [{"role": "user", "content": [{"type": "text", "text": text}]} for text in texts]
    found = chosen(snapshot(english, european, model("any", 3)), messages=asked)
    assert found[0] == first and ("english" in found) == (first == "english")
    only = chosen(snapshot(english, european), messages=[{"role": "user", "content": CHINESE}])
    assert only == ["european", "english"], "none names it: who names most"
    listed = replace(snapshot(english, model("any", 3)), auto_models={PROJECT: ("english", "any")})
    assert chosen(listed, messages=[{"role": "user", "content": GERMAN}]) == ["any"]


def test_every_kind_of_media_that_is_read_has_its_capability():
    assert PARTS.keys() >= KINDS.keys()


def test_what_a_call_costs_decides_and_not_one_price():
    reads = model("reads", 1, price=Price("EUR", input=Decimal(1), output=Decimal(40)))
    writes = model("writes", 1, price=Price("EUR", input=Decimal(4), output=Decimal(4)))
    known = snapshot(reads, writes)
    assert chosen(known, size=100_000, max_tokens=10)[0] == "reads"
    assert chosen(known, size=100, max_tokens=10_000)[0] == "writes"


def test_a_model_has_room_for_the_call():
    known = snapshot(model("small", 1, context_window=4_000), model("unknown", 2, context_window=None), *SOME)
    assert chosen(known, size=3_500)[0] == "cheap" and chosen(known, size=3_500)[1] == "small"
    small_first = snapshot(
        model("small", "0.1", context_window=4_000), model("unknown", "0.2", context_window=None), *SOME
    )
    assert chosen(small_first, size=3_500) == ["small", "unknown", "cheap"]
    assert chosen(small_first, size=3_500, max_tokens=3_500)[0] == "unknown"
    assert chosen(small_first, size=35_000)[0] == "cheap", "nobody says what the other one holds"
    assert chosen(small_first, size=350_000) == ["context_length_exceeded"]


def test_at_the_same_price_the_default_is_chosen_then_by_name():
    known = snapshot(model("b", 1), model("a", 1), model("c", 1, is_default=True))
    assert chosen(known) == ["c", "a", "b"]


def test_what_is_free_comes_first_and_what_nobody_priced_last():
    known = snapshot(model("unset", None), model("free", 0), model("dear", 10))
    assert chosen(known) == ["free", "dear", "unset"]


@pytest.mark.parametrize(
    "fields",
    [
        {"channel": "experimental"},
        {"channel": "deprecated"},
        {"is_demo": True},
        {"kind": "embedding"},
        {"price": Price("EUR", audio_ms=Decimal(1))},
    ],
    ids=["experimental", "deprecated", "a demonstration", "vectors", "no price for text"],
)
def test_what_nobody_should_get_unasked_is_not_chosen(fields):
    assert chosen(snapshot(model("cheap", 1, **fields), model("dear", 2))) == ["dear"]
    assert chosen(snapshot(model("cheap", 1, **fields))) == ["model_not_found"]


def test_rights_and_policies_bind_the_choice():
    far = model("far", 1, endpoints=[endpoint("us")])
    near = model("near", 2, endpoints=[endpoint("eu"), endpoint("us")])
    known = snapshot(far, near, policy="eu")
    call = Call(principal(), {"model": "auto", "messages": []}, 10, chat_completions.OPERATION)
    resolve(call, known)
    assert [(one.route.name, one.endpoint.location) for one in call.candidates] == [("near", "eu")]
    assert chosen(snapshot(far, policy="eu")) == ["data_policy"]
    assert chosen(snapshot(far, model("here", 2, "tools", endpoints=[endpoint("local")]), policy="eu")) == [
        "here"
    ]
    assert chosen(snapshot(near, far), principal(model_names=frozenset({"near"}))) == ["near", "near"]
    known = snapshot(far, near)
    known.grants = {far.model_id: ObjectGrants(frozenset({"role:x"}), frozenset())}
    assert chosen(known)[0] == "near"


def test_an_image_where_only_a_forbidden_model_sees_is_refused_for_the_policy():
    known = snapshot(model("near", 1), model("far", 1, "vision", endpoints=[endpoint("us")]), policy="eu")
    assert chosen(known, messages=[{"role": "user", "content": [SEEN]}]) == ["data_policy"]


def test_a_model_that_is_only_chosen_stands_alone():
    """Its own stand-ins are those of who names it."""
    known = snapshot(model("cheap", 1, fallbacks=("dear",)), model("dear", 9, channel="experimental"))
    assert chosen(known) == ["cheap"]


def test_vectors_are_not_chosen():
    call = Call(principal(), {"model": "auto", "input": "x"}, 10, embeddings.OPERATION)
    with pytest.raises(AtriumError) as caught:
        resolve(call, snapshot(*SOME, model("vectors", 1, kind="embedding")))
    assert caught.value.code == "model_not_found"


# -- by a list -----------------------------------------------------------------------------------------------


def test_a_projects_list_is_kept_to_in_its_order():
    known = replace(
        snapshot(*SOME, aliases={"best": "dear"}), auto_models={PROJECT: ("best", "gone", "cheap")}
    )
    assert chosen(known) == ["dear", "cheap"]
    assert chosen(known, tools=[{"type": "function", "function": {"name": "f"}}]) == ["dear"]
    elsewhere = replace(principal(), project_id=uuid4())
    assert chosen(known, elsewhere) == ["dear", "cheap"], "as the default project"
    known.auto_models[elsewhere.project_id] = ("middle",)
    assert chosen(known, elsewhere) == ["middle"]
    assert [route.name for route in list_models(principal(), known)] == ["dear", "cheap"]


def test_a_list_may_name_a_demonstration_but_no_model_that_is_not_the_callers():
    known = replace(snapshot(model("demo", 0, is_demo=True), *SOME), auto_models={PROJECT: ("demo", "dear")})
    assert chosen(known) == ["demo", "dear"]
    assert chosen(known, principal(model_names=frozenset({"dear"}))) == ["dear"]


# -- at /v1 --------------------------------------------------------------------------------------------------


def ask(place, path: str = "chat/completions", **body) -> httpx.Response:
    address, headers = f"{place.house.base_url}/{path}", {"Authorization": f"Bearer {place.text}"}
    if not body:
        return httpx.get(address, headers=headers)
    return httpx.post(address, headers=headers, json=body, timeout=30)


def set_list(place, *names: str) -> None:
    with tenant(place.slug):
        set_auto_models(actor=None, project=place.project, names=list(names))


def test_the_choice_is_shown_billed_listed_and_a_matter_of_the_project(place):
    hello = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}
    for name in ("mock", "mock-echo"):
        set_list(place, name, "mock-tokens-60-50")
        deadline = time.monotonic() + 10
        while "auto" not in (listed := {one["id"]: one for one in ask(place, "models").json()["data"]}):
            assert time.monotonic() < deadline
        while listed["auto"]["chooses_among"] != [name, "mock-tokens-60-50"]:
            assert time.monotonic() < deadline
            listed["auto"] = ask(place, "models/auto").json()
        answer = ask(place, **hello)
        assert answer.status_code == 200, answer.text
        assert (answer.json()["model"], answer.headers["x-atrium-model"]) == (name, name)
        streamed = ask(place, **hello, stream=True)
        assert f'"model":"{name}"' in streamed.text and '"auto"' not in streamed.text
        with tenant(place.slug):
            assert set(UsageEvent.objects.order_by("-pk")[:2].values_list("model", flat=True)) == {name}
    set_list(place, "mock")
    deadline = time.monotonic() + 10
    while "auto" in {one["id"] for one in ask(place, "models").json()["data"]}:
        assert time.monotonic() < deadline
    assert ask(place, "models/auto").status_code == 404, (
        "where there is no choice it is shown as it is listed"
    )
    assert ask(place, **hello).json()["model"] == "mock"
