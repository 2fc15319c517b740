"""The scope decides what a query sees; without one, nothing."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from django.db import DatabaseError, connection, connections, transaction

from accounts.models import User
from tenants import context
from tenants.context import (
    DATABASE_THREADS,
    THREADS_PER_SCHEMA,
    NoTenant,
    Scope,
    current_tenant,
    in_tenant,
    platform,
    tenant,
    use_scope,
)
from tenants.models import Tenant
from tenants.pgbackend.base import DatabaseWrapper, ScopeMismatch

pytestmark = pytest.mark.django_db


def emails() -> list[str]:
    return sorted(User.objects.values_list("email", flat=True))


def test_each_scope_sees_its_own_users():
    with tenant("acme"):
        assert emails() == ["alice@acme.example", "bob@acme.example"]
        with tenant("globex"):
            assert emails() == ["charlie@globex.example"]
        assert emails() == ["alice@acme.example", "bob@acme.example"]
    with platform():
        assert emails() == ["olga@atrium.example"]


@pytest.mark.parametrize("scope", [None, Scope("owner")])
def test_without_a_tenant_every_query_fails(scope):
    """Planted bug: with `public` as the default search_path, this reads the operators."""
    with (
        use_scope(scope),
        pytest.raises((DatabaseError, ScopeMismatch, AssertionError)),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT email FROM accounts_user")


def test_a_tenant_cannot_read_what_is_not_its_own():
    for table in (
        "public.accounts_user",
        "public.tenants_tenant",
        "globex.accounts_user",
        "tenant_template.accounts_user",
    ):
        with (
            pytest.raises(DatabaseError, match="permission denied"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(f"SELECT 1 FROM {table}")


def test_a_tenant_cannot_change_its_tables_or_append_only_rows():
    for statement in (
        "DROP TABLE accounts_user",
        "CREATE TABLE mine (id int)",
        "UPDATE usage_usageevent SET cost = 0",
        "DELETE FROM auditlog_logentry",
    ):
        with (
            pytest.raises(DatabaseError, match=r"permission denied|must be owner"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)


def test_the_scope_survives_a_rollback_and_a_savepoint_rollback():
    with transaction.atomic():
        try:
            with transaction.atomic(), tenant("globex"):
                assert emails() == ["charlie@globex.example"]
                raise ValueError
        except ValueError:
            pass
        assert emails() == ["alice@acme.example", "bob@acme.example"]
        try:
            with transaction.atomic(), tenant("globex"), connection.cursor() as cursor:
                cursor.execute("SELECT 1 / 0")
        except DatabaseError:
            pass
        assert emails() == ["alice@acme.example", "bob@acme.example"]


def test_the_platform_reads_tenants_and_a_tenant_has_no_such_table():
    with platform():
        assert Tenant.objects.count() >= 2
    with pytest.raises(DatabaseError), transaction.atomic():
        Tenant.objects.count()


def test_current_tenant_needs_one():
    with platform(), pytest.raises(NoTenant):
        current_tenant()


def test_threads_start_without_a_scope():
    with ThreadPoolExecutor(1) as pool, pytest.raises(NoTenant):
        pool.submit(current_tenant).result()


def test_database_steps_of_many_tasks_keep_their_tenant(django_db_blocker):
    async def read(slug: str) -> tuple[str, list[str]]:
        return slug, await in_tenant(slug, emails)

    async def main():
        return await asyncio.gather(*[read(slug) for slug in ("acme", "globex") * 50])

    for slug, seen in asyncio.run(main()):
        assert all(email.endswith(f"@{slug}.example") for email in seen), (slug, seen)


def test_steps_that_hang_in_one_tenant_leave_threads_to_the_others(django_db_blocker, monkeypatch):
    """Also when their callers have left: a thread that is still busy counts."""
    hanging, handed_out, may_end = [], [], threading.Event()
    submit = context._executor.submit

    def counted(*arguments):
        handed_out.append(arguments)
        return submit(*arguments)

    monkeypatch.setattr(context, "_executor", SimpleNamespace(submit=counted))

    def hang() -> None:
        hanging.append(1)
        may_end.wait(20)

    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        try:
            for _attempt in range(3):
                steps = [loop.create_task(in_tenant("acme", hang)) for _number in range(DATABASE_THREADS)]
                async with asyncio.timeout(10):
                    while len(hanging) < THREADS_PER_SCHEMA:
                        await asyncio.sleep(0.01)
                for _turn in range(3):  # of the loop: enough for each to ask for a thread
                    await asyncio.sleep(0)
                for step in steps:
                    step.cancel()
                await asyncio.gather(*steps, return_exceptions=True)
            async with asyncio.timeout(10):
                return await in_tenant("globex", emails)
        finally:
            may_end.set()

    assert asyncio.run(main()) and len(hanging) == THREADS_PER_SCHEMA
    assert len(handed_out) == THREADS_PER_SCHEMA + 1, "and one to the other tenant"


def test_the_owners_connection_refuses_to_work_outside_its_scope():
    wrapper = DatabaseWrapper(connections["owner"].settings_dict, "owner")
    for scope in (None, Scope("platform"), Scope("tenant", "acme")):
        with use_scope(scope), pytest.raises(ScopeMismatch):
            wrapper._wanted()
    with use_scope(Scope("owner", "acme")):
        assert wrapper._wanted() == ("none", '"acme", public')
