"""Which tenant the running code works for: a value that travels with the context, through awaits, threads and
tasks.

Covers: every query made through Django's connections (tenants.pgbackend reads the scope before each
statement).
Does not cover: a raw psycopg connection, which must set role and search_path itself (usage.ledger.ledger
does).
"""

import asyncio
import contextvars
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from tenants.slugs import TEMPLATE_SCHEMA, schema_name

DATABASE_THREADS = 16
THREADS_PER_SCHEMA = 4  # one tenant whose tables are locked must leave threads to the others
P = ParamSpec("P")
R = TypeVar("R")


class NoTenant(RuntimeError):
    """Code that needs a tenant ran outside every tenant's scope: a programming error, never a user's."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What the database connection may see: `tenant` and `platform` through the app login, `owner` through
    the owner's.
    """

    kind: Literal["tenant", "platform", "owner"]
    slug: str | None = None

    @property
    def schema(self) -> str:
        return schema_name(self.slug) if self.slug else "public"


_active: contextvars.ContextVar[Scope | None] = contextvars.ContextVar("atrium_scope", default=None)


def current_scope() -> Scope | None:
    return _active.get()


def find_tenant() -> str | None:
    """The active tenant's slug, or None on the platform and outside every scope."""
    scope = _active.get()
    return scope.slug if scope else None


def current_tenant() -> str:
    """The active tenant's slug. Raises NoTenant outside a tenant's scope."""
    slug = find_tenant()
    if slug is None:
        raise NoTenant(
            "No tenant is active: wrap the call in `with tenant(slug):` or `await in_tenant(slug, …)`."
        )
    return slug


def scope_label() -> str:
    """A prefix for keys and log lines: the slug, `platform`, or `-` where nothing is active."""
    scope = _active.get()
    return "-" if scope is None else scope.slug or "platform"


@contextmanager
def use_scope(scope: Scope | None) -> Iterator[None]:
    token = _active.set(scope)
    try:
        yield
    finally:
        _active.reset(token)


def tenant(slug: str):
    """Work inside one tenant's schema, with that tenant's role. Legal in sync and async code; not across a
    `yield` of a generator.
    """
    return use_scope(Scope("tenant", slug))


def platform():
    """Work on the shared tables in `public`, with the platform's role."""
    return use_scope(Scope("platform"))


def owner(slug: str | None = None):
    """Work as the owner of the tables, in one tenant's schema or (None) in `public`: migrations,
    provisioning, erasure.
    """
    return use_scope(Scope("owner", slug))


def template_owner():
    """Work as owner in the template schema, from which new tenants are cloned."""
    return use_scope(Scope("owner", TEMPLATE_SCHEMA))


_executor = ThreadPoolExecutor(max_workers=DATABASE_THREADS, thread_name_prefix="database")


def _run_in_transaction(scope: Scope, function: Callable[..., Any]) -> Any:
    from django.db import connection, transaction

    with use_scope(scope):
        try:
            with transaction.atomic():
                return function()
        finally:
            connection.close()  # back to the pool: an executor thread must not hoard one


_slots: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Scope, asyncio.Semaphore]] = WeakKeyDictionary()


async def _in_scope(scope: Scope, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    context, loop = contextvars.copy_context(), asyncio.get_running_loop()
    slots = _slots.setdefault(loop, {}).setdefault(scope, asyncio.Semaphore(THREADS_PER_SCHEMA))
    await slots.acquire()
    step = _executor.submit(context.run, _run_in_transaction, scope, partial(function, *args, **kwargs))
    # when the thread is free, not when the caller leaves
    step.add_done_callback(lambda _step: _release(loop, slots))
    return await asyncio.wrap_future(step)


def _release(loop: asyncio.AbstractEventLoop, slots: asyncio.Semaphore) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody waits any longer
        loop.call_soon_threadsafe(slots.release)


async def in_tenant(slug: str, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run one sync database step for a tenant in a worker thread, in a transaction of its own."""
    return await _in_scope(Scope("tenant", slug), function, *args, **kwargs)


async def in_platform(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run one sync database step on the shared tables in a worker thread, in a transaction of its own."""
    return await _in_scope(Scope("platform"), function, *args, **kwargs)
