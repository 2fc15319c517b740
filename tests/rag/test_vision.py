"""Scanned pages that a vision model reads: drawn, sent to a real server, kept, found and cited; and what is
said where it does not come to that. In a tenant of its own, with the mock as its model server.
"""

import io
from decimal import Decimal
from types import SimpleNamespace
from uuid import uuid4

import pytest
from PIL import Image

from accounts.services import create_api_key, create_user
from foundation import endings
from foundation.errors import Unavailable
from foundation.jail.inside import Refused
from rag.booking import booked_on
from rag.engines import Question
from rag.engines.table import engine_of
from rag.intake import add_file, cancel_document, retry_document
from rag.models import Collection, Document, PageReading
from rag.parsing.inside import pictures
from rag.progress import describe_document
from rag.services import create_collection, delete_collection
from rag.sources import Span, find_page, list_boxes
from rag.work import slices, transcribing
from rag.work_names import TRANSCRIBE
from tenants.context import platform, tenant
from tenants.local.models import Work
from tenants.provisioning.services import create_tenant
from tests.rag import papers
from tests.rag.works import bring, newest, work_off
from usage.models import UsageEvent
from usage.services import change_budget, set_budget

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
        endings.end()


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


def told_of(document: Document) -> tuple[str, int, str]:
    document.refresh_from_db()
    return document.state, document.scanned_page_count, document.why


def change(collection, **columns) -> None:
    Collection.objects.filter(pk=collection.pk).update(**columns)


def set_price_of_pages(office, person, limit: str):
    return set_budget(actor=None, level="user", subject_id=person.pk, limit=Decimal(limit))


def test_what_was_paid_for_is_not_asked_for_again(office, collection, monkeypatch):
    """A worker that dies after one of three answers; then the same pages in another version of the file."""
    monkeypatch.setattr(slices, "AT_ONCE", 1)
    keep, kept = transcribing._keep, []

    def die_after_one(*arguments) -> None:
        keep(*arguments)
        kept.append(arguments)
        if len(kept) == 1:
            raise RuntimeError("killed")

    monkeypatch.setattr(transcribing, "_keep", die_after_one)
    document = add_pdf(collection, office.finn, 1, 2, 3)
    work_off()
    row = newest(TRANSCRIBE)
    assert (asked(office), row.state) == (1, Work.State.QUEUED)
    document.refresh_from_db()
    assert document.state == State.READING and not document.blocks.exists(), "the old state"
    stage = describe_document(document).stages[0]
    assert (stage.name, stage.done, stage.total) == ("pages", 0, 3)
    Work.objects.filter(pk=row.pk).update(due_at=row.created_at)
    work_off()
    assert told_of(document) == (State.READY, 0, "") and asked(office) == 3
    retry_document(actor=office.finn, document=document)
    work_off()
    assert told_of(document) == (State.READY, 0, "") and asked(office) == 3
    newer = add_pdf(collection, office.finn, 1, 4, 3)
    work_off()
    assert told_of(newer) == (State.READY, 0, "") and asked(office) == 4, "one page is another"
    assert list(collection.documents.all()) == [newer] and PageReading.objects.count() == 3


def test_it_gives_its_place_up_and_goes_on(office, collection, monkeypatch):
    monkeypatch.setattr(slices, "AT_ONCE", 1)
    monkeypatch.setattr(slices, "SLICE_S", 0.0)
    document = add_pdf(collection, office.finn, 1, 2, 7)
    assert work_off() == 5, "read, three pages, read"
    assert told_of(document)[:2] == (State.READY, 1) and asked(office) == 3


def test_what_came_to_nothing_is_said_and_asked_for_again_when_somebody_wants(
    office, collection, monkeypatch
):
    monkeypatch.setattr(transcribing, "MOST_TOKENS", 4)
    document = add_pdf(collection, office.finn, 1, 7, 8)
    work_off()
    state, unread, why = told_of(document)
    assert (state, unread) == (State.READY, 1)
    assert "answered nothing for 1 scanned page" in why and "its end is missing" in why
    retry_document(actor=office.finn, document=document)
    work_off()
    assert asked(office) == 4, "the empty one alone"
    for bands, said in ((7, "answered nothing"), (0, "found no text")):
        nothing = add_pdf(collection, office.finn, bands, name=f"{bands}.pdf")
        work_off()
        assert told_of(nothing)[0] == State.FAILED and said in nothing.why
    assert asked(office) == 6, "nobody takes nothing over from another document"


def test_who_has_pages_read_again_pays_for_them(office, collection):
    document = add_pdf(collection, office.finn, 1)
    work_off()
    PageReading.objects.all().delete()  # as another model does that reads them
    key, _secret = create_api_key(actor=None, user=office.erin, name="again", scopes=["manage"])
    with booked_on(key_id=key.pk, project_id=key.project_id):
        retry_document(actor=office.erin, document=document)
    work_off()
    bills = UsageEvent.objects.filter(source="knowledge").order_by("-pk")[:2]
    assert [(bill.user_id, bill.key_id) for bill in bills] == [
        (office.erin.pk, key.pk),
        (office.finn.pk, None),
    ]


def test_a_policy_that_is_set_while_pages_are_read_binds_at_the_next_page(office, collection, monkeypatch):
    monkeypatch.setattr(slices, "AT_ONCE", 1)
    keep = transcribing._keep

    def keep_and_close(*arguments) -> None:
        keep(*arguments)
        change(collection, data_policy="+unstored")

    monkeypatch.setattr(transcribing, "_keep", keep_and_close)
    document = add_pdf(collection, office.finn, 1, 2, 3)
    work_off()
    assert told_of(document)[:2] == (State.READY, 2) and "data policy" in document.why
    assert asked(office) == 1, "no further page has left"


def test_no_more_pages_than_the_collection_allows(office, collection):
    change(collection, vision_pages=2)
    document = add_pdf(collection, office.finn, 1, 2, 3)
    work_off()
    state, unread, why = told_of(document)
    assert (state, unread, asked(office)) == (State.READY, 1, 2)
    assert "1 scanned page was not read" in why and "at most 2" in why


def test_who_brought_it_needs_the_money_and_the_policies_allow_the_model(office, collection):
    budget = set_price_of_pages(office, office.finn, "0.000001")
    document = add_pdf(collection, office.finn, 1)
    by_erin = add_pdf(collection, office.erin, 2, name="hers.pdf")
    work_off()
    state, _unread, why = told_of(document)
    assert state == State.FAILED and "budget" in why.lower() and not document.blocks.exists()
    assert told_of(by_erin) == (State.READY, 0, "")
    change_budget(actor=None, budget=budget, limit=Decimal(100))
    change(collection, data_policy="+unstored")
    retry_document(actor=office.finn, document=document)
    work_off()
    assert told_of(document)[0] == State.FAILED and "data policy of these documents" in document.why
    assert asked(office) == 1, "nothing has left"
    retry_document(actor=office.erin, document=by_erin)
    work_off()
    assert told_of(by_erin)[:2] == (State.READY, 0), "what was read stays"
    change(collection, data_policy="")
    retry_document(actor=office.finn, document=document)
    work_off()
    assert told_of(document) == (State.READY, 0, "") and asked(office) == 2


def test_a_model_that_is_away_is_asked_again_and_then_it_is_said(office, collection, monkeypatch):
    mixed = papers.make_pdf(sheet(2), [(60, 780, 10, "This page has a text layer of its own.")])
    file = bring(mixed, "older.pdf", owner=office.finn)
    older, _is_new = add_file(actor=office.finn, collection=collection, file=file)
    work_off()
    change(collection, vision_model="no-such-model")
    retry_document(actor=office.finn, document=older)
    document = add_pdf(collection, office.finn, 1)
    work_off()
    assert told_of(older)[:2] == (State.READY, 0) and "no-such-model" in older.why
    assert older.blocks.filter(text="Sheet 2").exists(), "what was read before is kept"
    assert told_of(document)[0] == State.FAILED and "no-such-model" in document.why

    def be_away(*_arguments, **_options):
        raise Unavailable("The lamp is out.")

    change(collection, vision_model=MODEL)
    monkeypatch.setattr(transcribing, "ask", be_away)
    retry_document(actor=office.finn, document=document)
    for _attempt in range(5):
        work_off()
        Work.objects.filter(kind=TRANSCRIBE).update(due_at=document.created_at)
    work_off()
    assert told_of(document)[0] == State.FAILED and "The lamp is out." in document.why


def test_it_is_cancelled_between_two_pages(office, collection, monkeypatch):
    document = add_pdf(collection, office.finn, 1, 2, 3)
    begin = transcribing._begin

    def cancel_first(run, *arguments):
        if not run.held.rows().filter(cancel_wanted_at=None).exists():
            return begin(run, *arguments)
        cancel_document(actor=office.finn, document=document)
        return begin(run, *arguments)

    monkeypatch.setattr(transcribing, "_begin", cancel_first)
    work_off()
    assert told_of(document) == (State.STOPPED, 0, "") and asked(office) == 0
    monkeypatch.undo()
    retry_document(actor=office.finn, document=document)
    work_off()
    assert told_of(document) == (State.READY, 0, "")


def test_each_page_of_a_picture_is_measured_before_it_is_opened(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "_MOST_PIXELS_OF_A_FILE", 100)
    path = tmp_path / "bomb.tiff"
    Image.new("1", (8, 8)).save(path, save_all=True, append_images=[Image.new("1", (80, 80))])
    assert pictures.draw({"document": path}, 1, is_picture=True)
    with pytest.raises(Refused, match=pictures.TOO_LARGE):
        pictures.draw({"document": path}, 2, is_picture=True)


def test_pictures_are_read_too(office, collection, monkeypatch):
    """A TIFF of two pages; a transparent PNG larger than is sent; one that is none behind its first bytes."""
    pages = [picture_of(bands) for bands in (5, 6)]
    tiff, png, webp = io.BytesIO(), io.BytesIO(), io.BytesIO()
    pages[0].save(tiff, "TIFF", save_all=True, append_images=pages[1:])
    clear = pages[0].resize((3_000, 4_200)).convert("RGBA")
    clear.putalpha(clear.convert("L").point(lambda grey: 0 if grey > 128 else 255))
    clear.save(png, "PNG")
    pages[1].save(webp, "WEBP")
    for name, content in (("a.tiff", tiff), ("b.png", png), ("c.webp", webp)):
        add_file(actor=office.finn, collection=collection, file=bring(content.getvalue(), name))
    broken = add_file(
        actor=office.finn, collection=collection, file=bring(b"\x89PNG\r\n\x1a\n" + b"\7" * 90, "d.png")
    )[0]
    work_off()
    assert told_of(broken)[0] == State.FAILED and "damaged" in broken.why
    read = {
        (document.title, block.page, block.text)
        for document in collection.documents.filter(state=State.READY)
        for block in document.blocks.filter(kind="heading")
    }
    assert read == {
        ("a.tiff", 1, "Sheet 5"),
        ("a.tiff", 2, "Sheet 6"),
        ("b.png", 1, "Sheet 5"),
        ("c.webp", 1, "Sheet 6"),
    }


def picture_of(bands: int) -> Image.Image:
    page = sheet(bands)
    return Image.frombytes("L", (page.width, page.height), page.content).resize((300, 420))
