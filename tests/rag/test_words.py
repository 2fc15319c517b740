"""BM25 over the tenant's postings: right scores, right bounds, nothing left behind."""

from collections import Counter
from math import log

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Grant
from accounts.services.grants import grant
from foundation.errors import InvalidInput, NotFound
from rag.analysis import Analyzer
from rag.engines import Question
from rag.engines.pgvector import generations, statements, words
from rag.engines.table import engine_of
from rag.models import Chunk, Collection, Document, Generation, Posting, TermCount
from rag.parsed import ParsedBlock
from rag.selectors import (
    get_visible_chunk,
    get_visible_collection,
    list_neighbours,
    list_section,
    list_visible_collections,
    list_visible_documents,
)
from rag.services import add_document, delete_collection, delete_document, index_documents
from tenants.context import tenant
from tests.rag.conftest import paragraph

pytestmark = pytest.mark.django_db


def find(text: str, user=None, **options) -> list:
    """Titles, the best first."""
    collections = options.pop("collections", None)
    if collections is None:
        collections = list_visible_collections(user)
    from rag.engines.pgvector import PgvectorEngine

    return [hit.title for hit in PgvectorEngine().search(Question(text, collections, **options))]


TEXTS = {
    "Leave": "Every employee has thirty days of leave a year. Leave is asked for by a form.",
    "Travel": "Travel by train is paid in full. Travel by car is paid by the kilometre, by a form.",
    "Theatre": "The Warsaw theatre was built in 1833. Its stage is the largest of the city.",
}


def bm25(texts: dict[str, str], question: str) -> dict[str, float]:
    """The textbook's formula (k1 = 1.2, b = 0.75), written once more."""
    analyzer = Analyzer()
    docs = {title: Counter(analyzer.list_terms(f"{title}\n{text}", "en")) for title, text in texts.items()}
    mean = sum(doc.total() for doc in docs.values()) / len(docs)
    scores = dict.fromkeys(docs, 0.0)
    for term in analyzer.list_question_terms(question, ["en"]):
        holders = [title for title, doc in docs.items() if term in doc]
        weight = log(1 + (len(docs) - len(holders) + 0.5) / (len(holders) + 0.5))
        for title in holders:
            tf, length = docs[title][term], docs[title].total()
            scores[title] += weight * tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * length / mean))
    return {title: score for title, score in scores.items() if score}


@pytest.mark.parametrize("question", ["leave form", "travel by train", "Warsaw theatres 1833", "form"])
@pytest.mark.parametrize("is_pruned", [False, True])
def test_scores_are_those_of_the_formula(make_collection, add, monkeypatch, question, is_pruned):
    if is_pruned:  # frequent words are looked up last, for the best that rare ones find
        monkeypatch.setattr(statements, "PRUNED_CHUNKS", 0)
        monkeypatch.setattr(statements, "RARE_SHARE", 0.9)
    collection = make_collection(languages=["en"])
    for title, text in TEXTS.items():
        add(collection, title, text)
    hits = engine_of(collection).search(Question(question, Collection.objects.all()))
    expected = bm25(TEXTS, question)
    order = sorted(expected, key=lambda title: -expected[title])
    assert [hit.title for hit in hits] == (order[: len(hits)] if is_pruned and hits else order)
    assert [hit.word_score for hit in hits] == pytest.approx([expected[hit.title] for hit in hits])


def test_over_many_chunks_words_that_most_contain_find_nothing_by_themselves(
    make_collection, add, monkeypatch
):
    collection = make_collection(languages=["en"])
    for number in range(20):
        add(collection, f"Page {number}", f"common words {'rare' if number == 7 else 'other'} {number}")
    assert len(find("common rare", count=50)) == 20
    monkeypatch.setattr(statements, "PRUNED_CHUNKS", 10)
    assert find("common rare", count=50) == ["Page 7"]
    assert len(find("common", count=50)) == 20, "the rarest word of a question is always asked"


def test_nothing_is_found_where_nothing_matches(make_collection, add):
    add(make_collection(), "Leave", TEXTS["Leave"])
    assert find("Zahnradbahn") == find("") == find("the of and") == find("?!") == []
    assert find("leave") == ["Leave"]


def test_three_languages_stand_in_one_collection(make_collection, add):
    collection = make_collection()
    add(collection, "Vertrag", "Die Kündigungsfristen der Verträge stehen im Anhang, und die Frist gilt.")
    add(collection, "合同", "合同的解除期限见附件。")
    add(collection, "Contract", "The contracts and the periods of their notice are in the annex.")
    assert find("Welche Fristen gelten?") == ["Vertrag"]
    assert find("合同期限是什么？")[0] == "合同"
    assert find("What is the period of notice?")[0] == "Contract"
    languages = set(Chunk.objects.values_list("document__title", "language"))
    assert languages == {("Vertrag", "de"), ("合同", "zh"), ("Contract", "en")}


def test_compounds_are_found_by_their_parts_once_the_collection_knows_these(make_collection, add):
    collection = make_collection(languages=["de"])
    first = add(collection, "Anzeige", "Die Ladebereitschaft ist dem Befrachter anzuzeigen.")
    assert find("Bereitschaft") == []
    add(collection, "Pflicht", "Die Bereitschaft zum Laden ist eine Pflicht.")
    add(collection, "Zeit", "Bereitschaft und Laden brauchen Zeit.")
    add(collection, "Anderes", "Sonst gilt nichts.")
    assert set(find("Bereitschaft")) == {"Anzeige", "Pflicht", "Zeit"}, "what stood there was read again"
    assert Generation.objects.get().lexicon["bereitschaft"] == 2
    check_statistics()
    delete_document(actor=None, document=first)
    check_statistics()
    Chunk.objects.update(terms=None)  # as the release before left them
    delete_document(actor=None, document=Document.objects.get(title="Zeit"))
    check_statistics()


def test_an_index_is_read_as_the_version_that_made_it(make_collection, add, monkeypatch):
    """Also what comes to it later, and after its words were learnt anew; one made anew knows more."""
    collection = make_collection("Gesetze", languages=["de"])
    Generation.objects.update(analyzer_version=1)
    collection.refresh_from_db()
    add(collection, "Eins", "Die Ladung wird angezeigt.")
    add(collection, "Zwei", "Die Kosten wurden angezeigt.")
    assert find("Anzeige") == [] and find("angezeigt") == ["Eins", "Zwei"]
    new = generations.make(collection)
    assert not generations.is_made_as(Generation.objects.exclude(pk=new.pk).get(), collection)
    while generations.fill(new.pk):
        pass
    generations.switch(new.pk)
    assert find("Anzeige") == find("anzuzeigen") == ["Eins", "Zwei"]


def test_only_german_passages_know_the_lexicon(make_collection, add):
    collection = make_collection(languages=["en", "de"])
    english = add(collection, "Leave", TEXTS["Leave"])
    add(collection, "Anzeige", "Die Ladebereitschaft ist dem Befrachter anzuzeigen.")
    with connection.cursor() as cursor:
        of_english = (
            "SELECT p.ctid::text, p.* FROM rag_posting p JOIN rag_chunk c ON c.id = p.chunk_id "
            "WHERE c.document_id = %s ORDER BY p.term"
        )
        cursor.execute(of_english, [english.pk])
        before = cursor.fetchall()
        add(collection, "Pflicht", "Die Bereitschaft zum Laden ist eine Pflicht.")
        add(collection, "Zeit", "Bereitschaft und Laden brauchen Zeit.")
        assert set(find("Bereitschaft")) == {"Anzeige", "Pflicht", "Zeit"}
        cursor.execute(of_english, [english.pk])
        assert cursor.fetchall() == before, "the same rows at the same places"
    add(collection, "Form", "Is there a form for the train?")
    with CaptureQueriesContext(connection) as asked:
        add(collection, "Stage", "The stage of the city is the largest.")
    assert not [query for query in asked if 'lexicon"' in query["sql"]]
    check_statistics()


def test_a_title_and_headings_find_a_passage_and_are_not_cited(make_collection, add):
    collection = make_collection()
    add(
        collection, "Statutes", paragraph("It is thirty days.", headings=("Part one", "Annual leave"), page=3)
    )
    (hit,) = engine_of(collection).search(Question("annual leave", Collection.objects.all()))
    assert (hit.text, hit.headings, hit.page_from) == ("It is thirty days.", ("Part one", "Annual leave"), 3)
    assert find("statutes") == ["Statutes"]


# -- Who may find what


def test_two_people_of_one_tenant(make_collection, add, alice, bob):
    """Access is decided inside the search: what may not be read takes no place and counts nowhere."""
    secret, public = make_collection("Secret"), make_collection("Public")
    add(public, "Open", "The salary is paid monthly.")
    for number in range(30):
        add(secret, f"Closed {number}", "salary salary salary")
    grant(actor=None, kind="collection", target=secret.pk, user=alice)
    assert len(find("salary", alice, count=100)) == 31
    assert find("salary", bob, count=1) == ["Open"]
    everybody, alone = find_scores("salary", alice), find_scores("salary", bob)
    assert alone["Open"] != everybody["Open"], "the weight of a word comes from what may be read"
    with pytest.raises(NotFound):
        get_visible_collection(bob, secret.pk)
    assert get_visible_collection(alice, secret.pk) == secret
    assert set(list_visible_documents(bob).values_list("title", flat=True)) == {"Open"}


def find_scores(text: str, user) -> dict[str, float]:
    from rag.engines.pgvector import PgvectorEngine

    hits = PgvectorEngine().search(Question(text, list_visible_collections(user), count=100))
    return {hit.title: hit.word_score for hit in hits}


def test_who_is_refused_or_has_left_finds_nothing(make_collection, add, bob):
    collection = make_collection()
    add(collection, "Open", "The salary is paid monthly.")
    assert find("salary", bob) == ["Open"]
    grant(actor=None, kind="collection", target="Handbook", user=bob, effect=Grant.Effect.DENY)
    assert find("salary", bob) == []
    Grant.objects.all().delete()
    assert find("salary", bob) == ["Open"]
    bob.is_active = False
    assert find("salary", bob) == []


def test_two_tenants(make_collection, add):
    collection = make_collection()
    add(collection, "Ours", "The salary is paid monthly.")
    with tenant("globex"):
        assert find("salary") == []
        theirs = make_collection()
        add(theirs, "Theirs", "The salary is paid weekly.")
        assert find("salary") == ["Theirs"]
    assert find("salary") == ["Ours"]


@pytest.mark.parametrize(
    ("metadata", "found"),
    [
        ({}, {"Old", "New"}),
        ({"year": 2024}, {"Old"}),
        ({"year": "2024"}, set()),
        ({"year": 1999}, set()),
        ({"team": "sales"}, {"Old", "New"}),
        ({"team": "sales", "year": 2025}, {"New"}),
        ({"nothing": None}, set()),
    ],
)
def test_a_filter_that_matches_nothing_finds_nothing(make_collection, add, metadata, found):
    collection = make_collection()
    add(collection, "Old", "salary", metadata={"year": 2024, "team": "sales"})
    add(collection, "New", "salary", metadata={"year": 2025, "team": "sales"})
    assert set(find("salary", metadata=metadata)) == found


def test_documents_can_be_named(make_collection, add):
    collection = make_collection()
    old, new = add(collection, "Old", "salary"), add(collection, "New", "salary")
    assert find("salary", document_ids=[old.pk]) == ["Old"]
    assert set(find("salary", document_ids=[old.pk, new.pk])) == {"Old", "New"}
    assert find("salary", document_ids=[]) == []
    assert find("salary", collections=Collection.objects.none()) == []
    assert find("salary", collections=Collection.objects.filter(pk__in=[])) == []


@pytest.mark.parametrize("count", [0, 101])
def test_how_many_may_be_asked_for(make_collection, count):
    with pytest.raises(InvalidInput):
        find("salary", count=count)


# -- What is written and taken away


def counts() -> list[int]:
    tables = (Chunk, Posting, TermCount, Document)
    return [table.objects.count() for table in tables]


def check_statistics() -> None:
    """What the index counts is what stands in it."""
    for row in Generation.objects.all():
        chunks = set(Chunk.objects.filter(generation=row).values_list("pk", flat=True))
        postings = list(
            Posting.objects.filter(generation_id=row.pk).values_list("term", "chunk_id", "frequency")
        )
        assert {chunk for _term, chunk, _frequency in postings} <= chunks
        assert row.chunk_count == len(chunks)
        assert row.term_count == sum(frequency for _term, _chunk, frequency in postings)
        found = dict(TermCount.objects.filter(generation_id=row.pk).values_list("term", "chunk_count"))
        assert found == Counter(term for term, _chunk, _frequency in postings)


def test_a_document_that_is_deleted_leaves_nothing(make_collection, add):
    collection = make_collection()
    add(collection, "Travel", TEXTS["Travel"])
    before = counts()
    gone = add(collection, "Leave", TEXTS["Leave"], "Die Kündigungsfrist beträgt drei Monate.")
    check_statistics()
    assert counts() > before
    delete_document(actor=None, document=gone)
    check_statistics()
    assert counts() == before and find("leave") == find("Kündigungsfrist") == []


def test_a_collection_that_is_deleted_leaves_nothing(make_collection, add, alice):
    collection, other = make_collection(), make_collection("Other")
    add(other, "Travel", TEXTS["Travel"])
    before = counts()
    add(collection, "Leave", TEXTS["Leave"])
    grant(actor=None, kind="collection", target=collection.pk, user=alice)
    delete_collection(actor=None, collection=collection)
    check_statistics()
    assert counts() == before and Collection.objects.get() == other and not Grant.objects.exists()
    assert Generation.objects.count() == 1


def test_the_same_bytes_are_one_document(make_collection):
    collection = make_collection()
    first, is_new = add_document(actor=None, collection=collection, title="A", content_hash="ab" * 32)
    again, is_new_again = add_document(actor=None, collection=collection, title="B", content_hash="ab" * 32)
    assert (is_new, is_new_again, again.pk, again.title) == (True, False, first.pk, "A")
    other = make_collection("Other")
    assert add_document(actor=None, collection=other, title="A", content_hash="ab" * 32)[1]


def test_indexing_again_replaces(make_collection, add):
    collection = make_collection()
    document = add(collection, "Leave", TEXTS["Leave"])
    before = counts()
    for _again in range(2):
        index_documents(collection=collection, parsed={document: [paragraph(TEXTS["Leave"])]})
        check_statistics()
        assert counts() == before
    index_documents(collection=collection, parsed={document: [paragraph("Sabbaticals are rare.")]})
    check_statistics()
    assert find("form") == [] and find("sabbatical") == ["Leave"]


def test_a_document_without_text_is_never_done(make_collection, add):
    collection = make_collection()
    with pytest.raises(InvalidInput, match="Empty"):
        add(collection, "Empty", "   ", "")
    assert Document.objects.get().state == Document.State.WAITING and counts()[:3] == [0, 0, 0]


def test_a_crash_in_the_middle_leaves_what_was_there(make_collection, add, monkeypatch):
    collection = make_collection()
    document = add(collection, "Leave", TEXTS["Leave"])
    before = counts()

    def crash(*arguments):
        raise RuntimeError("the power is gone")

    monkeypatch.setattr(words.Writer, "add", crash)
    with pytest.raises(RuntimeError):
        index_documents(collection=collection, parsed={document: [paragraph("Sabbaticals are rare.")]})
    assert counts() == before and find("form") == ["Leave"] and find("sabbatical") == []
    check_statistics()


def test_a_search_reads_the_index_of_the_postings_alone(make_collection, add):
    """Its key covers what is read; the planner may take the table instead while that is small."""
    add(make_collection(), "Leave", TEXTS["Leave"])
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")
        cursor.execute(
            "EXPLAIN SELECT chunk_id, frequency, length FROM rag_posting WHERE generation_id = 1 AND term = 1"
        )
        assert "Index Only Scan using rag_posting_pkey" in cursor.fetchone()[0]


# -- Around a passage


def test_neighbours_and_the_section_of_a_passage(make_collection, add, alice, bob):
    collection = make_collection()
    below = ("Leave", "How to ask")
    steps = [
        ParsedBlock(
            f"Step {number}. " * 14, headings=below, char_from=500 * number, char_to=500 * number + 150
        )
        for number in range(1, 9)
    ]
    add(collection, "Handbook", paragraph("One. " * 30, headings=("Leave",)), *steps)
    rows = list(Chunk.objects.order_by("position"))
    assert [row.headings for row in rows] == [["Leave"], list(below), list(below)]
    chunk = get_visible_chunk(bob, rows[1].pk)
    assert list(list_neighbours(chunk)) == rows and list(list_neighbours(rows[0])) == rows[:2]
    assert list(list_section(chunk)) == rows[1:]
    grant(actor=None, kind="collection", target=collection.pk, user=alice)
    assert get_visible_chunk(alice, rows[1].pk) == rows[1]
    with pytest.raises(NotFound):
        get_visible_chunk(bob, rows[1].pk)
