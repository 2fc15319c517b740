"""What only one transaction of a scope may do at a time, where there is no row yet to lock."""

from django.db import connection

from tenants.context import scope_label


def take_turns(what: str) -> None:
    """Wait until nobody else in this scope does the same; held to the end of the transaction. Take it before
    any row.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"{what}: {scope_label()}"])
