"""The store: once per tenant and content, whole or not at all, and gone with the last file."""

import contextlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from foundation.errors import BodyTooLarge, Conflict, QuotaExceeded
from tenants.context import platform, tenant
from tenants.files import services, streams
from tenants.files.cleaning import clean_up
from tenants.files.limits import count_bytes
from tenants.files.models import Blob, File
from tenants.files.selectors import get_place, list_own_files
from tenants.files.streams import BlobWriter, Place, read_blob
from tenants.models import Duty
from tenants.provisioning.plans import set_plan
from tenants.sealing import BrokenSeal
from tests.files.keeping import ABOUT, age, content_of, keep, list_bytes, remove_all

pytestmark = pytest.mark.scope(None)


@pytest.fixture(autouse=True)
def store(archive) -> Iterator[None]:
    with tenant(archive.slug):
        yield
        remove_all()


def test_content_is_kept_once_under_as_many_names_as_somebody_gives_it():
    one, two = keep(b"the same", name="a.txt"), keep(b"the same", name="b.txt", purpose="batch")
    clean_up()
    assert one.blob_id == two.blob_id and len(list_bytes()) == 1
    assert (one.name, two.name) == ("a.txt", "b.txt") and content_of(two) == b"the same"
    assert one.sha256 == sha256(b"the same").hexdigest() and one.size_bytes == 8
    services.delete_file(one)
    clean_up()
    assert content_of(two) == b"the same"
    services.delete_file(two)
    clean_up()
    assert list_bytes() == {} and not Blob.objects.exists()


def test_two_tenants_share_nothing(archive, unblocked):
    keep(b"the same")
    with tenant("acme"):
        before = set(list_bytes())
        theirs = keep(b"the same")
        assert len(set(list_bytes()) - before) == 1
        services.delete_file(theirs)
        clean_up()
        assert set(list_bytes()) == before
    clean_up()
    assert list(list_bytes().values()) == [b"the same"] and theirs.blob_id


def test_what_is_too_large_or_stops_leaves_nothing():
    def broken() -> Iterator[bytes]:
        yield b"begun"
        raise RuntimeError("the reader stopped")

    about = {"name": "a", "declared_type": "", "purpose": "batch", "owner_id": None, "expires_at": None}
    for size_bytes, most_bytes in ((4, 100), (100, 4)):
        with pytest.raises(BodyTooLarge, match="at most 4 bytes"):
            services.store_file([b"12", b"345"], size_bytes=size_bytes, most_bytes=most_bytes, **about)
    with pytest.raises(RuntimeError):
        services.store_file(broken(), size_bytes=9, most_bytes=9, **about)
    assert not File.objects.exists() and count_bytes() == 0
    clean_up()
    assert list_bytes() == {}


@pytest.mark.parametrize("point", ["begun", "written", "closed", "marked", "bytes gone"])
def test_whoever_dies_at_any_point_leaves_nothing_for_good(point):
    """Each step is committed; the process is gone before the next."""
    if point in ("marked", "bytes gone"):
        file = keep(b"content")
        services.delete_file(file)
        if point == "bytes gone":
            streams.remove_bytes(file.blob_id)
    else:
        place = services.begin_blob(7)
        if point != "begun":
            writer = BlobWriter(place, most_bytes=7)
            writer.write(b"content")
            writer.close() if point == "closed" else writer.abort()
        clean_up()
        assert Blob.objects.filter(pk=place.id, state="arriving").exists(), "somebody may be writing it yet"
        age(pk=place.id)
    clean_up()
    assert list_bytes() == {} and not Blob.objects.exists()


def test_what_was_given_up_becomes_no_file():
    place = services.begin_blob(7)
    writer = BlobWriter(place, most_bytes=7)
    writer.write(b"content")
    age(pk=place.id)
    clean_up()
    written = writer.close()
    for step in (
        lambda: services.touch_blob(place.id),
        lambda: services.enlarge_blob(place.id, 8),
        lambda: services.finish_file(
            written, name="a", declared_type="", purpose="batch", owner_id=None, expires_at=None
        ),
    ):
        with pytest.raises(Conflict) as refusal:
            step()
        assert refusal.value.code == "file_given_up"
    assert not File.objects.exists()


def test_a_place_that_is_gone_before_its_first_byte_gets_none(monkeypatch):
    """The process slept between making its place and opening it, until all of it was removed."""

    class Sleeper(BlobWriter):
        def __init__(self, place: Place, **options) -> None:
            age(pk=place.id)
            clean_up()
            assert not Blob.objects.exists()
            super().__init__(place, **options)

    def unread() -> Iterator[bytes]:
        pytest.fail("it is written to a place that nobody cleans any more")
        yield b""

    monkeypatch.setattr(services, "BlobWriter", Sleeper)
    with pytest.raises(Conflict) as refusal:
        services.store_file(unread(), size_bytes=9, most_bytes=9, **ABOUT)
    assert refusal.value.code == "file_given_up" and list_bytes() == {}


def test_a_sign_of_life_keeps_a_place():
    place = services.begin_blob(7)
    age(pk=place.id)
    services.touch_blob(place.id)
    clean_up()
    assert Blob.objects.get().state == "arriving"


def test_rows_that_another_room_removes_in_bulk_take_their_bytes_along():
    keep(b"content")
    File.objects.all().delete()
    clean_up()
    assert list_bytes()
    age(state="stored")
    clean_up()
    assert list_bytes() == {} and not Blob.objects.exists()


def test_files_end_when_their_time_is_over(archive):
    person = archive.person.pk
    keep(b"one", owner_id=person, expires_at=timezone.now())
    keep(b"two", owner_id=person, expires_at=timezone.now() + timedelta(hours=1))
    assert [file.sha256 for file in list_own_files(person, ["user_data"])] == [sha256(b"two").hexdigest()]
    clean_up()
    assert list(list_bytes().values()) == [b"two"]


def duties(archive) -> list:
    with platform():
        return list(Duty.objects.filter(kind="files.clean", role__endswith=archive.slug.replace("-", "_")))


def test_the_next_turns_of_many_fall_together(archive):
    with platform():
        Duty.objects.filter(kind="files.clean").delete()
    for number in range(3):
        keep(b"%d" % number)
    assert len({duty.due_at for duty in duties(archive)}) <= 2, "a quarter of an hour may have ended between"
    with platform():
        Duty.objects.filter(kind="files.clean").delete()
    for _turn in range(3):
        clean_up()
    (due_at,) = {duty.due_at for duty in duties(archive)}
    assert due_at > timezone.now() and due_at.timestamp() % 86_400 == 0


# -- at the same moment --------------------------------------------------------------------------------------


@contextlib.contextmanager
def elsewhere(archive) -> Iterator:
    """run(function) in another thread, with a connection of its own."""
    with ThreadPoolExecutor(1) as pool:

        def run(function, *arguments) -> Future:
            def work():
                with tenant(archive.slug):
                    try:
                        return function(*arguments)
                    finally:
                        connection.close()

            return pool.submit(work)

        yield run


def until_somebody_waits() -> None:
    """For a row's lock that this connection holds."""
    for _try in range(500):
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0]:
                return
        time.sleep(0.01)
    raise AssertionError("nobody waits")


def written(content: bytes) -> streams.Written:
    place = services.begin_blob(len(content))
    writer = BlobWriter(place, most_bytes=len(content))
    writer.write(content)
    return writer.close()


def finish(content: streams.Written) -> File:
    return services.finish_file(
        content, name="b", declared_type="", purpose="batch", owner_id=None, expires_at=None
    )


def test_who_stores_while_the_last_file_is_deleted_stores_anew(archive):
    old, new = keep(b"the same"), written(b"the same")
    with elsewhere(archive) as run:
        with transaction.atomic():
            services.delete_file(old)
            storing = run(finish, new)
            until_somebody_waits()
        file = storing.result(10)
    clean_up()
    assert file.blob_id != old.blob_id and content_of(file) == b"the same" and len(list_bytes()) == 1


def test_who_deletes_while_the_same_is_stored_leaves_the_bytes(archive):
    old, new = keep(b"the same"), written(b"the same")
    with elsewhere(archive) as run:
        with transaction.atomic():
            file = finish(new)
            deleting = run(services.delete_file, old)
            until_somebody_waits()
        deleting.result(10)
    clean_up()
    assert file.blob_id == old.blob_id and content_of(file) == b"the same" and len(list_bytes()) == 1


def test_two_who_store_the_same_at_once_keep_it_once(archive):
    one, two = written(b"the same"), written(b"the same")
    with elsewhere(archive) as run:
        with transaction.atomic():
            first = finish(one)
            storing = run(finish, two)
            until_somebody_waits()
        second = storing.result(10)
    clean_up()
    assert first.blob_id == second.blob_id and len(list_bytes()) == 1


def test_two_who_delete_the_last_two_files_at_once_leave_nothing(archive):
    one, two = keep(b"the same"), keep(b"the same")
    with elsewhere(archive) as run:
        with transaction.atomic():
            services.delete_file(one)
            deleting = run(services.delete_file, two)
            until_somebody_waits()
        deleting.result(10)
    clean_up()
    assert list_bytes() == {}


# -- how much ------------------------------------------------------------------------------------------------


@pytest.fixture
def small_plan(archive) -> Iterator[None]:
    set_plan(name=archive.slug, storage_bytes=100)
    yield
    set_plan(name=archive.slug, storage_bytes=None)


def test_a_tenant_keeps_no_more_than_its_plan_allows(small_plan):
    one, _two = keep(b"x" * 60), keep(b"y" * 40)
    keep_same = pytest.raises(QuotaExceeded, match="100 bytes, of which 100 bytes")
    with keep_same as refusal:
        services.begin_blob(1)
    assert (refusal.value.code, refusal.value.http_status) == ("insufficient_quota", 429)
    assert (b"x-should-retry", b"false") in refusal.value.headers
    services.delete_file(one)
    assert count_bytes() == 40, "what goes does not count"
    place = services.begin_blob(10)
    services.enlarge_blob(place.id, 60)
    with pytest.raises(QuotaExceeded):
        services.enlarge_blob(place.id, 61)


def test_those_who_come_at_once_get_no_more_together(archive, small_plan):
    barrier = threading.Barrier(8)

    def reserve(_number: int) -> bool:
        with tenant(archive.slug):
            try:
                barrier.wait(10)
                services.begin_blob(30)
                return True
            except QuotaExceeded:
                return False
            finally:
                connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(reserve, range(8))) == 3
    assert count_bytes() == 90


# -- sealed --------------------------------------------------------------------------------------------------


@pytest.fixture
def sealing(monkeypatch):
    monkeypatch.setattr(settings, "SEALS_FILES", True)


@pytest.mark.parametrize(
    "size", [0, 1, streams.PIECE_BYTES, streams.PIECE_BYTES + 1, 3 * streams.PIECE_BYTES]
)
def test_sealed_content_comes_back_and_does_not_lie_open(sealing, size):
    content = (b"in plain words. " * (size // 16 + 1))[:size]
    file = keep(content)
    assert content_of(file) == content and file.sha256 == sha256(content).hexdigest()
    (kept,) = list_bytes().values()
    assert b"plain words" not in kept and len(kept) > size


def test_sealed_content_is_not_shared_with_open_one(monkeypatch):
    keep(b"the same")
    monkeypatch.setattr(settings, "SEALS_FILES", True)
    assert content_of(keep(b"the same")) == content_of(keep(b"the same"))
    clean_up()
    assert len(list_bytes()) == 2 and list(list_bytes().values()).count(b"the same") == 1


@pytest.mark.parametrize("harm", ["cut", "changed", "swapped", "of another file"])
def test_sealed_content_that_was_touched_is_refused(sealing, harm):
    piece = streams.PIECE_BYTES + streams.TAG_BYTES
    file, other = keep(b"x" * 3 * streams.PIECE_BYTES), keep(b"y" * 3 * streams.PIECE_BYTES)
    place, other_place = get_place(file.blob_id), get_place(other.blob_id)
    path = Path(streams.default_storage.path(place.path))
    kept = path.read_bytes()
    harmed = {
        "cut": kept[: 2 * piece],
        "changed": kept[:-1] + bytes([kept[-1] ^ 1]),
        "swapped": kept[piece : 2 * piece] + kept[:piece] + kept[2 * piece :],
        "of another file": Path(streams.default_storage.path(other_place.path)).read_bytes(),
    }
    path.write_bytes(harmed[harm])
    with pytest.raises(BrokenSeal):
        content_of(file)


def test_content_is_read_from_any_byte_on(sealing):
    piece, content = streams.PIECE_BYTES, bytes(range(256)) * 2_100  # more than two pieces
    place = get_place(keep(content).blob_id)
    for start in (0, 1, piece - 1, piece, piece + 1, 2 * piece, len(content) - 1):
        assert b"".join(read_blob(place, start)) == content[start:]


def test_without_its_key_a_sealed_blob_says_nothing(sealing):
    place = get_place(keep(b"content").blob_id)
    assert place.key
    with pytest.raises(BrokenSeal):
        list(read_blob(Place(place.id, b"\0" * 32)))


def test_the_owners_files_alone_are_listed(archive):
    keep(b"nobody's")
    mine = keep(b"mine", owner_id=archive.person.pk)
    keep(b"another purpose", owner_id=archive.person.pk, purpose="chat")
    assert list(list_own_files(archive.person.pk, ["user_data"])) == [mine]
