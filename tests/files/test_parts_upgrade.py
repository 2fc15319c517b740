"""Parts of uploads under way, which the release before kept in a table of their own."""

from uuid import uuid4

import pytest

from accounts.services import create_user
from tenants.context import tenant
from tenants.files import in_parts, uploads
from tenants.files.cleaning import clean_up
from tenants.files.models import Blob, File, Upload
from tests.files.keeping import age, content_of, keep, list_bytes
from tests.taken_back import migrate, own_tenant, run_sql

pytestmark = pytest.mark.scope(None)
PIECES = (b"one, ", b"two.")


@pytest.fixture
def slug(django_db_setup, django_db_blocker):
    with own_tenant(django_db_blocker) as slug:
        yield slug


def test_uploads_under_way_go_on_with_the_ids_that_their_clients_know(slug):
    with tenant(slug):
        whole = keep(b"whole")
        person = create_user(actor=None, email=f"erin@{slug}.example", name="Erin")
        upload = uploads.create_upload(
            owner_id=person.pk,
            name="a.txt",
            declared_type="text/plain",
            purpose="user_data",
            size_bytes=sum(map(len, PIECES)),
            file_expires_after_s=None,
        )
        whose = {"owner_id": person.pk, "upload_id": upload.pk}
        for piece in PIECES:
            in_parts.store_part([piece], size_bytes=len(piece), **whose)
        arriving = uploads.begin_part(size_bytes=3, **whose)
    migrate(slug, "files", "0001")
    assert run_sql(slug, "SELECT count(*) FROM files_uploadpart") == [(3,)]
    known = [uuid4(), uuid4()]
    for part, (pk,) in zip(
        known, run_sql(slug, "SELECT id FROM files_blob WHERE state = 'part' ORDER BY id"), strict=True
    ):
        run_sql(slug, "UPDATE files_uploadpart SET id = %s WHERE blob_id = %s", part, pk)
    migrate(slug)
    with tenant(slug):
        assert {part.id for part in uploads.list_parts(Upload.objects.get())} == set(known)
        assert Blob.objects.get(pk=arriving.id).upload_id == upload.pk
        clean_up()  # takes nothing that belongs to somebody
        assert Blob.objects.count() == 4
        upload = in_parts.complete_upload(part_ids=known, **whose)
        assert content_of(upload.file) == b"one, two."
        clean_up()
        assert len(list_bytes()) == 2 == Blob.objects.count() == File.objects.count()
        assert content_of(whole) == b"whole"


def test_a_part_that_was_given_up_no_longer_counts_for_its_upload(slug):
    """Its row stays until its bytes are gone, and is nobody's meanwhile."""
    with tenant(slug):
        person = create_user(actor=None, email=f"erin@{slug}.example", name="Erin")
        upload = uploads.create_upload(
            owner_id=person.pk,
            name="a.txt",
            declared_type="text/plain",
            purpose="user_data",
            size_bytes=5,
            file_expires_after_s=None,
        )
        whose = {"owner_id": person.pk, "upload_id": upload.pk}
        for _again in range(3):
            place = uploads.begin_part(size_bytes=5 + uploads._SLACK_BYTES, **whose)
            age(pk=place.id)
            assert in_parts.services.abandon_blob(place.id)
            assert not upload.parts.exists() and Blob.objects.get(pk=place.id).state == Blob.State.GOING
        clean_up()
        assert not Blob.objects.exists()
