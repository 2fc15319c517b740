"""What comes into a collection: read on the queue, once, in versions, and gone without a trace."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation

from foundation.errors import Conflict, InvalidInput, NotAllowed, NotFound
from rag.changes import change_collection, change_document, save_question
from rag.engines import Question
from rag.engines.table import engine_of
from rag.intake import add_file, add_text, cancel_document, rebuild_collection, retry_document
from rag.models import Block, Chunk, Collection, Document, Generation, Posting, SavedQuestion
from rag.progress import describe_collection, describe_document
from rag.questions import list_measuring
from rag.selectors import list_visible_collections
from rag.services import create_collection, delete_collection, delete_document
from rag.work import reading, together
from rag.work_names import QUEUE, READ
from tenants.context import tenant
from tenants.files import cleaning
from tenants.files.models import Blob, File
from tenants.local.models import Work
from tenants.work.claims import claim_next
from tenants.work.runs import carry_out
from tests.rag.papers import make_xlsx
from tests.rag.works import bring, newest, work_off

pytestmark = pytest.mark.django_db
MAIL = b"""From: a@example.com
To: b@example.com
Subject: Contract
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="x"

--x
Content-Type: text/plain

The contract about the lighthouse is attached.
--x
Content-Type: text/plain
Content-Disposition: attachment; filename="annex.txt"

The annex speaks of foghorns.
--x--
"""


def found(collection: Collection, text: str) -> list[str]:
    here = Collection.objects.filter(pk=collection.pk)
    return [hit.text for hit in engine_of(collection).search(Question(text, here))]


def test_a_file_waits_is_read_and_found_and_again_is_the_same(make_collection):
    collection = make_collection()
    document, is_new = add_file(actor=None, collection=collection, file=bring("Moor by the lighthouse."))
    assert is_new and document.state == "waiting" and not found(collection, "lighthouse")
    assert describe_document(document).can_cancel
    again, is_new = add_file(
        actor=None, collection=collection, file=bring("Moor by the lighthouse.", "copy.txt")
    )
    assert not is_new and again.pk == document.pk and File.objects.count() == 1
    assert work_off() == 1, "one piece of work for both"
    document.refresh_from_db()
    assert (document.state, document.why, document.title) == ("ready", "", "rules.txt")
    assert found(collection, "lighthouse") == ["Moor by the lighthouse."]
    assert describe_collection(collection).document_counts == {"ready": 1}


def test_what_was_left_out_is_told_in_the_language_of_whoever_looks(make_collection):
    with translation.override("de"):
        add_file(actor=None, collection=make_collection(), file=bring(make_xlsx(3), "prices.xlsx"))
        work_off()
    document = Document.objects.get()
    assert document.state == "ready" and document.why == "Hidden sheets were left out."
    with translation.override("zh-hans"):
        assert document.why == "隐藏的工作表已略去。"


def test_another_content_of_the_name_is_a_version_that_takes_the_place_when_it_is_ready(make_collection):
    collection = make_collection()
    first, _new = add_file(actor=None, collection=collection, file=bring("Old rules of the harbour."))
    work_off()
    for text, span in (("Which?", (4, 25)), ("How old?", (0, 9)), ("Where?", None)):
        save_question(actor=None, collection=collection, text=text, document=first, span=span)
    broken, _new = add_file(actor=None, collection=collection, file=bring(b"\x00\x01\x02\x03" * 50))
    work_off()
    broken.refresh_from_db()
    assert broken.state == "failed" and broken.why and describe_document(broken).can_retry
    assert found(collection, "harbour") == ["Old rules of the harbour."], "what failed replaces nothing"
    third, _new = add_file(actor=None, collection=collection, file=bring("All new rules of the harbour."))
    assert third.version == 3 and found(collection, "harbour") == ["Old rules of the harbour."]
    work_off()
    assert found(collection, "harbour") == ["All new rules of the harbour."]
    assert [row.pk for row in collection.documents.all()] == [third.pk] and File.objects.count() == 1
    rows = SavedQuestion.objects.order_by("pk").values_list("text", "document", "char_from", "is_outdated")
    assert list(rows) == [
        ("Which?", third.pk, 8, False),  # where its passage stands now
        ("How old?", third.pk, None, True),  # it stands nowhere
        ("Where?", third.pk, None, False),
    ]
    assert {row.text for row in list_measuring(collection)} == {"Which?", "Where?"}
    back, is_new = add_file(actor=None, collection=collection, file=bring("Old rules of the harbour."))
    work_off()
    assert is_new and back.version == 4 and found(collection, "harbour") == ["Old rules of the harbour."]


def test_two_files_of_one_name_in_two_folders_are_two(make_collection):
    collection = make_collection()
    for folder in ("north", "south"):
        add_file(
            actor=None,
            collection=collection,
            file=bring(f"The {folder} pier."),
            address=f"{folder}/rules.txt",
        )
    work_off()
    assert collection.documents.count() == 2


def test_what_hangs_on_a_mail_is_a_document_and_goes_with_it(make_collection):
    collection = make_collection()
    mail, _new = add_file(actor=None, collection=collection, file=bring(MAIL, "contract.eml"))
    work_off()
    mail.refresh_from_db()
    assert mail.source == "mail" and mail.why == "" and mail.state == "ready"
    (child,) = mail.attachments.all()
    assert (child.title, child.state) == ("annex.txt", "ready") and found(collection, "foghorns")
    assert File.objects.filter(expires_at=None).count() == 2
    with CaptureQueriesContext(connection) as seen:
        delete_document(actor=None, document=mail)
    told = [query["sql"] for query in seen]
    work = next(at for at, sql in enumerate(told) if '"local_work"' in sql)
    locked = [sql for sql in told[:work] if "FOR UPDATE" in sql and 'FROM "rag_document"' in sql]
    assert len(locked) == 3, "the mail, what hangs on it, what hangs on that: as workers lock, before work"
    assert not found(collection, "foghorns") and not Document.objects.exists()
    for model in (Block, Chunk, Posting, File):
        assert not model.objects.exists(), model
    assert not Blob.objects.filter(state="stored").exists()


def test_what_two_mails_attached_goes_with_the_last_of_them(make_collection):
    collection = make_collection()
    other = MAIL.replace(b"Subject: Contract", b"Subject: Once more")
    mails = [
        add_file(actor=None, collection=collection, file=bring(content, name))[0]
        for content, name in ((MAIL, "one.eml"), (other, "two.eml"))
    ]
    work_off()
    first = Document.objects.get(title="annex.txt").parent
    (second,) = [mail for mail in mails if mail != first]
    delete_document(actor=None, document=first)
    assert Document.objects.get(title="annex.txt").parent == second and found(collection, "foghorns")
    delete_document(actor=None, document=second)
    assert not Document.objects.exists() and not found(collection, "foghorns")


def test_a_crash_before_the_end_leaves_nothing_half(make_collection, monkeypatch):
    collection = make_collection()
    document, _new = add_file(actor=None, collection=collection, file=bring(MAIL, "contract.eml"))

    def crash(*_arguments):
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr("rag.work.reading.order_next_look", crash)
        work_off()
    document.refresh_from_db()
    assert document.state == "reading" and not Block.objects.exists() and not document.attachments.exists()
    assert newest(READ).state == Work.State.QUEUED and newest(READ).failure
    assert describe_document(document).why == newest(READ).failure
    Work.objects.update(due_at="2020-01-01T00:00Z")
    work_off()
    document.refresh_from_db()
    assert document.state == "ready" and document.attachments.count() == 1


def test_cancelling_and_trying_again(make_collection):
    collection = make_collection()
    document, _new = add_file(actor=None, collection=collection, file=bring("A pier."))
    assert cancel_document(actor=None, document=document).state == "stopped" and work_off() == 0
    with pytest.raises(Conflict):
        cancel_document(actor=None, document=document)
    assert retry_document(actor=None, document=document).state == "waiting"
    with pytest.raises(Conflict):
        retry_document(actor=None, document=document)
    work_off()
    assert found(collection, "pier") and describe_document(Document.objects.get()).can_retry
    retry_document(actor=None, document=Document.objects.get())
    assert describe_document(Document.objects.get()).is_again and found(collection, "pier")
    cancel_document(actor=None, document=Document.objects.get())
    assert Document.objects.get().state == "ready", "what was read stays"


def test_several_are_read_together_and_what_is_unusual_alone(make_collection, monkeypatch):
    """One process and one transaction, without what is broken, cancelled or of another collection."""
    collection, other = make_collection("Harbour"), make_collection("Quay")
    contents: dict[str, bytes] = {f"{number}.txt": f"Pier {number} is long.".encode() for number in range(4)}
    contents |= {"mail.eml": MAIL, "broken.pdf": b"%PDF-1.4 nothing", "empty.txt": b" "}
    contents["zh.csv"] = b"pier;length\n1;20\n2;30\n"
    added = {
        name: add_file(actor=None, collection=collection, file=bring(content, name))[0]
        for name, content in contents.items()
    }
    later, _is_new = add_file(actor=None, collection=collection, file=bring("Pier 9 is new.", "0.txt"))
    elsewhere, _is_new = add_file(actor=None, collection=other, file=bring("Another pier."))
    kept: list[int] = []
    keep = reading.keep_all

    def note(of, brought):
        kept.append(len(brought))
        keep(of, brought)

    for module in (reading, together):
        monkeypatch.setattr(module, "keep_all", note)
    held = claim_next(QUEUE)
    assert held is not None and len(held.others) == len(added)
    cancel_document(actor=None, document=added["3.txt"])
    carry_out(held)
    assert kept == [6], "the texts but one, the mail, the table and the later version"
    work_off()
    states = dict(collection.documents.values_list("title", "state"))
    assert (
        states.pop("3.txt") == "stopped" and states.pop("broken.pdf") == states.pop("empty.txt") == "failed"
    )
    assert set(states.values()) == {"ready"} and states.keys() >= {"Contract", "annex.txt", "zh.csv", "2.txt"}
    assert not Document.objects.filter(pk=added["0.txt"].pk).exists(), "the later version is ready"
    assert "Pier 9 is new." in found(collection, "Pier 9")
    later.refresh_from_db()
    elsewhere.refresh_from_db()
    assert later.state == elsewhere.state == "ready"
    generation = Generation.objects.get(collection=collection)
    assert generation.chunk_count == Chunk.objects.filter(generation=generation).count()


def test_texts_and_what_is_refused(make_collection):
    collection = make_collection()
    document, is_new = add_text(actor=None, collection=collection, title="Note", text="The pilot sleeps.")
    assert is_new and document.source == "text"
    assert add_text(actor=None, collection=collection, title="Other", text="The pilot sleeps.")[1] is False
    work_off()
    assert found(collection, "pilot") and File.objects.count() == 1
    for text in ("", " \n"):
        with pytest.raises(InvalidInput):
            add_text(actor=None, collection=collection, title="x", text=text)
    with pytest.raises(InvalidInput, match="empty"):
        add_file(actor=None, collection=collection, file=bring(""))


def test_who_may_write(make_collection, alice, bob, charlie):
    shared = make_collection()
    with pytest.raises(NotAllowed):
        create_collection(actor=bob, name="Shared")
    own = create_collection(actor=bob, name="Mine", owner_id=bob.pk)
    add_file(actor=bob, collection=own, file=bring("Bob's pier.", owner=bob))
    work_off()
    for act in (
        lambda who: add_file(actor=who, collection=own, file=bring("x")),
        lambda who: add_text(actor=who, collection=own, title="x", text="x"),
        lambda who: retry_document(actor=who, document=own.documents.get()),
        lambda who: delete_document(actor=who, document=own.documents.get()),
        lambda who: rebuild_collection(actor=who, collection=own),
        lambda who: delete_collection(actor=who, collection=own),
    ):
        with pytest.raises(NotFound):
            act(alice)
    assert own not in list_visible_collections(alice) and own in list_visible_collections(bob)
    with pytest.raises(NotFound):
        create_collection(actor=alice, name="His", owner_id=bob.pk)
    with pytest.raises(NotAllowed):
        add_file(actor=bob, collection=shared, file=bring("x", owner=bob))
    with pytest.raises(NotFound):
        add_file(actor=bob, collection=own, file=bring("Alice's own", owner=alice))
    with tenant("globex"):
        assert not Document.objects.exists() and work_off() == 0
    delete_collection(actor=bob, collection=own)
    assert not Document.objects.exists() and not File.objects.filter(owner=bob, purpose="knowledge").filter(
        name="rules.txt", sha256=""
    )


def test_another_index_takes_its_place_when_it_is_complete(make_collection):
    collection = make_collection()
    for number in range(3):
        add_file(actor=None, collection=collection, file=bring(f"Pier {number}. " * 40, f"{number}.txt"))
    work_off()
    before = Generation.objects.get()
    collection.chunk_characters = 200
    collection.save()
    rebuild_collection(actor=None, collection=collection)
    assert describe_collection(collection).is_rebuilding and found(collection, "pier")
    add_file(actor=None, collection=collection, file=bring("Pier meanwhile.", "later.txt"))
    work_off()
    after = Generation.objects.get()
    assert after.pk != before.pk and after.chunk_count > before.chunk_count
    collection.refresh_from_db()
    assert collection.active_generation_id == after.pk and len(found(collection, "meanwhile")) == 1


def test_a_file_whose_time_is_over_stays_for_its_document_and_keeps_no_other(make_collection, monkeypatch):
    collection = make_collection("Rules")
    add_file(actor=None, collection=collection, file=bring("Needed by a document."))
    bring("Needed by nobody.", "other.txt")
    add_file(actor=None, collection=collection, file=bring("Needed as well."))
    File.objects.update(expires_at=timezone.now())
    monkeypatch.setattr(cleaning, "AT_ONCE", 1)
    cleaning.clean_up()
    assert File.objects.count() == Document.objects.exclude(file=None).count() == 2


def test_what_is_noted_of_a_document_that_was_deleted_meanwhile_is_refused(make_collection):
    document, _new = add_file(actor=None, collection=make_collection("Rules"), file=bring("Text."))
    delete_document(actor=None, document=Document.objects.get())
    with pytest.raises(NotFound):
        change_document(actor=None, document=document, metadata={"year": 2024})


def test_a_language_twice_is_refused_of_a_collection_that_exists_too(make_collection):
    with pytest.raises(InvalidInput):
        change_collection(actor=None, collection=make_collection("Rules"), languages=["de", "de"])
