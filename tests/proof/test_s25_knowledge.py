"""S25 for documents: workers, and the processes in which they read, killed at random points. No document is
lost, stuck or indexed twice, and the counts of the index are those of its rows.

What a killed worker had is given to others at once, and now and then also what a living one has: two of them
then work on the same document.
"""

import os
import random
import time

import pytest
from django.db import connection
from django.utils import timezone

from rag.intake import add_content, retry_document
from rag.models import Chunk, Collection, Document, Generation
from rag.services import create_collection, delete_collection
from rag.work_names import QUEUE
from tenants.context import platform, tenant
from tenants.files.models import File
from tenants.local.models import Work
from tenants.models import Duty
from tests.proof.test_s31_work import SLUGS, kill, kill_at_random, start_crew, wait_until
from tests.rag.works import work_off

NIGHT = os.environ.get("ATRIUM_PROOF") == "night"
DOCUMENTS, KILLS = (150, 100) if NIGHT else (6, 5)
pytestmark = pytest.mark.timeout(1_800 if NIGHT else 240)
MAIL = """From: a@example.com
To: b@example.com
Subject: Contract {number}
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="x"

--x
Content-Type: text/plain

The contract {number} about the lighthouse.
--x
Content-Type: text/plain
Content-Disposition: attachment; filename="annex-{number}.txt"

The annex {number} speaks of foghorns.
--x--
"""
# what the rows of a generation say, beside what it says itself
COUNTS = """
SELECT (SELECT count(*) FROM rag_chunk WHERE generation_id = %(pk)s),
       (SELECT coalesce(sum(frequency), 0) FROM rag_posting WHERE generation_id = %(pk)s),
       (SELECT count(*) FROM rag_posting p WHERE generation_id = %(pk)s
          AND NOT EXISTS (SELECT FROM rag_chunk c WHERE c.id = p.chunk_id)),
       (SELECT count(*) FROM (
          SELECT term, count(*) AS found FROM rag_posting WHERE generation_id = %(pk)s GROUP BY term
        ) AS p FULL JOIN (SELECT term, chunk_count FROM rag_termcount WHERE generation_id = %(pk)s) AS t
          USING (term) WHERE found IS DISTINCT FROM chunk_count)
"""


@pytest.fixture
def collections(unblocked):
    made = {}
    for slug in SLUGS:
        with tenant(slug):
            made[slug] = create_collection(actor=None, name="S25", languages=["en"])
    yield made
    for slug, collection in made.items():
        with tenant(slug):
            delete_collection(actor=None, collection=Collection.objects.get(pk=collection.pk))
            assert not Chunk.objects.exists()
            Work.objects.all().delete()
            File.objects.filter(purpose="knowledge").delete()
    with platform():
        Duty.objects.filter(kind__startswith="work.").delete()


def bring(collection: Collection) -> None:
    for number in range(DOCUMENTS):
        is_mail = number % 3 == 0
        text = MAIL.format(number=number) if is_mail else f"The pier {number} of the harbour. " * 60
        content, name = text.encode(), f"{number}.{'eml' if is_mail else 'txt'}"
        add_content(actor=None, collection=collection, pieces=[content], size_bytes=len(content), name=name)


def count_active() -> int:
    active = 0
    for slug in SLUGS:
        with tenant(slug):
            active += Work.objects.filter(state__in=Work.ACTIVE).count()
    return active


def let_others_take() -> None:
    """What is being done, and what waits for its next attempt, is due at once."""
    for slug in SLUGS:
        with tenant(slug):
            Work.objects.filter(state__in=Work.ACTIVE).update(due_at=timezone.now(), attempts=0)


def list_wrong(collection: Collection) -> list:
    """Documents that are not read, or not in the index once, and counts that are not those of the rows."""
    wanted = {f"{number}.{'eml' if number % 3 == 0 else 'txt'}" for number in range(DOCUMENTS)}
    wanted |= {f"annex-{number}.txt" for number in range(0, DOCUMENTS, 3)}
    documents = list(collection.documents.all())
    wrong: list = [(str(row), row.state, row.why) for row in documents if row.state != Document.State.READY]
    wrong += [("lost", name) for name in wanted - {row.address for row in documents}]
    wrong += [("too many", len(documents))] if len(documents) != len(wanted) else []
    places = list(Chunk.objects.filter(document__in=documents).values_list("document", "char_from"))
    wrong += [("not indexed", str(row)) for row in documents if row.pk not in {pk for pk, _at in places}]
    wrong += [("twice", place) for place in set(places) if places.count(place) > 1]
    for generation in Generation.objects.filter(collection=collection):
        with connection.cursor() as cursor:
            cursor.execute(COUNTS, {"pk": generation.pk})
            chunks, terms, orphans, miscounted = cursor.fetchone()
        told = (generation.chunk_count, generation.term_count, 0, 0)
        if told != (chunks, terms, orphans, miscounted):
            wrong.append(("counts", told, (chunks, terms, orphans, miscounted)))
    return wrong


def test_kills_lose_no_document_and_index_none_twice(collections):
    dice = random.Random(25)
    for slug, collection in collections.items():
        with tenant(slug):
            bring(collection)
    running = [start_crew(queue=QUEUE) for _number in range(2)]
    try:
        for _kill in range(KILLS):
            time.sleep(dice.uniform(0.2, 1.0))
            kill_at_random(running, dice, queue=QUEUE)
            let_others_take()
        assert wait_until(lambda: let_others_take_if_idle() == 0, 900 if NIGHT else 120), "something is stuck"
    finally:
        for process in running:
            kill(process)
    for slug, collection in collections.items():
        with tenant(slug):
            assert list_wrong(collection) == []


def let_others_take_if_idle() -> int:
    """How much is left; attempts that wait for their turn have it now."""
    for slug in SLUGS:
        with tenant(slug):
            Work.objects.filter(state=Work.State.QUEUED).update(due_at=timezone.now())
    return count_active()


def test_planted_bug_an_index_that_forgets_nothing_is_found_out(collections, monkeypatch):
    with tenant("acme"):
        collection = collections["acme"]
        bring(collection)
        work_off()
        assert list_wrong(collection) == []
        with monkeypatch.context() as patch:
            patch.setattr("rag.engines.pgvector.words.remove", lambda ids: {})
            retry_document(actor=None, document=collection.documents.first())
            work_off()
            assert {kind for kind, *_more in list_wrong(collection)} == {"counts"}
