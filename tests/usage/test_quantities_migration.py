"""The books of the release before, brought up to date: each figure of each report stays."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib import import_module

import pytest
from django.apps import apps
from django.core.management import call_command
from django.core.management.commands.migrate import Command as MigrateCommand
from django.db import connections

from models_registry.models import Connection, Model, ModelPrice
from tenants.context import owner, tenant
from tests.usage.books import Books, new_books
from tests.usage.test_quantities import an_old_event
from usage.models import HourlySum, UsageEvent
from usage.selectors import DIMENSIONS, list_usage
from usage.sums import add_up_closed_hours

pytestmark = pytest.mark.scope(None)
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
HOUR = timedelta(hours=1)
ROWS = 30
OLD_PRICES = {  # input, cached, output, reasoning → what has a price of its own
    ("0.150000000000", "0.075", "0.6", "0.6"): {"input": "0.15", "cached": "0.075", "output": "0.6"},
    ("100", "100", "0", "0.000001"): {"input": "100", "output": "0", "reasoning": "0.000001"},
    ("0", "0", "0", "0"): {"input": "0", "output": "0"},
}


@pytest.fixture(scope="module")
def two_books(django_db_setup, django_db_blocker):
    """Of this module alone: its tables are taken back and brought forward."""
    with new_books(1, django_db_blocker) as found:
        yield found


@pytest.fixture
def old_books(books):
    """The tables as the release before has left them, filled: events of three days, summed up or not,
    corrections, prices.
    """
    connection, model = "00000000-0000-7000-8000-000000000001", "00000000-0000-7000-8000-000000000002"
    with tenant(books.slug):
        Connection(pk=connection, name="p", kind="vllm", base_url="https://x.example/v1", secret="").save()
        Model(pk=model, name="old", connection_id=connection, upstream_name="old").save()
    migrate(books, "usage", "0002")
    migrate(books, "models_registry", "0001")
    for number in range(ROWS):
        when = TODAY - timedelta(days=2) + number * HOUR
        an_old_event(books, when, (number * 7, number, 3, number % 2), str(Decimal(number) / 8), "settle")
    an_old_event(books, TODAY, (-40, 0, -3, 0), "-0.000000000001", "adjustment")
    books.sql(
        "INSERT INTO usage_hourlysum (hour, user_id, key_id, project_id, model, currency, calls, errors, "
        "input_tokens, cached_tokens, output_tokens, reasoning_tokens, cost) "
        "SELECT date_trunc('hour', created_at, 'UTC'), user_id, key_id, project_id, model, currency, "
        "count(*), 0, sum(input_tokens), sum(cached_tokens), sum(output_tokens), sum(reasoning_tokens), "
        "sum(cost) FROM usage_usageevent WHERE created_at < %s GROUP BY 1, 2, 3, 4, 5, 6",
        TODAY - timedelta(days=1),
    )
    for day, amounts in enumerate(OLD_PRICES):
        books.sql(
            "INSERT INTO models_registry_modelprice (id, created_at, updated_at, model_id, valid_from, "
            "currency, input, cached, output, reasoning) "
            "VALUES (gen_random_uuid(), now(), now(), %s, %s, 'EUR', %s, %s, %s, %s)",
            *(model, TODAY + timedelta(days=day), *amounts),
        )
    yield books
    upgrade(books)
    books.sql("DELETE FROM models_registry_modelprice")
    books.sql("DELETE FROM models_registry_model")
    books.sql("DELETE FROM models_registry_connection")


def migrate(books: Books, *target: str) -> None:
    with owner(books.slug):
        call_command(MigrateCommand(), *target, database="owner", interactive=False, verbosity=0)


def upgrade(books: Books) -> None:
    migrate(books)


def old_report(books: Books, column: str) -> dict[str, tuple]:
    """What the release before says: worked out from its columns, events alone, in SQL."""
    key = "(created_at AT TIME ZONE 'UTC')::date" if column == "day" else column
    found = books.sql(
        f"SELECT {key}::text AS key, sum(input_tokens) AS i, sum(cached_tokens) AS c, "
        "sum(output_tokens) AS o, sum(reasoning_tokens) AS r, sum(cost) AS cost "
        "FROM usage_usageevent GROUP BY 1"
    )
    return {row.key: (row.i, row.c, row.o, row.r, row.cost) for row in found}


def new_report(by: str) -> dict[str, tuple]:
    rows = list_usage(by=by, since=TODAY - timedelta(days=3), until=TODAY + timedelta(days=1))
    return {
        str(row.key) if row.key is not None else None: (*row.four_counts.values(), row.cost) for row in rows
    }


def test_every_report_and_every_price_is_the_same_after_the_upgrade(old_books):
    before = {by: old_report(old_books, column) for by, column in DIMENSIONS.items()}
    assert len(before["day"]) == 3 and len(before["key"]) == 1
    upgrade(old_books)
    assert not old_books.sql("SELECT 1 FROM usage_usageevent WHERE quantities IS NULL"), "all are filled"
    with tenant(old_books.slug):
        assert {by: new_report(by) for by in DIMENSIONS} == before
        add_up_closed_hours()
        assert {by: new_report(by) for by in DIMENSIONS} == before
        assert UsageEvent.objects.get(kind="adjustment").used == {"input": -40, "output": -3}
        first = UsageEvent.objects.order_by("created_at").first()
        assert first.quantities == {"output": 3}, "zeros are left out"
        prices = list(ModelPrice.objects.order_by("valid_from"))
        assert [row.amounts for row in prices] == list(OLD_PRICES.values())
        for row, amounts in zip(prices, OLD_PRICES, strict=True):
            found = row.as_price().amounts
            assert [found[name] for name in ("input", "cached", "output", "reasoning")] == [
                *map(Decimal, amounts)
            ]


def test_filling_goes_on_where_it_stopped_and_changes_nothing_twice(old_books, monkeypatch):
    """In batches; what was written meanwhile by either release stays as it is."""
    fill = import_module("usage.migrations.0004_fill_quantities")
    monkeypatch.setattr(fill, "AT_ONCE", 4)
    upgrade(old_books)
    filled = old_books.sql("SELECT id, quantities FROM usage_usageevent ORDER BY id")
    assert len(filled) == ROWS + 1 and all(row.quantities is not None for row in filled)
    old_books.sql("UPDATE usage_usageevent SET quantities = '{\"images\": 1}' WHERE id = %s", filled[3].id)
    old_books.sql("UPDATE usage_usageevent SET quantities = NULL WHERE id = %s", filled[20].id)
    with owner(old_books.slug):
        fill.fill(apps, connections["owner"].schema_editor())
    again = old_books.sql("SELECT id, quantities FROM usage_usageevent ORDER BY id")
    assert again[3].quantities == {"images": 1}
    assert [*again[:3], *again[4:]] == [*filled[:3], *filled[4:]]
    assert not old_books.sql("SELECT 1 FROM usage_hourlysum WHERE quantities IS NULL")
    with tenant(old_books.slug):
        assert HourlySum.objects.exists()
