"""People, roles and keys: each service works, is refused, meets bad values, and is called twice."""

from datetime import timedelta
from importlib import import_module
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.core.exceptions import ValidationError
from django.db import connection
from django.utils import timezone

from accounts import keys
from accounts.models import ApiKey, User
from accounts.roles import ROLES, ensure_roles
from accounts.selectors import find_key_facts, get_visible_api_key, list_own_api_keys, list_visible_api_keys
from accounts.services import (
    create_api_key,
    create_project,
    create_user,
    remove_project_member,
    revoke_api_key,
    set_project_member,
    set_roles,
    set_user_active,
    update_profile,
)
from foundation.errors import Conflict, InvalidInput, NotAllowed, NotFound

pytestmark = pytest.mark.django_db


def make(actor, email="dora@acme.example", **options):
    return create_user(actor=actor, email=email, name="Dora", **options)


def test_keys_end_with_their_persons_part_in_the_project(bob):
    """Rights that the project has would stay theirs, and so would its budget."""
    law, tax = create_project(actor=None, name="Law"), create_project(actor=None, name="Tax")
    members = [
        set_project_member(actor=None, project=project, user=bob, role="editor") for project in (law, tax)
    ]
    keys = [
        create_api_key(actor=None, user=bob, name="k", project=project)[0] for project in (law, tax, None)
    ]
    remove_project_member(actor=None, membership=members[0])
    assert [find_key_facts(key.key_id).is_in_force for key in keys] == [False, True, True]


def test_an_owner_invites_people_who_set_their_own_password(alice):
    dora = make(alice)
    assert not dora.has_usable_password() and [group.name for group in dora.groups.all()] == ["user"]
    assert dora.emailaddress_set.get().verified


def test_a_member_invites_nobody(bob):
    with pytest.raises(NotAllowed):
        make(bob)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"email": "BOB@acme.example"}, Conflict),
        ({"email": "not an address"}, ValidationError),
        ({"password": "short"}, InvalidInput),
        ({"password": "password123"}, InvalidInput),
        ({"roles": ["emperor"]}, InvalidInput),
    ],
)
def test_bad_values_are_refused(alice, options, error):
    with pytest.raises(error):
        make(alice, **{"email": "dora@acme.example", **options})


def test_every_tenant_has_the_roles_and_making_them_again_changes_nothing():
    ensure_roles()
    assert set(Group.objects.values_list("name", flat=True)) == set(ROLES)
    assert not Group.objects.get(name="user").permissions.exists()
    assert (
        Group.objects.get(name="auditor")
        .permissions.exclude(codename__startswith="view_")
        .values_list("codename", flat=True)
        .get()
        == "access_admin"
    )


def platform_rights():
    return Permission.objects.filter(
        content_type__app_label__in=["tenants", "django_tenants", "usage_platform", "registry_platform"]
    )


def test_no_role_holds_rights_on_what_only_the_platform_has(alice):
    ensure_roles()
    assert platform_rights().exists() and not Group.objects.filter(permissions__in=platform_rights()).exists()
    held = alice.get_all_permissions()
    assert {"usage.view_usageevent", "models_registry.add_connection", "auth.change_group"} <= held
    assert not [
        name for name in held if name.startswith(("tenants.", "usage_platform.", "registry_platform."))
    ]


def test_roles_that_hold_such_rights_lose_them_and_keep_the_others():
    take_away = import_module("accounts.migrations.0003_no_rights_on_platform_objects").take_away
    owner = Group.objects.get(name="owner")
    before = set(owner.permissions.all())
    owner.permissions.add(*platform_rights())
    for _attempt in range(2):
        take_away(apps, SimpleNamespace(connection=connection))
        assert set(owner.permissions.all()) == before


def test_only_an_owner_makes_owners_and_the_last_one_stays(alice, bob):
    set_roles(actor=alice, user=bob, roles=["admin"])
    bob = User.objects.get(pk=bob.pk)
    with pytest.raises(NotAllowed):
        set_roles(actor=bob, user=bob, roles=["owner"])
    with pytest.raises(Conflict):
        set_roles(actor=alice, user=alice, roles=["user"])
    with pytest.raises(Conflict):
        set_user_active(actor=alice, user=alice, is_active=False)
    set_roles(actor=alice, user=bob, roles=["owner"])
    set_roles(actor=alice, user=alice, roles=["user"])


def test_a_key_is_shown_once_and_stored_as_its_digest(bob):
    row, text = create_api_key(actor=bob, user=bob, name="mine")
    parsed = keys.parse_key(text)
    assert text.startswith("atr_acme_") and len(text.split("_", 3)[3]) == 43
    assert bytes(row.digest) == parsed.digest and row.key_id == parsed.key_id and row.scopes == ["inference"]
    assert keys.is_same(bytes(row.digest), parsed)
    assert not keys.is_same(bytes(row.digest), keys.parse_key(text[:-1] + ("a" if text[-1] != "a" else "b")))
    assert not keys.is_same(None, parsed)


@pytest.mark.parametrize(
    "text",
    ["", "atr", "atr_acme_short_x", "sk-abc", "atr_acme_12345678_tooshort", "xyz_acme_12345678_" + "a" * 43],
)
def test_what_is_no_key_is_not_parsed(text):
    assert keys.parse_key(text) is None


def test_people_make_keys_for_themselves_and_admins_for_others(alice, bob):
    assert create_api_key(actor=alice, user=bob, name="for Bob")
    with pytest.raises(NotAllowed):
        create_api_key(actor=bob, user=alice, name="for Alice")


@pytest.mark.parametrize(
    "options",
    [
        {"scopes": ["everything"]},
        {"expires_at": timezone.now() - timedelta(days=1)},
    ],
)
def test_a_key_that_makes_no_sense_is_refused(bob, options):
    with pytest.raises(InvalidInput):
        create_api_key(actor=bob, user=bob, name="x", **options)
    with pytest.raises(ValidationError):
        create_api_key(actor=bob, user=bob, name="")


def test_a_member_gets_no_key_to_the_organisations_figures(bob):
    with pytest.raises(NotAllowed):
        create_api_key(actor=bob, user=bob, name="x", scopes=["organization"])


def test_revoking_twice_keeps_the_first_moment(bob):
    row, _text = create_api_key(actor=bob, user=bob, name="x")
    first = revoke_api_key(actor=bob, key=row).revoked_at
    assert revoke_api_key(actor=bob, key=row).revoked_at == first and not row.is_usable
    assert not find_key_facts(row.key_id).is_in_force


def test_nobody_revokes_what_they_do_not_see(alice, bob):
    row, _text = create_api_key(actor=alice, user=alice, name="x")
    with pytest.raises(NotAllowed):
        revoke_api_key(actor=bob, key=row)
    with pytest.raises(NotFound):
        get_visible_api_key(bob, row.pk)
    assert row in list_visible_api_keys(alice) and row not in list_own_api_keys(bob)


def test_a_key_of_someone_who_left_is_useless(alice, bob):
    row, _text = create_api_key(actor=bob, user=bob, name="x")
    set_user_active(actor=alice, user=bob, is_active=False)
    assert not find_key_facts(row.key_id).is_in_force


def test_an_expired_key_is_not_usable(bob):
    row, _text = create_api_key(actor=bob, user=bob, name="x", expires_at=timezone.now() + timedelta(days=1))
    ApiKey.objects.filter(pk=row.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert ApiKey.objects.get(pk=row.pk).is_expired


def test_people_change_their_profile_within_reason(bob):
    update_profile(user=bob, name="Bobby", language="de", theme="dark", time_zone="Asia/Shanghai")
    assert (bob.name, bob.language, bob.theme) == ("Bobby", "de", "dark")
    for change in ({"time_zone": "Mars/Olympus"}, {"language": "tlh"}, {"theme": "pink"}, {"name": ""}):
        with pytest.raises(ValidationError):
            update_profile(user=User.objects.get(pk=bob.pk), **change)


def test_the_database_refuses_a_second_address_in_other_letters(alice):
    from django.db import IntegrityError, transaction

    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create(email="ALICE@acme.example", name="x")
