"""Telling other processes that something they keep in memory has changed.

The message carries only `slug:kind:id` and causes a refetch; it is sent with the transaction, so a rollback
announces nothing.
"""

from django.db import connection, connections

from tenants.context import current_scope

CHANNEL = "atrium"


def announce(kind: str, object_id: object) -> None:
    """Announce a change in the active scope: `kind` is the noun (`apikey`, `model`), `object_id` its primary
    key or name.
    """
    scope = current_scope()
    target = connections["owner"] if scope and scope.kind == "owner" else connection
    slug = scope.slug if scope and scope.slug else "platform"
    with target.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, f"{slug}:{kind}:{object_id}"])
