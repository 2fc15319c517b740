"""Where a collection's vision model is chosen, and who may choose which."""

import json
import re
from decimal import Decimal

import pytest
from django.core.management import CommandError
from django.urls import reverse

from accounts.models import Project
from models_registry.services import add_connection, add_model, set_model_price
from rag import vision
from rag.models import Collection, Document
from rag.services import note_reason
from tests.conftest import manage
from tests.rag.test_api import Program

pytestmark = pytest.mark.django_db
CHOICE = {"vision_model": "seer", "page_reader": "model", "vision_pages": 7}


def text_of(response) -> str:
    return response.content.decode()


@pytest.fixture
def models(alice):
    """One that sees, one that does not, one that sees and is elsewhere."""
    for place, names in (("eu", ("seer", "blind")), ("us", ("far-seer",))):
        link = add_connection(actor=None, name=f"Models {place}", kind="openai", location=place)
        for name in names:
            model = add_model(
                actor=None, connection=link, name=name, capabilities=[] if name == "blind" else ["vision"]
            )
            set_model_price(actor=None, model=model, input=Decimal(1), output=Decimal(1))
    Project.objects.update(data_policy="eu")


def test_programs_choose_a_model_that_they_may_use(acme, alice, models):
    program = Program(acme, alice)
    for name in ("blind", "far-seer", "nobody"):
        refused = program.ask("POST", "", {"name": "Scans", "vision_model": name})
        assert refused.status_code == 400 and refused.json()["param"] == "vision_model", name
    bound = program.ask("POST", "", {"name": "Scans", "vision_model": "seer", "data_policy": "local"})
    assert bound.status_code == 400 and "data policy" in text_of(bound), "the collection's own, too"
    refused = program.ask("POST", "", {"name": "Scans", "page_reader": "model"})
    assert refused.status_code == 400 and "Choose the vision model" in text_of(refused)
    assert program.ask("POST", "", {"name": "Scans", "vision_pages": 0}).status_code == 400
    made = program.ask("POST", "", {"name": "Scans"} | CHOICE)
    assert made.status_code == 201 and CHOICE.items() <= made.json().items()
    place = f"{made.json()['id']}/"
    changed = program.ask("PATCH", place, {"page_reader": "automatic", "vision_model": ""}).json()
    assert (changed["vision_model"], changed["page_reader"], changed["vision_pages"]) == ("", "automatic", 7)
    bound = Program(acme, alice, model_names=["blind"])
    assert "may not use that model" in text_of(bound.ask("PATCH", place, {"vision_model": "seer"}))


def test_the_settings_offer_it_and_whoever_brings_a_document_knows(
    acme, alice, models, make_collection, monkeypatch
):
    row = make_collection("Scans", owner_id=alice.pk)
    client = acme.login_as(alice)
    settings = reverse("rag:collection-settings", urlconf="config.urls_tenant", args=[row.pk])
    listed = reverse("rag:collection-detail", urlconf="config.urls_tenant", args=[row.pk])
    offered = text_of(client.get(settings)).split('name="vision_model"')[1].split("</select>")[0]
    assert re.findall(r'value="([\w-]+)"', offered) == ["seer"]
    given = {"name": "Scans", "languages": ["en"], "embedding_model": "", "chunk_characters": 900}
    for wrong in ({"vision_model": "blind"}, {"vision_model": ""}, {"vision_pages": 301}):
        assert client.post(settings, given | CHOICE | wrong).status_code == 400, wrong
    monkeypatch.setattr(vision, "find_recogniser", lambda: None)
    assert "no vision model is chosen" in text_of(client.get(listed))
    assert client.post(settings, given | CHOICE).status_code == 302
    assert "read by the model “seer”, at most 7 pages" in text_of(client.get(listed))
    document = Document.objects.create(
        collection=row, title="Scan", content_hash="a", state="ready", read_by="seer", scanned_page_count=2
    )
    note_reason(document.pk, "2 pages are missing.")
    assert f'value="retry:{document.pk}"' in text_of(client.get(listed)), "it may be read again"
    shown = reverse("rag:document-detail", urlconf="config.urls_tenant", args=[document.pk])
    assert "read by seer" in text_of(client.get(shown))


@pytest.mark.scope(None)
def test_the_command_line_chooses_it(cast):
    here = ("--tenant", "acme", "Scans")
    manage("collection", "create", *here, "--vision-model", "seer")
    with pytest.raises(CommandError):
        manage("collection", "change", *here, "--vision-model", "", "--page-reader", "model")
    told = json.loads(
        manage("collection", "change", *here, "--page-reader", "model", "--vision-pages", "7", "--json")
    )
    assert CHOICE.items() <= told.items()
    assert Collection._meta.get_field("vision_pages").default == 50
