"""Which models the chat offers, which one first, and the starters and small print that fit."""

import re
from decimal import Decimal

import pytest
from django.utils import translation

from accounts.objects import MODEL
from accounts.services.grants import grant
from models_registry.embedded import find_runtime, note_preparing, offer_first_models
from models_registry.models import Model as OwnModel
from models_registry.platform.models import Model
from models_registry.seeds import seed_platform
from models_registry.services import add_connection, add_model, set_model, set_model_price
from models_registry.services import test_connection as check_connection
from prompts.models import Part
from prompts.starters import starter_sets
from rag.guide.collection import GUIDE_ID, prepare_guide
from tenants.context import platform
from tests.models_registry.provider import running_provider
from tests.prompts.chats import make_conversation
from tests.prompts.pages import options, url
from tests.rag.works import work_off

pytestmark = pytest.mark.django_db


@pytest.fixture
def embedded_models(db):
    """The embedded runtime's two chat models, priced, none of them the default; who asks finds no other."""
    with platform():
        seed_platform("http://127.0.0.1:4711", "token")
        Model.objects.exclude(name="atrium-tiny").update(is_enabled=False)
        entry = {
            "id": "SmolLM2-135M-Instruct",
            "kind": "chat",
            "display_name": "SmolLM2",
            "context_window": 8192,
        }
        offer_first_models(find_runtime(), [entry])
        Model.objects.update(is_default=False)
    return ["SmolLM2-135M-Instruct", "atrium-tiny"]


def chosen_model(html: str) -> str:
    (option,) = re.findall(r"<option([^>]*\sselected[^>]*)>", html)
    return re.search(r'value="([^"]*)"', option)[1]


@pytest.mark.parametrize(
    ("language", "first"),
    [("en", "SmolLM2-135M-Instruct"), ("de", "atrium-tiny"), ("zh-hans", "atrium-tiny")],
)
def test_the_first_model_speaks_the_readers_language(acme, bob, embedded_models, language, first):
    bob.language = language
    bob.save()
    page = acme.login_as(bob).get(url("chat-home"))
    assert chosen_model(page.content.decode()) == first
    assert {choice.model.name: choice.set for choice in page.context["choices"]} == {
        "SmolLM2-135M-Instruct": "small",
        "atrium-tiny": "demo",
    }


@pytest.mark.parametrize("language", ["en", "de", "zh-hans"])
def test_an_administrators_default_and_a_persons_choice_go_first(acme, bob, embedded_models, language):
    bob.language = language
    bob.save()
    for name in embedded_models:
        with platform():
            set_model(actor=None, model=Model.objects.get(name=name), is_default=True)
        assert chosen_model(acme.login_as(bob).get(url("chat-home")).content.decode()) == name
    client = acme.login_as(bob)
    session = client.session
    session["model_name"] = "SmolLM2-135M-Instruct"
    session.save()
    assert chosen_model(client.get(url("chat-home")).content.decode()) == "SmolLM2-135M-Instruct"


@pytest.mark.parametrize("lacks", ["", "price", "channel", "look", "answer"])
def test_what_is_added_is_nobodys_choice_until_it_has_proven_itself(acme, bob, embedded_models, lacks):
    """Stable, priced, answered: then it goes before those of the house that do not speak the language."""
    bob.language = "de"
    bob.save()
    channel = "experimental" if lacks == "channel" else "stable"
    with running_provider() as provider:
        provider.status = 500 if lacks == "answer" else 200
        connection = add_connection(
            actor=None, name="Own", kind="openai_compatible", base_url=provider.base_url, allow_private=True
        )
        names = {"name": "a-smol", "upstream_name": "SmolLM2-135M-Instruct"}
        model = add_model(actor=None, connection=connection, channel=channel, **names)
        if lacks != "look":
            assert bool(check_connection(actor=None, connection=connection).error) == (lacks == "answer")
    if lacks != "price":
        set_model_price(actor=None, model=model, input=Decimal(1), output=Decimal(1))
    choices = acme.login_as(bob).get(url("chat-home")).context["choices"]
    found = [(choice.model.name, choice.set) for choice in choices]
    small = ("SmolLM2-135M-Instruct", "small")
    added = ("a-smol", "capable")  # whoever else serves that name
    assert found == [("atrium-tiny", "demo"), *([small, added] if lacks else [added, small])]


def test_starters_and_small_print_are_there_for_each_kind_of_model(as_bob, embedded_models):
    html = as_bob.get(url("chat-home")).content.decode()
    for kind, words in {
        "demo": "What can you do?",
        "small": "Explain photosynthesis in two sentences.",
        "capable": "moves our meeting",
    }.items():
        (starters,) = re.findall(rf'<ul class="starters" data-set="{kind}".*?</ul>', html, re.DOTALL)
        assert words in starters and starters.count('class="starter"') == 3
    notes = dict(re.findall(r'(?s)<span class="set-note" data-set="(\w+)">(.*?)</span>', html))
    assert "Only a demo model." in notes["demo"] and "Small model, English only." in notes["small"]
    assert "href" not in "".join(notes.values()), "only who may connect another one is led there"


def test_the_first_starter_asks_the_guide_where_there_is_one(as_bob, embedded_models):
    page = url("chat-home")
    assert "data-collection=" not in as_bob.get(page).content.decode()
    prepare_guide("acme", {})
    assert "data-collection=" not in as_bob.get(page).content.decode(), "there is nothing in it yet"
    work_off()
    html = as_bob.get(page, headers={"accept-language": "de"}).content.decode()
    first = re.findall(r'class="starter"\s+href="([^"]+)"', html)[0]
    assert f"collections={GUIDE_ID}" in first and html.count('class="starter"') == 9
    chosen = as_bob.get(first.replace("&amp;", "&")).content.decode()
    assert re.search(rf'value="{GUIDE_ID}"[^>]* checked', chosen)


def test_people_say_du_to_a_model():
    """As they do to whom they ask; Atrium itself says Sie."""
    with translation.override("de"):
        texts = [starter["text"] for starters in starter_sets().values() for starter in starters]
        assert "Was kannst du?" in texts
        assert [text for text in texts if re.search(r"\b(Sie|Ihnen|Ihre?)\b", text)] == []


def test_an_experimental_model_says_so_also_where_people_begin_with_it(as_bob, offer):
    offer("a-first-one", channel="experimental")
    offer("second", channel="experimental")
    offer("third")
    shown = options(as_bob.get(url("chat-home")).content.decode())
    assert [name for name, text in shown.items() if "Experimental" in text] == ["a-first-one", "second"]


def test_what_is_being_made_ready_is_told_on_the_start_page_alone(as_bob, bob, embedded_models):
    def told(*address) -> bool:
        return "is being made ready" in as_bob.get(url(*address)).content.decode()

    conversation = make_conversation(bob)
    assert not told("chat-home")
    with platform():
        note_preparing(["SmolLM2 135M"])
    assert told("chat-home") and not told("conversation-detail", conversation.pk)
    with platform():
        note_preparing([])
    assert not told("chat-home")


def test_the_model_picker_shows_what_each_model_costs(as_bob, offer):
    offer("cheap", ("0.075", "3"))
    offer("free", ("0", "0"))
    offer("unsaid")
    shown = options(as_bob.get(url("chat-home")).content.decode())
    assert shown["cheap"] == "cheap 7.5 ct in, 3 € out per million tokens"
    assert shown["free"] == "free Free of charge"
    assert shown["unsaid"] == "unsaid No price set"


def test_a_model_that_is_gone_is_named(as_bob, bob):
    conversation = make_conversation(bob, model_name="gone-model")
    assert "gone-model" in as_bob.get(url("conversation-detail", conversation.pk)).content.decode()


def test_a_retired_model_gives_way_to_its_registered_successor(as_bob, bob, offer):
    """The successor's own successor, where that has been retired too."""
    offer("a-first-one")
    offer("new")
    offer("newer", is_enabled=False, successor="new")
    offer("old", is_enabled=False, successor="newer")
    offer("lost", is_enabled=False)
    offer("lost-too", is_enabled=False, successor="lost")
    OwnModel.objects.filter(name="lost").update(successor="lost-too")  # as older data may have it
    response = as_bob.get(url("conversation-detail", make_conversation(bob, model_name="old").pk))
    assert response.context["selected_model"] == "new"
    assert "old is no longer offered. new takes its place." in response.content.decode()
    OwnModel.objects.filter(name="lost").update(label="The Lost One")
    refused = as_bob.post(url("conversation-create"), {"text": "x", "model": "lost"})
    assert "“The Lost One” is not offered to you here." in refused.content.decode()
    OwnModel.objects.filter(name="lost").update(label="")
    for name in ("lost", "never-was"):
        response = as_bob.get(url("conversation-detail", make_conversation(bob, model_name=name).pk))
        assert response.context["selected_model"] == "", "nothing that nobody chose"
        html = response.content.decode()
        assert f"{name} is no longer offered. Choose another model to go on." in html
        assert options(html)[""] == "Choose a model" and re.search(
            r'<select id="composer-model"[^>]* required', html
        )


@pytest.mark.parametrize("wanted", ["closed", "never-was", "a\0b"])
def test_what_was_written_for_one_model_goes_to_no_other(as_bob, bob, offer, alice, wanted):
    """Else a person's text would leave for another provider, at another price, without a word from them."""
    offer("a-first-one")
    grant(actor=None, kind=MODEL, target=offer("closed").pk, user=alice)
    conversation = make_conversation(bob, model_name=wanted.replace("\0", ""))
    for address in (url("conversation-create"), url("message-create", conversation.pk)):
        response = as_bob.post(address, {"text": "private", "model": wanted})
        assert response.status_code == 404 and "is not offered to you here" in response.content.decode()
    response = as_bob.post(url("message-create", conversation.pk), {"text": "private", "model": ""})
    assert response.status_code == 404, "the conversation's own model is meant"
    assert not Part.objects.filter(text="private").exists()
