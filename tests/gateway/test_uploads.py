"""`/v1/uploads` from outside: parts in any order, again and at once, and a whole that is all there or not."""

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import httpx
import openai
import pytest
from django.utils import timezone

from tenants.context import tenant
from tenants.files.cleaning import clean_up
from tenants.files.limits import count_bytes
from tenants.files.models import Blob, File, Upload
from tests.files.keeping import age, list_bytes, remove_all
from tests.gateway.filing import END, Cabinet, make_cabinet, part, send
from tests.gateway.test_files import KILL, until
from tests.live import TENANTS, house_with_bug

pytestmark = pytest.mark.scope(None)
UPLOAD_FIELDS = {"id", "object", "bytes", "created_at", "expires_at", "filename", "purpose", "status"}
CONTENT = b"one, two and three."
PIECES = (b"one, ", b"two and ", b"three.")


@pytest.fixture(scope="module")
def cabinet(house, django_db_blocker) -> Iterator[Cabinet]:
    with django_db_blocker.unblock():
        yield from make_cabinet(house)


@pytest.fixture(autouse=True)
def emptied(cabinet) -> Iterator[None]:
    with tenant(cabinet.slug):
        yield
        remove_all()


def begin(client: openai.OpenAI, size: int = len(CONTENT), **more):
    facts = {"bytes": size, "filename": "a.txt", "mime_type": "text/plain", "purpose": "user_data"}
    return client.uploads.create(**facts | more)


def add(client: openai.OpenAI, upload, *pieces: bytes) -> list[str]:
    return [client.uploads.parts.create(upload.id, data=piece).id for piece in pieces]


def test_the_clients_own_way_of_uploading_in_parts(cabinet, tmp_path):
    client, content = cabinet.client(), os.urandom(2_500_000)
    path = tmp_path / "large.bin"
    path.write_bytes(content)
    md5 = hashlib.md5(content).hexdigest()
    upload = client.uploads.upload_file_chunked(
        file=path, mime_type="application/octet-stream", purpose="user_data", part_size=700_000, md5=md5
    )
    assert (upload.status, upload.filename, upload.bytes) == ("completed", "large.bin", 2_500_000)
    assert set(upload.to_dict()) == UPLOAD_FIELDS | {"file"}
    assert upload.file.bytes == 2_500_000 and client.files.retrieve(upload.file.id) == upload.file
    assert client.files.content(upload.file.id).read() == content
    clean_up()
    assert len(list_bytes()) == 1 and count_bytes() == 2_500_000, "the parts are gone"


def test_parts_may_come_in_any_order_and_at_once(cabinet):
    client = cabinet.client()
    upload = begin(client)
    assert upload.status == "pending" and set(upload.to_dict()) == UPLOAD_FIELDS
    assert upload.expires_at - upload.created_at == 3_600
    with ThreadPoolExecutor(3) as pool:
        parts = dict(
            pool.map(
                lambda piece: (piece, client.uploads.parts.create(upload.id, data=piece)), reversed(PIECES)
            )
        )
    shown = parts[PIECES[0]].to_dict()
    assert set(shown) == {"id", "object", "created_at", "upload_id"} and shown["upload_id"] == upload.id
    ids = [parts[piece].id for piece in PIECES]
    done = client.uploads.complete(upload.id, part_ids=ids)
    assert client.files.content(done.file.id).read() == CONTENT
    again = client.uploads.complete(upload.id, part_ids=ids)
    assert again.to_dict() == done.to_dict(), "the first answer may have been lost"
    assert File.objects.count() == 1
    for late in (lambda: add(client, upload, b"x"), lambda: client.uploads.cancel(upload.id)):
        with pytest.raises(openai.BadRequestError) as refusal:
            late()
        assert refusal.value.body["code"] == "upload_completed"


def test_a_part_that_comes_again_is_the_same_part(cabinet):
    client = cabinet.client()
    upload = begin(client, 8)
    ids = add(client, upload, b"abcd", b"abcd", b"abcd")
    assert len(set(ids)) == 1
    done = client.uploads.complete(upload.id, part_ids=ids[:2])
    assert client.files.content(done.file.id).read() == b"abcdabcd"


def test_what_does_not_fit_together_is_refused_and_may_be_mended(cabinet):
    client = cabinet.client()
    upload = begin(client)
    ids = add(client, upload, *PIECES)
    other = begin(client)
    (foreign,) = add(client, other, b"four")
    wrong = {"md5": "0" * 32}
    for part_ids, more, param in (
        (ids[:2], {}, "part_ids"),
        ([*ids[:2], foreign], {}, "part_ids"),
        (["part_x"], {}, "part_ids"),
        ([], {}, "part_ids"),
        (ids, wrong, "md5"),
    ):
        with pytest.raises(openai.BadRequestError) as refusal:
            client.uploads.complete(upload.id, part_ids=part_ids, **more)
        assert refusal.value.body["param"] == param
    assert not File.objects.exists()
    with pytest.raises(openai.BadRequestError) as refusal:
        add(client, upload, b"more than was promised")
    assert (refusal.value.body["code"], refusal.value.body["param"]) == ("size_mismatch", "data")
    md5 = hashlib.md5(CONTENT).hexdigest().upper()
    assert client.uploads.complete(upload.id, part_ids=ids, md5=md5).file.bytes == len(CONTENT)


def test_a_cancelled_upload_ends_with_its_parts(cabinet):
    client = cabinet.client()
    upload = begin(client)
    ids = add(client, upload, *PIECES)
    assert client.uploads.cancel(upload.id).status == "cancelled"
    for late in (lambda: add(client, upload, b"x"), lambda: client.uploads.complete(upload.id, part_ids=ids)):
        with pytest.raises(openai.BadRequestError) as refusal:
            late()
        assert refusal.value.body["code"] == "upload_cancelled"
    clean_up()
    assert list_bytes() == {} and count_bytes() == 0 and not Blob.objects.exists()


def test_an_upload_has_an_hour(cabinet):
    client = cabinet.client()
    upload = begin(client)
    ids = add(client, upload, *PIECES)
    Upload.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    for late in (lambda: add(client, upload, b"x"), lambda: client.uploads.complete(upload.id, part_ids=ids)):
        with pytest.raises(openai.BadRequestError) as refusal:
            late()
        assert refusal.value.body["code"] == "upload_expired"
    clean_up()
    assert list_bytes() == {} and Upload.objects.get().state == "expired"
    Upload.objects.update(expires_at=timezone.now() - timedelta(days=1, seconds=1))
    clean_up()
    assert not Upload.objects.exists()


def test_an_upload_is_its_owners_alone(cabinet):
    mine = begin(cabinet.client())
    told = set()
    for client, upload_id in (
        (cabinet.client("frank"), mine.id),
        (cabinet.house.client(TENANTS[1]), mine.id),
        (cabinet.client(), "upload_" + "0" * 32),
        (cabinet.client(), "upload_1"),
    ):
        for ask in (
            lambda client=client, pk=upload_id: client.uploads.parts.create(pk, data=b"x"),
            lambda client=client, pk=upload_id: client.uploads.complete(pk, part_ids=["part_" + "0" * 32]),
            lambda client=client, pk=upload_id: client.uploads.cancel(pk),
        ):
            with pytest.raises(openai.NotFoundError) as refusal:
                ask()
            told.add(refusal.value.response.text.replace(upload_id, "ID"))
    assert len(told) == 1


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"bytes": 0}, "bytes"),
        ({"bytes": 8 * 1024**3 + 1}, "bytes"),
        ({"bytes": "5"}, "bytes"),
        ({"filename": None}, "filename"),
        ({"mime_type": 5}, "mime_type"),
        ({"purpose": "spying"}, "purpose"),
        ({"expires_after": {"anchor": "created_at", "seconds": 1}}, "expires_after[seconds]"),
    ],
)
def test_bad_promises_are_refused(cabinet, change, param):
    facts = {"bytes": 5, "filename": "a", "mime_type": "text/plain", "purpose": "user_data"} | change
    headers = {"Authorization": f"Bearer {cabinet.keys['erin']}"}
    answer = httpx.post(f"{cabinet.house.base_url}/uploads", headers=headers, json=facts)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_a_file_may_expire_after_its_upload(cabinet):
    client = cabinet.client()
    upload = begin(client, expires_after={"anchor": "created_at", "seconds": 7_200})
    file = client.uploads.complete(upload.id, part_ids=add(client, upload, *PIECES)).file
    assert abs(file.expires_at - file.created_at - 7_200) <= 1


def test_a_part_has_a_limit(cabinet):
    client = cabinet.client()
    upload = begin(client, 200_000_000)
    with house_with_bug(
        cabinet.house, "import gateway.files.uploads as u; u.MOST_PART_BYTES = 1_000"
    ) as other:
        for is_chunked in (False, True):
            told = send(
                cabinet,
                part("data", b"x" * 1_001, "a") + END,
                path=f"uploads/{upload.id}/parts",
                is_chunked=is_chunked,
                house=other,
            )
            assert told.status == 413 and "1000 bytes" in told.error["message"]


def test_an_upload_reserves_what_it_promises(cabinet):
    client = cabinet.client()
    cabinet.set_plan(storage_bytes=100)
    try:
        upload = begin(client, 60)
        with pytest.raises(openai.RateLimitError) as refusal:
            begin(client, 41)
        assert refusal.value.body["code"] == "insufficient_quota"
        ids = add(client, upload, b"x" * 60)
        assert count_bytes() == 60
        client.uploads.complete(upload.id, part_ids=ids)
        assert count_bytes() == 60 and begin(client, 40).status == "pending"
    finally:
        cabinet.set_plan(storage_bytes=None)


POINTS = {
    "a part": KILL.format(module="uploads") + "m.finish_part = die",
    "the copying": KILL.format(module="uploads") + "m.Assembler.copy = die",
    "the completing": KILL.format(module="uploads") + "m.finish_upload = die",
    "its commit": KILL.format(module="uploads")
    + "real = m.finish_upload\ndef finish(*a, **k): real(*a, **k); die()\nm.finish_upload = finish",
}


@pytest.mark.parametrize("point", POINTS)
def test_a_process_that_is_killed_holds_nobody_up(cabinet, point):
    """The same upload is gone on with by another process, and all that was begun goes."""
    client = cabinet.client()
    upload = begin(client)
    ids = [] if point == "a part" else add(client, upload, *PIECES)
    with house_with_bug(cabinet.house, POINTS[point]) as other:
        dying = cabinet.client(house=other)
        with pytest.raises(openai.APIConnectionError):
            if point == "a part":
                add(dying, upload, PIECES[0])
            else:
                dying.uploads.complete(upload.id, part_ids=ids)
        until(lambda: other.web.poll() is not None)
    assert not File.objects.exists()
    if point != "a part":
        with pytest.raises(openai.ConflictError) as refusal:
            client.uploads.complete(upload.id, part_ids=ids)
        assert refusal.value.body["code"] == "upload_busy", "somebody may still be at it"
    age(state="arriving")
    ids = ids or add(client, upload, *PIECES)
    done = client.uploads.complete(upload.id, part_ids=ids)
    clean_up()
    assert client.files.content(done.file.id).read() == CONTENT and len(list_bytes()) == 1


def test_what_is_cancelled_while_it_is_put_together_becomes_no_file(cabinet):
    bug = "import time\nimport tenants.files.uploads as m\nreal = m.Assembler.copy\n"
    bug += "def copy(*a):\n    time.sleep(1.5)\n    return real(*a)\nm.Assembler.copy = copy"
    client = cabinet.client()
    upload = begin(client)
    ids = add(client, upload, *PIECES)
    with house_with_bug(cabinet.house, bug) as other, ThreadPoolExecutor(1) as pool:
        completing = pool.submit(cabinet.client(house=other).uploads.complete, upload.id, part_ids=ids)
        until(lambda: Upload.objects.get().assembling_id)
        client.uploads.cancel(upload.id)
        with pytest.raises((openai.ConflictError, openai.BadRequestError)):
            completing.result(30)
    clean_up()
    assert not File.objects.exists() and list_bytes() == {}
