"""A limit of a key while that key makes another one: whoever keeps the new one in memory hears of it."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from django.conf import settings
from django.db import connection, connections, transaction

from accounts.models import ApiKey
from accounts.services import create_api_key, create_user, set_limit
from tenants.context import tenant
from tenants.notify import CHANNEL, announce
from tenants.provisioning.services import create_tenant, drop_schema

SLUG = "bounding"


def bound(key: ApiKey) -> None:
    with tenant(SLUG):
        try:
            set_limit(actor=None, level="key", subject_id=key.pk, measure="tokens_per_day", amount=5)
        finally:
            connection.close()


def heard_until(listener: psycopg.Connection, last: str) -> list[str]:
    """The kinds of all that was announced before `last`."""
    heard = []
    for notice in listener.notifies():
        slug, kind, _object_id = notice.payload.split(":", 2)
        if (slug, kind) == (SLUG, last):
            return heard
        heard += [kind] if slug == SLUG else []
    raise AssertionError("the connection ended")


@pytest.mark.scope(None)
@pytest.mark.timeout(60)
def test_a_limit_that_crosses_a_new_key_is_announced_to_all(django_db_setup, django_db_blocker):
    """The limit's transaction does not see the new key, which binds itself by what it has read before."""
    with (
        django_db_blocker.unblock(),
        ThreadPoolExecutor(1) as pool,
        psycopg.connect(settings.DATABASE_DSN, autocommit=True) as listener,
    ):
        create_tenant(slug=SLUG, host=f"{SLUG}.localhost")
        try:
            with tenant(SLUG):
                person = create_user(actor=None, email=f"eve@{SLUG}.example", name="Eve")
                key, _text = create_api_key(actor=None, user=person, name="k", scopes=["inference", "manage"])
                listener.execute(f"LISTEN {CHANNEL}")
                with transaction.atomic():
                    create_api_key(actor=None, user=person, name="made", within=key)
                    pool.submit(bound, key).result(30)
                announce("end", "")
                assert "limit" in heard_until(listener, "end")
        finally:
            drop_schema(SLUG)
            connections.close_all()
