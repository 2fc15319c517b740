"""`/v1/files` from outside: the official client, and bytes that no client sends, over real sockets."""

import contextlib
import io
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import httpx
import openai
import pytest
from django.core.files.storage import default_storage
from django.utils import timezone

from tenants.context import tenant
from tenants.files.cleaning import clean_up
from tenants.files.limits import count_bytes
from tenants.files.models import Blob, File
from tests.files.keeping import age, keep, list_bytes, remove_all
from tests.gateway.filing import (
    END,
    PURPOSE,
    Cabinet,
    chunk,
    make_cabinet,
    open_request,
    part,
    read_answer,
    send,
)
from tests.live import TENANTS, house_with_bug

pytestmark = pytest.mark.scope(None)
FILE_FIELDS = {"id", "object", "bytes", "created_at", "filename", "purpose", "status"}


@pytest.fixture(scope="module")
def cabinet(house, django_db_blocker) -> Iterator[Cabinet]:
    with django_db_blocker.unblock():
        yield from make_cabinet(house)


@pytest.fixture(autouse=True)
def emptied(cabinet) -> Iterator[None]:
    with tenant(cabinet.slug):
        yield
        remove_all()


def bring(client: openai.OpenAI, content: bytes = b"Hello.", name: str = "hello.txt", **options):
    return client.files.create(file=(name, content), **{"purpose": "user_data"} | options)


def test_a_file_comes_and_goes(cabinet):
    client = cabinet.client()
    file = bring(client)
    assert file.id.startswith("file-") and len(file.id) == 37
    assert (file.bytes, file.filename, file.purpose, file.object, file.status) == (
        6,
        "hello.txt",
        "user_data",
        "file",
        "processed",
    )
    assert abs(file.created_at - time.time()) < 60 and file.expires_at is None
    assert set(file.to_dict()) == FILE_FIELDS
    assert client.files.retrieve(file.id) == file and client.files.list().data == [file]
    assert client.files.wait_for_processing(file.id) == file
    assert client.files.content(file.id).read() == b"Hello."
    row = File.objects.get()
    assert (row.declared_type, row.sniffed_type, row.owner) == (
        "text/plain",
        "text/plain",
        cabinet.people["erin"],
    )
    deleted = client.files.delete(file.id)
    assert deleted.to_dict() == {"id": file.id, "object": "file", "deleted": True}
    for ask in (client.files.retrieve, client.files.content, client.files.delete):
        with pytest.raises(openai.NotFoundError) as refusal:
            ask(file.id)
        assert refusal.value.body["code"] == "file_not_found"
    clean_up()
    assert list_bytes() == {}


def test_content_is_something_to_keep_whatever_it_is(cabinet):
    page = b"<!doctype html><script>alert(1)</script>"
    file = bring(cabinet.client(), page, 'a\u202e".html')
    headers = {"Authorization": f"Bearer {cabinet.keys['erin']}"}
    url = f"{cabinet.house.base_url}/files/{file.id}/content"
    answer = httpx.get(url, headers=headers)
    assert answer.content == page and answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith('attachment; filename="a_.html";')
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["cache-control"] == "private, no-store"
    head = httpx.head(url, headers=headers)
    assert head.status_code == 200 and head.headers["content-length"] == str(len(page))


@pytest.mark.parametrize("size", [0, 1, 700_000, 3_000_001])
def test_every_byte_comes_back(cabinet, size):
    content = bytes(range(256)) * (size // 256 + 1)
    content = content[:size].replace(b"\r\n--", b"\r\n-+")
    client = cabinet.client()
    assert client.files.content(bring(client, content).id).read() == content


def test_files_are_listed_page_by_page(cabinet):
    client = cabinet.client()
    files = [bring(client, b"%d" % number, f"{number}.txt") for number in range(5)]
    batch = bring(client, b"{}", "b.jsonl", purpose="batch")
    names = [file.filename for file in client.files.list(limit=2, purpose="user_data")]
    assert names == ["4.txt", "3.txt", "2.txt", "1.txt", "0.txt"], "the client asks for the next page itself"
    page = client.files.list(limit=2, order="asc", after=files[0].id)
    assert [file.filename for file in page.data] == ["1.txt", "2.txt"] and page.has_more
    assert client.files.list(purpose="batch").data == [batch] and client.files.list(purpose="none").data == []
    # two moments, each in whole seconds
    assert abs(batch.expires_at - batch.created_at - 30 * 24 * 3_600) <= 2
    headers = {"Authorization": f"Bearer {cabinet.keys['erin']}"}
    body = httpx.get(f"{cabinet.house.base_url}/files?limit=1", headers=headers).json()
    assert body == {
        "object": "list",
        "data": [batch.to_dict()],
        "first_id": batch.id,
        "last_id": batch.id,
        "has_more": True,
    }
    for query in ("limit=0", "limit=10001", "limit=x", "order=up", "after=nothing"):
        answer = httpx.get(f"{cabinet.house.base_url}/files?{query}", headers=headers)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, query.partition("=")[0])


def test_a_file_is_its_owners_alone(cabinet):
    """Neither another person of the tenant, nor another tenant; and other rooms' files are not shown at all.
    All look like files that there are not.
    """
    file = bring(cabinet.client())
    inner = keep(b"of a document", owner_id=cabinet.people["erin"].pk, purpose="document")
    strangers = [cabinet.client("frank"), cabinet.house.client(TENANTS[1])]
    asked = [(client, file.id) for client in strangers]
    asked += [(cabinet.client(), f"file-{inner.pk.hex}"), (cabinet.client(), "file-" + "0" * 32)]
    asked += [(cabinet.client(), "file-1"), (cabinet.client(), "upload_" + file.id[5:])]
    told = set()
    for client, file_id in asked:
        for ask in (client.files.retrieve, client.files.content, client.files.delete):
            with pytest.raises(openai.NotFoundError) as refusal:
                ask(file_id)
            told.add(refusal.value.response.text.replace(file_id, "ID"))
        assert file_id not in [one.id for one in client.files.list()] or client is asked[-1][0]
    assert len(told) == 1 and [one.id for one in cabinet.client().files.list()] == [file.id]


def test_a_key_needs_the_scope_of_calls(cabinet):
    client = cabinet.client("reader")
    for ask in (lambda: bring(client), client.files.list, lambda: client.files.retrieve("file-x")):
        with pytest.raises(openai.PermissionDeniedError) as refusal:
            ask()
        assert refusal.value.body["code"] == "missing_scope"
    assert not Blob.objects.exists()


def test_the_same_content_is_kept_once(cabinet):
    client = cabinet.client()
    one, two = bring(client, b"same"), bring(cabinet.client("frank"), b"same")
    clean_up()
    assert len(list_bytes()) == 1
    client.files.delete(one.id)
    clean_up()
    assert cabinet.client("frank").files.content(two.id).read() == b"same"


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("报告.pdf", "报告.pdf"),
        ("a\u202efdp.exe", "afdp.exe"),
        ("x" * 300 + ".pdf", "x" * 251 + ".pdf"),
        ('say "hi".txt', None),
    ],
)
def test_names_are_safe(cabinet, name, kept):
    file = bring(cabinet.client(), name=name)
    assert file.filename == kept or kept is None
    assert cabinet.client().files.content(file.id).read() == b"Hello."


@pytest.mark.parametrize("raw", [b"a\0b.txt", b"a\xff\xfe.txt", b"C:/secret/b.txt", b""])
def test_names_that_no_client_sends(cabinet, raw):
    told = send(cabinet, PURPOSE + part("file", b"x", raw) + END)
    assert told.status in (200, 400) and b"\\u0000" not in told.body and b"secret" not in told.body


def test_expiry(cabinet):
    client = cabinet.client()
    file = bring(client, expires_after={"anchor": "created_at", "seconds": 3_600})
    assert abs(file.expires_at - file.created_at - 3_600) <= 2
    File.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file.id)
    assert client.files.list().data == []
    for wrong in ({"anchor": "created_at", "seconds": 3_599}, {"anchor": "now", "seconds": 3_600}):
        with pytest.raises(openai.BadRequestError, match="expires_after"):
            bring(client, expires_after=wrong)


BAD_FORMS = {
    "no file": (PURPOSE + END, "file"),
    "no purpose": (part("file", b"x", "a") + END, "purpose"),
    "another purpose": (part("file", b"x", "a") + part("purpose", b"spying") + END, "purpose"),
    "two files": (PURPOSE + part("file", b"x", "a") + part("file", b"y", "b") + END, "file"),
    "no end": (PURPOSE + part("file", b"x", "a"), None),
    "no end of the file": ((PURPOSE + part("file", b"x" * 9_000, "a"))[:-20], None),
    "nothing": (b"", None),
    "no form": (b'{"file": "x"}', None),
    "a long field": (part("purpose", b"x" * 9_000) + END, "purpose"),
    "many fields": (b"".join(part(f"f{n}", b"x") for n in range(40)) + END, None),
    "a form within": (
        PURPOSE + part("file", b"x", "a", Content_Type="multipart/mixed; boundary=b") + END,
        None,
    ),
    "a long header": (part("file", b"x", "a", X_A="x" * 20_000) + END, None),
    "many headers": (part("file", b"x", "a", **{f"X_{n}": "x" for n in range(99)}) + END, None),
    "a line without end": (b"x" * 70_000, None),
}


@pytest.mark.parametrize("name", BAD_FORMS)
@pytest.mark.parametrize("is_chunked", [False, True])
def test_forms_that_are_none_are_refused_and_leave_nothing(cabinet, name, is_chunked):
    body, param = BAD_FORMS[name]
    told = send(cabinet, body, is_chunked=is_chunked)
    assert (told.status, told.error["type"]) == (400, "invalid_request_error"), told
    assert told.error["param"] == param or param is None
    assert not File.objects.exists() and count_bytes() == 0


def test_fields_may_come_behind_the_file_and_others_beside_it(cabinet):
    told = send(cabinet, part("file", b"x", "a") + part("new_field", b"1") + PURPOSE + END + b"an epilogue")
    assert told.status == 200


def test_an_encoded_body_is_refused(cabinet):
    told = send(cabinet, PURPOSE + part("file", b"eA==", "a", Content_Transfer_Encoding="base64") + END)
    assert told.status == 415 and not File.objects.exists()


# -- how large -----------------------------------------------------------------------------------------------


@pytest.fixture
def small_files(cabinet) -> Iterator[None]:
    cabinet.set_plan(largest_file_bytes=100_000)
    until_heard(cabinet)
    yield
    cabinet.set_plan(largest_file_bytes=None)


def until_heard(cabinet) -> None:
    """The web process knows of the plan when a body is refused by its head."""
    for _try in range(100):
        with open_request(cabinet, length=100_000 + 65_536 + 1) as connection:
            connection.settimeout(0.2)
            with contextlib.suppress(TimeoutError):
                return read_answer(connection) and None
    raise AssertionError("the plan is not heard of")


def test_what_is_too_large_is_told_by_its_head(cabinet, small_files):
    """Not a byte of the body is sent."""
    with open_request(cabinet, length=300_000) as connection:
        told = read_answer(connection)
    assert (told.status, told.error["code"]) == (413, "file_too_large")
    assert (
        told.error["message"] == "A file may have at most 97.7 KB here."
        and told.headers["connection"] == "close"
    )
    assert not Blob.objects.exists()


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_file_has_a_limit_to_the_byte(cabinet, small_files, is_chunked):
    for size, status in ((100_000, 200), (100_001, 413)):
        told = send(cabinet, PURPOSE + part("file", b"x" * size, "a") + END, is_chunked=is_chunked)
        assert told.status == status, told
    assert File.objects.count() == 1 and count_bytes() == 100_000


def test_a_chunked_body_is_refused_when_it_passes_the_limit(cabinet, small_files):
    """Its end never comes."""
    with open_request(cabinet, length=None) as connection:
        connection.sendall(chunk(PURPOSE + part("file", b"x" * 200_000, "a")[:-2]))
        assert read_answer(connection).status == 413
    assert not File.objects.exists() and count_bytes() == 0


def test_other_paths_keep_their_limit(cabinet):
    told = cabinet.house.post(b" " * 10_000_001, path="chat/completions")
    assert told.status_code == 413 and "10 MB" in told.text


def test_the_plans_storage_is_kept_whoever_comes_at_once(cabinet):
    cabinet.set_plan(storage_bytes=100_000)

    def come(number: int) -> int:
        body = PURPOSE + part("file", b"%d" % number + b"x" * 39_000, "a") + END
        return send(cabinet, body, is_chunked=False).status

    try:
        with ThreadPoolExecutor(6) as pool:
            told = sorted(pool.map(come, range(6)))
        assert told == [200, 200, 429, 429, 429, 429] and count_bytes() == 2 * 39_001
        with pytest.raises(openai.RateLimitError) as refusal:
            bring(cabinet.client().with_options(max_retries=5), b"y" * 39_000)
        assert refusal.value.body["code"] == "insufficient_quota" and "97.7 KB" in refusal.value.message
        assert refusal.value.response.headers["x-should-retry"] == "false"
        told = send(cabinet, PURPOSE + part("file", b"z", "a") + END, is_chunked=True)
        assert told.status == 429, "one that does not say how large it is wants more room than there is"
    finally:
        cabinet.set_plan(storage_bytes=None)


def test_what_brings_a_file_counts_as_a_request(cabinet):
    cabinet.set_plan(requests_per_minute=1_000)
    try:
        for _try in range(100):
            answer = send(cabinet, PURPOSE + END)
            if "x-ratelimit-remaining-requests" in answer.headers:
                return
            time.sleep(0.05)
        raise AssertionError("no limit is told")
    finally:
        cabinet.set_plan(requests_per_minute=None)


# -- what goes wrong on the way ------------------------------------------------------------------------------


def until(condition) -> None:
    for _try in range(500):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("it did not come to pass")


def test_a_client_that_leaves_leaves_nothing(cabinet):
    with open_request(cabinet, length=900_000) as connection:
        connection.sendall(PURPOSE + part("file", b"x" * 700_000, "a")[:-2])
        until(lambda: Blob.objects.filter(state="arriving").exists())
        assert count_bytes() == 900_000
    until(lambda: count_bytes() == 0)
    clean_up()
    assert list_bytes() == {}


def test_a_body_that_stops_coming_is_given_up(cabinet):
    with house_with_bug(cabinet.house, "import gateway.http as h; h.BODY_PAUSE_S = 0.3") as other:
        with open_request(cabinet, length=900_000, house=other) as connection:
            connection.sendall(PURPOSE + part("file", b"x" * 700_000, "a")[:-2])
            told = read_answer(connection)
        assert (told.status, told.headers["connection"]) == (408, "close")
    assert count_bytes() == 0 and not File.objects.exists()


def test_too_many_at_once_are_sent_away(cabinet):
    with house_with_bug(cabinet.house, "import gateway.files.places as p; p.OF_TENANT = 1") as other:
        with open_request(cabinet, length=900_000, house=other) as connection:
            connection.sendall(PURPOSE + part("file", b"x" * 700_000, "a")[:-2])
            until(lambda: Blob.objects.filter(state="arriving").exists())
            told = send(cabinet, PURPOSE + part("file", b"x", "a") + END, house=other)
            assert (told.status, told.error["code"]) == (503, "overloaded")
            assert int(told.headers["retry-after"]) > 0
        until(lambda: count_bytes() == 0)
        assert send(cabinet, PURPOSE + part("file", b"x", "a") + END, house=other).status == 200


KILL = (
    "import os, signal\nimport tenants.files.{module} as m\n"
    "def die(*a, **k): os.kill(os.getpid(), signal.SIGKILL)\n"
)
POINTS = {
    "before the first byte": KILL.format(module="streams") + "m.BlobWriter.__init__ = die",
    "between two writes": KILL.format(module="streams")
    + "m.sniff = m.BlobWriter.write\nm.BlobWriter.write = "
    "lambda s, d: die() if s.size_bytes else m.sniff(s, d)",
    "before the disk has it": KILL.format(module="streams") + "m._sync = die",
    "between the bytes and the row": KILL.format(module="services") + "m.finish_file = die",
    "before the commit": KILL.format(module="services")
    + "real = m.finish_file\ndef finish(*a, **k): real(*a, **k); die()\nm.finish_file = finish",
    "before it is told": "import os, signal\nimport gateway.files.shapes as m\n"
    "def die(*a, **k): os.kill(os.getpid(), signal.SIGKILL)\nm.show_file = die",
}


@pytest.mark.parametrize("point", POINTS)
def test_a_process_killed_at_any_point_leaves_all_or_nothing(cabinet, point):
    with house_with_bug(cabinet.house, POINTS[point]) as other:
        with pytest.raises(openai.APIConnectionError):
            bring(cabinet.client(house=other), b"x" * 1_500_000)
        until(lambda: other.web.poll() is not None)
    is_whole = point == "before it is told"
    assert File.objects.exists() == is_whole
    if is_whole:
        file = cabinet.client().files.list().data[0]
        assert cabinet.client().files.content(file.id).read() == b"x" * 1_500_000
        return
    assert Blob.objects.get().state == "arriving"
    age(state="arriving")
    clean_up()
    assert list_bytes() == {} and not Blob.objects.exists()


def test_bytes_that_are_missing_are_told(cabinet):
    client = cabinet.client()
    file = bring(client)
    for path in list_bytes():
        default_storage.delete(path)
    with pytest.raises(openai.InternalServerError) as refusal:
        client.files.content(file.id)
    assert (refusal.value.status_code, refusal.value.body["code"]) == (503, "storage_unavailable")


def memory_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


def test_a_large_file_does_not_pass_through_memory(cabinet):
    """Neither on its way in nor out: the most that the process ever had."""
    client, size = cabinet.client().with_options(timeout=120), 120_000_000
    bring(client, b"x" * 3_000_000)
    before = memory_kb(cabinet.house.web.pid)
    file = bring(client, io.BytesIO(b"large " * (size // 6)))
    with client.files.with_streaming_response.content(file.id) as answer:
        assert sum(map(len, answer.iter_bytes(1_000_000))) == size
    grown = memory_kb(cabinet.house.web.pid) - before
    assert grown < 40_000, f"{grown} kB"
