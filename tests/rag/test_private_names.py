"""Administrators learn that something was done to what is private, and not what it is called."""

import re

import pytest
from auditlog.models import LogEntry

from rag.changes import change_collection, change_document
from rag.intake import add_file
from rag.models import Collection, Document
from rag.services import create_collection, delete_collection, delete_document
from tests.admin.test_history import read
from tests.admin.test_people import url
from tests.rag.works import bring, work_off

pytestmark = pytest.mark.django_db
SECRET = "Layoffs-2031"


def fill(owner, **columns) -> tuple[Collection, Document]:
    """A collection and a document of it, changed by hand, and another document deleted."""
    collection = create_collection(actor=owner, name=f"{SECRET} plan", **columns)
    change_collection(actor=None, collection=collection, name=f"{SECRET} plans", description=SECRET)
    file = bring("Who goes and who stays.", f"{SECRET}.txt")
    document, _new = add_file(actor=None, collection=collection, file=file)
    change_document(actor=None, document=document, title=f"{SECRET} list", metadata={"of": SECRET})
    gone, _new = add_file(actor=None, collection=collection, file=bring("Gone.", f"{SECRET} gone.txt"))
    delete_document(actor=None, document=gone)
    return collection, document


def test_the_audit_log_calls_what_is_private_by_its_id(acme, alice, bob):
    own, document = fill(bob, owner_id=bob.pk)
    hidden, _document = fill(None, conversation_id=bob.pk)
    delete_collection(actor=None, collection=hidden)
    entries = LogEntry.objects.filter(content_type__app_label="rag")
    assert len(entries) >= 14 and SECRET not in str(list(entries.values())), "nor does a search find it"
    acme.login_as(alice)
    page = read(acme, url("auditlog_logentry_changelist"))
    assert SECRET not in page and str(own.pk) in page and str(document.pk) in page
    for entry in entries:
        assert SECRET not in read(acme, url("auditlog_logentry_change", entry.pk))


def test_what_is_shared_is_named(acme, alice, bob):
    shared, document = fill(None)
    acme.login_as(alice)
    assert f"{SECRET} gone.txt" in read(acme, url("auditlog_logentry_changelist"))
    first = LogEntry.objects.get_for_object(document).earliest("timestamp")
    said = read(acme, url("auditlog_logentry_change", first.pk))
    assert shared.name in said and f"{SECRET}.txt" in said, "what it points to, too"
    Collection.objects.filter(pk=shared.pk).update(owner_id=bob.pk)
    assert f"{SECRET} plans" not in read(acme, url("auditlog_logentry_change", first.pk))


def test_background_tasks_say_why_without_a_title(acme, alice, bob, monkeypatch, caplog):
    """On the administration's page, and in the log of those which read several at once."""
    from rag.work import reading, together

    caplog.set_level("INFO")
    monkeypatch.setattr(reading, "parse", lambda *_args, **_more: reading.Parsed(blocks=[]))
    monkeypatch.setattr(together, "parse_each", lambda files: (reading.Parsed(blocks=[]) for _file in files))
    own = create_collection(actor=None, name="Own", owner_id=bob.pk)
    document, _new = add_file(actor=bob, collection=own, file=bring("Text.", f"{SECRET}.txt", bob))
    add_file(actor=bob, collection=own, file=bring("More text.", f"{SECRET} 2.txt", bob))
    work_off()
    document.refresh_from_db()
    assert SECRET in document.why, "its person reads it"
    page = read(acme.login_as(alice), url("local_work_changelist"))
    assert SECRET not in page and re.search("There is no text in “…”", page)
    assert "several at once failed" in caplog.text and SECRET not in caplog.text
