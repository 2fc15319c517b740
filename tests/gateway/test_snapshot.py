"""What the hot path believes, and for how long: with its own tenant in a real database, and a clock that the
test moves.
"""

import asyncio
import threading
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from django.db import connections

from accounts.models import ApiKey, User
from accounts.services import create_api_key, create_user, revoke_api_key
from gateway.state import snapshot as module
from gateway.state.snapshot import (
    MISS_TIME_TO_LIVE_S,
    PROVEN_TIME_TO_LIVE_S,
    UNPROVEN_TIME_TO_LIVE_S,
    Snapshots,
)
from tenants.context import in_platform, in_tenant, tenant
from tenants.doors import hosts
from tenants.doors.hosts import DoorState
from tenants.models import Tenant
from tenants.provisioning.services import create_tenant, drop_schema, set_tenant_status

SLUG = "snapped"

pytestmark = [pytest.mark.scope(None), pytest.mark.timeout(60)]


@pytest.fixture(scope="module")
def own_tenant(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        create_tenant(slug=SLUG, host=f"{SLUG}.localhost", plan="unlimited")
        with tenant(SLUG):
            create_user(actor=None, email=f"erin@{SLUG}.example", name="Erin")
        yield
        drop_schema(SLUG)
        connections.close_all()


@pytest.fixture
def clock(own_tenant, django_db_blocker, monkeypatch):
    """The snapshots' clock, in seconds. What the doors remember by their own is forgotten first."""
    now = SimpleNamespace(s=1_000.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now.s))
    hosts.forget()
    with django_db_blocker.unblock():
        yield now


def make_key() -> str:
    with tenant(SLUG):
        return create_api_key(actor=None, user=User.objects.get(), name="k")[0].key_id


def revoke(key_id: str) -> None:
    revoke_api_key(actor=None, key=ApiKey.objects.get(key_id=key_id))


def suspend() -> None:
    set_tenant_status(slug=SLUG, status=Tenant.Status.SUSPENDED)
    hosts.forget()


def resume() -> None:
    set_tenant_status(slug=SLUG, status=Tenant.Status.ACTIVE)
    hosts.forget()


async def is_usable(snapshots: Snapshots, key_id: str) -> bool:
    snapshot = await snapshots.find(SLUG)
    key = await snapshots.find_key(snapshot, key_id)
    return key is not None and key.is_usable


@pytest.mark.parametrize(
    ("is_proven", "believed_s"),
    [(False, UNPROVEN_TIME_TO_LIVE_S), (True, PROVEN_TIME_TO_LIVE_S)],
    ids=["deaf", "hearing"],
)
def test_an_entry_is_believed_for_a_second_and_longer_only_while_changes_are_heard(
    clock, is_proven, believed_s
):
    async def look() -> None:
        snapshots = Snapshots(lambda: is_proven)
        assert await is_usable(snapshots, key_id)
        await in_tenant(SLUG, revoke, key_id)  # nobody tells these snapshots
        clock.s += believed_s - 0.01
        assert await is_usable(snapshots, key_id), "it is kept in memory"
        clock.s += 0.02
        assert not await is_usable(snapshots, key_id)

    key_id = make_key()
    asyncio.run(look())
    assert UNPROVEN_TIME_TO_LIVE_S <= 1


def test_a_listener_that_falls_silent_takes_back_what_was_believed_for_longer(clock):
    async def look() -> None:
        hears = [True]
        snapshots = Snapshots(lambda: hears[0])
        assert await is_usable(snapshots, key_id)
        await in_tenant(SLUG, revoke, key_id)
        clock.s += 5
        assert await is_usable(snapshots, key_id)
        hears[0] = False
        assert not await is_usable(snapshots, key_id)

    key_id = make_key()
    asyncio.run(look())


def test_a_door_that_closes_is_seen_after_a_second_at_most(clock):
    async def look() -> None:
        snapshots = Snapshots()
        assert (await snapshots.find(SLUG)).door == DoorState.OPEN
        await in_platform(suspend)
        clock.s += UNPROVEN_TIME_TO_LIVE_S + 0.01
        assert (await snapshots.find(SLUG)).door == DoorState.SUSPENDED

    try:
        asyncio.run(look())
    finally:
        resume()


def test_a_notification_drops_what_it_names_and_nothing_else(clock):
    async def look() -> None:
        snapshots = Snapshots(lambda: True)
        snapshot = await snapshots.find(SLUG)
        assert await is_usable(snapshots, first) and await is_usable(snapshots, second)
        snapshots.drop(SLUG, "apikey", first)
        assert set(snapshot.keys) == {second} and await snapshots.find(SLUG) is snapshot
        snapshots.drop("acme", "user", "1")
        assert await snapshots.find(SLUG) is snapshot
        snapshots.drop(SLUG, "user", "1")
        assert await snapshots.find(SLUG) is not snapshot
        for slug, object_id in (("platform", SLUG), ("platform", "")):
            before = await snapshots.find(SLUG)
            snapshots.drop(slug, "tenant" if object_id else "plan", object_id)
            assert await snapshots.find(SLUG) is not before

    first, second = make_key(), make_key()
    asyncio.run(look())


def hold(monkeypatch, name: str) -> SimpleNamespace:
    """The next call of this loader waits, with what it has read, until `go`; `reads` counts calls, `has_read`
    tells that it waits.
    """
    real: Callable = getattr(module, name)
    held = SimpleNamespace(has_read=threading.Event(), go=threading.Event(), reads=0)

    def wait(*args):
        found = real(*args)
        held.reads += 1
        if held.reads == 1:
            held.has_read.set()
            assert held.go.wait(20)
        return found

    monkeypatch.setattr(module, name, wait)
    return held


async def revoke_in_mid_load(key_id, held) -> tuple[Snapshots, asyncio.Task[bool]]:
    """The snapshots, which have heard of it, and the load that has read the key as it was."""
    snapshots = Snapshots(lambda: True)
    await snapshots.find(SLUG)
    loading = asyncio.create_task(is_usable(snapshots, key_id))
    await asyncio.to_thread(held.has_read.wait, 20)
    await in_tenant(SLUG, revoke, key_id)
    snapshots.drop(SLUG, "apikey", key_id)
    return snapshots, loading


def test_a_key_revoked_while_it_is_loaded_is_not_kept(clock, monkeypatch):
    async def look() -> None:
        snapshots, loading = await revoke_in_mid_load(key_id, held)
        held.go.set()
        await loading
        assert not await is_usable(snapshots, key_id) and held.reads == 2

    key_id, held = make_key(), hold(monkeypatch, "find_key_facts")
    asyncio.run(look())


@pytest.mark.parametrize(
    "hear",
    [lambda snapshots: snapshots.drop("platform", "tenant", SLUG), lambda snapshots: snapshots.drop_all()],
    ids=["drop", "gap"],
)
def test_a_tenant_that_changed_while_it_was_loaded_is_not_kept(clock, monkeypatch, hear):
    async def look() -> None:
        snapshots = Snapshots(lambda: True)
        loading = asyncio.create_task(snapshots.find(SLUG))
        await asyncio.to_thread(held.has_read.wait, 20)
        await in_platform(suspend)
        hear(snapshots)
        held.go.set()
        await loading
        assert (await snapshots.find(SLUG)).door == DoorState.SUSPENDED and held.reads == 2

    held = hold(monkeypatch, "_read_door")
    try:
        asyncio.run(look())
    finally:
        resume()


def test_many_who_wait_for_one_tenant_load_it_once(clock, monkeypatch):
    async def look() -> None:
        snapshots = Snapshots()
        waiting = [asyncio.create_task(snapshots.find(SLUG)) for _ in range(50)]
        await asyncio.to_thread(held.has_read.wait, 20)
        waiting[0].cancel()
        held.go.set()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(found[0], asyncio.CancelledError) and {id(one) for one in found[1:]} == {
            id(await snapshots.find(SLUG))
        }

    held = hold(monkeypatch, "_read_door")
    asyncio.run(look())
    assert held.reads == 1


def test_what_is_not_there_is_remembered_for_a_moment_and_no_longer(clock, monkeypatch):
    async def look() -> None:
        snapshots = Snapshots(lambda: True)
        snapshot = await snapshots.find(SLUG)
        for _ in range(3):
            assert (
                await snapshots.find_key(snapshot, "missing1") is None
                and await snapshots.find("nobody") is None
            )
        assert (keys.reads, doors.reads) == (1, 2), "one for the tenant, one for the tenant that is not there"
        clock.s += MISS_TIME_TO_LIVE_S + 0.01
        assert (
            await snapshots.find_key(snapshot, "missing1") is None and await snapshots.find("nobody") is None
        )
        assert (keys.reads, doors.reads) == (2, 3)

    keys, doors = hold(monkeypatch, "find_key_facts"), hold(monkeypatch, "_read_door")
    keys.go.set()
    doors.go.set()
    asyncio.run(look())


def test_a_gap_drops_everything(clock):
    async def look() -> None:
        snapshots = Snapshots(lambda: True)
        before = await snapshots.find(SLUG), await snapshots.find("acme")
        assert await snapshots.find("nobody") is None and hosts.recall(f"slug:{SLUG}")[0]
        snapshots.drop_all()
        assert not snapshots._tenants and not snapshots._misses and not hosts.recall(f"slug:{SLUG}")[0]
        assert (await snapshots.find(SLUG) is not before[0]) and (
            await snapshots.find("acme") is not before[1]
        )

    asyncio.run(look())


def test_a_load_does_not_believe_what_the_doors_remember(clock):
    """Two memories of a second each, one behind the other, would make it two."""

    async def look() -> None:
        await in_platform(hosts.find_tenant_by_slug, SLUG)  # a page of this process has just looked
        await in_platform(lambda: set_tenant_status(slug=SLUG, status=Tenant.Status.SUSPENDED))
        assert (await Snapshots().find(SLUG)).door == DoorState.SUSPENDED

    try:
        asyncio.run(look())
    finally:
        resume()


def test_who_comes_after_a_notification_waits_for_no_older_load(clock, monkeypatch):
    async def look() -> None:
        snapshots, loading = await revoke_in_mid_load(key_id, held)
        late = asyncio.create_task(is_usable(snapshots, key_id))
        await asyncio.sleep(0.05)
        held.go.set()
        await loading
        assert not await late, "a request that came after the revocation was heard got in"

    key_id, held = make_key(), hold(monkeypatch, "find_key_facts")
    asyncio.run(look())
