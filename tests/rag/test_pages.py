"""The pages of knowledge: who gets which, what they say of documents, and what comes of a form."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from accounts.services import grant
from rag.models import Collection, Document
from rag.services import create_collection, fail_document
from tests.estate import make_people

pytestmark = pytest.mark.django_db


def at(name: str, pk) -> str:
    return reverse(name, urlconf="config.urls_tenant", args=[pk])


@pytest.fixture
def people(db):
    return make_people("acme")


def test_the_list_shows_own_and_shared_and_nobody_elses(acme, people, make_collection):
    make_collection("Shared handbook")
    mine = make_collection("Mine alone", owner_id=people["user"].pk)
    make_collection("Somebody's diary", owner_id=people["owner"].pk)
    make_collection("Files of a chat", conversation_id=mine.pk)
    client = acme.login_as(people["user"])
    own = client.get("/knowledge/").content.decode()
    shared = client.get("/knowledge/?list=shared").content.decode()
    assert "Mine alone" in own and "Shared handbook" in shared
    for page in (own, shared):
        assert "diary" not in page and "Files of a chat" not in page
    assert client.get("/knowledge/?list=shared&q=nothing").status_code == 200


def test_a_right_that_is_given_to_others_closes_every_page_of_a_collection(
    acme, people, make_collection, add
):
    collection = make_collection()
    document = add(collection, "Holidays", "Thirty days a year.")
    addresses = [
        at("rag:collection-detail", collection.pk),
        at("rag:collection-search", collection.pk),
        at("rag:document-detail", document.pk),
        at("rag:document-passages", document.pk),
        at("rag:document-progress", collection.pk),
        f"/knowledge/source/?document={document.pk}",
    ]
    client = acme.login_as(people["user"])
    assert {client.get(address).status_code for address in addresses} == {200}
    grant(actor=None, kind="collection", target=collection.pk, user=people["owner"])
    assert {client.get(address).status_code for address in addresses} == {404}
    assert "Handbook" not in client.get("/knowledge/?list=shared").content.decode()
