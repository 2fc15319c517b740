"""Vectors of a collection: made on the queue through the pipeline, on the bill of whoever brought a document,
kept to its data policy, and asked for later where there are none now. In a tenant of its own, whose rows are
committed, with the mock as its model server.
"""

import asyncio
from decimal import Decimal
from types import SimpleNamespace
from uuid import uuid4

import pytest
from django.utils import timezone

from accounts.services import (
    create_api_key,
    create_project,
    create_user,
    revoke_api_key,
    set_project_member,
)
from foundation import endings
from foundation.errors import NotAllowed
from gateway import loop
from gateway.vectors import Payer, embed_now, rerank_now
from rag.booking import booked_on
from rag.engines import Question
from rag.engines.table import engine_of
from rag.intake import add_file, rebuild_collection
from rag.models import Collection, Generation, Vector
from rag.progress import describe_collection, describe_document
from rag.services import create_collection, delete_collection
from rag.work import embedding, slices
from rag.work_names import EMBED
from tenants.context import platform, tenant
from tenants.local.models import Work
from tenants.provisioning.services import create_tenant
from tests.doubles.mock_embeddings import vector_of
from tests.rag.works import bring, newest, work_off
from usage.models import UsageEvent
from usage.services import change_budget, set_budget

pytestmark = pytest.mark.scope(None)
MODEL, RERANKER = "mock-embedding-384", "mock-rerank"
TEXT = "Moor by the lighthouse of pier {}."


@pytest.fixture(scope="module")
def office(house, django_db_blocker):
    from models_registry.platform.models import Connection, Model
    from models_registry.services import add_model, set_model_price

    slug = f"vectors-{uuid4().hex[:6]}"
    with django_db_blocker.unblock():
        with platform():
            connection = Connection.objects.get(name="mock")
            for name, kind in ((MODEL, "embedding"), (RERANKER, "rerank")):
                # another module may have left it, without a price
                model = Model.objects.filter(name=name).first() or add_model(
                    actor=None, connection=connection, name=name, kind=kind
                )
                if not model.prices.exists():
                    set_model_price(actor=None, model=model, input=Decimal(1000), output=Decimal(0))
        create_tenant(slug=slug, name=slug, host=f"{slug}.localhost", plan="unlimited")
        with tenant(slug):
            people = [
                create_user(actor=None, email=f"{name}@{slug}.example", name=name, roles=[role])
                for name, role in (("Erin", "owner"), ("Finn", "ai_developer"))
            ]
    yield SimpleNamespace(slug=slug, erin=people[0], finn=people[1])
    with django_db_blocker.unblock():
        endings.end()


@pytest.fixture
def collection(office, unblocked):
    with tenant(office.slug):
        made = create_collection(
            actor=office.erin, name="Harbour", embedding_model=MODEL, dimensions=384, languages=["en"]
        )
        yield made
        delete_collection(actor=None, collection=Collection.objects.get(pk=made.pk))
        assert not Vector.objects.exists()


def add(collection, person, *numbers: int) -> None:
    for number in numbers:
        file = bring(TEXT.format(number), f"{number}.txt", owner=person)
        add_file(actor=person, collection=collection, file=file)


def search_by_vector(collection, number: int) -> list[str]:
    text = f"{number}.txt\n{TEXT.format(number)}"
    question = Question(
        "", Collection.objects.filter(pk=collection.pk), {MODEL: vector_of(text, 384)}, leg="vectors"
    )
    return [hit.title for hit in engine_of(collection).search(question)]


def test_who_brought_a_document_pays_for_its_vectors(office, collection):
    add(collection, office.erin, *range(12))
    add(collection, office.finn, 12, 13)
    work_off()
    done = describe_collection(collection)
    assert (done.vector_count, done.chunk_count, done.is_complete, done.problem) == (14, 14, True, "")
    assert search_by_vector(collection, 3)[0] == "3.txt"
    generation = Generation.objects.get()
    assert generation.weights.keys() == {"en"} and generation.weighed_chunks == 14
    stages = {
        stage.name: (stage.done, stage.total)
        for stage in describe_document(collection.documents.get(title="3.txt")).stages
    }
    assert stages == {"embed": (1, 1)}
    bills = UsageEvent.objects.filter(source="knowledge")
    by_finn = bills.filter(user_id=office.finn.pk)
    assert by_finn.count() == 1 and by_finn.get().cost > 0 and by_finn.get().input_tokens < 40
    assert newest(EMBED).cost > 0
    before = bills.count()
    assert work_off() == 0 and bills.count() == before, "nothing is embedded twice"


def test_a_keys_documents_are_booked_on_it_and_its_budget_holds_up_nobody_else(office, collection):
    project = create_project(actor=None, name=f"Pier {uuid4().hex[:6]}")
    set_project_member(actor=None, project=project, user=office.finn, role="editor")
    key, _secret = create_api_key(actor=None, user=office.finn, name="reader", project=project)
    budget = set_budget(actor=None, level="key", subject_id=key.pk, limit=Decimal("0.000001"))
    with booked_on(key_id=key.pk, project_id=project.pk):
        add(collection, office.finn, *range(3))
    add(collection, office.erin, 3, 4)
    work_off()
    told = describe_collection(collection)
    assert (told.vector_count, told.chunk_count) == (2, 5), "the others' are made"
    assert "budget" in told.problem.lower() and newest(EMBED).state == Work.State.QUEUED
    bills = UsageEvent.objects.filter(source="knowledge", project_id=project.pk)
    assert not bills.exists()
    change_budget(actor=None, budget=budget, limit=Decimal(10))
    make_due()
    work_off()
    assert describe_collection(collection).is_complete
    assert [(bill.user_id, bill.key_id) for bill in bills] == [(office.finn.pk, key.pk)]
    revoke_api_key(actor=None, key=key)
    with booked_on(key_id=key.pk, project_id=project.pk):
        add(collection, office.finn, 5)
    work_off()
    assert describe_collection(collection).is_complete
    assert [bill.key_id for bill in bills.order_by("pk")] == [key.pk, None], "on its project all the same"


def test_another_index_is_paid_for_by_who_orders_it(office, collection):
    add(collection, office.erin, 1, 2)
    work_off()
    first = Generation.objects.get().pk
    bills = UsageEvent.objects.filter(source="knowledge", user_id=office.finn.pk)
    before = bills.count()
    rebuild_collection(actor=office.finn, collection=collection)
    assert search_by_vector(collection, 1)[0] == "1.txt"
    work_off()
    assert Generation.objects.get().pk != first and search_by_vector(collection, 1)[0] == "1.txt"
    assert bills.count() == before + 1


def make_due() -> None:
    Work.objects.filter(kind=EMBED).update(due_at=timezone.now())


def test_documents_go_nowhere_where_their_policy_forbids_it_and_words_find_them(office, collection):
    Collection.objects.filter(pk=collection.pk).update(data_policy="+unstored")
    add(collection, office.erin, 1)
    work_off()
    told = describe_collection(collection)
    assert told.vector_count == 0 and "data policy of these documents" in told.problem
    assert told.next_at > timezone.now() and told.document_counts == {"ready": 1}
    question = Question("lighthouse", Collection.objects.filter(pk=collection.pk))
    assert len(engine_of(collection).search(question)) == 1
    with pytest.raises(NotAllowed, match="these documents"):
        embed_now(
            Payer(office.slug, office.erin.pk, data_policy="+unstored"), MODEL, ["a"], source="knowledge"
        )
    Collection.objects.filter(pk=collection.pk).update(data_policy="")
    make_due()
    work_off()
    assert describe_collection(collection).problem == "" and Vector.objects.count() == 1


def test_a_model_that_is_gone_is_asked_again_later(office, collection):
    Generation.objects.update(embedding_model="no-such-model")
    add(collection, office.erin, 1)
    work_off()
    assert "no-such-model" in describe_collection(collection).problem
    assert newest(EMBED).state == Work.State.QUEUED
    Generation.objects.update(embedding_model=MODEL)
    add(collection, office.erin, 2)  # who brings something need not wait
    work_off()
    assert describe_collection(collection).is_complete and Vector.objects.count() == 2


def test_it_gives_its_place_up_and_goes_on(office, collection, monkeypatch):
    monkeypatch.setattr(embedding, "BATCH", 2)
    monkeypatch.setattr(slices, "SLICE_S", 0.0)
    add(collection, office.erin, *range(5))
    work_off(most=20)
    assert Vector.objects.count() == 5


def test_what_is_cancelled_ends_and_relevances_come_in_the_order_of_the_texts(office, unblocked):
    class Enough(Exception):
        pass

    def check() -> None:
        raise Enough

    payer = Payer(office.slug, office.erin.pk)
    scores = rerank_now(payer, RERANKER, "red green", ["blue", "red green", "red"], source="knowledge")
    assert scores[1] > scores[2] > scores[0]

    async def never(_gateway) -> None:
        await asyncio.sleep(600)

    future = loop.start_on_loop(never)
    with pytest.raises(Enough):
        loop.wait_on_loop(future, check)
    assert future.cancelled()
