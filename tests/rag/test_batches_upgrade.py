"""File batches, of which the release before kept a table of its own."""

from uuid import uuid4

import pytest
from django.utils import timezone

from accounts.services import create_user
from rag.intake import add_file
from rag.models import Document
from rag.services import create_collection
from rag.stores.shapes import show_batch
from rag.work_names import FILE_BATCH
from tenants.context import tenant
from tenants.work.selectors import list_work
from tests.files.keeping import keep
from tests.rag.works import work_off
from tests.taken_back import migrate, own_tenant, run_sql

BATCHES = (  # how many of the three documents, refused, how long ago in days
    (2, 1, 0),
    (0, 3, 1),
    (3, 0, 400),
)


@pytest.mark.scope(None)
def test_batches_are_told_as_before(django_db_setup, django_db_blocker):
    with own_tenant(django_db_blocker) as slug:
        with tenant(slug):
            person = create_user(actor=None, email=f"erin@{slug}.example", name="Erin", roles=["owner"])
            store = create_collection(actor=person, name="Old")
            for text in (b"one", b"two", b"three"):
                add_file(
                    actor=person, collection=store, file=keep(text, owner_id=person.pk, name=f"{text!r}.txt")
                )
            work_off()
            documents = list(Document.objects.order_by("pk").values_list("pk", flat=True))
        ids = [uuid4() for _batch in BATCHES]
        migrate(slug, "rag", "0015")
        for pk, (count, refused, days) in zip(ids, BATCHES, strict=True):
            run_sql(
                slug,
                "INSERT INTO rag_filebatch (id, collection_id, document_ids, refused_count, created_at) "
                "VALUES (%s, %s, %s, %s, now() - make_interval(days => %s))",
                *(pk, store.pk, documents[:count], refused, days),
            )
        migrate(slug)
        check(slug, store.pk, ids)
        migrate(slug, "rag", "0015")
        assert run_sql(slug, "SELECT count(*) FROM rag_filebatch") == [(len(BATCHES),)], "the way back too"
        migrate(slug)


def check(slug: str, store_id, ids: list) -> None:
    with tenant(slug):
        work_off()  # forgets what ended long ago
        rows = {row.pk: row for row in list_work(FILE_BATCH, store_id)}
        assert set(rows) == set(ids)
        for pk, (count, refused, days) in zip(ids, BATCHES, strict=True):
            shown = show_batch(rows[pk])
            counts = shown["file_counts"]
            assert (counts["completed"], counts["failed"], counts["total"]) == (
                count,
                refused,
                count + refused,
            )
            assert shown["status"] == ("completed" if count else "failed")
            assert abs(timezone.now().timestamp() - days * 86_400 - shown["created_at"]) < 600
