"""Signs of life, and the check that the database keeps what it has committed."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import wait
from uuid import UUID

import psycopg
import pytest
from django.core.exceptions import ImproperlyConfigured

from foundation.ids import uuid7
from tenants import context
from tenants.context import in_platform, in_tenant
from usage.ledger.durability import check_durability
from usage.ledger.heartbeat import Heartbeat
from usage.platform.models import Process
from usage.selectors import is_process_alive


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(15):
        while not await condition():
            await asyncio.sleep(0.05)


def is_fresh(books, process: UUID) -> bool:
    return books.sql(
        "SELECT heartbeat_at > now() - interval '10 seconds' FROM public.usage_platform_process WHERE id = "
        "%s",
        process,
    ) == [(True,)]


async def test_a_process_lives_from_its_start_to_its_end(books, monkeypatch):
    monkeypatch.setattr("usage.ledger.heartbeat.EVERY_S", 0.05)
    process, other = uuid7(), books.add_process(age_s=60)
    heartbeat = Heartbeat(process, "web")
    await heartbeat.start()
    row = await in_platform(Process.objects.get, pk=process)
    assert await in_tenant(books.slug, is_process_alive, process)  # a tenant may ask
    assert not await in_tenant(books.slug, is_process_alive, other)
    books.sql(
        "UPDATE public.usage_platform_process SET heartbeat_at = now() - interval '1 minute' WHERE id = %s",
        process,
    )
    await until(lambda: in_tenant(books.slug, is_process_alive, process))
    assert heartbeat.live_processes >= 1
    await heartbeat.stop()
    assert not await in_tenant(books.slug, is_process_alive, process)
    assert (row.kind, (await in_platform(Process.objects.get, pk=process)).ended_at is not None) == (
        "web",
        True,
    )


async def test_busy_threads_do_not_stop_the_heart(books, monkeypatch):
    """Steps of locked tenants may fill every thread for longer than the lease."""
    monkeypatch.setattr("usage.ledger.heartbeat.EVERY_S", 0.1)
    process, may_end = uuid7(), threading.Event()
    heartbeat = Heartbeat(process, "web")
    await heartbeat.start()
    busy = [context._executor.submit(may_end.wait, 20) for _number in range(context.DATABASE_THREADS)]
    try:
        books.sql(
            "UPDATE public.usage_platform_process SET heartbeat_at = now() - interval '1 minute' WHERE id = "
            "%s",
            process,
        )
        await until(lambda: asyncio.to_thread(is_fresh, books, process))
    finally:
        may_end.set()
        await asyncio.to_thread(wait, busy)
        await heartbeat.stop()


def test_a_database_that_may_lose_commits_is_refused(books, settings):
    settings.ATRIUM_ENV = "production"
    # the test's server runs so
    with pytest.raises(ImproperlyConfigured, match=r"fsync=off.*ATRIUM_ENV=test"):
        check_durability(books.dsn)
    settings.ATRIUM_ENV = "test"
    check_durability(books.dsn)


@pytest.mark.parametrize("option", ["synchronous_commit"])
def test_every_setting_that_matters_is_looked_at(books, settings, option):
    settings.ATRIUM_ENV = "production"
    dsn = psycopg.conninfo.make_conninfo(books.dsn, options=f"-c {option}=off")
    with pytest.raises(ImproperlyConfigured, match=f"{option}=off"):
        check_durability(dsn)
