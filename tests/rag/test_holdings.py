"""What documents hold counts towards what may be kept, however small the archive was; and how many
collections there may be.
"""

import pytest

from foundation.errors import InvalidInput, QuotaExceeded
from foundation.ids import uuid7
from rag import holdings
from rag.handing_over import hand_over
from rag.holdings import count_held_bytes
from rag.intake import add_file, add_text, rebuild_collection
from rag.models import Block, Chunk, Collection
from rag.services import create_collection, delete_collection
from tenants.files import limits
from tenants.files.limits import count_bytes, count_bytes_of
from tenants.selectors import StorageAllowance
from tests.rag import papers
from tests.rag.works import bring, work_off

pytestmark = pytest.mark.django_db
LINE = b"<w:p><w:r><w:t>Whoever travels keeps the receipts of the journey.</w:t></w:r></w:p>"


@pytest.fixture
def bomb() -> bytes:
    """Some 10 kB that hold 200 kB of text."""
    return papers.make_word(LINE * 4_000)


def test_text_and_index_of_a_small_archive_count(make_collection, bob, bomb):
    collection = make_collection(owner_id=bob.pk)
    document, _new = add_file(actor=bob, collection=collection, file=bring(bomb, "journey.docx", bob))
    assert count_bytes_of(bob.pk) == len(bomb), "as long as nothing is read"
    work_off()
    document.refresh_from_db()
    text = sum(len(block.text) for block in document.blocks.all())
    assert document.state == "ready" and text > 5 * len(bomb) and document.held_bytes > 10 * text
    assert count_held_bytes(None) == document.held_bytes
    assert count_bytes_of(bob.pk) == count_bytes() == len(bomb) + document.held_bytes
    delete_collection(actor=bob, collection=collection)
    assert count_bytes_of(bob.pk) == 0


@pytest.mark.parametrize("whose", ["the person's", "the plan's"])
def test_what_has_no_room_is_refused_before_it_is_written(
    make_collection, bob, bomb, settings, monkeypatch, whose
):
    if whose == "the plan's":
        allowance = StorageAllowance(storage_bytes=1_000_000, largest_file_bytes=None)
        monkeypatch.setattr(limits, "get_storage_allowance", lambda: allowance)
        said = "your organisation's plan is 976.6 KB"
    else:
        settings.STORAGE_PER_PERSON_BYTES = 1_000_000
        said = "One person may keep 976.6 KB here"
    collection = make_collection(owner_id=bob.pk)
    document, _new = add_file(actor=bob, collection=collection, file=bring(bomb, "journey.docx", bob))
    small, _new = add_text(actor=bob, collection=collection, title="Small", text="A little text.")
    assert work_off() == 2
    document.refresh_from_db()
    small.refresh_from_db()
    assert (document.state, document.held_bytes, small.state) == ("failed", 0, "ready")
    assert said in document.why and "text of this document and its index take about" in document.why
    assert not Block.objects.filter(document=document) and not Chunk.objects.filter(document=document)
    with pytest.raises(QuotaExceeded, match="there is no room"):
        bring(bytes(1_000_000), "more.bin", bob)


def test_a_second_index_counts_until_the_first_is_gone(make_collection, bob, charlie, bomb, settings):
    """One that is made anew has room first, of each person who brought something."""
    collection = make_collection(owner_id=bob.pk)
    document, _new = add_file(actor=bob, collection=collection, file=bring(bomb, "journey.docx", bob))
    work_off()
    document.refresh_from_db()
    held = document.held_bytes
    settings.STORAGE_PER_PERSON_BYTES = len(bomb) + 2 * held - 1
    with pytest.raises(QuotaExceeded, match="there is no room"):
        rebuild_collection(actor=bob, collection=collection)
    assert count_held_bytes(None) == held and collection.generations.count() == 1
    settings.STORAGE_PER_PERSON_BYTES += 1
    Collection.objects.filter(pk=collection.pk).update(chunk_characters=300)
    rebuild_collection(actor=bob, collection=Collection.objects.get(pk=collection.pk))
    assert count_held_bytes(None) == count_held_bytes(bob.pk) == 2 * held
    assert count_held_bytes(charlie.pk) == 0
    work_off()
    assert count_held_bytes(bob.pk) == held and collection.generations.count() == 1


def test_chats_with_files_are_counted_apart(bob, charlie, settings, monkeypatch):
    settings.COLLECTIONS_PER_PERSON, settings.COLLECTIONS_PER_TENANT = 1, 2
    monkeypatch.setattr(holdings, "CHATS_PER_COLLECTION", 2)

    def chat(person, name: str) -> Collection:
        return create_collection(actor=person, name=name, owner_id=person.pk, conversation_id=uuid7())

    first, _second = chat(bob, "one"), chat(bob, "two")
    with pytest.raises(QuotaExceeded, match="files into 2 chats"):
        chat(bob, "three")
    for name in ("one", "two"):
        chat(charlie, name)
    delete_collection(actor=None, collection=first)
    chat(bob, "three")
    settings.COLLECTIONS_PER_PERSON = 2
    with pytest.raises(QuotaExceeded, match="Your organisation has 4 chats with files"):
        chat(bob, "four")


def test_collections_are_counted(bob, charlie, settings):
    settings.COLLECTIONS_PER_PERSON, settings.COLLECTIONS_PER_TENANT = 2, 3
    for name in ("one", "two"):
        create_collection(actor=bob, name=name, owner_id=bob.pk)
    create_collection(actor=bob, name="of a chat", owner_id=bob.pk, conversation_id=bob.pk)
    with pytest.raises(QuotaExceeded, match="You have 2 collections of your own") as refused:
        create_collection(actor=bob, name="three", owner_id=bob.pk)
    assert refused.value.code == "too_many_collections" and refused.value.headers
    create_collection(actor=charlie, name="one", owner_id=charlie.pk)
    with pytest.raises(QuotaExceeded, match="Your organisation has 3 collections"):
        create_collection(actor=charlie, name="two", owner_id=charlie.pk)
    assert Collection.objects.count() == 4


def test_nobody_is_handed_more_collections_than_one_may_have(bob, alice, settings):
    settings.COLLECTIONS_PER_PERSON = 1
    create_collection(actor=alice, name="hers", owner_id=alice.pk)
    given = create_collection(actor=bob, name="his", owner_id=bob.pk)
    with pytest.raises(InvalidInput, match="as many collections"):
        hand_over(actor=bob, collection=given, to=alice)
    given.refresh_from_db()
    assert given.owner_id == bob.pk
