"""The guide to Atrium: made behind the first start, renewed with a release, gone when somebody deletes it."""

from dataclasses import replace

import pytest

from models_registry.embedded import find_runtime, offer_first_models
from models_registry.seeds import seed_platform
from rag.engines import Question
from rag.engines.table import engine_of
from rag.guide import collection as guide
from rag.guide.texts import read_pages
from rag.models import Collection, Document, Generation
from rag.services import delete_collection
from tenants.context import platform
from tenants.local.models import Work
from tests.rag.works import work_off

pytestmark = pytest.mark.django_db


@pytest.fixture
def entry() -> dict:
    """What the demonstration's file keeps of the tenant."""
    return {}


def titles(question: str) -> list[str]:
    here = Collection.objects.filter(pk=guide.GUIDE_ID)
    return [hit.title for hit in engine_of(here.get()).search(Question(question, here, count=3))]


def test_each_language_has_the_same_pages_with_a_title_and_text():
    pages = read_pages()
    names = {page.address.split("/", 2)[2] for page in pages}
    assert len(names) >= 20 and len(pages) == 3 * len(names)
    for page in pages:
        assert page.title and len(page.paragraphs) >= 2 and "\n" not in page.title, page.address
        text = "\n\n".join([page.title, *page.paragraphs])
        assert [text[one.char_from : one.char_to] for one in page.list_blocks()] == [
            one.text for one in page.list_blocks()
        ]


def test_it_comes_behind_the_start_and_answers_in_three_languages(entry):
    guide.prepare_guide("acme", entry)
    assert not Document.objects.exists(), "the start does not wait for it"
    work_off()
    assert titles("How does Atrium answer from my documents?")[0] == "Having answers looked up in documents"
    assert titles("Wie antwortet Atrium aus meinen Dokumenten?")[0] == "Antworten aus Dokumenten erhalten"
    assert titles("Atrium 如何根据我的文档回答问题？")[0] == "根据文档获得回答"
    before = set(Document.objects.values_list("pk", flat=True))
    guide.prepare_guide("acme", entry)
    work_off()
    assert set(Document.objects.values_list("pk", flat=True)) == before


def test_a_release_changes_its_pages_and_nobody_elses(entry, monkeypatch, add):
    guide.prepare_guide("acme", entry)
    work_off()
    own = add(Collection.objects.get(), "Ours", "What somebody brought themselves.")
    first, *others = read_pages()
    changed = replace(first, paragraphs=("The lighthouse is new in this release.",))
    monkeypatch.setattr(guide, "read_pages", lambda: [changed, *others[1:]])
    guide.prepare_guide("acme", entry)
    work_off()
    assert titles("lighthouse") == [changed.title]
    assert Document.objects.count() == len(others) + 1 and Document.objects.filter(pk=own.pk).exists()


def test_what_somebody_deleted_stays_gone(entry):
    guide.prepare_guide("acme", entry)
    work_off()
    delete_collection(actor=None, collection=Collection.objects.get())
    guide.prepare_guide("acme", entry)
    work_off()
    assert not Collection.objects.exists()
    guide.prepare_guide("acme", {})
    assert Collection.objects.exists(), "another installation"


def test_it_is_found_by_meaning_as_soon_as_the_model_is_there(entry):
    guide.prepare_guide("acme", entry)
    work_off()
    (look,) = Work.objects.filter(kind="rag.guide", state=Work.State.QUEUED)
    assert look.arguments == {"looks": 1} and not Collection.objects.get().embedding_model
    with platform():
        seed_platform("http://127.0.0.1:4711", "token")
        offer_first_models(find_runtime(), [{"id": guide.EMBEDDER, "kind": "embedding"}])
    Work.objects.filter(pk=look.pk).update(due_at=look.created_at)
    work_off()
    assert Collection.objects.get().embedding_model == "multilingual-e5-small"
    assert Generation.objects.filter(dimensions=384).count() == 1 and titles("citation"), "words answer on"
