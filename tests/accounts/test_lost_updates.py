"""A change that crosses a revocation, a lock-out or a new password does not take it back: with stale
rows, and with two real connections.
"""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from allauth.account.adapter import get_adapter
from django.db import connection, connections, transaction

from accounts.models import ApiKey
from accounts.services import (
    create_api_key,
    create_user,
    revoke_api_key,
    set_checked_password,
    set_user_active,
    update_api_key,
    update_profile,
    update_user,
)
from foundation.errors import Conflict
from tenants.context import tenant
from tenants.provisioning.services import create_tenant, drop_schema

NEW_PASSWORD = "a new and long enough one"


@pytest.fixture
def key(bob) -> ApiKey:
    return create_api_key(actor=bob, user=bob, name="laptop")[0]


def again(row):
    """Another request's copy of the same row."""
    return type(row).objects.get(pk=row.pk)


def test_a_change_to_a_key_that_was_revoked_meanwhile_is_refused(bob, key):
    stale = again(key)
    revoke_api_key(actor=bob, key=key)
    with pytest.raises(Conflict):
        update_api_key(actor=bob, key=stale, name="phone")
    assert again(key).revoked_at is not None and again(key).name == "laptop"


def test_two_changes_to_a_key_both_stay(bob, key):
    stale = again(key)
    update_api_key(actor=bob, key=key, requests_per_minute=5)
    update_api_key(actor=bob, key=stale, name="phone")
    assert (again(key).name, again(key).requests_per_minute) == ("phone", 5)


def test_revoking_with_an_old_row_keeps_the_first_moment(bob, key):
    stale = again(key)
    first = revoke_api_key(actor=bob, key=key).revoked_at
    assert revoke_api_key(actor=bob, key=stale).revoked_at == first


CHANGES = {
    "profile": lambda alice, stale: update_profile(user=stale, theme="dark"),
    "administration": lambda alice, stale: update_user(actor=alice, user=stale, name="Bobby"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_to_a_person_takes_back_no_lock_out_and_no_password(alice, bob, change):
    stale = again(bob)
    set_user_active(actor=alice, user=bob, is_active=False)
    set_checked_password(bob, NEW_PASSWORD)
    bob.save(update_fields=["password"])
    change(alice, stale)
    assert not again(bob).is_active and again(bob).check_password(NEW_PASSWORD)


def test_a_new_password_lets_nobody_in_who_was_locked_out_meanwhile(alice, bob):
    stale = again(bob)
    set_user_active(actor=alice, user=bob, is_active=False)
    get_adapter().set_password(stale, NEW_PASSWORD)
    assert not again(bob).is_active and again(bob).check_password(NEW_PASSWORD)


def test_an_address_changed_by_a_form_changes_where_links_go(alice, bob):
    """The administration's form has written the new address into the row that it hands over."""
    bob.email = "robert@acme.example"
    update_user(actor=alice, user=bob, email="robert@acme.example")
    assert bob.emailaddress_set.get().email == "robert@acme.example"


@pytest.mark.scope(None)
@pytest.mark.timeout(60)
def test_a_change_waits_for_a_revocation_that_is_not_committed_yet(django_db_setup, django_db_blocker):
    """Two connections: the revocation holds the row while the change begins; the change decides only after
    the commit.
    """

    def change() -> str:
        with tenant("crossing"):
            stale = ApiKey.objects.get(pk=key.pk)
            has_read.set()
            try:
                return update_api_key(actor=None, key=stale, name="phone").name
            except Conflict as exc:
                return exc.code
            finally:
                connection.close()

    has_read = Event()
    with django_db_blocker.unblock(), ThreadPoolExecutor(1) as pool:
        create_tenant(slug="crossing", host="crossing.localhost")
        try:
            with tenant("crossing"):
                key, _text = create_api_key(
                    actor=None,
                    user=create_user(actor=None, email="eve@crossing.example", name="Eve"),
                    name="laptop",
                )
                with transaction.atomic():
                    revoke_api_key(actor=None, key=key)
                    changing = pool.submit(change)
                    assert has_read.wait(20)
                    wait_until_someone_waits()
                assert changing.result(20) == "key_revoked"
                assert ApiKey.objects.get(pk=key.pk).revoked_at is not None
        finally:
            drop_schema("crossing")
            connections.close_all()


def wait_until_someone_waits() -> None:
    """Return once another connection of this database waits for our row's lock."""
    with connection.cursor() as cursor:
        for _ in range(2_000):
            cursor.execute(
                "SELECT 1 FROM pg_stat_activity WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))"
            )
            if cursor.fetchone():
                return
            cursor.execute("SELECT pg_sleep(0.01)")
    raise AssertionError("the change did not wait")
