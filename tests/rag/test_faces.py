"""The pages of knowledge: who gets which, what they say of documents, and what comes of a form."""

import re

import pytest
from asgiref.sync import async_to_sync
from auditlog.models import LogEntry
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from accounts.services import grant
from rag.changes import save_question
from rag.intake import add_text
from rag.models import Collection, Document, Generation, SavedQuestion
from rag.services import fail_document
from rag.work_names import EMBED, GUIDE, READ
from tenants.files.models import File
from tenants.local.models import Work
from tenants.work.services import order
from tests.estate import make_people
from tests.rag.conftest import paragraph
from tests.rag.works import work_off

pytestmark = pytest.mark.django_db
TEXT = "Thirty days of holiday a year.\n\nThe captain salutes at noon.\n\nNobody sails on Mondays."


def at(name: str, pk) -> str:
    return reverse(name, urlconf="config.urls_tenant", args=[pk])


async def _gather(pieces) -> bytes:
    return b"".join([piece async for piece in pieces])


def text_of(response) -> str:
    return response.content.decode()


@pytest.fixture
def people(db):
    return make_people("acme")


@pytest.fixture
def mine(people, make_collection) -> Collection:
    return make_collection("Mine alone", owner_id=people["user"].pk)


@pytest.fixture
def send(acme):
    """send(collection, name, content): the answer to a file that the page's module sends."""

    def send_one(collection: Collection, name: str, content: bytes, **more):
        file = SimpleUploadedFile(name, content, content_type="text/html")
        address = at("rag:document-upload", collection.pk)
        return acme.post(address, {"file": file} | more, headers={"Accept": "application/json"})

    return send_one


def test_the_list_shows_own_and_shared_and_nobody_elses(acme, people, mine, make_collection):
    make_collection("Shared handbook")
    make_collection("Somebody's diary", owner_id=people["owner"].pk)
    make_collection("Files of a chat", conversation_id=mine.pk)
    client = acme.login_as(people["user"])
    own, shared = (text_of(client.get(f"/knowledge/?list={name}")) for name in ("own", "shared"))
    assert "Mine alone" in own and "Shared handbook" in shared
    for page in (own, shared):
        assert "diary" not in page and "Files of a chat" not in page
    assert "No collection is called that" in text_of(client.get("/knowledge/?list=shared&q=nothing"))


def test_a_collection_changes_hands_and_stays_in_sight(acme, people, mine):
    """To everybody by whoever may share: it stands among the giver's; to a person, who has it alone."""
    giver, maker = people["user"], people["owner"]
    place = at("rag:collection-hand-over", mine.pk)
    client = acme.login_as(giver)
    assert 'name="to"' not in text_of(client.get(at("rag:collection-settings", mine.pk)))
    for data, why in (
        ({"person": "nobody@acme.example"}, "nobody@acme.example"),
        ({"person": giver.email}, "Name another person"),
        ({"person": maker.email, "to": "everybody"}, ""),  # no choice of whoever may not share
    ):
        response = client.post(place, data)
        assert why in text_of(response) and response.status_code == (400 if why else 302)
    mine.refresh_from_db()
    assert mine.owner_id == maker.pk and client.get(at("rag:collection-detail", mine.pk)).status_code == 404
    assert client.post(place, {"person": giver.email}).status_code == 404, "it is the giver's no more"
    client = acme.login_as(maker)
    assert client.post(place, {"to": "everybody"}).status_code == 302
    mine.refresh_from_db()
    own = text_of(client.get("/knowledge/?list=own"))
    assert mine.owner_id is None and "Mine alone" in own and "shared" in own
    assert "Mine alone" not in text_of(client.get("/knowledge/?list=shared"))
    assert client.post(place, {"person": giver.email}).status_code == 400, "what is shared is nobody's own"
    client = acme.login_as(giver)
    assert "Mine alone" in text_of(client.get("/knowledge/?list=shared"))
    log = LogEntry.objects.get_for_object(mine).filter(changes__has_key="owner_id").order_by("pk")
    assert [entry.changes["owner_id"] for entry in log][-2:] == [
        [str(giver.pk), str(maker.pk)],
        [str(maker.pk), "None"],
    ]


def test_a_background_task_names_its_document_to_those_who_may_read_it(acme, people, make_collection):
    owner = people["owner"]
    for name, owned in (("Shared handbook", None), ("Somebody's diary", people["user"].pk)):
        collection = make_collection(name, owner_id=owned)
        document, _is_new = add_text(actor=None, collection=collection, title=f"Plan of {name}", text=TEXT)
        order(EMBED, Generation.objects.get(collection=collection).pk)
        order(GUIDE, f"{collection.pk} 5")  # what it is done to, and with what
    client = acme.login_as(owner)
    page = text_of(client.get("/admin/local/work/"))
    assert "“Plan of Shared handbook” in “Shared handbook”" in page and "collection “Shared handbook”" in page
    assert "diary" not in page, "what is somebody's own is nobody else's to know"
    row = Work.objects.get(kind=READ, object_id=str(document.pk))
    assert "diary" not in text_of(client.get(f"/admin/local/work/{row.pk}/change/"))
    first = Document.objects.get(title="Plan of Shared handbook")
    assert at("rag:document-detail", first.pk) in page


def test_a_broken_pdf_opens_with_its_reason_and_no_empty_pages(acme, people, mine, send):
    client = acme.login_as(people["user"])
    send(mine, "broken.pdf", b"%PDF-1.7\n1 0 obj\nnothing of it is right")
    work_off()
    document = mine.documents.get()
    assert document.state == Document.State.FAILED
    page = text_of(client.get(at("rag:document-detail", document.pk)))
    assert "data-pdf=" not in page and "damaged" in page
    panel = text_of(client.get("/knowledge/source/", {"document": document.pk}))
    assert "data-pdf=" not in panel and "damaged" in panel
    Document.objects.filter(pk=document.pk).update(
        state=Document.State.READY, reason="", reason_words=None
    )  # what PDF.js finds broken alone
    drawn = text_of(client.get(at("rag:document-detail", document.pk)))
    (instead,) = re.findall(r'data-text="([^"]+)"', drawn)
    told = text_of(client.get(at("rag:document-detail", document.pk) + instead.replace("&amp;", "&")))
    assert "cannot be drawn, and no text could be read" in told and "data-pdf=" not in told


def test_what_goes_with_a_document_is_counted_before_it_goes(acme, people, mine, add):
    document = add(mine, "Leave", TEXT)
    for text in ("How long?", "When?"):
        SavedQuestion.objects.create(collection=mine, text=text, document=document)
    client = acme.login_as(people["user"])
    assert 'data-questions="2"' in text_of(client.get(at("rag:collection-detail", mine.pk)))
    assert "2 saved questions go with it" in text_of(client.get(at("rag:collection-settings", mine.pk)))


def test_a_right_that_is_given_to_others_closes_every_page_of_a_collection(
    acme, people, make_collection, add
):
    collection = make_collection()
    document = add(collection, "Holidays", TEXT)
    addresses = [
        at("rag:collection-detail", collection.pk),
        at("rag:collection-search", collection.pk),
        at("rag:document-detail", document.pk),
        at("rag:document-passages", document.pk),
        at("rag:document-progress", collection.pk),
        f"/knowledge/source/?document={document.pk}",
    ]
    client = acme.login_as(people["user"])
    assert {client.get(address).status_code for address in addresses} == {200}
    grant(actor=None, kind="collection", target=collection.pk, user=people["owner"])
    assert {client.get(address).status_code for address in addresses} == {404}
    asked = {"question": "holiday", "legs": ["words"], "count": 5}
    assert client.post(at("rag:collection-search", collection.pk), asked).status_code == 404
    assert "Handbook" not in text_of(client.get("/knowledge/?list=shared"))


def test_a_file_is_taken_read_and_shown_and_the_same_bytes_are_one_document(acme, people, mine, send):
    client = acme.login_as(people["user"])
    first = send(mine, "rules.txt", TEXT.encode(), path="Crew/rules.txt")
    again = send(mine, "copy.txt", TEXT.encode())
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["is_new"] and not again.json()["is_new"]
    assert again.json()["note"] == "This file is here already, as “rules.txt”."
    document = mine.documents.get()
    assert document.address == "Crew/rules.txt" and File.objects.count() == 1
    place = at("rag:document-progress", mine.pk)
    waiting = text_of(client.get(f"{place}?ids={document.pk}"))
    assert "Waiting" in waiting and "hx-get" in waiting
    work_off()
    ready = text_of(client.get(f"{place}?ids={document.pk}"))
    assert "Ready" in ready and "hx-get" not in ready, "nobody asks on"
    page = text_of(client.get(at("rag:collection-detail", mine.pk)))
    assert "rules.txt" in page and "up to" in page, "the limit is said before"


@pytest.mark.parametrize(
    ("name", "content", "status", "says"),
    [("empty.txt", b"", 400, "empty"), ("large.txt", b"x" * 20, 413, "at most 10")],
)
def test_a_file_that_cannot_be_taken_is_refused_with_a_reason(
    acme, people, mine, send, monkeypatch, name, content, status, says
):
    monkeypatch.setattr("rag.arrivals.MOST_DOCUMENT_BYTES", 10)
    acme.login_as(people["user"])
    response = send(mine, name, content)
    assert response.status_code == status and says in response.json()["detail"]
    assert not mine.documents.exists() and not File.objects.exists()


def test_many_are_tried_again_or_deleted_and_what_cannot_be_is_said(acme, people, mine, add):
    failed, ready = add(mine, "Old map", "Here be dragons."), add(mine, "New map", "Here is a harbour.")
    fail_document(document=failed, reason="The file is damaged.")
    client = acme.login_as(people["user"])
    place = at("rag:document-action", mine.pk)
    page = text_of(client.get(at("rag:collection-detail", mine.pk) + "?state=failed"))
    assert "The file is damaged." in page and "New map" not in page
    assert client.post(place, {"action": "cancel", "documents": [ready.pk]}).status_code == 409
    said = text_of(client.post(place, {"one": f"retry:{failed.pk}"}, headers={"HX-Request": "true"}))
    assert "1 document is tried again." in said
    assert Document.objects.get(pk=failed.pk).state == Document.State.WAITING
    client.post(place, {"action": "delete", "documents": [failed.pk, ready.pk]})
    assert not mine.documents.exists()


def test_documents_of_others_are_out_of_reach_of_an_action(acme, people, mine, make_collection, add):
    elsewhere = add(make_collection("Shared handbook"), "Holidays", TEXT)
    client = acme.login_as(people["user"])
    for collection in (mine, elsewhere.collection):
        response = client.post(at("rag:document-action", collection.pk), {"one": f"delete:{elsewhere.pk}"})
        assert response.status_code in (400, 403)
    assert Document.objects.filter(pk=elsewhere.pk).exists()


def test_a_passage_is_marked_in_its_text_across_blocks(acme, people, mine, add):
    blocks = [
        paragraph("Thirty days of holiday.", page=1),
        paragraph("The captain salutes at noon.", page=2),
    ]
    shifted = [blocks[0], type(blocks[1])(blocks[1].text, page=2, char_from=25, char_to=53)]
    document = add(mine, "Rules", *shifted)
    client = acme.login_as(people["user"])
    for address in (
        f"{at('rag:document-detail', document.pk)}?from=15&to=36",
        f"/knowledge/source/?document={document.pk}&from=15&to=36",
    ):
        marked = re.findall(r"<mark[^>]*>([^<]*)</mark>", text_of(client.get(address)))
        assert marked == ["holiday.", "The captain"]
    for nonsense in ("from=9&to=3", "from=-1&to=²", "from=a&to=b", "to=5"):
        page = client.get(f"{at('rag:document-detail', document.pk)}?{nonsense}")
        assert page.status_code == 200 and "<mark" not in text_of(page)


def test_a_table_is_shown_as_one_with_its_passage_marked_cell_by_cell(acme, people, mine, add):
    text = "Persons | Sum <EUR>\n1 | 512.50\n2 | 634.00"
    document = add(mine, "Rates", paragraph(text, kind="table"))
    page = acme.login_as(people["user"]).get(f"{at('rag:document-detail', document.pk)}?from=20&to=30")
    rows = re.search(r"<table>(.*?)</table>", text_of(page), re.S).group(1).split("<tr>")[1:]
    cells = [re.findall(r"<t([hd])[^>]*>(.*?)</t", row, re.S) for row in rows]
    marked = '<mark\n  id="passage" tabindex="-1">1</mark>'
    assert cells == [
        [("h", "Persons"), ("h", "Sum &lt;EUR&gt;")],
        [("d", marked), ("d", "<mark\n  >512.50</mark>")],
        [("d", "2"), ("d", "634.00")],
    ]


def test_the_original_is_a_download_whole_or_in_a_range(acme, people, mine, send):
    content = b"<script>alert(1)</script>" + bytes(range(256)) * 2_000
    client = acme.login_as(people["user"])
    send(mine, 'a"b\r\n.html', content)
    address = at("rag:document-file", mine.documents.get().pk)

    def get(**headers):
        response = client.get(address, headers=headers)
        return (
            response.status_code,
            async_to_sync(_gather)(response.streaming_content) if response.streaming else b"",
            response,
        )

    status, body, response = get()
    assert status == 200 and body == content
    assert response["Content-Type"] == "application/octet-stream"
    assert response["Content-Disposition"].startswith("attachment;")
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in response["Content-Security-Policy"]
    size = len(content)
    for asked, first, last in (
        ("bytes=10-19", 10, 19),
        (f"bytes={size - 5}-{size + 100}", size - 5, size - 1),
        ("bytes=300000-300009", 300_000, 300_009),
        ("bytes=-7", size - 7, size - 1),
    ):
        status, body, response = get(Range=asked)
        assert (status, body) == (206, content[first : last + 1]), asked
        assert response["Content-Range"] == f"bytes {first}-{last}/{size}"
    assert get(Range=f"bytes={size}-")[0] == 416
    for whole in ("bytes=5-2", "bytes=a-b", "bytes=0-1,3-4", "lines=1-2"):
        assert get(Range=whole)[0] == 200
    assert client.login_as(people["owner"]).get(address).status_code == 404


def test_everybody_may_make_one_of_their_own_and_only_some_share_one(acme, people):
    given = {
        "name": "Donaudampfschifffahrt",
        "languages": ["de"],
        "embedding_model": "",
        "data_policy": "local",
    }
    client = acme.login_as(people["user"])
    assert "visibility" not in text_of(client.get("/knowledge/new/"))
    client.post("/knowledge/new/", given | {"visibility": "shared"})
    own = Collection.objects.get(name="Donaudampfschifffahrt")
    assert own.owner_id == people["user"].pk and own.data_policy == "local"
    again = client.post("/knowledge/new/", given)
    assert again.status_code == 400 and "There is a collection of this name." in text_of(again)
    acme.login_as(people["owner"]).post("/knowledge/new/", given | {"visibility": "shared", "name": "Ours"})
    assert Collection.objects.get(name="Ours").owner_id is None


def test_a_right_is_given_and_taken_back_on_the_page(acme, people, make_collection):
    collection = make_collection()
    place = at("rag:collection-access", collection.pk)
    client = acme.login_as(people["owner"])
    assert client.post(place, {"holder": "", "person": "", "effect": "allow"}).status_code == 400
    person = {"person": people["user"].email, "effect": "deny"}
    assert client.post(place, person).status_code == 302
    page = text_of(client.get(place))
    assert people["user"].name in page
    revoke = re.search(r'name="revoke"\s+value="([^"]+)"', page)
    assert acme.login_as(people["user"]).get(at("rag:collection-detail", collection.pk)).status_code == 404
    owner = acme.login_as(people["owner"])
    refused = owner.post(place, {"person": people["owner"].email, "effect": "deny"})
    assert "could no longer use this collection" in text_of(refused)
    assert owner.get(place).status_code == 200
    owner.post(place, {"revoke": revoke[1]})
    assert acme.login_as(people["user"]).get(at("rag:collection-detail", collection.pk)).status_code == 200


def test_questions_become_an_evaluation_set_that_measures_the_settings(acme, people, mine, add):
    document = add(mine, "Rules", "The captain salutes at noon.")
    add(mine, "Other", "The captain is tall. The captain sleeps at noon.")
    client = acme.login_as(people["user"])
    asked = {"question": "captain noon", "legs": ["words", "vectors"], "count": 5}
    page = text_of(client.post(at("rag:collection-search", mine.pk), asked))
    assert "2 passages" in page and "no embedding model" in page
    assert "This column searches by words alone." in page
    place = at("rag:question-create", mine.pk)
    saved = {"question": "salutes captain", "document": document.pk, "from": 0, "to": 28}
    client.post(place, saved)
    client.post(place, saved)
    question = SavedQuestion.objects.get()
    assert (question.document_id, question.char_to) == (document.pk, 28)
    measured = text_of(client.post(at("rag:collection-evaluation", mine.pk)))
    assert measured.count("1.000") >= 3 and "0.000" not in measured, "what was not asked has no figure"
    assert measured.count('<td class="is-number">–</td>') == 3
    client.post(at("rag:question-delete", mine.pk), {"question": question.pk})
    assert not SavedQuestion.objects.exists()


def test_questions_are_measured_by_language_and_outdated_ones_not_at_all(acme, people, mine, add):
    document = add(mine, "Rules", "The captain salutes at noon.")
    for text, document_of in (
        ("When does the captain salute?", document),
        ("Wann grüßt der Kapitän?", document),
        ("What is for the crew?", None),
    ):
        save_question(actor=None, collection=mine, text=text, document=document_of)
    SavedQuestion.objects.create(
        collection=mine, text="Was trinkt der Koch?", document=document, is_outdated=True
    )
    client = acme.login_as(people["user"])
    place = at("rag:collection-search", mine.pk)
    page, german = (text_of(client.get(place + query)) for query in ("", "?language=de"))
    shares = re.findall(r"language=(\w+)#.*?>(\w+) <span[^>]*>(\d)", page, re.DOTALL)
    assert shares == [("en", "English", "2"), ("de", "German", "2")]
    assert "1 question is not measured" in page and "crew" not in german and "Kapitän" in german

    def measure(**given) -> list[str]:
        table = text_of(client.post(at("rag:collection-evaluation", mine.pk), given))
        table = table[table.index("<tbody>") : table.index("</tbody>")]
        rows = [re.sub(r"<[^>]+>", " ", row).split() for row in table.split("</tr>")]
        return [" ".join(row) for row in rows if row]

    by_words = "Words 0.500 0.500 0.500"
    assert {by_words, "English 1 1.000 1.000 1.000", "German 1 0.000 0.000 0.000"} <= set(measure())
    assert "Words 0.000 0.000 0.000" in measure(language="de")


def test_other_settings_of_an_index_order_another_beside_it(acme, people, mine, add):
    add(mine, "Rules", TEXT)
    client = acme.login_as(people["user"])
    place = at("rag:collection-settings", mine.pk)
    given = {
        "name": "Renamed",
        "languages": ["en"],
        "embedding_model": "",
        "page_reader": "automatic",
        "vision_pages": 50,
        "chunk_characters": 900,
        "data_policy": "",
    }
    assert client.post(place, given | {"chunk_characters": 10}).status_code == 400
    assert client.post(place, given | {"languages": ["en", "de", "zh"]}).status_code == 302
    assert mine.generations.count() == 1, "a name needs none"
    client.post(place, given | {"chunk_characters": 300})
    assert mine.generations.count() == 2
    assert "The new index is being made" in text_of(client.get(place))
