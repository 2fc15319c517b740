"""Searching as somebody: rights, what is missing, and what goes to a model beside the finds."""

from uuid import uuid4

import pytest

from accounts.models import Grant
from accounts.services.grants import grant
from rag.context import fill, read_again, read_whole
from rag.engines.pgvector import generations
from rag.granted import list_collections
from rag.models import Chunk, Generation
from rag.searching import NO_MODEL, NO_VECTORS, PARTLY, search_now
from rag.selectors import list_visible_collections, list_visible_documents
from rag.services import create_collection
from tests.rag.conftest import MODEL, axis, paragraph

pytestmark = pytest.mark.django_db


def titles(found) -> list[str]:
    return [hit.title for hit in found.hits]


def test_only_what_the_person_may_read_is_searched(make_collection, add, bob, alice):
    handbook = make_collection("Handbook")
    own = make_collection("Bob's own", owner_id=bob.pk)
    add(handbook, "Leave", "thirty days of holiday")
    add(own, "Diary", "my holiday in Crete")
    wanted = [handbook, own, uuid4()]
    found = search_now(bob, "holiday", collections=wanted)
    assert set(titles(found)) == {"Leave", "Diary"} and len(found.trace.closed) == 1
    assert titles(search_now(alice, "holiday", collections=wanted)) == ["Leave"], "others' own"
    grant(actor=None, kind="collection", target="Handbook", user=bob, effect=Grant.Effect.DENY)
    found = search_now(bob, "holiday", collections=wanted)
    assert titles(found) == ["Diary"] and handbook.pk in found.trace.closed
    assert found.trace.collections == (own.pk,), "what is searched is no more than what was asked for"
    assert titles(search_now(bob, "holiday", collections=[])) == []


def test_what_was_not_searched_by_meaning_is_said(make_collection, add, bob):
    by_words = make_collection("Words")
    new = make_collection("New", languages=["en"], embedding_model=MODEL, dimensions=384)
    for collection in (by_words, new):
        add(collection, f"{collection} one", "holiday")
        add(collection, f"{collection} two", "holiday")
    found = search_now(bob, "holiday", collections=[by_words, new])
    assert {(gap.why, gap.collections) for gap in found.trace.gaps} == {
        (NO_MODEL, (by_words.pk,)),
        (NO_VECTORS, (new.pk,)),
    }
    assert found.trace.leg == "words" and len(found.hits) == 4
    generation = Generation.objects.get(pk=new.active_generation_id)
    first = Chunk.objects.filter(generation=generation).first()
    generations.keep_vectors(generation.pk, [(first.pk, axis(1))])
    found = search_now(bob, "holiday", collections=[new], leg="words")
    assert found.trace.gaps == (), "nobody asked for meaning"
    found = search_now(bob, "holiday", collections=[new])
    assert found.trace.gaps[0].why == PARTLY
    assert len(found.hits) == 2, "a model that nobody can call costs the meaning, not the search"
    assert found.trace.gaps[-1].model == MODEL and found.trace.leg == "words"


def test_room_that_is_left_goes_to_the_neighbours_of_the_best(make_collection, add, bob):
    handbook = make_collection("Handbook", chunk_characters=200)
    leave = [f"{word} " * 20 for word in ("before", "holiday", "after", "far")]
    blocks, at = [], 0
    for number, text in enumerate(leave):
        section = ("Leave",) if number < 3 else ("Travel",)
        blocks.append(paragraph(text.strip(), headings=section))
        at += len(text) + 2
    add(handbook, "Rules", *blocks)
    readable = list_visible_collections(bob)
    hits = search_now(bob, "holiday", collections=[handbook]).hits
    assert len(hits) == 1
    (given,) = fill(readable, hits, 10_000)
    assert given.text.index("before") < given.text.index("holiday") < given.text.index("after")
    assert "far" not in given.text, "another section"
    assert (given.char_from, given.char_to) == (hits[0].char_from, hits[0].char_to)
    (given,) = fill(readable, hits, len(hits[0].text) + 20)
    assert given.text == hits[0].text and not given.is_cut
    assert fill(readable.none(), hits, 10_000)[0].text == hits[0].text, "neighbours ask for rights, too"
    assert fill(readable, hits, 100) == [], "too little says nothing"


def test_what_stands_in_a_place_is_read_anew_under_the_readers_rights(make_collection, add, bob):
    handbook = make_collection("Handbook")
    document = add(handbook, "Leave", "thirty days of holiday")
    (hit,) = search_now(bob, "holiday", collections=[handbook]).hits
    (given,) = fill(list_visible_collections(bob), [hit], 1_000)
    places = [given.reference]
    assert read_again(list_visible_documents(bob), places) == ["thirty days of holiday"]
    (whole,) = read_whole(list_visible_documents(bob), [document.pk])
    assert whole.text == "thirty days of holiday" and whole.is_whole
    grant(actor=None, kind="collection", target="Handbook", user=bob, effect=Grant.Effect.DENY)
    assert read_again(list_visible_documents(bob), places) == [None]
    assert read_whole(list_visible_documents(bob), [document.pk]) == []


def test_rights_name_shared_collections_only_and_close_none_to_its_owner(make_collection, bob):
    shared = make_collection("Ours")
    own = create_collection(actor=bob, name="Ours", owner_id=bob.pk)
    assert [row.id for row in list_collections()] == [shared.pk]
    Grant.objects.create(kind="collection", object_id=own.pk, object_name="Ours", effect="deny", user=bob)
    assert list_visible_collections(bob).filter(pk=own.pk).exists()
