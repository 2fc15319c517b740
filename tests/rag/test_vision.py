"""Scanned pages that a vision model reads: drawn, sent to a real server, kept, found and cited; and what is
said where it does not come to that. In a tenant of its own, with the mock as its model server.
"""

import asyncio
from decimal import Decimal
from types import SimpleNamespace
from uuid import uuid4

import pytest

from accounts.services import create_user
from gateway import loop
from rag.engines import Question
from rag.engines.table import engine_of
from rag.intake import add_file
from rag.models import Collection, Document, PageReading
from rag.services import create_collection, delete_collection
from rag.sources import Span, find_page, list_boxes
from rag.work_names import TRANSCRIBE
from tenants.context import platform, tenant
from tenants.provisioning.services import create_tenant
from tests.rag import papers
from tests.rag.works import bring, newest, work_off
from usage.models import UsageEvent

pytestmark = pytest.mark.scope(None)
MODEL = "mock-vision"
State = Document.State


@pytest.fixture(scope="module")
def office(house, django_db_blocker):
    from models_registry.platform.models import Connection, Model
    from models_registry.services import add_model, set_model_price

    slug = f"vision-{uuid4().hex[:6]}"
    with django_db_blocker.unblock():
        with platform():
            connection = Connection.objects.get(name="mock")
            model = Model.objects.filter(name=MODEL).first() or add_model(
                actor=None, connection=connection, name=MODEL, capabilities=["vision"], context_window=32_000
            )
            if not model.prices.exists():
                set_model_price(actor=None, model=model, input=Decimal(1), output=Decimal(1))
        create_tenant(slug=slug, name=slug, host=f"{slug}.localhost", plan="unlimited")
        with tenant(slug):
            erin, finn = (
                create_user(actor=None, email=f"{name}@{slug}.example", name=name, roles=[role])
                for name, role in (("Erin", "owner"), ("Finn", "ai_developer"))
            )
    yield SimpleNamespace(slug=slug, erin=erin, finn=finn, mock=house.mock)
    with django_db_blocker.unblock():
        asyncio.run_coroutine_threadsafe(loop.stop_loop(), loop._running_loop()).result(15)


@pytest.fixture
def collection(office, unblocked):
    with tenant(office.slug):
        made = create_collection(
            actor=office.erin,
            name="Harbour",
            languages=["en"],
            vision_model=MODEL,
            page_reader=Collection.PageReader.MODEL,
        )
        office.mock.reset()
        yield made
        delete_collection(actor=None, collection=Collection.objects.get(pk=made.pk))
        assert not PageReading.objects.exists()


def sheet(bands: int) -> papers.Picture:
    """A scanned page with so many dark bands."""
    light, dark = b"\xff" * 60, b"\x10" * 60
    rows = [dark if row % 8 in (3, 4) and row // 8 < bands else light for row in range(84)]
    return papers.Picture(b"".join(rows), 60, 84)


def add_pdf(collection, person, *bands: int, name: str = "scan.pdf") -> Document:
    file = bring(papers.make_pdf(*map(sheet, bands)), name, owner=person)
    document, _is_new = add_file(actor=person, collection=collection, file=file)
    return document


def asked(office) -> int:
    return len(office.mock.ledger())


def search(collection, words: str):
    return engine_of(collection).search(Question(words, Collection.objects.filter(pk=collection.pk)))


def test_scanned_pages_are_read_found_and_cited_at_their_page(office, collection):
    document = add_pdf(collection, office.finn, 2, 0, 3)
    work_off()
    document.refresh_from_db()
    assert (document.state, document.why, document.read_by) == (State.READY, "", MODEL)
    assert (document.page_count, document.scanned_page_count) == (3, 0)
    hit = search(collection, "lighthouse pier 3")[0]
    assert (hit.page_from, hit.headings[0]) == (3, "Sheet 3")
    span = Span(hit.char_from, hit.char_to)
    assert find_page(document, span) == 3, "the panel opens that page"
    assert {(box["page"], box["box"]) for box in list_boxes(document, span)} == {(3, None)}
    table = document.blocks.get(kind="table", page=3)
    assert table.text == "Pier | Boats\n3 | 300"
    bodies = [entry["body"] for entry in office.mock.ledger()]
    assert len(bodies) == 3 and all("never said to you" in body["messages"][0]["content"] for body in bodies)
    bills = UsageEvent.objects.filter(source="knowledge", user_id=office.finn.pk)
    assert bills.count() == 3 and newest(TRANSCRIBE).cost > 0
