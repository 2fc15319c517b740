"""`/v1/vector_stores` from outside: the official client, unmodified, over a real socket. The work of the
queue is done here, as a worker does it.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import httpx
import jsonschema
import openai
import pytest
from django.db import connection
from django.db.models import F
from django.utils import timezone

from accounts.models import ApiKey, Grant
from accounts.services.grants import grant
from rag.intake import add_file
from rag.models import Chunk, Collection, Document, Posting
from rag.services import create_collection
from rag.work_names import FILE_BATCH
from tenants.context import tenant
from tenants.files.cleaning import clean_up
from tenants.files.models import File
from tenants.local.models import Work
from tests.gateway.filing import Cabinet, make_cabinet
from tests.rag.papers import make_pdf
from tests.rag.test_intake import MAIL
from tests.rag.works import work_off

pytestmark = pytest.mark.scope(None)
SPEC = json.loads((Path(__file__).parent / "vector_store_schemas.json").read_text())
URLAUB = "Urlaubsordnung. Jede Mitarbeiterin hat Anspruch auf dreißig Tage Jahresurlaub."
REISEN = "Reisekostenordnung. Bahnfahrten werden in der zweiten Klasse erstattet."


@pytest.fixture(scope="module")
def cabinet(house, django_db_blocker) -> Iterator[Cabinet]:
    with django_db_blocker.unblock():
        yield from make_cabinet(house)


@pytest.fixture(autouse=True)
def emptied(cabinet) -> Iterator[None]:
    with tenant(cabinet.slug):
        yield
        Collection.objects.update(active_generation=None)
        Document.objects.all().delete()
        Collection.objects.all().delete()
        File.objects.all().delete()


@contextmanager
def worker(slug: str) -> Iterator[None]:
    """Does what is due until it is left."""
    over = threading.Event()

    def work() -> None:
        with tenant(slug):
            while not over.wait(0.05):
                work_off()
        connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def bring(client: openai.OpenAI, text: str | bytes, name: str = "rules.txt") -> str:
    raw = text.encode() if isinstance(text, str) else text
    return client.files.create(file=(name, raw), purpose="assistants").id


def fill(client: openai.OpenAI, store_id: str, *texts: str, **options) -> list[str]:
    ids = [bring(client, text) for text in texts]
    for one in ids:
        client.vector_stores.files.create(vector_store_id=store_id, file_id=one, **options)
    work_off()
    return ids


def texts_of(found) -> list[str]:
    return [one.content[0].text for one in found]


def test_a_german_pdf_is_brought_polled_found_and_gone(cabinet):
    client = cabinet.client()
    store = client.vector_stores.create(name="Ordnungen", metadata={"office": "Kiel"})
    assert (store.name, store.metadata, store.status) == ("Ordnungen", {"office": "Kiel"}, "completed")
    with worker(cabinet.slug):
        file = client.vector_stores.files.upload_and_poll(
            vector_store_id=store.id,
            file=("urlaub.pdf", make_pdf([(60, 700, 10, URLAUB)])),
            poll_interval_ms=50,
        )
    assert (file.status, file.last_error) == ("completed", None) and file.usage_bytes > 0
    store = client.vector_stores.retrieve(store.id)
    assert store.file_counts.completed == store.file_counts.total == 1
    assert store.usage_bytes == file.usage_bytes
    (hit,) = client.vector_stores.search(store.id, query="Wie viele Tage Jahresurlaub gibt es?")
    assert "dreißig Tage" in hit.content[0].text and 0 < hit.score <= 1
    assert (hit.file_id, hit.filename, hit.attributes) == (file.id, "urlaub.pdf", {})
    (page,) = client.vector_stores.files.content(file.id, vector_store_id=store.id)
    assert "Jahresurlaub" in page.text
    gone = client.vector_stores.files.delete(file.id, vector_store_id=store.id)
    assert gone.to_dict() == {"id": file.id, "object": "vector_store.file.deleted", "deleted": True}
    assert client.vector_stores.search(store.id, query="Jahresurlaub").data == []
    assert not Chunk.objects.exists() and not Posting.objects.exists()
    assert client.files.retrieve(file.id).filename == "urlaub.pdf", "the file itself stays"
    assert client.vector_stores.delete(store.id).deleted
    with pytest.raises(openai.NotFoundError) as refusal:
        client.vector_stores.retrieve(store.id)
    assert refusal.value.body["code"] == "vector_store_not_found"


def test_a_file_that_its_owner_deletes_or_whose_time_is_over_goes_from_the_stores_that_are_theirs(cabinet):
    client = cabinet.client("frank")
    store = client.vector_stores.create(name="Mine").id
    (one,) = fill(client, store, URLAUB)
    assert client.files.delete(one).deleted
    assert client.vector_stores.search(store, query="Jahresurlaub").data == []
    assert client.vector_stores.files.list(store).data == [] and not Posting.objects.exists()
    (brief,) = fill(client, store, URLAUB)
    File.objects.filter(pk=brief.removeprefix("file-")).update(expires_at=timezone.now())
    clean_up()
    assert client.vector_stores.files.list(store).data == [] and not Document.objects.exists()
    shared = create_collection(actor=None, name="House rules")
    file = File.objects.get(pk=bring(client, REISEN).removeprefix("file-"))
    add_file(actor=None, collection=shared, file=file)
    with pytest.raises(openai.ConflictError) as refusal:
        client.files.delete(f"file-{file.pk.hex}")
    assert refusal.value.body["code"] == "file_in_use" and shared.documents.exists()


def holds(schema: str, told: dict) -> dict:
    """As OpenAI's description of its API wants it."""
    jsonschema.validate(told, {"$ref": f"#/components/schemas/{schema}", **SPEC})
    return told


class Plain:
    """Requests as they are, for what the client does not show."""

    def __init__(self, cabinet: Cabinet, name: str = "erin") -> None:
        self._base = f"{cabinet.house.base_url}/vector_stores"
        self._headers = {"Authorization": f"Bearer {cabinet.keys[name]}"}

    def ask(self, method: str, path: str, body: object = None) -> httpx.Response:
        return httpx.request(method, f"{self._base}{path}", headers=self._headers, json=body, timeout=30)

    def refusal(self, method: str, path: str, body: object = None) -> tuple[int, str, str]:
        answer = self.ask(method, path, body)
        error = answer.json()["error"]
        return answer.status_code, error["code"], error["param"]


def test_every_answer_has_openais_shape(cabinet):
    client, plain = cabinet.client(), Plain(cabinet)
    store = holds("VectorStoreObject", plain.ask("POST", "", {"name": "S"}).json())
    holds("ListVectorStoreFilesResponse", plain.ask("GET", f"/{store['id']}/files").json())
    fill(client, store["id"], URLAUB, attributes={"year": 2024, "draft": False})
    listed = holds("ListVectorStoreFilesResponse", plain.ask("GET", f"/{store['id']}/files").json())
    assert holds("VectorStoreFileObject", listed["data"][0])["attributes"] == {"year": 2024, "draft": False}
    holds("ListVectorStoresResponse", plain.ask("GET", "").json())
    found = plain.ask("POST", f"/{store['id']}/search", {"query": ["Jahresurlaub", "Bahn"]})
    holds("VectorStoreSearchResultsPage", found.json())
    assert found.headers["x-atrium-searched-by"] in ("words", "both")
    assert found.json()["search_query"] == ["Jahresurlaub", "Bahn"] and len(found.json()["data"]) == 1
    gone = plain.ask("DELETE", f"/{store['id']}").json()
    assert holds("DeleteVectorStoreResponse", gone)["object"] == "vector_store.deleted"


def test_filters_say_which_files_are_searched(cabinet):
    client = cabinet.client()
    store = client.vector_stores.create(name="Filters").id
    notes = [{"n": 1, "s": "a", "2": "x"}, {"n": 2.5, "s": "b", "flag": True}, {"s": "1"}, {}]
    for number, attributes in enumerate(notes):
        fill(client, store, f"The lighthouse of number{number}.", attributes=attributes)

    def found(filters: dict) -> str:
        hits = client.vector_stores.search(store, query="lighthouse", filters=filters)
        return "".join(sorted(text[-2] for text in texts_of(hits)))

    def one(kind: str, key: str, value: object) -> dict:
        return {"type": kind, "key": key, "value": value}

    table = [
        (one("eq", "n", 1), "0"),
        (one("eq", "n", 1.0), "0"),
        (one("eq", "n", "1"), ""),
        (one("eq", "flag", True), "1"),
        (one("eq", "2", "x"), "0"),
        (one("ne", "n", 1), "123"),
        (one("gt", "n", 1), "1"),
        (one("gte", "n", 1), "01"),
        (one("lt", "n", 2.5), "0"),
        (one("lte", "n", 2.5), "01"),
        (one("gt", "s", "1"), "01"),
        (one("lt", "s", 5), ""),
        (one("gt", "n", "a"), ""),
        (one("in", "s", ["a", "1"]), "02"),
        (one("in", "n", []), ""),
        (one("nin", "s", ["a", "b"]), "23"),
        (one("eq", "missing", "a"), ""),
        ({"type": "and", "filters": [one("gte", "n", 1), one("ne", "s", "a")]}, "1"),
        ({"type": "or", "filters": [one("eq", "s", "a"), one("eq", "s", "1")]}, "02"),
        (
            {"type": "or", "filters": [{"type": "and", "filters": [one("gt", "n", 0), one("eq", "s", "b")]}]},
            "1",
        ),
    ]
    assert [(filters, found(filters)) for filters, _fitting in table] == table
    plain = Plain(cabinet)
    for filters, param in (
        ({"type": "like", "key": "s", "value": "a"}, "filters.type"),
        ({"type": "eq", "value": "a"}, "filters.key"),
        ({"type": "gt", "key": "s", "value": True}, "filters.value"),
        ({"type": "in", "key": "s", "value": "a"}, "filters.value"),
        ({"type": "and", "filters": [one("eq", "a", {})]}, "filters.filters[0].value"),
        ({"type": "or", "filters": []}, "filters.filters"),
        (one("eq", "a", 1) | {"and": 1}, "filters.and"),
    ):
        refused = plain.refusal("POST", f"/{store}/search", {"query": "x", "filters": filters})
        assert refused[0] == 400 and refused[2] == param, filters


def test_what_is_noted_of_a_file_can_be_changed_and_survives_its_reading(cabinet):
    client = cabinet.client()
    store = client.vector_stores.create(name="Notes").id
    one = bring(client, MAIL, "contract.eml")
    client.vector_stores.files.create(vector_store_id=store, file_id=one, attributes={"kind": "treaty"})
    work_off()
    file = client.vector_stores.files.retrieve(one, vector_store_id=store)
    assert file.attributes == {"kind": "treaty"}, "what its parser says of it is kept elsewhere"
    hit, *others = client.vector_stores.search(
        store, query="foghorns", filters={"type": "eq", "key": "kind", "value": "treaty"}
    )
    assert all(other.file_id == one for other in others), "what shares names with it is of the same mail"
    assert (hit.file_id, hit.filename, hit.attributes) == (one, "annex.txt", {"kind": "treaty"})
    assert client.vector_stores.retrieve(store).file_counts.total == 1, (
        "an attachment is no file of the store"
    )
    changed = client.vector_stores.files.update(one, vector_store_id=store, attributes={"kind": "mail"})
    assert changed.attributes == {"kind": "mail"}
    old = {"type": "eq", "key": "kind", "value": "treaty"}
    assert client.vector_stores.search(store, query="foghorns", filters=old).data == []


def test_what_a_key_brings_is_booked_on_it(cabinet):
    client = cabinet.client()
    store = client.vector_stores.create(name="Booked").id
    fill(client, store, URLAUB)
    client.vector_stores.file_batches.create(vector_store_id=store, file_ids=[bring(client, REISEN)])
    key = ApiKey.objects.get(name="erin")
    assert list(Document.objects.values_list("key_id", "project_id")) == [(key.pk, key.project_id)] * 2
    work_off()


def test_files_of_one_name_are_two_and_of_one_content_one(cabinet):
    client = cabinet.client()
    store = client.vector_stores.create(name="Twins").id
    first, second = fill(client, store, URLAUB, REISEN)
    assert {file.id for file in client.vector_stores.files.list(store)} == {first, second}
    (twin,) = fill(client, store, URLAUB)
    assert (
        twin != first
        and client.vector_stores.files.retrieve(twin, vector_store_id=store).status == "completed"
    )
    assert client.vector_stores.retrieve(store).file_counts.total == 2


def test_of_files_with_one_content_the_last_takes_the_document_along(cabinet):
    """Whether they go at /v1/files or from the store, in whichever order."""
    client = cabinet.client()
    store = client.vector_stores.create(name="Twins").id
    files = client.vector_stores.files
    first, second, third = fill(client, store, URLAUB, URLAUB, URLAUB)
    other = bring(client, URLAUB)  # never added
    assert client.files.delete(first).deleted
    for gone in (first, other):
        with pytest.raises(openai.NotFoundError):
            files.retrieve(gone, vector_store_id=store)
    [found] = client.vector_stores.search(store, query="Jahresurlaub").data
    assert found.file_id == second == files.retrieve(second, vector_store_id=store).id
    files.delete(third, vector_store_id=store)
    assert [file.id for file in files.list(store)] == [second]
    fill(client, store, URLAUB)
    files.delete(second, vector_store_id=store)
    [left] = files.list(store)
    assert left.id not in (first, second, third, other)
    assert client.files.delete(left.id).deleted
    assert (
        client.vector_stores.search(store, query="Jahresurlaub").data == [] and not Document.objects.exists()
    )


def test_lists_go_by_cursors_in_both_directions(cabinet):
    client = cabinet.client()
    stores = [client.vector_stores.create(name="same").id for _number in range(3)]
    assert sorted(row.name for row in client.vector_stores.list()) == ["same", "same (2)", "same (3)"]
    assert [row.id for row in client.vector_stores.list(limit=1, order="asc")] == stores
    ids = fill(client, stores[0], *(f"number {number}" for number in range(5)))
    listed = client.vector_stores.files.list(stores[0], limit=2)
    assert [file.id for file in listed] == ids[::-1], "the client asks for the next page itself"

    def page(**asked) -> list[int]:
        return [ids.index(file.id) for file in client.vector_stores.files.list(stores[0], **asked).data]

    assert page(order="asc", after=ids[1], limit=2) == [2, 3] and page(before=ids[1], limit=2) == [3, 2]
    assert page(filter="completed", limit=1) == [4] and page(filter="failed") == []
    deleted = [
        client.vector_stores.files.delete(file.id, vector_store_id=stores[0])
        for file in client.vector_stores.files.list(stores[0], limit=2)
    ]
    assert len(deleted) == 5, "what is deleted while one goes through the list hides nothing"
    plain = Plain(cabinet)
    assert plain.refusal("GET", f"/{stores[0]}/files?after=abc")[2] == "after"
    assert (
        plain.refusal("GET", "?limit=101")[2] == "limit" and plain.refusal("GET", "?order=up")[2] == "order"
    )


def test_a_batch_counts_its_files_and_can_be_cancelled(cabinet):
    client = cabinet.client()
    store = client.vector_stores.create(name="Batch").id
    with worker(cabinet.slug):
        batch = client.vector_stores.file_batches.upload_and_poll(
            store,
            files=[("a.txt", URLAUB.encode()), ("b.bin", b"\x00\x01\x02\x03" * 50)],
            poll_interval_ms=50,
        )
    assert (batch.status, batch.file_counts.completed, batch.file_counts.failed) == ("completed", 1, 1)
    (failed,) = client.vector_stores.file_batches.list_files(batch.id, vector_store_id=store, filter="failed")
    assert failed.last_error.code == "unsupported_file" and failed.last_error.message
    ids = [bring(client, f"text {number}") for number in range(2)]
    files = [{"file_id": ids[0], "attributes": {"n": 0}}, {"file_id": ids[1]}, {"file_id": bring(client, "")}]
    batch = client.vector_stores.file_batches.create(store, files=files)
    assert (batch.status, batch.file_counts.in_progress, batch.file_counts.failed) == ("in_progress", 2, 1)
    assert client.vector_stores.retrieve(store).status == "in_progress"
    batch = client.vector_stores.file_batches.cancel(batch.id, vector_store_id=store)
    assert (batch.status, batch.file_counts.cancelled, batch.file_counts.total) == ("cancelled", 2, 3)
    rows = client.vector_stores.file_batches.list_files(batch.id, vector_store_id=store, order="asc").data
    assert [(row.id, row.status, row.attributes) for row in rows] == [
        (ids[0], "cancelled", {"n": 0}),
        (ids[1], "cancelled", {}),
    ]
    client.vector_stores.files.create(vector_store_id=store, file_id=ids[0])
    work_off()
    assert client.vector_stores.files.retrieve(ids[0], vector_store_id=store).status == "completed", (
        "once more"
    )
    assert client.vector_stores.file_batches.retrieve(batch.id, vector_store_id=store).status == "cancelled"
    client.vector_stores.files.create(vector_store_id=store, file_id=ids[1])
    work_off()
    again = client.vector_stores.file_batches.retrieve(batch.id, vector_store_id=store)
    assert (again.status, again.file_counts.completed) == ("completed", 2), "what was stopped came after all"
    client.vector_stores.delete(store)
    with pytest.raises(openai.NotFoundError):
        client.vector_stores.file_batches.retrieve(batch.id, vector_store_id=store)


def test_a_batch_is_told_for_thirty_days(cabinet):
    client = cabinet.client()
    store = client.vector_stores.create(name="Kept").id
    batch = client.vector_stores.file_batches.create(store, file_ids=[bring(client, URLAUB)])
    work_off()
    rows = Work.objects.filter(kind=FILE_BATCH)
    for days, is_there in ((29, True), (2, False)):
        later = timedelta(days=days)
        rows.update(created_at=F("created_at") - later, ended_at=F("ended_at") - later)
        work_off()
        if is_there:
            found = client.vector_stores.file_batches.retrieve(batch.id, vector_store_id=store)
            assert found.status == "completed"
    with pytest.raises(openai.NotFoundError):
        client.vector_stores.file_batches.retrieve(batch.id, vector_store_id=store)
    client.vector_stores.delete(store)


def test_only_what_ones_person_may_use_is_there(cabinet):
    erin, frank = cabinet.client("erin"), cabinet.client("frank")
    store = erin.vector_stores.create(name="Erin's").id
    (one,) = fill(erin, store, URLAUB)
    batch = erin.vector_stores.file_batches.create(store, file_ids=[bring(erin, REISEN)])
    assert frank.vector_stores.list().data == []
    own = frank.vector_stores.create(name="Frank's").id
    fill(frank, own, URLAUB)
    for client in (frank, cabinet.house.client()):
        stores, files, batches = (
            client.vector_stores,
            client.vector_stores.files,
            client.vector_stores.file_batches,
        )
        for ask, *arguments in (
            (stores.retrieve, store),
            (partial(stores.update, name="Mine"), store),
            (partial(stores.search, query="Jahresurlaub"), store),
            (files.list, store),
            (partial(files.retrieve, vector_store_id=store), one),
            (partial(files.content, vector_store_id=store), one),
            (partial(files.update, vector_store_id=store, attributes={}), one),
            (partial(files.delete, vector_store_id=store), one),
            (partial(files.create, file_id=one), store),
            (partial(batches.retrieve, vector_store_id=store), batch.id),
            (partial(batches.list_files, vector_store_id=store), batch.id),
            (partial(batches.cancel, vector_store_id=store), batch.id),
            (stores.delete, store),
        ):
            with pytest.raises(openai.NotFoundError):
                ask(*arguments)
    for ask in (
        lambda: frank.vector_stores.files.create(vector_store_id=own, file_id=one),
        lambda: frank.vector_stores.files.retrieve(one, vector_store_id=own),
        lambda: frank.vector_stores.file_batches.retrieve(batch.id, vector_store_id=own),
        lambda: frank.vector_stores.file_batches.create(own, file_ids=[one]),
    ):
        with pytest.raises(openai.NotFoundError):
            ask()
    with pytest.raises(openai.PermissionDeniedError):
        cabinet.client("reader").vector_stores.list()


def test_a_shared_collection_is_read_and_only_written_by_whoever_may(cabinet):
    shared = create_collection(actor=None, name="House rules")
    client = cabinet.client("frank")
    store = f"vs_{shared.pk.hex}"
    assert [row.id for row in client.vector_stores.list()] == [store]
    for ask in (
        lambda: client.vector_stores.files.create(vector_store_id=store, file_id=bring(client, URLAUB)),
        lambda: client.vector_stores.update(store, name="Mine"),
        lambda: client.vector_stores.delete(store),
    ):
        with pytest.raises(openai.PermissionDeniedError):
            ask()
    person = cabinet.people["frank"]
    grant(actor=None, kind="collection", target=shared.pk, user=person, effect=Grant.Effect.DENY)
    assert client.vector_stores.list().data == []
    with pytest.raises(openai.NotFoundError):
        client.vector_stores.search(store, query="x")


def test_what_is_not_served_is_refused_with_its_name(cabinet):
    plain = Plain(cabinet)
    made = plain.ask(
        "POST",
        "",
        {
            "chunking_strategy": {
                "type": "static",
                "static": {"max_chunk_size_tokens": 200, "chunk_overlap_tokens": 0},
            }
        },
    ).json()
    assert made["name"] == made["id"], "one without a name is called by its id"
    assert Collection.objects.get().chunk_characters == 800
    files, search = f"/{made['id']}/files", f"/{made['id']}/search"
    one = bring(cabinet.client(), URLAUB)
    coarse = {"type": "static", "static": {"max_chunk_size_tokens": 800, "chunk_overlap_tokens": 400}}
    for path, body, param in (
        ("", {"expires_after": {"anchor": "last_active_at", "days": 1}}, "expires_after"),
        ("", {"metadata": {"a": 1}}, "metadata.a"),
        ("", {"metadata": {str(number): "" for number in range(17)}}, "metadata"),
        ("", {"name": "x" * 121}, "name"),
        ("", {"owner": "me"}, "owner"),
        ("", {"embedding_model": "none"}, "embedding_model"),
        ("", {"languages": ["fr"]}, "languages"),
        ("", {"chunking_strategy": {"type": "semantic"}}, "chunking_strategy"),
        ("", {"file_ids": ["file-x"]}, "file_id"),
        (files, {}, "file_id"),
        (files, {"file_id": one, "chunking_strategy": coarse}, "chunking_strategy"),
        (files, {"file_id": one, "attributes": {"a": []}}, "attributes.a"),
        (f"/{made['id']}/file_batches", {"file_ids": [one], "files": []}, "files"),
        (search, {}, "query"),
        (search, {"query": [" "]}, "query"),
        (search, {"query": "x", "max_num_results": 51}, "max_num_results"),
        (search, {"query": "x", "rewrite_query": True}, "rewrite_query"),
        (search, {"query": "x", "ranking_options": {"ranker": "best"}}, "ranking_options.ranker"),
        (
            search,
            {"query": "x", "ranking_options": {"score_threshold": 2}},
            "ranking_options.score_threshold",
        ),
    ):
        status, _code, refused = plain.refusal("POST", path, body)
        assert status in (400, 404) and refused == param, (path, body)
    assert Collection.objects.count() == 1, "what is refused leaves nothing"
    fitting = made["id"], {"query": "x", "rewrite_query": False, "ranking_options": {"ranker": "auto"}}
    assert plain.ask("POST", f"/{fitting[0]}/search", fitting[1]).json()["data"] == []
