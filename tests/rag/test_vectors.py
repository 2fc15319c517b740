"""Vectors: exact below a bound and through the graph above it, beside the words, generation by generation."""

import random

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.services.grants import grant
from foundation.errors import Conflict, InvalidInput
from rag.engines import Question
from rag.engines.pgvector import PgvectorEngine, generations, search, statements, vectors
from rag.engines.pgvector.calibration import calibrate
from rag.engines.pgvector.fusion import fuse, weigh
from rag.models import DIMENSIONS, Block, Chunk, Collection, Generation, Vector
from rag.selectors import list_asked_models, list_visible_collections
from rag.services import delete_collection, delete_document
from tests.rag.conftest import MODEL, axis

pytestmark = pytest.mark.django_db


@pytest.fixture
def collection(make_collection) -> Collection:
    return make_collection(languages=["en"], embedding_model=MODEL, dimensions=384)


def generation_of(collection: Collection) -> Generation:
    return Generation.objects.get(pk=collection.active_generation_id)


def embed_all(collection: Collection, by_title: dict[str, list[float]]) -> int:
    generation = generation_of(collection)
    rows = [
        (chunk.pk, by_title[chunk.document.title])
        for chunk in Chunk.objects.filter(generation=generation).select_related("document")
    ]
    return generations.keep_vectors(generation.pk, rows)


def find(vector: list[float], text: str = "nothing", user=None, **options) -> list[str]:
    asked = Question(text, list_visible_collections(user), {MODEL: vector}, **options)
    return [hit.title for hit in PgvectorEngine().search(asked)]


def test_the_nearest_comes_first(collection, add):
    for title in ("East", "North", "Between"):
        add(collection, title, "text")
    assert embed_all(collection, {"East": axis(3, 0), "North": axis(0, 0.2), "Between": axis(1, 1)}) == 3
    assert find(axis(9, 1)) == ["East", "Between", "North"]
    (first, *_rest) = PgvectorEngine().search(
        Question("nothing", Collection.objects.all(), {MODEL: axis(5)}, leg="vectors")
    )
    assert first.similarity == pytest.approx(1, abs=1e-3)


def test_words_find_at_once_and_meaning_as_vectors_come(collection, add):
    add(collection, "Leave", "thirty days of holiday")
    generation = generation_of(collection)
    assert find(axis(1), "holiday") == ["Leave"] and find(axis(1), "vacation") == []
    status = PgvectorEngine().status(collection)
    assert (status.chunk_count, status.vector_count, status.is_complete) == (1, 0, False)
    ((chunk, text),) = generations.list_wanting(generation)
    assert text == "Leave\nthirty days of holiday"
    assert [generations.keep_vectors(generation.pk, [(chunk, axis(1))]) for _twice in range(2)] == [1, 0]
    assert generations.list_wanting(generation) == [] and find(axis(1), "vacation") == ["Leave"]
    assert PgvectorEngine().status(collection).is_complete


@pytest.mark.parametrize(
    "vector",
    [[1.0] * 383, [1.0] * 768, [], axis(0), axis(float("nan")), axis(float("inf"))],
    ids=["short", "long", "empty", "zero", "nan", "infinite"],
)
def test_what_is_no_vector_of_this_collection_is_refused(collection, add, vector):
    add(collection, "Leave", "holiday")
    generation = generation_of(collection)
    ((chunk, _text),) = generations.list_wanting(generation)
    with pytest.raises(InvalidInput):
        generations.keep_vectors(generation.pk, [(chunk, vector)])
    generations.keep_vectors(generation.pk, [(chunk, axis(1))])
    with pytest.raises(InvalidInput):
        find(vector)


def test_a_vector_that_comes_after_its_chunk_has_gone_is_passed_over(collection, add):
    document = add(collection, "Leave", "holiday")
    generation = generation_of(collection)
    ((chunk, _text),) = generations.list_wanting(generation)
    delete_document(actor=None, document=document)
    assert generations.keep_vectors(generation.pk, [(chunk, axis(1))]) == 0
    assert not Vector.objects.exists() and generation_of(collection).vector_count == 0


def test_who_may_not_read_a_passage_does_not_find_it_by_meaning(collection, make_collection, add, alice, bob):
    other = make_collection("Open", embedding_model=MODEL, dimensions=384)
    add(collection, "Closed", "text")
    add(other, "Open", "text")
    embed_all(collection, {"Closed": axis(1)})
    embed_all(other, {"Open": axis(1, 1)})
    grant(actor=None, kind="collection", target=collection.pk, user=alice)
    assert find(axis(1), user=alice) == ["Closed", "Open"]
    assert find(axis(1), user=bob, count=1) == ["Open"]


def test_a_filter_that_matches_nothing_finds_nothing(collection, add):
    document = add(collection, "Leave", "text", metadata={"year": 2024})
    embed_all(collection, {"Leave": axis(1)})
    assert find(axis(1), metadata={"year": 2024}) == find(axis(1), document_ids=[document.pk]) == ["Leave"]
    assert find(axis(1), metadata={"year": 2025}) == find(axis(1), document_ids=[]) == []


@pytest.mark.parametrize("most", [statements.MOST_LISTED, 1])
def test_what_a_filter_leaves_is_found_once_where_it_is_not_much(collection, add, monkeypatch, most):
    """Both legs and the graph ask for it; of more, each by itself."""
    monkeypatch.setattr(statements, "MOST_LISTED", most)
    for title, year in (("Old", 2023), ("Leave", 2024), ("Travel", 2024)):
        add(collection, title, f"{title} of Anna Schmidt, the travel agent", metadata={"year": year})
    embed_all(collection, {"Old": axis(1), "Leave": axis(1, 1), "Travel": axis(1, 0.1)})
    with CaptureQueriesContext(connection) as asked:
        assert find(axis(1), "travel", metadata={"year": 2024}, count=10) == ["Travel", "Leave"]
    looked = sum("FROM allowed" in query["sql"] for query in asked)
    assert looked == 1 if most > 1 else looked > 3


def test_vectors_of_another_model_are_not_compared(collection, make_collection, add):
    add(collection, "Ours", "text")
    embed_all(collection, {"Ours": axis(1)})
    other = make_collection("Other", embedding_model="another", dimensions=384)
    add(other, "Theirs", "text")
    generations.keep_vectors(
        other.active_generation_id, [(Chunk.objects.get(document__title="Theirs").pk, axis(1))]
    )
    assert find(axis(1)) == ["Ours"]
    assert list_asked_models(Collection.objects.all()) == sorted(["another", MODEL])
    both = Question("nothing", Collection.objects.all(), {MODEL: axis(1), "another": axis(1)})
    assert {hit.title for hit in PgvectorEngine().search(both)} == {"Ours", "Theirs"}


def fill(collection: Collection, count: int) -> dict[int, list[float]]:
    """A document of many chunks whose vectors are drawn by chance."""
    from rag.models import Document

    chance = random.Random(3)
    generation = generation_of(collection)
    document = Document.objects.create(collection=collection, title="Many", content_hash="0" * 64)
    rows = Chunk.objects.bulk_create(
        Chunk(generation=generation, document=document, position=number, char_from=0, char_to=4, text="text")
        for number in range(count)
    )
    found = {row.pk: [chance.gauss(0, 1) for _axis in range(384)] for row in rows}
    generation.chunk_count = count
    generation.save()
    generations.keep_vectors(generation.pk, found.items())
    return found


def test_above_the_bound_the_graph_finds_what_comparing_all_finds(
    collection, make_collection, add, monkeypatch
):
    """A filter that leaves little is searched through to its end; rows outside the graph are compared."""
    mine, other = fill(collection, 300), make_collection("Other", embedding_model=MODEL, dimensions=384)
    add(other, "Beside", "text")
    embed_all(other, {"Beside": axis(1)})
    exact = ask_ids(axis(1, 2, 3))
    monkeypatch.setattr(vectors, "EXACT_ROWS", 100)
    assert vectors.take_into_graph(generation_of(other)) == 0, "a small one stays outside"
    assert vectors.take_into_graph(generation_of(collection), limit=180) == 180
    monkeypatch.setattr(search, "EXACT_ROWS", 100)
    assert ask_ids(axis(1, 2, 3)) == exact, "half of them in the graph"
    while vectors.take_into_graph(generation_of(collection)):
        pass
    assert Vector.objects.filter(is_indexed=True).count() == len(mine)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")
        cursor.execute("SET LOCAL enable_sort = off")
    assert len(set(ask_ids(axis(1, 2, 3))) & set(exact)) >= 9


def ask_ids(vector: list[float]) -> list[int]:
    asked = Question("", Collection.objects.all(), {MODEL: vector}, leg="vectors")
    return [hit.chunk_id for hit in PgvectorEngine().search(asked)]


def test_deleting_leaves_no_vector(collection, add):
    document = add(collection, "Leave", "text")
    add(collection, "Travel", "text")
    embed_all(collection, {"Leave": axis(1), "Travel": axis(0, 1)})
    delete_document(actor=None, document=document)
    assert find(axis(1)) == ["Travel"] and Vector.objects.count() == 1
    assert generation_of(collection).vector_count == 1
    delete_collection(actor=None, collection=collection)
    assert not Vector.objects.exists()


# -- A new generation beside the old


def test_a_change_of_model_never_stops_the_search(collection, add):
    add(collection, "Leave", "thirty days of holiday")
    embed_all(collection, {"Leave": axis(1)})
    Collection.objects.filter(pk=collection.pk).update(embedding_model="larger", dimensions=768)
    collection.refresh_from_db()
    new = generations.make(collection)
    assert find(axis(1)) == ["Leave"] and list_asked_models(Collection.objects.all()) == [MODEL]
    with pytest.raises(Conflict):
        generations.switch(new.pk)
    assert [generations.fill(new.pk) for _twice in range(2)] == [1, 0]
    add(collection, "Late", "a document that comes meanwhile")
    assert find(axis(1), "meanwhile")[0] in {"Late", "Leave"}
    wanting = generations.list_wanting(Generation.objects.get(pk=new.pk))
    assert [text.splitlines()[0] for _chunk, text in wanting] == ["Leave", "Late"]
    generations.keep_vectors(new.pk, [(wanting[0][0], [1.0] * 768)])
    with pytest.raises(Conflict):
        generations.switch(new.pk)
    generations.keep_vectors(new.pk, [(wanting[1][0], [-1.0] * 768)])
    generations.switch(new.pk)
    assert list_asked_models(Collection.objects.all()) == ["larger"]
    asked = Question("nothing", Collection.objects.all(), {"larger": [1.0] * 768})
    assert [hit.title for hit in PgvectorEngine().search(asked)] == ["Leave", "Late"]
    assert Vector.objects.filter(embedding384=None).count() == 2 == Vector.objects.count()
    assert Chunk.objects.count() == 2 and Generation.objects.count() == 1 and Block.objects.count() == 2


# -- Two rankings into one


@pytest.mark.parametrize(
    ("words", "found", "weight", "order"),
    [
        ({1: 9.0, 2: 5.0, 3: 0.0}, {3: 0.9, 2: 0.5, 1: 0.1}, 1.0, [1, 2, 3]),
        ({1: 9.0, 2: 5.0, 3: 0.0}, {3: 0.9, 2: 0.5, 1: 0.1}, 0.0, [3, 2, 1]),
        ({1: 9.0, 2: 8.0, 3: 0.0}, {3: 0.9, 2: 0.8, 1: 0.1}, 0.5, [2, 1, 3]),
        ({}, {3: 0.9, 2: 0.5}, 0.5, [3, 2]),
        ({1: 9.0, 2: 5.0}, {}, 0.5, [1, 2]),
        ({}, {}, 0.5, []),
        ({7: 2.0, 5: 2.0}, {5: 0.3, 7: 0.3}, 0.5, [5, 7]),
        # the last by words is not as bad as one that they did not find
        ({1: 9.0, 2: 6.0}, {3: 0.9, 1: 0.3, 4: 0.1}, 0.5, [1, 3, 2, 4]),
    ],
)
def test_fusion(words, found, weight, order):
    assert [chunk for chunk, _score in fuse(words, [found], lambda chunk: weight)] == order


@pytest.mark.parametrize(
    ("ranks", "weight"),
    [([0] * 10, 0.4), ([0] * 9 + [None], 0.4), ([0] * 7 + [20] * 3, 0.7), ([None] * 10, 1.0), ([], 1.0)],
)
def test_words_count_more_the_less_vectors_find(ranks, weight):
    assert weigh(ranks) == weight
    assert weigh(ranks, language="zh") == max(weight, 0.5)


def test_each_dimension_has_a_graph():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema"
            " AND indexname = ANY(%s)",
            [list(vectors.GRAPH_INDEX.values())],
        )
        found = dict(cursor.fetchall())
    assert set(found) == {f"rag_vector{number}_graph" for number in DIMENSIONS}
    for number, name in vectors.GRAPH_INDEX.items():
        definition = found[name]
        assert f"USING hnsw (embedding{number} " in definition and "WHERE is_indexed" in definition
        assert "m='16'" in definition and "ef_construction='64'" in definition


def test_what_the_words_count_is_tried_on_the_collection_itself(make_collection, add):
    """An embedder that knows one language and not the other: the second is left to the words."""
    collection = make_collection(languages=["en", "zh"], embedding_model=MODEL, dimensions=384)
    for number in range(12):
        add(collection, f"Page {number}", f"This is the sentence of page {number}. And more.")
        add(collection, f"页 {number}", f"这是第{number}页的句子。还有一个。")
    generation = generation_of(collection)

    def embed(texts: list[str]) -> list[list[float]]:
        knows = [int("".join(filter(str.isdigit, text))[:2]) if text.isascii() else None for text in texts]
        return [axis(*[0.0] * number, 1.0) if number is not None else axis(-1) for number in knows]

    wanting = generations.list_wanting(generation)
    texts = [text.partition("\n")[2] for _chunk, text in wanting]
    passages = [
        vector if text.isascii() else axis(*[0.0] * (100 + number), 1.0)
        for number, (text, vector) in enumerate(zip(texts, embed(texts), strict=True))
    ]
    generations.keep_vectors(generation.pk, zip([chunk for chunk, _text in wanting], passages, strict=True))
    assert calibrate(generation, embed) == {"en": 0.4, "zh": 1.0} == generation_of(collection).weights
    asked = Question("第3页的句子", Collection.objects.all(), {MODEL: axis(*[0.0] * 7, 1.0)})
    assert PgvectorEngine().search(asked)[0].title == "页 3"
