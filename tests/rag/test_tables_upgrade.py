"""Vectors and relations, which the release before kept in more tables."""

import pytest

from rag.engines.pgvector import generations
from rag.models import Chunk, Vector
from rag.services import add_document, create_collection, index_documents
from tenants.context import tenant
from tests.rag.conftest import paragraph
from tests.taken_back import migrate, own_tenant, run_sql

pytestmark = pytest.mark.scope(None)
SIZES = (384, 1024)


@pytest.fixture
def slug(django_db_setup, django_db_blocker):
    with own_tenant(django_db_blocker) as slug:
        yield slug


def add_passages(count: int, **columns) -> list[Chunk]:
    collection = create_collection(actor=None, name=f"Of {columns}", languages=["en"], **columns)
    parsed = {}
    for number in range(count):
        document, _is_new = add_document(
            actor=None, collection=collection, title=f"Page {number}", content_hash=f"{number}" * 64
        )
        parsed[document] = [paragraph(f"This is page {number}.")]
    index_documents(collection=collection, parsed=parsed)
    return list(Chunk.objects.filter(document__collection=collection).order_by("pk"))


def test_vectors_of_each_dimension_stay_those_of_their_passages(slug):
    with tenant(slug):
        for size in SIZES:
            chunks = add_passages(2, embedding_model=f"of {size}", dimensions=size)
            vectors = [
                (chunk.pk, [number + 1.0, 1.0] + [0.0] * (size - 2)) for number, chunk in enumerate(chunks)
            ]
            generations.keep_vectors(chunks[0].generation_id, vectors)
        Vector.objects.filter(embedding384=None).update(is_indexed=True)
        before = list(Vector.objects.order_by("pk").values_list())
    migrate(slug, "rag", "0015")
    assert [run_sql(slug, f"SELECT count(*) FROM rag_vector{size}") for size in (384, 768, 1024, 1536)] == [
        [(2,)],
        [(0,)],
        [(2,)],
        [(0,)],
    ]
    migrate(slug)
    with tenant(slug):
        after = list(Vector.objects.order_by("pk").values_list())
        assert str(after) == str(before) and len(after) == 4


def test_relations_stay_with_their_passages(slug):
    with tenant(slug):
        read, other, _never = add_passages(3)
    migrate(slug, "rag", "0017")
    order, later = "0192f3a0-0000-7000-8000-000000000001", "0192f3a0-0000-7000-8000-000000000002"
    for chunk, model, is_read, by in (
        (read, "a", True, order),
        (read, "b", False, later),
        (other, "b", False, later),
    ):
        run_sql(
            slug,
            "INSERT INTO rag_reading (chunk_id, generation_id, model, is_read, order_id)"
            " VALUES (%s, %s, %s, %s, %s)",
            *(chunk.pk, chunk.generation_id, model, is_read, by),
        )
    for number, key in enumerate((-(2**62), 2**62)):
        run_sql(
            slug,
            "INSERT INTO rag_relation (chunk_id, number, generation_id, subject_key, predicate, object_key,"
            " evidence_from, evidence_to) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            *(read.pk, number, read.generation_id, key, "is", 7, 0, 4),
        )
    migrate(slug)
    of_a, of_b = {"is_read": True, "order": order}, {"is_read": False, "order": later}
    expected = [
        ({"a": of_a, "b": of_b}, [[-(2**62), "is", 7, 0, 4], [2**62, "is", 7, 0, 4]]),
        ({"b": of_b}, None),
        (None, None),
    ]
    with tenant(slug):
        assert list(Chunk.objects.order_by("pk").values_list("asked", "relations")) == expected
    migrate(slug, "rag", "0017")
    assert run_sql(slug, "SELECT count(*) FROM rag_reading") == [(3,)]
    assert run_sql(slug, "SELECT number, subject_key FROM rag_relation ORDER BY 1") == [
        (0, -(2**62)),
        (1, 2**62),
    ]
    migrate(slug)
    with tenant(slug):
        assert list(Chunk.objects.order_by("pk").values_list("asked", "relations")) == expected
