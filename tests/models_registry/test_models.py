"""Models: written, refused, announced, retired."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import override

from foundation.errors import InvalidInput, NotAllowed
from models_registry import services
from models_registry.calendar import carry_out_dates
from models_registry.lifecycle import add_months, earliest_retirement
from models_registry.models import Model
from models_registry.selectors import get_visible_model, list_routes
from tenants.context import platform


def set_model(row, **changes):
    return services.set_model(actor=None, model=row, **changes)


def months_ahead(months: int, days: int = 0) -> date:
    return add_months(timezone.now().date(), months) + timedelta(days=days)


def announced_ago(row, *, stable_months: int) -> None:
    """As if the model had been stable for so long."""
    Model.objects.filter(pk=row.pk).update(stable_since=add_months(timezone.now().date(), -stable_months))


# -- writing -------------------------------------------------------------------------------------------------


def test_adding_and_changing_a_model_works(make, alice):
    connection = make.model("next").connection
    row = services.add_model(
        actor=alice,
        connection=connection,
        name="house",
        upstream_name="qwen3",
        max_output_tokens=100,
    )
    assert (row.upstream_name, row.default_max_output_tokens, row.channel, row.stable_since) == (
        "qwen3",
        100,
        "stable",
        timezone.now().date(),
    )
    row = services.set_model(
        actor=alice,
        model=row,
        label="House model",
        capabilities=["tools"],
        licence="MIT",
        notes="x",
        successor="next",
    )
    row = services.set_model(actor=alice, model=row, label="House model")  # called twice
    assert Model.objects.get(name="house").label == "House model"


def test_writing_is_refused_to_those_who_may_only_look(make, alice, bob):
    row = make.model()
    for action in (
        lambda: services.add_model(actor=bob, connection=row.connection, name="b"),
        lambda: services.set_model(actor=bob, model=row, label="b"),
        lambda: services.remove_model(actor=bob, model=row),
        lambda: services.set_model_price(actor=bob, model=row, input=Decimal(1), output=Decimal(1)),
        lambda: get_visible_model(bob, row.pk),
    ):
        with pytest.raises(NotAllowed):
            action()
    services.remove_model(actor=alice, model=row)
    services.remove_model(actor=alice, model=row)  # called twice
    assert not Model.objects.exists()


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"name": "with space"}, ValidationError),
        ({"name": "auto"}, ValidationError),
        ({"name": "AUTO"}, ValidationError),
        ({"name": "-x"}, ValidationError),
        ({"name": "naïve"}, ValidationError),
        ({"name": "x" * 121}, ValidationError),
        ({"context_window": 0}, ValidationError),
        ({"context_window": -1}, ValidationError),
        ({"max_output_tokens": 0}, ValidationError),
        ({"default_max_output_tokens": 0}, ValidationError),
        ({"kind": "dance"}, ValidationError),
        ({"max_output_tokens": 10, "default_max_output_tokens": 11}, ValidationError),
        ({"capabilities": "tools"}, ValidationError),
        ({"capabilities": [1]}, ValidationError),
        ({"successor": "small"}, InvalidInput),
        ({"channel": "beta"}, ValidationError),
        ({"is_demo": True}, InvalidInput),
        ({"connection": None}, InvalidInput),
        ({"plans": []}, InvalidInput),
    ],
)
def test_bad_values_are_refused(make, fields, error):
    row = make.model()
    with pytest.raises(error):
        set_model(row, **fields)


def test_the_database_holds_the_line_too(make):
    row = make.model(max_output_tokens=10)
    for changes in (
        {"name": "with space"},
        {"context_window": 0},
        {"default_max_output_tokens": 11},
        {"default_max_output_tokens": 0},
        {"upstream_name": ""},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            Model.objects.filter(pk=row.pk).update(**changes)


def test_one_default_per_kind_and_the_newest_choice_wins(make):
    first, second, embedding = make.model("a"), make.model("b"), make.model("c", kind="embedding")
    for row in (first, second, embedding, embedding):
        set_model(row, is_default=True)
    assert list(Model.objects.filter(is_default=True).values_list("name", flat=True)) == ["b", "c"]


def test_changes_are_announced_with_the_transaction(make):
    row = make.model()
    noun_of = {"model": row.pk, "connection": row.connection_id}
    for noun, change in (
        ("model", lambda: set_model(row, label="New")),
        ("model", lambda: make.price(row)),
        ("connection", lambda: services.update_connection(actor=None, connection=row.connection, name="New")),
        ("model", lambda: services.remove_model(actor=None, model=row)),
        ("connection", lambda: services.remove_connection(actor=None, connection=row.connection)),
    ):
        with CaptureQueriesContext(connection) as queries:
            change()
        assert any(
            "pg_notify" in query["sql"] and f"acme:{noun}:{noun_of[noun]}" in query["sql"]
            for query in queries
        )


# -- the policy of a model's life ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2026, 11, 30), 3, date(2027, 2, 28)),
        (date(2026, 12, 1), 6, date(2027, 6, 1)),
        (date(2026, 5, 31), -6, date(2025, 11, 30)),
    ],
)
def test_months_are_those_of_the_calendar(day, months, expected):
    assert add_months(day, months) == expected


def test_the_earliest_retirement_keeps_both_promises():
    today = date(2026, 6, 1)
    assert earliest_retirement(date(2026, 6, 1), today) == date(2026, 12, 1)
    assert earliest_retirement(date(2025, 6, 1), today) == date(2026, 9, 1)


@pytest.mark.parametrize(
    ("stable_months", "months", "days", "is_fine"),
    [
        (0, 6, 0, True),
        (0, 6, -1, False),
        (12, 3, 0, True),
        (12, 3, -1, False),
        (4, 3, 0, True),
        (2, 3, 0, False),
    ],
)
def test_a_stable_model_stays_six_months_and_leaves_with_three_months_notice(
    make, stable_months, months, days, is_fine
):
    row = make.model()
    announced_ago(row, stable_months=stable_months)
    if is_fine:
        assert set_model(row, retire_on=months_ahead(months, days)).channel == "deprecated"
    else:
        with pytest.raises(ValidationError, match="at least 3 months"):
            set_model(row, retire_on=months_ahead(months, days))


def test_a_date_may_move_away_but_not_closer(make):
    row = make.model()
    announced_ago(row, stable_months=12)
    row = set_model(row, retire_on=months_ahead(5))
    row = set_model(row, retire_on=months_ahead(9))
    row = set_model(row, label="other things change freely")
    with pytest.raises(ValidationError):
        set_model(row, retire_on=months_ahead(1))
    assert set_model(row, retire_on=None, channel="stable").retire_on is None


def test_nothing_is_retired_before_its_day(make):
    row = make.model()
    announced_ago(row, stable_months=12)
    with pytest.raises(ValidationError):
        set_model(row, channel="retired")
    row = set_model(row, retire_on=months_ahead(3))
    with pytest.raises(ValidationError):
        set_model(row, channel="retired")
    Model.objects.update(retire_on=timezone.now().date())
    assert set_model(row, channel="retired").channel == "retired"


def test_the_end_may_be_announced_as_retired_with_its_day(make):
    """Until that day the model is deprecated; and the promise holds for the day."""
    row = make.model()
    announced_ago(row, stable_months=12)
    earliest = months_ahead(3)
    with override("de"), pytest.raises(ValidationError) as refusal:
        set_model(row, channel="retired", retire_on=earliest - timedelta(days=1))
    assert list(refusal.value.message_dict) == ["retire_on"]
    with override("de"):
        assert date_format(earliest, "DATE_FORMAT") in refusal.value.message_dict["retire_on"][0]
    row = set_model(row, channel="retired", retire_on=earliest)
    assert (row.channel, row.retire_on) == ("deprecated", earliest)


def test_there_is_no_way_round_through_experimental(make):
    row = make.model()
    with pytest.raises(ValidationError):
        set_model(row, channel="experimental")
    other = make.model("other", channel="experimental", retire_on=months_ahead(0, 1))
    with pytest.raises(ValidationError):
        set_model(other, channel="stable")
    with pytest.raises(ValidationError):
        make.model("third", retire_on=months_ahead(0, 1), channel="stable")
    assert set_model(other, channel="retired").channel == "retired"


def test_on_its_day_a_model_leaves_by_itself(make):
    row = make.model()
    set_model(row, is_default=True)
    other = make.model("other")
    Model.objects.filter(pk=row.pk).update(retire_on=timezone.now().date())
    assert set(list_routes()) == {"other"}  # also before the scheduler comes by
    carry_out_dates()
    carry_out_dates()  # called twice
    row.refresh_from_db()
    other.refresh_from_db()
    assert (row.channel, row.is_default, other.channel) == ("retired", False, "stable")


def test_the_day_is_noted_so_that_somebody_comes_by(make):
    from tenants.models import Duty

    row = make.model()
    announced_ago(row, stable_months=12)
    day = months_ahead(4)
    set_model(row, retire_on=day)
    make.price(row, valid_from=timezone.now() + timedelta(days=3))
    with platform():
        duties = Duty.objects.filter(kind="models_registry.calendar", role__endswith="_acme")
        assert day in [duty.due_at.date() for duty in duties] and duties.count() == 2
