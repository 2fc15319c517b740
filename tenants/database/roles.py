"""Database roles: one per tenant, one for the platform, and the explicit list of what each may do.

Guards against: code of one tenant touching another's schema, or shared tables it has no business with; edits
of append-only tables. Rights change in one transaction: whoever works meanwhile has the old ones or the new
ones.
Does not guard against: SQL injection, which could itself say SET ROLE.
"""

from django.conf import settings
from django.db import connections, transaction
from psycopg import sql

from tenants.slugs import role_name

OWNERS_TABLES = ["django_migrations"]  # everyone may read them, only the owner writes


def _database() -> str:
    return connections["owner"].settings_dict["NAME"]


def _app_login() -> str:
    return connections["default"].settings_dict["USER"]


def _execute(cursor, statement: str, tables: list[str] | None = None, **names: str) -> None:
    parts: dict[str, sql.Composable] = {key: sql.Identifier(value) for key, value in names.items()}
    if tables is not None:
        parts["tables"] = sql.SQL(", ").join(sql.Identifier(names["schema"], table) for table in tables)
    cursor.execute(sql.SQL(statement).format(**parts))


def _list_tables(cursor, schema: str) -> list[str]:
    cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s ORDER BY 1", [schema])
    return [name for (name,) in cursor.fetchall()]


def _ensure_role(cursor, role: str) -> None:
    cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role])
    if cursor.fetchone() is None:
        _execute(cursor, "CREATE ROLE {role} NOLOGIN NOINHERIT", role=role)
    _execute(cursor, "GRANT {role} TO {login} WITH INHERIT FALSE, SET TRUE", role=role, login=_app_login())


def grant_platform_role() -> None:
    """Create the platform's role if need be and give it the shared tables. Call inside `with owner():`; safe
    to call again.
    """
    role = role_name(_database(), "platform")
    with transaction.atomic(using="owner"), connections["owner"].cursor() as cursor:
        _ensure_role(cursor, role)
        _grant_schema(cursor, "public", role)
        _execute(
            cursor, "GRANT EXECUTE ON FUNCTION public.atrium_duty(text, timestamptz) TO {role}", role=role
        )


def grant_tenant_role(schema: str) -> None:
    """Create the role of one tenant if need be and give it its schema. Call inside `with owner(…):`; safe to
    call again.
    """
    role = role_name(_database(), schema)
    with transaction.atomic(using="owner"), connections["owner"].cursor() as cursor:
        _ensure_role(cursor, role)
        _grant_schema(cursor, schema, role)
        _execute(cursor, "GRANT USAGE ON SCHEMA public TO {role}", role=role)
        _execute(
            cursor, "GRANT EXECUTE ON FUNCTION public.atrium_duty(text, timestamptz) TO {role}", role=role
        )
        if settings.TENANT_READABLE_PUBLIC_TABLES:
            _execute(
                cursor,
                "GRANT SELECT ON {tables} TO {role}",
                settings.TENANT_READABLE_PUBLIC_TABLES,
                schema="public",
                role=role,
            )


def _grant_schema(cursor, schema: str, role: str) -> None:
    tables = _list_tables(cursor, schema)
    read_only = [table for table in tables if table in OWNERS_TABLES]
    append_only = [table for table in tables if table in settings.APPEND_ONLY_TABLES]
    writable = [table for table in tables if table not in read_only + append_only]
    _execute(cursor, "REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {role}", schema=schema, role=role)
    _execute(cursor, "GRANT USAGE ON SCHEMA {schema} TO {role}", schema=schema, role=role)
    _execute(
        cursor,
        "GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA {schema} TO {role}",
        schema=schema,
        role=role,
    )
    for rights, group in (
        ("SELECT", read_only),
        ("SELECT, INSERT", append_only),
        ("SELECT, INSERT, UPDATE, DELETE", writable),
    ):
        if group:
            _execute(cursor, f"GRANT {rights} ON {{tables}} TO {{role}}", group, schema=schema, role=role)
