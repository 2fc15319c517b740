"""What the ledger's SQL names is what the models have: the lanes write without the ORM, so nothing else would
tell.
"""

import dataclasses
import re
from datetime import UTC, datetime

import pytest
from django.db import connection

from tests.usage.books import a_bill, a_hold
from usage.ledger import bookings, statements
from usage.ledger.batch import Batch
from usage.ledger.bookings import NextAttempt
from usage.models import Budget, BudgetOverrun, CallColumns, Hold, UsageEvent

pytestmark = pytest.mark.django_db
KINDS = {
    "text": {"varchar", "text"},
    "int": {"integer"},
    "bool": {"boolean"},
    "timestamptz": {"timestamp with time zone"},
}


def kind_of(model, column: str) -> str:
    """The column's type without what bounds it: `numeric(24, 12)` is numeric."""
    (field,) = (field for field in model._meta.local_concrete_fields if field.column == column)
    return re.sub(r"\(.*\)", "", field.db_type(connection))


def test_the_facts_of_a_call_are_the_models_in_its_order():
    fields = {field.column: kind_of(UsageEvent, field.column) for field in CallColumns._meta.local_fields}
    assert list(fields) == list(statements.FACTS)
    for name, kind in statements.FACTS.items():
        assert fields[name] in KINDS.get(kind, {kind}), name


def test_what_a_hold_carries_is_what_the_event_will_say():
    """`price` becomes the snapshot; who is charged stands in the subjects."""
    given = {field.name for field in dataclasses.fields(bookings.CallFacts)} - {"price"}
    assert given == set(statements.FACTS) - {"price_snapshot", "user_id", "key_id", "project_id"}


@pytest.mark.parametrize(
    ("model", "columns"),
    [
        (Hold, statements.HOLD_COLUMNS | {"budget_ids": "uuid[]"}),
        (Hold, statements._NEXT_COLUMNS),
        (Budget, statements._BALANCE_COLUMNS),
        (BudgetOverrun, statements._OVERRUN_COLUMNS),
    ],
)
def test_the_arrays_have_the_types_of_their_columns(model, columns):
    for name, kind in columns.items():
        assert kind_of(model, name) in KINDS.get(kind, {kind}), name


def test_an_event_is_written_with_each_of_its_columns():
    assert set(re.split(r",\s*", statements._EVENT_NAMES)) == {
        field.column for field in UsageEvent._meta.local_concrete_fields
    }


def test_each_statement_gets_a_value_for_each_of_its_columns():
    hold, now = a_hold(), datetime(2026, 11, 1, tzinfo=UTC)
    batch = Batch([], {}, now)
    following = NextAttempt(hold.request_id, hold.amount, hold.facts, ())
    for operation in (hold, following, a_bill(hold.request_id)):
        assert batch.decide(operation) is True
    sent = {statement: len(values) for statement, values in batch.writes(b"process")}
    assert sent == {
        statements.WRITE_HOLDS: 2 + len(statements.HOLD_COLUMNS),
        statements.FOLLOW: len(statements._NEXT_COLUMNS),
        statements.SETTLE: 1 + len(statements.BILL_COLUMNS),
    }
