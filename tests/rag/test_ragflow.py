"""RAGFlow as an engine, against a server that behaves as RAGFlow does."""

import json
from collections.abc import Iterator
from uuid import uuid4

import pytest
from django.utils import timezone

from foundation.errors import Conflict, InvalidInput, NotAllowed
from rag.changes import change_collection
from rag.engines.ragflow import account as accounts
from rag.engines.ragflow.errors import RagflowError
from rag.engines.ragflow.wire import Unmeant, check_meant, open_wire
from rag.intake import add_file, cancel_document, rebuild_collection, retry_document
from rag.models import Chunk, Collection, Document, Generation, RagflowAccount, RagflowDocument
from rag.progress import describe_collection, describe_document
from rag.ragflow import add_account, change_account, check_account, remove_account
from rag.searching import ENGINE_AWAY, search_now
from rag.services import delete_collection, delete_document
from rag.work.handing import LONGEST
from rag.work_names import HAND_OVER, REBUILD, WATCH
from tenants.context import tenant
from tenants.local.models import Work
from tests.conftest import manage
from tests.doubles.ragflow import RagflowServer, running_ragflow
from tests.rag.test_api import Program
from tests.rag.works import bring, newest, work_off

pytestmark = pytest.mark.django_db
KEEPER = "The lighthouse keeper has thirty days of leave."
HANDBOOK = f"{KEEPER}\n\nBoats moor at the eastern pier."


@pytest.fixture
def ragflow(settings) -> Iterator[RagflowServer]:
    settings.PRIVATE_RAGFLOW = frozenset({"127.0.0.1"})
    with running_ragflow() as double:
        yield double


@pytest.fixture
def account(db, ragflow) -> RagflowAccount:
    return add_account(actor=None, base_url=f"{ragflow.base_url}/api/v1/", secret="key-acme")


@pytest.fixture
def there(account, make_collection) -> Collection:
    return make_collection("There", engine="ragflow")


def work_through(most: int = 20) -> None:
    """As if all pauses were over."""
    for _turn in range(most):
        Work.objects.filter(state="queued").update(due_at=timezone.now())
        if not work_off():
            return


def put(collection: Collection, text: str = HANDBOOK, name: str = "rules.txt") -> Document:
    document, _new = add_file(actor=None, collection=collection, file=bring(text, name))
    work_through()
    document.refresh_from_db()
    return document


def texts(found) -> list[str]:
    return [hit.text for hit in found.hits]


def test_a_document_goes_there_is_waited_for_and_found_with_its_place(there, ragflow, bob):
    document, _new = add_file(actor=None, collection=there, file=bring(HANDBOOK))
    work_off()
    document.refresh_from_db()
    progress = describe_document(document)
    assert (document.state, progress.can_cancel) == ("reading", True)
    assert search_now(bob, "lighthouse leave", collections=[there]).hits == []
    work_through()
    document.refresh_from_db()
    assert (document.state, document.why) == ("ready", "")
    found = search_now(bob, "lighthouse keeper leave", collections=[there])
    assert texts(found) == [KEEPER] and not found.trace.gaps
    (hit,) = found.hits
    assert HANDBOOK[hit.char_from : hit.char_to].rstrip(".") == hit.text.rstrip(".")
    assert (hit.score, hit.page_from) == (1.0, None), "places of files without pages are no pages"
    assert ragflow.count("POST", "/documents") == 1 and ragflow.count("POST", "/datasets") == 1
    again, is_new = add_file(actor=None, collection=there, file=bring(HANDBOOK, "copy.txt"))
    assert again.pk == document.pk and not is_new


def test_what_it_cannot_read_says_why_and_is_tried_again(there, ragflow):
    failed = put(there, name="fail-scan.txt")
    assert failed.state == "failed" and "no model can read this" in failed.why and "ERROR" in failed.why
    assert describe_document(failed).can_retry and not ragflow.store.documents, "nothing of it stays there"
    empty = put(there, "nothing here", name="empty-scan.txt")
    assert empty.state == "failed" and "no text" in empty.why
    stuck, _new = add_file(actor=None, collection=there, file=bring("Tides.", "stuck-tides.txt"))
    work_through(4)
    assert describe_document(stuck).can_cancel
    cancel_document(actor=None, document=stuck)
    work_through(4)
    stuck.refresh_from_db()
    assert stuck.state == "stopped" and not ragflow.store.documents
    retry_document(actor=None, document=stuck)
    work_through(4)
    RagflowDocument.objects.update(started_at=timezone.now() - 2 * LONGEST)
    work_through(4)
    stuck.refresh_from_db()
    assert stuck.state == "failed" and "2 hours" in stuck.why and not ragflow.store.documents
    assert all(ids for ids in ragflow.deleted)


def test_only_chunks_of_our_copy_that_the_asker_may_read_come_back(
    there, make_collection, ragflow, bob, alice
):
    put(there)
    own = make_collection("Bob's own", engine="ragflow", owner_id=bob.pk)
    put(own, "My diary of the lighthouse.", "diary.txt")
    stranger = ragflow.store.create_dataset("globex", {"name": "theirs"})[1]["id"]
    foreign = ragflow.store.upload(stranger, "secret.txt", b"The lighthouse of another company.")[1][0]["id"]
    ragflow.store.start("globex", stranger, [foreign])
    for _look in range(3):
        ragflow.store.documents[foreign].step()
    ragflow.store.leaks = True
    found = search_now(alice, "lighthouse", collections=[there, own])
    assert texts(found) == [KEEPER]
    assert len(search_now(bob, "lighthouse", collections=[there, own]).hits) == 2


def test_a_filter_that_fits_nothing_is_no_call_and_one_that_fits_names_documents(there, ragflow, bob):
    first, second = put(there), put(there, "A lighthouse in the fog.", "fog.txt")
    Document.objects.filter(pk=second.pk).update(metadata={"kind": "weather"})
    before = ragflow.count("POST", "/retrieval")
    for nothing in ({"metadata": {"kind": "none"}}, {"document_ids": []}, {"document_ids": [uuid4()]}):
        assert search_now(bob, "lighthouse", collections=[there], **nothing).hits == []
    assert search_now(bob, "lighthouse", collections=[]).hits == []
    assert ragflow.count("POST", "/retrieval") == before, "no ids are all ids there"
    for fitting in ({"metadata": {"kind": "weather"}}, {"document_ids": [second.pk]}):
        assert texts(search_now(bob, "lighthouse", collections=[there], **fitting)) == [
            "A lighthouse in the fog."
        ]
    assert "metadata_condition" not in ragflow.asked[-1][2] and first.state == "ready"


@pytest.mark.parametrize("fault", ["timeout", "html", "truncated", "false", "list"])
def test_a_server_that_is_away_costs_meaning_and_the_collection_says_so(
    there, make_collection, add, ragflow, bob, fault, monkeypatch
):
    monkeypatch.setattr(accounts, "SEARCHING", accounts.Patience(0.2, 0.2))
    put(there)
    add(here := make_collection("Here"), "Leave", "the lighthouse closes in winter")
    ragflow.fault, ragflow.fault_at = fault, "/retrieval"
    found = search_now(bob, "lighthouse", collections=[there, here])
    assert set(texts(found)) == {
        KEEPER,
        "the lighthouse closes in winter",
    }
    assert (ENGINE_AWAY, (there.pk,)) in {(gap.why, gap.collections) for gap in found.trace.gaps}
    assert "RAGFlow does not answer" in describe_collection(there).problem
    asked = len(ragflow.asked)
    assert len(search_now(bob, "lighthouse", collections=[there]).hits) == 1
    assert len(ragflow.asked) == asked, "who is known to be away is not waited for"
    ragflow.fault = ""
    work_through()
    assert newest(WATCH).state == "done" and not describe_collection(there).problem
    assert not search_now(bob, "lighthouse", collections=[there]).trace.gaps


def test_while_it_is_away_documents_wait_and_go_on_without_twins(there, ragflow):
    ragflow.fault, ragflow.fault_at = "html", "/chunks"
    document = put(there)
    work = newest(HAND_OVER)
    assert (document.state, work.state) == ("reading", "queued") and "cannot be reached" in work.failure
    RagflowDocument.objects.update(remote_id="")  # a crash between the upload and our note of it
    ragflow.fault = ""
    work_through()
    document.refresh_from_db()
    assert document.state == "ready" and len(ragflow.store.documents) == 1


def test_deleting_names_what_goes_and_new_versions_leave_nothing(there, make_collection, ragflow, bob):
    other = make_collection("Other", engine="ragflow")
    kept = put(other, "The lighthouse of the other collection.")
    first = put(there, "Old rules of the lighthouse.")
    second = put(there, "New rules of the lighthouse.")
    assert not Document.objects.filter(pk=first.pk).exists()
    assert texts(search_now(bob, "rules lighthouse", collections=[there])) == ["New rules of the lighthouse."]
    assert len(ragflow.store.documents) == 2
    delete_document(actor=None, document=second)
    work_through()
    assert not Chunk.objects.filter(document=second.pk).exists() and len(ragflow.store.documents) == 1
    delete_collection(actor=None, collection=there)
    work_through()
    assert len(ragflow.store.datasets) == 1 and not Generation.objects.filter(collection=there.pk).exists()
    assert texts(search_now(bob, "lighthouse", collections=[other])) and kept.state == "ready"
    assert all(isinstance(ids, list) and ids for ids in ragflow.deleted)


def test_a_collection_moves_there_and_back_and_the_old_answers_until_then(
    account, make_collection, ragflow, bob
):
    moving = make_collection("Moving")
    document = put(moving)
    put(moving, "Fog bells ring.", "fail-fog.txt")
    assert change_collection(actor=None, collection=moving, engine="ragflow")
    moving.refresh_from_db()
    rebuild_collection(actor=None, collection=moving)
    work_through()
    assert not search_now(bob, "lighthouse", collections=[moving]).trace.gaps[1:]
    assert ragflow.count("POST", "/retrieval") == 0 and texts(search_now(bob, "fog", collections=[moving]))
    work = newest(REBUILD)
    assert work.state == "failed" and "fail-fog" in describe_collection(moving).problem
    assert Document.objects.filter(collection=moving, state="ready").count() == 2
    delete_document(actor=None, document=Document.objects.get(title="fail-fog.txt"))
    rebuild_collection(actor=None, collection=moving)
    work_through()
    moving.refresh_from_db()
    assert moving.active_generation.engine == "ragflow" and moving.generations.count() == 1
    assert (
        texts(search_now(bob, "lighthouse", collections=[moving]))
        and ragflow.count("POST", "/retrieval") == 1
    )
    with pytest.raises(Conflict):
        remove_account(actor=None, account=account)
    change_collection(actor=None, collection=moving, engine="pgvector")
    moving.refresh_from_db()
    rebuild_collection(actor=None, collection=moving)
    work_through()
    moving.refresh_from_db()
    assert moving.active_generation.engine == "pgvector" and not ragflow.store.datasets
    assert (
        texts(search_now(bob, "lighthouse", collections=[moving])) == [HANDBOOK] and document.state == "ready"
    )
    remove_account(actor=None, account=account)


def test_programs_and_commands_move_a_collection_too(account, acme, alice, make_collection, ragflow):
    moving = make_collection("Moving")
    put(moving)
    program, own = Program(acme, alice), f"{moving.pk}/"
    told = program.ask("PATCH", own, {"engine": "ragflow", "uses_graph": False}).json()
    assert (told["engine"], told["uses_graph"]) == ("ragflow", False)
    assert told["progress"]["is_rebuilding"]
    here = ("--tenant", "acme", "Moving")
    (found,) = json.loads(manage("collection", "search", *here, "lighthouse", "--json"))
    assert found["text"] == HANDBOOK, "the old index answers until the new one is there"
    work_through()
    moving.refresh_from_db()
    assert moving.active_generation.engine == "ragflow"
    told = json.loads(manage("collection", "change", *here, "--engine", "pgvector", "--graph", "--json"))
    assert (told["engine"], told["uses_graph"]) == ("pgvector", True)
    work_through()
    moving.refresh_from_db()
    assert moving.active_generation.engine == "pgvector" and moving.generations.count() == 1


def test_the_account_is_checked_sealed_and_goes_nowhere_else(account, ragflow, settings, bob):
    check_account(actor=None, account=account)
    account.refresh_from_db()
    assert account.base_url == ragflow.base_url and not account.failure and account.last_checked_at
    assert "key-acme" not in str(RagflowAccount.objects.values_list("secret", flat=True)[0])
    with pytest.raises(InvalidInput) as refused:
        change_account(actor=None, account=account, base_url="https://elsewhere.example.org")
    assert refused.value.param == "secret"
    change_account(actor=None, account=account, secret="key-wrong")
    account.refresh_from_db()
    with pytest.raises(RagflowError) as refused:
        check_account(actor=None, account=account)
    assert refused.value.code == "ragflow_key" and "API key" in account.failure
    with pytest.raises(NotAllowed):
        check_account(actor=bob, account=account)
    with pytest.raises(Conflict):
        add_account(actor=None, base_url=ragflow.base_url, secret="key-acme")
    settings.PRIVATE_RAGFLOW = frozenset()
    asked = len(ragflow.asked)
    with pytest.raises(RagflowError):
        check_account(actor=None, account=account)
    assert len(ragflow.asked) == asked, "no private network that the operator did not name"
    with pytest.raises(InvalidInput):
        change_account(actor=None, account=account, base_url="http://169.254.169.254", secret="key-acme")


def test_data_that_must_stay_goes_to_no_server_that_the_operator_did_not_name(
    account, make_collection, settings
):
    make_collection("Local", engine="ragflow", data_policy="local")
    with pytest.raises(InvalidInput) as refused:
        make_collection("Unstored", engine="ragflow", data_policy="+unstored")
    assert refused.value.param == "data_policy"
    settings.PRIVATE_RAGFLOW = frozenset()
    with pytest.raises(InvalidInput):
        make_collection("Local two", engine="ragflow", data_policy="local")
    here = make_collection("Here", data_policy="eu")
    with pytest.raises(InvalidInput):
        change_collection(actor=None, collection=here, engine="ragflow")


def test_another_tenant_has_no_account_and_no_engine(account, make_collection):
    with tenant("globex"), pytest.raises(InvalidInput):
        make_collection("Theirs", engine="ragflow")


@pytest.mark.parametrize(
    ("method", "path", "fields"),
    [
        ("DELETE", "/datasets", {"ids": None}),
        ("DELETE", "/datasets", {"ids": []}),
        ("DELETE", "/datasets", {}),
        ("DELETE", "/datasets/a1/documents", {"ids": []}),
        ("POST", "/retrieval", {"question": "a", "dataset_ids": []}),
        ("POST", "/retrieval", {"question": "a", "dataset_ids": ["a1"], "document_ids": []}),
        ("POST", "/retrieval", {"question": "a", "dataset_ids": ["a1"], "metadata_condition": {}}),
        ("POST", "/datasets", {"name": "a", "kb_ids": ["b"]}),
        ("GET", "/datasets/../../system/documents", {}),
        ("POST", "/chats/a1/completions", {"question": "a"}),
    ],
)
def test_what_nobody_means_is_not_asked(method, path, fields):
    with pytest.raises(Unmeant):
        check_meant(method, path, fields)


def test_the_sdk_never_opens_a_connection_of_its_own(account, ragflow, monkeypatch):
    import requests

    def refuse(*args, **options):
        raise AssertionError("past the guard")

    monkeypatch.setattr(requests.Session, "request", refuse)
    policy = accounts.policy_for(account.base_url, accounts.WORKING)
    with open_wire(account.base_url, None, policy) as wire, pytest.raises(RagflowError) as refused:
        wire.list_datasets()
    assert refused.value.code == "ragflow_key", "code 0 and no data is a refusal"
    check_account(actor=None, account=account)
