"""Files of the same bytes, brought by people on a page and by programs, are one document of a collection."""

import pytest

from rag.intake import add_file
from rag.letting_go import forget_documents
from rag.models import Document
from rag.services import delete_collection, delete_document
from tenants.files.models import Blob, File
from tenants.files.services import delete_file
from tests.rag.works import bring, work_off

pytestmark = pytest.mark.django_db
TEXT = "Moor by the lighthouse."


@pytest.fixture
def collection(make_collection):
    return make_collection()


@pytest.fixture
def both(collection, alice):
    """A program's file, which made the document, and the same on a page."""
    program = bring(TEXT, "program.txt", owner=alice, purpose="assistants")
    page = bring(TEXT, "page.txt")
    document, _is_new = add_file(actor=None, collection=collection, file=program)
    assert add_file(actor=None, collection=collection, file=page) == (document, False)
    work_off()
    return document, program, page


def test_what_somebody_brought_on_a_page_stays_when_the_programs_file_goes(both, alice):
    document, program, page = both
    forget_documents(alice.pk, program)
    delete_file(program)
    document.refresh_from_db()
    assert document.file == page and document.twins == [] and document.state == "ready"


def test_a_page_needs_one_file_of_its_own(both, collection):
    document, _program, page = both
    assert add_file(actor=None, collection=collection, file=page) == (document, False)
    more = bring(TEXT, "once more.txt")
    assert add_file(actor=None, collection=collection, file=more) == (document, False)
    assert not File.objects.filter(pk=more.pk).exists() and File.objects.filter(pk=page.pk).exists()


@pytest.mark.parametrize("is_whole", [True, False])
def test_files_of_a_page_go_with_their_document_and_programs_keep_theirs(both, collection, is_whole):
    document, program, _page = both
    if is_whole:
        delete_collection(actor=None, collection=collection)
    else:
        delete_document(actor=None, document=document)
    assert list(File.objects.all()) == [program] and not Document.objects.exists()
    assert Blob.objects.filter(state="stored").count() == 1
