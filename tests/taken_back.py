"""A tenant of a test, whose tables are taken back to those of an earlier release and brought forward."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from django.core.management import call_command
from django.core.management.commands.migrate import Command as MigrateCommand
from django.db import connections

from tenants.context import owner


@contextmanager
def own_tenant(django_db_blocker) -> Iterator[str]:
    """Its slug; it is dropped afterwards. What is written there is committed."""
    from tenants.provisioning.services import create_tenant, drop_schema

    slug = f"older-{uuid4().hex[:8]}"
    with django_db_blocker.unblock():
        create_tenant(slug=slug, host=f"{slug}.localhost")
        try:
            yield slug
        finally:
            drop_schema(slug)
            connections.close_all()


def migrate(slug: str, *target: str) -> None:
    """To the release that runs, or to one migration of a room, forward or back."""
    with owner(slug):
        call_command(MigrateCommand(), *target, database="owner", interactive=False, verbosity=0)


def run_sql(slug: str, statement: str, *arguments: object) -> list[tuple]:
    with owner(slug), connections["owner"].cursor() as cursor:
        cursor.execute(statement, arguments)
        return cursor.fetchall() if cursor.description else []
