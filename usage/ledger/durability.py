"""The start-up check behind the ledger's promise: what is committed survives a power cut."""

import psycopg
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

_NEEDED = ("fsync", "full_page_writes", "synchronous_commit")


def check_durability(dsn: str) -> None:
    """Raise ImproperlyConfigured if the database may lose commits. Under ATRIUM_ENV=test it may. Raises
    psycopg.OperationalError if it is away.
    """
    if settings.ATRIUM_ENV == "test":
        return
    with psycopg.connect(dsn, connect_timeout=5) as connection:
        found: dict[str, str] = dict(
            connection.execute(
                "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [list(_NEEDED)]
            ).fetchall()
        )
    switched_off = [name for name in _NEEDED if found.get(name) == "off"]
    if switched_off:
        raise ImproperlyConfigured(
            f"The database runs with {', '.join(f'{name}=off' for name in switched_off)}, so a power cut "
            "could lose bills. Switch it on in postgresql.conf and reload (fsync: restart), or set "
            "ATRIUM_ENV=test for a throw-away installation."
        )
