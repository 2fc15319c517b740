"""Large files of pages: parts over the log-in, again and after a reload, until there is a document."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from rag import uploads, urls
from rag.models import Collection
from tenants.files.cleaning import clean_up
from tenants.files.limits import count_bytes_of
from tenants.files.models import Blob, File, Upload
from tenants.files.paths import find_most_bytes
from tenants.files.uploads import create_upload
from tests.estate import make_people
from tests.files.keeping import content_of, list_bytes

pytestmark = pytest.mark.django_db
CONTENT = b"Thirty days of holiday a year. The captain salutes at noon."
PIECES = [CONTENT[place : place + 16] for place in range(0, len(CONTENT), 16)]
PLACE = "/knowledge/uploads/"
JSON = {"Accept": "application/json"}


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(uploads, "PART_BYTES", 16)


@pytest.fixture
def people(db):
    return make_people("acme")


@pytest.fixture
def mine(people, make_collection) -> Collection:
    return make_collection("Mine alone", owner_id=people["user"].pk)


@pytest.fixture
def client(acme, people):
    return acme.login_as(people["user"])


def begin(client, collection: Collection | None = None, size: object = len(CONTENT)):
    given = {"name": "rules.txt", "type": "text/plain", "size": size}
    return client.post(PLACE, given | ({"collection": collection.pk} if collection else {}), headers=JSON)


def send(client, upload: str, piece: bytes):
    return client.post(f"{PLACE}{upload}/parts/", {"data": SimpleUploadedFile("part", piece)}, headers=JSON)


def complete(client, upload: str, ids: list[str], collection: Collection | None = None):
    given = {"parts": ",".join(ids), "path": "Crew/\u202erules.txt"}
    given |= {"collection": collection.pk} if collection else {}
    return client.post(f"{PLACE}{upload}/complete/", given)


def test_a_file_in_parts_is_taken_up_again_and_becomes_one_document(client, people, mine):
    before = set(list_bytes())
    begun = begin(client, mine).json()
    upload = begun["id"]
    assert begun | {"id": ""} == {"id": "", "state": "pending", "part_bytes": 16, "parts": [], "file": None}
    assert count_bytes_of(people["user"].pk) == len(CONTENT), "what is promised is reserved"
    first, again = (send(client, upload, PIECES[0]).json()["id"] for _time in range(2))
    Upload.objects.update(expires_at=timezone.now() + timedelta(minutes=1))
    ids = [first, *(send(client, upload, piece).json()["id"] for piece in PIECES[1:])]
    assert first == again and Upload.objects.get().expires_at > timezone.now() + timedelta(minutes=50)
    shown = client.get(f"{PLACE}{upload}/").json()
    assert {part["id"] for part in shown["parts"]} == set(ids), "what a page that is loaded anew asks"
    assert complete(client, upload, ids[:-1], mine).status_code == 400
    taken, lost = (complete(client, upload, ids, mine).json() for _time in range(2))
    document = mine.documents.get()
    assert taken == lost == {"id": str(document.pk), "is_new": True, "note": ""}
    assert document.address == "Crew/rules.txt" and content_of(document.file) == CONTENT
    assert document.file.expires_at is None, "no duty takes it"
    clean_up()
    assert not Blob.objects.exclude(upload=None).exists() and len(set(list_bytes()) - before) == 1

    copy = begin(client, mine).json()["id"]
    ids = [send(client, copy, piece).json()["id"] for piece in PIECES]
    notes = [complete(client, copy, ids, mine).json()["note"] for _time in range(2)]
    assert notes == ["This file is here already, as “rules.txt”.", "This file is here already."]
    assert mine.documents.count() == File.objects.count() == 1


def test_what_cannot_be_taken_is_refused_before_its_first_part(
    client, acme, people, mine, make_collection, monkeypatch, settings
):
    other = make_collection("Somebody's", owner_id=people["owner"].pk)
    shared = make_collection("Shared handbook")
    assert begin(client, other).status_code == 404 and begin(client, shared).status_code == 403
    assert [begin(client, mine, size).status_code for size in ("", "a", "-1", 0)] == [400] * 4
    monkeypatch.setattr("rag.arrivals.MOST_DOCUMENT_BYTES", 50)
    assert "at most 50 bytes" in begin(client, mine).json()["detail"]
    monkeypatch.undo()
    settings.STORAGE_PER_PERSON_BYTES = 100
    assert begin(client, mine).status_code == 201
    full = begin(client, mine)
    assert full.status_code == 429 and "Retry-After" not in full and "100 bytes" in full.json()["detail"]
    assert Upload.objects.count() == 1

    upload = str(Upload.objects.get().pk)
    monkeypatch.setattr(uploads, "PART_BYTES", 16)
    assert "16 bytes" in send(client, upload, b"x" * 17).json()["detail"]
    assert client.post(f"{PLACE}{upload}/parts/").status_code == 400
    assert complete(client, upload, ["no id"], mine).status_code == 400
    for_programs = create_upload(
        owner_id=people["user"].pk,
        name="a",
        declared_type="",
        purpose="user_data",
        size_bytes=1,
        file_expires_after_s=None,
    )
    assert send(client, for_programs.pk, b"x").status_code == 404
    stranger = acme.login_as(people["owner"])
    answers = [
        stranger.get(f"{PLACE}{upload}/"),
        send(stranger, upload, b"x"),
        complete(stranger, upload, [str(uuid4())]),
        stranger.post(f"{PLACE}{upload}/cancel/"),
    ]
    assert [one.status_code for one in answers] == [404] * 4
    assert not Blob.objects.exclude(upload=None).exists()


def test_what_is_cancelled_or_left_gives_its_room_back(client, people, mine):
    before = set(list_bytes())
    for end in ("cancelled", "left", "whole"):
        upload = begin(client, None if end == "whole" else mine).json()["id"]
        ids = [send(client, upload, piece).json()["id"] for piece in PIECES]
        if end == "whole":  # and its question is never asked
            waiting = complete(client, upload, ids).json()["file"]
            assert client.get(f"{PLACE}{upload}/").json()["file"] == waiting
            assert File.objects.get(pk=waiting).expires_at is not None
        if end == "left":
            Upload.objects.filter(pk=upload).update(expires_at=timezone.now())
        else:
            codes = [client.post(f"{PLACE}{upload}/cancel/").status_code for _time in range(2)]
            assert codes == [204, 204]
        clean_up()
        assert count_bytes_of(people["user"].pk) == 0 and not Blob.objects.exists(), end
        assert set(list_bytes()) == before
        assert send(client, upload, PIECES[0]).status_code == 400


def test_a_part_has_room_in_a_request_of_a_page():
    assert find_most_bytes(f"{PLACE}{uuid4()}/parts/") == urls.PART_BYTES == 4 * 1024**2
    assert find_most_bytes(PLACE) is None
