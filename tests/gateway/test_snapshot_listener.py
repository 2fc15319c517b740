"""The listener with a real PostgreSQL: what it hears, when it is believed, and that whatever it may have
missed drops everything.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import psycopg
import pytest
from django.conf import settings
from django.db import connections
from psycopg.conninfo import make_conninfo

from accounts.models import ApiKey, User
from accounts.services import create_api_key, create_user, revoke_api_key
from gateway.listener import BEAT_S, PROVEN_S, Listener
from gateway.state.snapshot import PROVEN_TIME_TO_LIVE_S, Snapshots
from tenants.context import in_tenant, tenant
from tenants.doors import hosts
from tenants.notify import CHANNEL, announce
from tenants.provisioning.services import create_tenant, drop_schema

SLUG = "heard"
NAME = "listener of a test"
SOON_S = 15  # on a busy machine

pytestmark = [pytest.mark.scope(None), pytest.mark.timeout(60)]


class Ear:
    """A listener and what it told."""

    def __init__(self, on_change: Callable | None = None, on_gap: Callable | None = None) -> None:
        self.changes: list[tuple[str, str, str]] = []
        self.gaps = 0
        self._on_change = on_change
        self._on_gap = on_gap
        self.listener = Listener(
            make_conninfo(settings.DATABASE_DSN, application_name=NAME), self._change, self._gap
        )

    def _change(self, slug: str, kind: str, object_id: str) -> None:
        self.changes.append((slug, kind, object_id))
        if self._on_change:
            self._on_change(slug, kind, object_id)

    def _gap(self) -> None:
        self.gaps += 1
        if self._on_gap:
            self._on_gap()


@asynccontextmanager
async def listening(ear: Ear) -> AsyncIterator[Ear]:
    ear.listener.start()
    try:
        await until(ear.listener.is_proven)
        yield ear
    finally:
        await ear.listener.stop()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(SOON_S):
        while not condition():
            await asyncio.sleep(0.01)


async def deafen() -> None:
    """End the listener's connection, as a restart of the database does."""
    async with await psycopg.AsyncConnection.connect(settings.DATABASE_DSN, autocommit=True) as connection:
        ended = await connection.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = %s",
            [NAME],
        )
        assert await ended.fetchone() == (1,)


@pytest.fixture
def key(django_db_setup, django_db_blocker):
    """A committed key of a tenant of its own."""
    with django_db_blocker.unblock():
        create_tenant(slug=SLUG, host=f"{SLUG}.localhost", plan="unlimited")
        try:
            with tenant(SLUG):
                create_user(actor=None, email=f"erin@{SLUG}.example", name="Erin")
                yield create_api_key(actor=None, user=User.objects.get(), name="k")[0].key_id
        finally:
            drop_schema(SLUG)
            hosts.forget()
            connections.close_all()


def test_a_change_is_heard_once_its_transaction_has_committed(key):
    async def listen() -> None:
        async with listening(Ear()) as ear:
            assert ear.gaps == 1, "what changed before it listened is not known"
            with suppress(ZeroDivisionError):
                await in_tenant(SLUG, announce_and_fail)
            await in_tenant(SLUG, announce, "model", "kept")
            await until(lambda: ear.changes)
            assert ear.changes == [(SLUG, "model", "kept")] and ear.gaps == 1

    asyncio.run(listen())


async def hear(connection: psycopg.AsyncConnection, payload: str, times: int) -> None:
    async with asyncio.timeout(SOON_S):
        async for note in connection.notifies():
            times -= note.payload == payload
            if not times:
                return


def announce_and_fail() -> None:
    announce("model", "rolled back")
    raise ZeroDivisionError


class Mute(str):
    """A name that is written otherwise than it is compared: a listener
    with it sends beats of someone else.
    """

    def __format__(self, spec: str) -> str:
        return "someone-else"


def test_it_is_proven_by_its_own_beat_only_and_not_for_long(key):
    async def listen() -> None:
        ear = Ear()
        ear.listener._name = Mute("me")
        async with await psycopg.AsyncConnection.connect(settings.DATABASE_DSN, autocommit=True) as other:
            await other.execute(f"LISTEN {CHANNEL}")
            ear.listener.start()
            await until(lambda: ear.gaps)
            # it sends the third when it has looked at what came before
            await hear(other, "-:beat:someone-else", times=3)
            assert not ear.listener.is_proven(), "beats of others prove nothing"
            await other.execute("SELECT pg_notify(%s, '-:beat:me')", [CHANNEL])
        await until(ear.listener.is_proven)
        await until(lambda: not ear.listener.is_proven())
        await ear.listener.stop()
        assert not ear.changes, "a beat is no change"

    asyncio.run(listen())


def test_a_lost_connection_is_not_proven_and_a_new_one_drops_everything(key):
    async def listen() -> None:
        async with listening(Ear()) as ear:
            gaps = ear.gaps
            await deafen()
            await until(lambda: not ear.listener.is_proven())
            await in_tenant(SLUG, announce, "model", "missed")
            await until(lambda: ear.gaps > gaps)
            await until(ear.listener.is_proven)
            await in_tenant(SLUG, announce, "model", "heard again")
            await until(lambda: ear.changes)
            assert ear.changes[-1] == (SLUG, "model", "heard again")

    asyncio.run(listen())


def test_a_loop_that_stood_still_drops_everything(key):
    async def listen() -> None:
        async with listening(Ear()) as ear:
            await asyncio.sleep(2 * BEAT_S)
            gaps = ear.gaps
            assert gaps == 1, "nothing was missed"
            time.sleep(PROVEN_S + 0.25)
            assert not ear.listener.is_proven()
            await until(lambda: ear.gaps > gaps)
            await until(ear.listener.is_proven)

    asyncio.run(listen())


async def look(snapshots: Snapshots, key_id: str) -> bool:
    snapshot = await snapshots.find(SLUG)
    key = await snapshots.find_key(snapshot, key_id)
    return key is not None and key.is_usable


def revoke(key_id: str) -> None:
    revoke_api_key(actor=None, key=ApiKey.objects.get(key_id=key_id))


def test_a_revoked_key_is_dropped_long_before_its_entry_is_old(key):
    async def listen() -> None:
        snapshots = Snapshots()
        async with listening(Ear(snapshots.drop, snapshots.drop_all)) as ear:
            # however slow the machine is: only the notification can drop the entry
            snapshots.is_proven = lambda: True
            assert await look(snapshots, key)
            await in_tenant(SLUG, revoke, key)
            await until(lambda: (SLUG, "apikey", key) in ear.changes)
            assert not await look(snapshots, key)
            assert PROVEN_TIME_TO_LIVE_S > SOON_S

    asyncio.run(listen())


def test_a_key_revoked_while_nobody_listened_is_dropped_by_the_gap(key):
    async def listen() -> None:
        snapshots = Snapshots(lambda: True)
        async with listening(Ear(on_gap=snapshots.drop_all)) as ear:
            assert await look(snapshots, key)
            gaps = ear.gaps
            await deafen()
            await until(lambda: not ear.listener.is_proven())
            await in_tenant(SLUG, revoke, key)
            await until(lambda: ear.gaps > gaps)
            assert not await look(snapshots, key)

    asyncio.run(listen())
