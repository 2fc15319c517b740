"""Which tenant the running code works for: a value that travels with the context, through awaits, threads and tasks.

Covers: every query made through Django's connections (tenants.pgbackend reads the scope before each statement).
Does not cover: a raw psycopg connection, which must set role and search_path itself (usage.ledger does).
"""

import asyncio
import contextvars
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, ParamSpec, TypeVar

from tenants.slugs import TEMPLATE_SCHEMA, schema_name

DATABASE_THREADS = 16
P = ParamSpec("P")
R = TypeVar("R")


class NoTenant(RuntimeError):
    """Code that needs a tenant ran outside every tenant's scope: a programming error, never a user's."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What the database connection may see: `tenant` and `platform` through the app login, `owner` through the owner's."""

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
        raise NoTenant("No tenant is active: wrap the call in `with tenant(slug):` or `await in_tenant(slug, …)`.")
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
    """Work inside one tenant's schema, with that tenant's role. Legal in sync and async code; not across a `yield` of a generator."""
    return use_scope(Scope("tenant", slug))


def platform():
    """Work on the shared tables in `public`, with the platform's role."""
    return use_scope(Scope("platform"))


def owner(slug: str | None = None):
    """Work as the owner of the tables, in one tenant's schema or (None) in `public`: migrations, provisioning, erasure."""
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


async def _in_scope(scope: Scope, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    context = contextvars.copy_context()
    step = partial(context.run, _run_in_transaction, scope, partial(function, *args, **kwargs))
    return await asyncio.get_running_loop().run_in_executor(_executor, step)


async def in_tenant(slug: str, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run one sync database step for a tenant in a worker thread, in a transaction of its own."""
    return await _in_scope(Scope("tenant", slug), function, *args, **kwargs)


async def in_platform(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run one sync database step on the shared tables in a worker thread, in a transaction of its own."""
    return await _in_scope(Scope("platform"), function, *args, **kwargs)
