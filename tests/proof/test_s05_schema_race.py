"""S05: no row of the wrong schema, whatever threads and tasks do to each other.

64 threads and 64 tasks, two tenants, random cancellations, exceptions, rollbacks, savepoints and
reads inside streaming generators.
"""

import asyncio
import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction

from accounts.models import User
from tenants import context
from tenants.context import in_tenant, tenant
from tenants.pgbackend.base import DatabaseWrapper

REQUESTS = 20_000 if os.environ.get("ATRIUM_PROOF") == "night" else 400
WORKERS = 64
TENANTS = ("acme", "globex")

pytestmark = [pytest.mark.scope(None), pytest.mark.timeout(600)]


class Planned(Exception):
    """Thrown on purpose."""


def wrong_rows(slug: str) -> int:
    return User.objects.exclude(email__endswith=f"@{slug}.example").count() + (not User.objects.exists())


def read_in_savepoint(slug: str, dice: random.Random) -> int:
    wrong = 0
    try:
        with transaction.atomic():
            wrong += wrong_rows(slug)
            if dice.random() < 0.5:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT 1 / 0")
            raise Planned
    except Exception:
        return wrong + wrong_rows(slug)


def read_both(slug: str, dice: random.Random) -> int:
    other = TENANTS[1 - TENANTS.index(slug)]
    wrong = wrong_rows(slug)
    try:
        with tenant(other):
            wrong += wrong_rows(other)
            if dice.random() < 0.5:
                raise Planned
    except Planned:
        pass
    return wrong + wrong_rows(slug)


def read_in_generator(slug: str, dice: random.Random) -> int:
    """A streaming answer: the generator runs outside the view's scope and enters it again for each read."""

    def stream():
        for _ in range(3):
            with tenant(slug):
                count = wrong_rows(slug)
            yield count

    return sum(stream())


STEPS = [lambda slug, dice: wrong_rows(slug), read_in_savepoint, read_both, read_in_generator]


def one_request(number: int) -> int:
    dice = random.Random(number)
    slug = dice.choice(TENANTS)
    with tenant(slug):
        try:
            with transaction.atomic():
                wrong = dice.choice(STEPS)(slug, dice)
                if dice.random() < 0.3:
                    raise Planned
        except Planned:
            pass
        wrong += wrong_rows(slug)
    if dice.random() < 0.05:
        connection.close()
    return wrong


def race_threads(requests: int) -> int:
    def finish(_):
        barrier.wait()
        connection.close()

    barrier = threading.Barrier(WORKERS)
    with ThreadPoolExecutor(WORKERS) as pool:
        wrong = sum(pool.map(one_request, range(requests)))
        list(pool.map(finish, range(WORKERS)))
    return wrong


async def race_tasks(requests: int) -> int:
    wrong, numbers = 0, iter(range(requests))

    async def one(number: int) -> int:
        dice = random.Random(-number)
        slug = dice.choice(TENANTS)
        step = asyncio.create_task(in_tenant(slug, dice.choice(STEPS), slug, dice))
        if dice.random() < 0.2:
            await asyncio.sleep(dice.random() / 500)
            step.cancel()
        try:
            return await step
        except asyncio.CancelledError:
            return 0

    async def worker() -> None:
        nonlocal wrong
        for number in numbers:
            # in a line of its own: `wrong += await …` reads `wrong` before it waits, and forgets what others
            # found
            found = await one(number)
            wrong += found

    await asyncio.gather(*[worker() for _ in range(WORKERS)])
    return wrong


def test_threads_and_tasks_never_see_another_schema(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        assert race_threads(REQUESTS // 2) == 0
        assert asyncio.run(race_tasks(REQUESTS // 2)) == 0


def test_planted_bug_a_connection_that_keeps_its_first_schema_is_noticed(
    django_db_setup, django_db_blocker, monkeypatch
):
    """The stock backend's TENANT_LIMIT_SET_CALLS: a scope once set is believed for good. Threads see it, and
    tasks see it.
    """
    real = DatabaseWrapper._handle_search_path

    def lazy(self, cursor=None):
        if self.search_path_set_schemas is None:
            real(self, cursor)

    monkeypatch.setattr(DatabaseWrapper, "_handle_search_path", lazy)
    with django_db_blocker.unblock():
        assert race_threads(100) > 0
        assert asyncio.run(race_tasks(100)) > 0


def test_planted_bug_a_worker_thread_that_keeps_the_scope_of_its_first_task_is_noticed(
    django_db_setup, django_db_blocker, monkeypatch
):
    """What becomes of tasks where the scope belongs to the thread and does not travel with the task."""
    real, first = context._run_in_transaction, {}

    def sticky(scope, function):
        return real(first.setdefault(threading.get_ident(), scope), function)

    monkeypatch.setattr(context, "_run_in_transaction", sticky)
    with django_db_blocker.unblock():
        assert asyncio.run(race_tasks(100)) > 0
