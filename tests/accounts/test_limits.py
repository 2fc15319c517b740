"""Limits as rows: services, who sees them, and the columns that became rows."""

from importlib import import_module
from types import SimpleNamespace
from uuid import uuid4

import pytest
from auditlog.models import LogEntry
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connections, transaction
from django.db.migrations.loader import MigrationLoader

from accounts.models import ApiKey, Limit, User
from accounts.selectors import (
    find_key_facts,
    find_person_facts,
    get_visible_limit,
    list_own_limits,
    list_shared_limits,
    list_visible_limits,
)
from accounts.services import (
    change_limit,
    create_api_key,
    create_project,
    delete_project,
    remove_limit,
    set_limit,
    set_limits,
    set_project_member,
    update_api_key,
)
from foundation.errors import InvalidInput, NotAllowed, NotFound
from models_registry.services import add_connection, add_model
from tenants.context import owner, tenant
from tenants.models import PlanLimit
from tests.estate import PROVIDER

RPM = "requests_per_minute"


@pytest.fixture
def place(db, alice, bob):
    project = create_project(actor=None, name="Law")
    key, _text = create_api_key(actor=None, user=bob, name="k", project=project)
    connection = add_connection(actor=None, name="Ours", **PROVIDER)
    model = add_model(actor=None, connection=connection, name="small")
    subjects = {"tenant": None, "project": project.pk, "user": bob.pk, "key": key.pk, "model": model.pk}
    return SimpleNamespace(alice=alice, bob=bob, project=project, key=key, model=model, subjects=subjects)


@pytest.mark.parametrize("level", Limit.Level.values)
def test_each_level_gets_a_limit_another_amount_and_none(place, level):
    options = {"level": level, "subject_id": place.subjects[level], "measure": RPM}
    row = set_limit(actor=place.alice, amount=60, **options)
    assert (row.level, row.subject_id, row.amount) == (level, place.subjects[level], 60)
    again = set_limit(actor=place.alice, amount=70, **options)
    assert again.pk == row.pk and Limit.objects.get().amount == 70, "twice: the same row"
    set_limit(actor=place.alice, amount=3, **options | {"measure": "calls_at_once"})
    assert change_limit(actor=place.alice, limit=row, amount=80).amount == 80
    remove_limit(actor=place.alice, limit=row)
    remove_limit(actor=place.alice, limit=row)
    assert [left.measure for left in Limit.objects.all()] == ["calls_at_once"]
    with pytest.raises(NotFound):
        change_limit(actor=place.alice, limit=row, amount=1)
    assert LogEntry.objects.filter(object_pk=str(row.pk)).count() == 4, "made, changed twice, deleted"


def test_several_measures_are_set_at_once_and_the_others_stay(place):
    set_limits(actor=place.alice, level="tenant", amounts={RPM: 5, "tokens_per_day": 1_000})
    set_limits(actor=place.alice, level="tenant", amounts={RPM: None, "calls_at_once": 3})
    found = dict(Limit.objects.values_list("measure", "amount"))
    assert found == {"tokens_per_day": 1_000, "calls_at_once": 3}


def test_who_has_no_right_bounds_nobody(place):
    row = set_limit(actor=place.alice, level="user", subject_id=place.bob.pk, measure=RPM, amount=60)
    for act in (
        lambda: set_limit(actor=place.bob, level="user", subject_id=place.bob.pk, measure=RPM, amount=600),
        lambda: change_limit(actor=place.bob, limit=row, amount=600),
        lambda: remove_limit(actor=place.bob, limit=row),
        lambda: set_limits(actor=place.bob, level="tenant", amounts={RPM: 5}),
    ):
        with pytest.raises(NotAllowed):
            act()
    assert Limit.objects.get().amount == 60


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"level": "world"}, InvalidInput),
        ({"measure": "luck"}, InvalidInput),
        ({"subject_id": uuid4()}, InvalidInput),
        ({"subject_id": None}, InvalidInput),
        ({"level": "model", "subject_id": uuid4()}, InvalidInput),
        ({"amount": 0}, ValidationError),
        ({"amount": -1}, ValidationError),
        ({"amount": 2_000_000_001}, ValidationError),
        ({"measure": "tokens_per_day", "amount": 10**12 + 1}, ValidationError),
    ],
)
def test_what_makes_no_sense_is_refused(place, wrong, error):
    good = {"level": "user", "subject_id": place.bob.pk, "measure": RPM, "amount": 60}
    with pytest.raises(error):
        set_limit(actor=place.alice, **good | wrong)
    assert not Limit.objects.exists()


def test_the_database_refuses_a_limit_of_two_and_a_second_one(place):
    set_limit(actor=None, level="tenant", measure=RPM, amount=5)
    for columns in (
        {"level": "tenant", "measure": RPM, "amount": 6},
        {"level": "user", "measure": RPM, "amount": 6},
        {"level": "user", "user": place.bob, "project": place.project, "measure": RPM, "amount": 6},
        {"level": "user", "user": place.bob, "measure": RPM, "amount": 0},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            Limit.objects.create(**columns)


def test_people_see_what_binds_them_and_admins_all(place):
    for level, subject in place.subjects.items():
        set_limit(actor=None, level=level, subject_id=subject, measure=RPM, amount=60)
    other = set_limit(actor=None, level="user", subject_id=place.alice.pk, measure=RPM, amount=60)
    assert {row.level for row in list_visible_limits(place.bob)} == {"tenant", "user", "key"}
    set_project_member(actor=None, project=place.project, user=place.bob, role="viewer")
    assert {row.level for row in list_visible_limits(place.bob)} == {"tenant", "user", "key", "project"}
    assert list_visible_limits(place.alice).count() == 6
    with pytest.raises(NotFound):
        get_visible_limit(place.bob, other.pk)
    assert {row.level for row in list_own_limits(place.bob)} == {"user", "key"}


def test_the_gateway_is_told_of_each_limit_where_it_binds(place):
    for level, subject in place.subjects.items():
        set_limit(actor=None, level=level, subject_id=subject, measure=RPM, amount=60)
    assert {limit.level for limit in list_shared_limits()} == {"tenant", "project", "model"}
    assert {limit.level for limit in find_key_facts(place.key.key_id).limits} == {"key", "user"}
    assert {limit.level for limit in find_person_facts(place.bob.pk).limits} == {"user"}


def test_requests_per_minute_of_a_key_are_a_row_under_their_old_name(place):
    key, _text = create_api_key(actor=place.bob, user=place.bob, name="mine", requests_per_minute=60)
    assert key.requests_per_minute == 60 and Limit.objects.get(key=key).amount == 60
    update_api_key(actor=place.bob, key=key, name="renamed")
    assert key.requests_per_minute == 60, "what is not named stays"
    assert update_api_key(actor=place.bob, key=key, requests_per_minute=5).requests_per_minute == 5
    assert update_api_key(actor=place.bob, key=key, requests_per_minute=None).requests_per_minute is None
    assert not Limit.objects.exists()
    with pytest.raises(ValidationError) as caught:
        create_api_key(actor=place.bob, user=place.bob, name="none", requests_per_minute=0)
    assert set(caught.value.message_dict) == {RPM}


def test_with_a_project_its_limits_go(place):
    set_limit(actor=None, level="project", subject_id=place.project.pk, measure=RPM, amount=60)
    ApiKey.objects.all().delete()
    delete_project(actor=None, project=place.project)
    assert not Limit.objects.exists()
    gone = LogEntry.objects.get(action=LogEntry.Action.DELETE, additional_data__measure=RPM)
    assert gone.object_repr == "project: 60 requests per minute"


# -- by a key ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", Limit.Level.values)
@pytest.mark.parametrize("amount", [None, 61])
def test_a_key_loosens_no_limit_that_binds_it(place, level, amount):
    subject = place.subjects[level]
    row = set_limit(actor=None, level=level, subject_id=subject, measure=RPM, amount=60)
    with pytest.raises(NotAllowed):
        if amount is None:
            remove_limit(actor=place.alice, limit=row, within=place.key)
        else:
            change_limit(actor=place.alice, limit=row, amount=amount, within=place.key)
    with pytest.raises(NotAllowed):
        set_limit(
            actor=place.alice, level=level, subject_id=subject, measure=RPM, amount=61, within=place.key
        )
    assert change_limit(actor=place.alice, limit=row, amount=59, within=place.key).amount == 59


def test_a_key_gives_other_keys_no_more_than_it_has_and_others_what_it_likes(place):
    other, _text = create_api_key(actor=None, user=place.alice, name="other", requests_per_minute=10)
    set_limit(actor=None, level="key", subject_id=place.key.pk, measure=RPM, amount=60)
    limit = Limit.objects.get(key=other)
    with pytest.raises(NotAllowed):
        change_limit(actor=place.alice, limit=limit, amount=61, within=place.key)
    with pytest.raises(NotAllowed):
        remove_limit(actor=place.alice, limit=limit, within=place.key)
    assert change_limit(actor=place.alice, limit=limit, amount=60, within=place.key).amount == 60
    of_alice = {"level": "user", "subject_id": place.alice.pk, "measure": RPM}
    set_limit(actor=place.alice, amount=5, **of_alice)
    assert set_limit(actor=place.alice, amount=500, within=place.key, **of_alice).amount == 500


# -- the columns became rows -------------------------------------------------------------------------------


def before_the_rows(app: str, migration: str):
    """The models of a migration's state; their column stays in the table for a release. Call inside a
    transaction of the owner's.
    """
    connection = connections["owner"]
    state = MigrationLoader(connection).project_state((app, migration))
    return state.apps, SimpleNamespace(connection=connection)


@pytest.mark.scope(None)
def test_limits_of_keys_come_along(unblocked):
    module = import_module("accounts.migrations.0005_limits_as_rows")
    with tenant("globex"):
        person = User.objects.get()
        keys = {number: create_api_key(actor=None, user=person, name="k")[0].pk for number in (None, 7, 900)}
    connections["default"].close()
    with owner("globex"), transaction.atomic(using="owner"):
        apps, editor = before_the_rows("accounts", "0005_limits_as_rows")
        old = apps.get_model("accounts", "ApiKey").objects
        for number, pk in keys.items():
            old.filter(pk=pk).update(requests_per_minute=number)
        module.copy_key_limits(apps, editor)
        rows = Limit.objects.values_list("level", "key", "measure", "amount")
        assert set(rows) == {("key", keys[number], RPM, number) for number in (7, 900)}
        transaction.set_rollback(True, using="owner")
    with tenant("globex"):
        ApiKey.objects.all().delete()


@pytest.mark.scope(None)
def test_limits_of_plans_come_along(unblocked):
    module = import_module("tenants.migrations.0004_limits_as_rows")
    with owner(), transaction.atomic(using="owner"):
        PlanLimit.objects.all().delete()
        apps, editor = before_the_rows("tenants", "0004_limits_as_rows")
        apps.get_model("tenants", "Plan").objects.filter(name="standard").update(requests_per_minute=1_000)
        module.copy_plan_limits(apps, editor)
        rows = PlanLimit.objects.values_list("plan__name", "measure", "amount")
        assert list(rows) == [("standard", RPM, 1_000)], "a plan without a limit has none"
        transaction.set_rollback(True, using="owner")
