"""What must hold of the database before a process serves: else a promise of the house would be void without
anybody noticing.

Covers: a login that could read every tenant without taking a role; master keys that do not open what they
sealed.
Does not cover: whether commits are durable (`usage.ledger.durability`), and settings by themselves
(`config.settings`, system checks).
"""

import psycopg
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from tenants.context import platform
from tenants.sealing import NoDataKey, check_data_key

_ROLE = """SELECT rolsuper OR rolbypassrls OR rolinherit OR EXISTS (
  SELECT 1 FROM pg_auth_members WHERE member = pg_roles.oid AND inherit_option)
FROM pg_roles WHERE rolname = current_user"""


def check_start() -> None:
    """Raises ImproperlyConfigured, naming the variable and what to do; psycopg.OperationalError if the
    database is away.
    """
    with psycopg.connect(settings.DATABASE_DSN, connect_timeout=5) as login:
        found = login.execute(_ROLE).fetchone()
    if found is None or found[0]:
        raise ImproperlyConfigured(
            "DATABASE_URL names a login that may read every tenant by itself, so that forgetting a tenant "
            "would be no error. It must have the attributes NOSUPERUSER NOBYPASSRLS NOINHERIT: "
            "ALTER ROLE … NOSUPERUSER NOBYPASSRLS NOINHERIT, and its grants WITH INHERIT FALSE; or use "
            "another login."
        )
    try:
        with platform():
            check_data_key()
    except NoDataKey as exc:
        raise ImproperlyConfigured(
            "None of ATRIUM_MASTER_KEYS opens the platform's data key: stored secrets could not be read, and "
            "new ones would be lost with the old. Set the master keys with which this database was made."
        ) from exc
