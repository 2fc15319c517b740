"""Rights of use: services, and the rule (who is refused is refused) as it holds in the gateway's memory, in
queries, at /v1 and in the chat's picker.
"""

from itertools import product
from types import SimpleNamespace
from uuid import uuid4

import pytest
from auditlog.models import LogEntry
from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction

from accounts.grants import ObjectGrants, holders_of, list_closed_objects, load_grants
from accounts.models import Grant, Project
from accounts.selectors import (
    get_default_project_id,
    get_visible_grant,
    list_callable_models,
    list_visible_grants,
)
from accounts.services import (
    create_project,
    create_role,
    delete_project,
    delete_role,
    grant,
    revoke_grant,
    set_project_member,
    set_roles,
)
from foundation.errors import Conflict, InvalidInput, NotAllowed, NotFound
from models_registry.services import add_connection, add_model, set_model
from tenants.context import platform
from tests.estate import PROVIDER

pytestmark = pytest.mark.django_db
KIND = "model"


@pytest.fixture
def place(alice, bob):
    """Two models of acme's own, one of the platform's, a role, and a project of which bob is a member."""
    connection = add_connection(actor=None, name="Ours", **PROVIDER)
    models = {
        name: add_model(actor=None, connection=connection, name=name, upstream_name=name)
        for name in ("small", "large")
    }
    with platform():
        shared = add_connection(actor=None, name="Theirs", **PROVIDER)
        models["shared"] = add_model(actor=None, connection=shared, name="shared", upstream_name="x")
    project = create_project(actor=None, name="Law")
    set_project_member(actor=None, project=project, user=bob, role="editor")
    role = create_role(actor=None, name="lawyers", permissions=[])
    return SimpleNamespace(models=models, project=project, role=role, alice=alice, bob=bob)


def closed(user, project_id=None) -> set:
    """What the query says is closed, after it was compared with what the gateway's memory says."""
    project_id = project_id or get_default_project_id()
    found = set(list_closed_objects(KIND, user, project_id))
    holders = holders_of(user.pk, user.groups.values_list("pk", flat=True), project_id)
    assert found == {pk for pk, grants in load_grants(KIND).items() if not grants.permit(holders)}
    return found


def test_without_a_grant_everybody_may(place):
    assert closed(place.bob) == closed(place.alice) == set()


@pytest.mark.parametrize("name", ["small", "shared"])
def test_a_grant_lets_those_who_are_named_and_nobody_else(place, name):
    """By the name or the id of the tenant's own model, or of the platform's as the tenant sees it."""
    model = place.models[name]
    first = grant(actor=place.alice, kind=KIND, target=name, user=place.bob)
    assert (first.object_id, first.object_name) == (model.pk, name)
    assert closed(place.bob) == set() and closed(place.alice) == {model.pk}
    again = grant(actor=place.alice, kind=KIND, target=model.pk, user=place.bob)
    assert again.pk == first.pk, "twice: the same"
    revoke_grant(actor=place.alice, grant=first)
    assert closed(place.alice) == set() and not Grant.objects.exists()


def test_a_model_named_like_anothers_id_catches_no_right_of_it(place):
    """Whoever may add models could else take rights from models that are not theirs."""
    small = place.models["small"]
    add_model(actor=None, connection=small.connection, name=str(small.pk), upstream_name="x")
    for wanted in (small.pk, str(small.pk), str(small.pk).upper()):
        assert grant(actor=None, kind=KIND, target=wanted, user=place.bob).object_id == small.pk


def test_a_role_or_a_project_lets_its_people(place):
    large = place.models["large"]
    grant(actor=None, kind=KIND, target="large", role=place.role)
    grant(actor=None, kind=KIND, target="large", project=place.project)
    assert closed(place.bob) == {large.pk}
    assert closed(place.bob, place.project.pk) == set(), "who works on the project may"
    set_roles(actor=None, user=place.bob, roles=["user", "lawyers"])
    assert closed(place.bob) == set()
    set_roles(actor=None, user=place.bob, roles=["user"])
    assert closed(place.bob) == {large.pk}


STATES = (None, Grant.Effect.ALLOW, Grant.Effect.DENY)


@pytest.mark.parametrize("own", STATES)
def test_who_is_refused_is_refused_whatever_else_allows_it(place, own):
    """All 81 combinations of a grant to the person, to their role, to their project and to others."""
    small = place.models["small"]
    set_roles(actor=None, user=place.bob, roles=["user", "lawyers"])
    holders = {"user": place.bob, "role": place.role, "project": place.project}
    of_small = {"kind": KIND, "object_id": small.pk, "object_name": "small"}
    for of_role, of_project, of_other in product(STATES, repeat=3):
        effects = {"user": own, "role": of_role, "project": of_project}
        given = [(holders[name], name, effect) for name, effect in effects.items()]
        given.append((place.alice, "user", of_other))
        mine, all_effects = set(effects.values()), {*effects.values(), of_other}
        expected = "deny" not in mine and ("allow" in mine or "allow" not in all_effects)
        with transaction.atomic():
            Grant.objects.bulk_create(
                Grant(**of_small, effect=effect, **{name: holder}) for holder, name, effect in given if effect
            )
            is_open = small.pk not in closed(place.bob, place.project.pk)
            transaction.set_rollback(True)
        assert is_open is expected, (effects, of_other)


def test_planted_bug_a_rule_where_allowing_wins_is_noticed(place, monkeypatch):
    monkeypatch.setattr(
        ObjectGrants, "permit", lambda self, holders: not self.allowed or bool(self.allowed & holders)
    )
    with pytest.raises(AssertionError):
        test_who_is_refused_is_refused_whatever_else_allows_it(place, Grant.Effect.DENY)


def test_an_effect_is_changed_by_granting_again(place):
    row = grant(actor=place.alice, kind=KIND, target="small", user=place.bob)
    again = grant(actor=place.alice, kind=KIND, target="small", user=place.bob, effect="deny")
    assert again.pk == row.pk and Grant.objects.get().effect == "deny"
    history = LogEntry.objects.get_for_object(row)
    assert [entry.action for entry in history.order_by("pk")] == [
        LogEntry.Action.CREATE,
        LogEntry.Action.UPDATE,
    ]


def test_who_has_no_right_grants_nothing_and_sees_nothing(place):
    row = grant(actor=place.alice, kind=KIND, target="small", user=place.bob)
    for act in (
        lambda: grant(actor=place.bob, kind=KIND, target="large", user=place.bob),
        lambda: revoke_grant(actor=place.bob, grant=row),
        lambda: list_visible_grants(place.bob),
        lambda: get_visible_grant(place.bob, row.pk),
    ):
        with pytest.raises(NotAllowed):
            act()
    assert get_visible_grant(place.alice, row.pk) == row
    with pytest.raises(NotFound):
        get_visible_grant(place.alice, uuid4())


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"kind": "star"}, InvalidInput),
        ({"target": "nobody"}, NotFound),
        ({"target": uuid4()}, NotFound),
        ({"effect": "perhaps"}, InvalidInput),
        ({"user": None}, InvalidInput),
        ({"project": Project()}, InvalidInput),
    ],
)
def test_what_makes_no_sense_is_refused(place, wrong, error):
    good = {"kind": KIND, "target": "small", "user": place.bob}
    with pytest.raises(error):
        grant(actor=place.alice, **good | wrong)
    assert not Grant.objects.exists()


def test_the_database_refuses_a_grant_to_nobody_and_one_to_two(place):
    for holders in ({}, {"user": place.bob, "role": place.role}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Grant.objects.create(kind=KIND, object_id=uuid4(), object_name="x", **holders)


def test_a_holder_goes_only_after_its_grants(place):
    """With the last one that is allowed the model would be open to all."""
    of_role = grant(actor=None, kind=KIND, target="small", role=place.role)
    of_project = grant(actor=None, kind=KIND, target="small", project=place.project)
    with pytest.raises(Conflict):
        delete_role(actor=place.alice, role=place.role)
    with pytest.raises(Conflict):
        delete_project(actor=place.alice, project=place.project)
    for row in (of_role, of_project):
        revoke_grant(actor=place.alice, grant=row)
    delete_role(actor=place.alice, role=place.role)
    delete_project(actor=place.alice, project=place.project)
    assert not Group.objects.filter(name="lawyers").exists() and Project.objects.count() == 1


def test_another_tenants_and_another_kinds_grants_say_nothing(place):
    Grant.objects.create(kind="room", object_id=place.models["small"].pk, object_name="x", user=place.alice)
    assert closed(place.bob) == set()


def test_lists_of_callable_models_leave_out_what_is_closed(place, acme):
    door = SimpleNamespace(plan_id=str(_plan_id()), currency="EUR")
    assert {"small", "large", "shared"} <= set(list_callable_models(door, place.bob))
    grant(actor=None, kind=KIND, target="large", user=place.alice)
    grant(actor=None, kind=KIND, target="shared", effect="deny", user=place.bob)
    assert set(list_callable_models(door, place.bob)) & set(place.models) == {"small"}
    assert set(list_callable_models(door, place.alice)) >= {"small", "large", "shared"}
    page = acme.login_as(place.bob).get("/").content.decode()
    assert 'value="small"' in page and 'value="large"' not in page and 'value="shared"' not in page


def test_a_model_that_hides_the_platforms_hides_it_also_where_it_is_closed(place):
    """No call goes unexpectedly to another provider."""
    with platform():
        twin = add_model(
            actor=None, connection=place.models["shared"].connection, name="small", upstream_name="y"
        )
    grant(actor=None, kind=KIND, target="small", user=place.alice)
    door = SimpleNamespace(plan_id=str(_plan_id()), currency="EUR")
    assert "small" not in list_callable_models(door, place.bob) and twin.pk != place.models["small"].pk
    set_model(actor=None, model=place.models["small"], is_enabled=False)
    assert "small" not in list_callable_models(door, place.bob)


def _plan_id():
    from tenants.selectors import get_plan_id

    return get_plan_id()
