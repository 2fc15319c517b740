"""Catalogues of hundreds of models are written by few statements, and keep the history that single ones
keep.
"""

import pytest
from auditlog.context import set_actor
from auditlog.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext

from models_registry import services
from models_registry.models import Model

MANY = 600
FEW = 40  # statements, however many models there are


@pytest.fixture
def linked(make, provider):
    """A connection of Acme to the provider."""
    return make.connection(name="My vLLM", base_url=provider.base_url, allow_private=True)


def listed(count: int, **facts) -> list[dict]:
    return [{"id": f"m{number}"} | facts for number in range(count)]


def sync(row) -> tuple[services.SyncReport, int]:
    """What it changed, and by how many statements."""
    with CaptureQueriesContext(connection) as queries:
        report = services.sync_catalogue(actor=None, connection=row)
    return report, len(queries)


def test_hundreds_of_models_come_change_and_go_by_few_statements(linked, provider):
    provider.listed = listed(MANY)
    report, statements = sync(linked)
    assert len(report.added) == Model.objects.count() == MANY and statements < FEW
    report, statements = sync(linked)
    assert report.kept == MANY and statements < FEW
    provider.listed = listed(MANY, context_window=8_000)
    _report, statements = sync(linked)
    assert Model.objects.filter(context_window=8_000).count() == MANY and statements < FEW
    provider.listed = listed(1, context_window=8_000)
    report, statements = sync(linked)
    assert len(report.vanished) == MANY - 1 and statements < FEW
    assert Model.objects.filter(vanished_at=None).count() == 1


def history() -> list[tuple]:
    rows = LogEntry.objects.filter(content_type__model="model").order_by("pk")
    return [(row.get_action_display(), row.object_repr, row.actor, row.changes) for row in rows]


def test_the_history_says_who_added_and_changed_models(linked, provider, alice):
    provider.listed = [{"id": "a", "display_name": "A model"}, {"id": "b"}]
    with set_actor(alice):
        sync(linked)
    added = history()
    assert [entry[:3] for entry in added] == [("create", "A model", alice), ("create", "b", alice)]
    by_hand = Model(name="by-hand", connection=linked, upstream_name="u")
    by_hand.save()
    alone = history()[-1][3]
    assert added[0][3].keys() - {"label"} == alone.keys() - {"label"}, "as of one that is added by itself"
    assert added[0][3]["name"] == ["None", "a"] and added[0][3]["connection"] == alone["connection"]
    sync(linked)
    assert len(history()) == 3, "nothing is noted where nothing changes"
    provider.listed = [{"id": "a", "context_window": 500}]
    with set_actor(alice):
        sync(linked)
    changes = {
        entry[1]: entry[3] for entry in history()[3:] if entry[:1] == ("change",) and entry[2] == alice
    }
    assert changes["A model"]["context_window"] == ["None", "500"]
    assert changes["b"].keys() == {"vanished_at"}


def test_a_prefixed_name_that_is_taken_too_is_refused(linked, provider, make):
    other = make.connection(name="First")
    make.model("a", other)
    make.model("my-vllm/a", other)
    provider.listed = [*listed(1), {"id": "a"}]
    report, _statements = sync(linked)
    assert (report.added, report.refused) == (["m0"], ["a"])
