"""Tasks carry their tenant, or they are refused; duties are found in one query."""

from datetime import timedelta

import pytest
from celery import shared_task
from django.core.cache import cache
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection
from django.utils import timezone

from accounts.models import User
from tenants.context import find_tenant, platform, tenant, use_scope
from tenants.models import Duty
from tenants.work import tasks
from tenants.work.duties import carry_out_duties, duty, note_duty
from tenants.work.tasks import HEADER, TenantlessMessage, TenantTask

pytestmark = pytest.mark.django_db
seen: list = []


@shared_task(base=TenantTask, name="tests.note")
def note(word: str) -> None:
    seen.append((find_tenant(), word, User.objects.count()))


@pytest.fixture(autouse=True)
def forget():
    seen.clear()


def run_as_worker(headers: dict, **kwargs) -> None:
    """What a worker does with a message."""
    note.push_request(headers=headers, task="tests.note")
    try:
        note(**kwargs)
    finally:
        note.pop_request()


@pytest.mark.scope(None)
def test_a_task_runs_in_the_scope_its_message_names():
    run_as_worker({HEADER: "acme"}, word="a")
    run_as_worker({HEADER: "globex"}, word="b")
    run_as_worker({HEADER: tasks.PLATFORM}, word="c")
    assert [(slug, word) for slug, word, _count in seen] == [("acme", "a"), ("globex", "b"), (None, "c")]
    assert [count for *_rest, count in seen] == [2, 1, 1]


@pytest.mark.scope(None)
def test_a_message_without_a_tenant_is_refused():
    for headers in ({}, {HEADER: ""}):
        with pytest.raises(TenantlessMessage):
            run_as_worker(headers, word="x")
    with pytest.raises(TenantlessMessage):
        note.apply_async(kwargs={"word": "x"})
    assert seen == []


def test_duties_are_carried_out_in_the_scope_that_noted_them(monkeypatch):
    done, broken = [], []
    monkeypatch.setattr("tenants.work.duties._workers", {})
    duty("sweep")(lambda: done.append(find_tenant()))
    duty("fail")(lambda: 1 / 0)
    for slug in ("acme", "globex"):
        with tenant(slug):
            note_duty("sweep")
            note_duty("sweep")
    note_duty("sweep", timezone.now() + timedelta(hours=1))
    note_duty("fail")
    with platform():
        assert carry_out_duties(lambda role, kind, error: broken.append(kind)) == 3
        assert sorted(done) == ["acme", "globex"] and broken == ["fail"]
        assert carry_out_duties(lambda *_: None) == 1, (
            "what failed stays due, what was done is gone, what is later waits"
        )
        assert Duty.objects.filter(kind="sweep").count() == 1


def test_a_tenant_can_note_duties_for_itself_only():
    note_duty("sweep")
    with platform():
        assert Duty.objects.get().role == f"{connection.settings_dict['NAME']}_acme"


def test_cache_keys_and_files_belong_to_the_tenant(clean_cache):
    cache.set("word", "acme's")
    name = default_storage.save("note.txt", ContentFile(b"acme's"))
    with tenant("globex"):
        assert cache.get("word") is None and not default_storage.exists(name)
        cache.set("word", "globex's")
    assert cache.get("word") == "acme's" and "/acme/" in default_storage.path(name)
    default_storage.delete(name)


@pytest.mark.scope(None)
def test_files_without_a_tenant_are_refused():
    with use_scope(None), pytest.raises(RuntimeError):
        default_storage.exists("x")
