"""Names of models are given by one transaction at a time."""

from django.db import connection

from tenants.context import scope_label


def lock_names() -> None:
    """Wait until nobody else in this scope gives names to models; held to the end of the transaction. Take it
    before any row: who looked for a free name without it finds it taken when it is written.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"names of models: {scope_label()}"]
        )
