"""Schemas and their migrations: public, the template, then only the tenants that are behind.

A tenant's fingerprint is the set of migrations its schema has applied. Each tenant migrates on its own, so
that a killed upgrade goes on where it stopped, and a failing tenant does not hold up the others.
"""

import logging
import multiprocessing
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import cache

from django.core.management import call_command
from django.core.management.commands.migrate import Command as MigrateCommand
from django.db import connection, connections, transaction
from psycopg import sql

from tenants.context import NoTenant, Scope, current_scope, owner, template_owner, tenant
from tenants.database.roles import grant_platform_role, grant_tenant_role
from tenants.occasions import migrated_tenant
from tenants.slugs import TEMPLATE_SCHEMA, schema_name

logger = logging.getLogger(__name__)


@dataclass
class MigrationReport:
    """What an upgrade did: slugs that were migrated, slugs that were current, and slug → error for those that
    failed.
    """

    migrated: list[str] = field(default_factory=list)
    current: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


@cache
def expected_migrations() -> tuple[str, ...]:
    """Every migration of the running code, as `app.name`."""
    from django.db.migrations.loader import MigrationLoader

    return tuple(sorted(f"{app}.{name}" for app, name in MigrationLoader(None).disk_migrations))


def _active_scope() -> Scope:
    scope = current_scope()
    if scope is None:
        raise NoTenant("Migrations are counted inside a scope.")
    return scope


def count_missing_migrations() -> int:
    """How many of the code's migrations the active schema lacks. Raises ProgrammingError if the schema is
    gone.
    """
    with connection.cursor() as cursor:
        # qualified: without the schema's own table, the search_path would find the one in public
        statement = sql.SQL("SELECT count(*) FROM {} WHERE app || '.' || name = ANY(%s)").format(
            sql.Identifier(_active_scope().schema, "django_migrations")
        )
        cursor.execute(statement, [list(expected_migrations())])
        return len(expected_migrations()) - cursor.fetchone()[0]


def list_schemas_behind(schemas: Iterable[str]) -> list[str]:
    """Which of these schemas lack a migration of the code, in one query. Call inside `with owner():`."""
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT schemaname FROM pg_tables WHERE tablename = 'django_migrations'")
        existing = {name for (name,) in cursor.fetchall()}
        wanted = list(schemas)
        found = [schema for schema in wanted if schema in existing]
        if not found:
            return wanted
        parts = sql.SQL(" UNION ALL ").join(
            sql.SQL("SELECT {}, count(*) FROM {} WHERE app || '.' || name = ANY(%(expected)s)").format(
                sql.Literal(schema), sql.Identifier(schema, "django_migrations")
            )
            for schema in found
        )
        cursor.execute(parts, {"expected": list(expected_migrations())})
        applied = dict(cursor.fetchall())
    return [schema for schema in wanted if applied.get(schema, 0) < len(expected_migrations())]


def _run_migrations() -> None:
    call_command(MigrateCommand(), database="owner", interactive=False, verbosity=0)


def migrate_public() -> None:
    """Bring the shared tables and the platform's rights up to date."""
    with owner():
        if list_schemas_behind(["public"]):
            _run_migrations()
        grant_platform_role()


def migrate_template() -> bool:
    """Bring the template schema up to date, making it if need be; returns whether anything was done. It never
    holds users.
    """
    with template_owner():
        with connections["owner"].cursor() as cursor:
            cursor.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(TEMPLATE_SCHEMA)))
        if not list_schemas_behind([TEMPLATE_SCHEMA]):
            return False
        _run_migrations()
        return True


def migrate_tenant(slug: str) -> None:
    """Migrate one tenant and renew its rights. Safe to call again after a failure or a kill."""
    with owner(slug):
        _run_migrations()
        grant_tenant_role(schema_name(slug))
    with tenant(slug), transaction.atomic():
        migrated_tenant.run(slug)


def _migrate_in_child(slug: str) -> str:
    connections.close_all()
    migrate_tenant(slug)
    connections.close_all()
    return slug


def migrate_tenants(slugs: Iterable[str], processes: int = 2) -> MigrationReport:
    """Migrate those of the tenants that are behind, in parallel; a failure
    is reported and the rest goes on.
    """
    wanted = list(slugs)
    with owner():
        behind_schemas = set(list_schemas_behind(schema_name(slug) for slug in wanted))
    behind = [slug for slug in wanted if schema_name(slug) in behind_schemas]
    report = MigrationReport(current=[slug for slug in wanted if slug not in behind])
    if len(behind) < 3 or "fork" not in multiprocessing.get_all_start_methods():
        for slug in behind:
            _record(report, slug, lambda slug=slug: migrate_tenant(slug))
        return report
    connections.close_all()  # a child must not inherit a live connection
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("fork")) as pool:
        futures = {pool.submit(_migrate_in_child, slug): slug for slug in behind}
        for future in as_completed(futures):
            _record(report, futures[future], future.result)
    return report


def _record(report: MigrationReport, slug: str, step) -> None:
    try:
        step()
    except Exception as exc:
        logger.exception("migrating tenant %s failed", slug)
        report.failed[slug] = str(exc)
    else:
        report.migrated.append(slug)
