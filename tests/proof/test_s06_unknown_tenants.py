"""S06: dropped, renamed and half-migrated tenants under load, and hosts nobody has: never an answer from `public`.

By host all 404, by key the same 401, half-migrated 503.
"""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, connections
from django.test import Client

from accounts.services import create_api_key, create_user
from gateway import host as gateway_host
from gateway.front import Front
from tenants import hosts
from tenants.context import owner, platform, tenant
from tenants.models import Tenant
from tenants.provisioning import create_tenant, drop_schema
from tests.asgi import call

pytestmark = [pytest.mark.scope(None), pytest.mark.timeout(300)]

PATHS = ["/", "/accounts/login/", "/admin/", "/api/v1/me/", "/keys/"]
UNKNOWN_HOSTS = ["nobody.localhost", "127.0.0.1", "10.0.0.1", "public", "public.localhost", "tenant-template.localhost", "tenant_template",
                 "acme.localhost.evil.example",                  "acme.localhost@evil", "x?", "a/b", "", "acme", "localhost:8000:80", "..",
                 "[::1]"]  # fmt: skip


def make_tenant(slug: str) -> str:
    """A committed tenant with one person; returns a key."""
    create_tenant(slug=slug, name=slug, host=f"{slug}.localhost", plan="unlimited")
    with tenant(slug):
        user = create_user(actor=None, email=f"dora@{slug}.example", name="Dora", roles=["owner"])
        return create_api_key(actor=None, user=user, name="k", scopes=["inference", "read"])[1]


def execute(statement: str) -> None:
    with owner(), connections["owner"].cursor() as cursor:
        cursor.execute(statement)


def statuses_under_load(host: str, change) -> list[tuple[str, int, bytes]]:
    """Ask for every path from eight threads while `change` happens in the middle; what came after it has settled."""
    stop, seen = threading.Event(), []

    def ask():
        client = Client(headers={"host": host}, raise_request_exception=False)
        while not stop.is_set():
            for path in PATHS:
                started = time.monotonic()
                response = client.get(path)
                seen.append((started, path, response.status_code, response.content))
        connection.close()

    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(ask) for _ in range(8)]
        try:
            time.sleep(0.5)
            change()
            changed = time.monotonic()
            time.sleep(hosts.TIME_TO_LIVE_S + 1)
        finally:
            stop.set()
        for future in futures:
            future.result()
    assert not [entry for entry in seen if b"olga@atrium.example" in entry[3]], "an operator showed"
    return [(path, status, body) for started, path, status, body in seen if started > changed + hosts.TIME_TO_LIVE_S]


@pytest.fixture
def unblocked(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        yield
        connections.close_all()


@pytest.mark.parametrize("host", UNKNOWN_HOSTS)
def test_a_host_nobody_has_is_404(unblocked, host):
    for path in PATHS:
        response = Client(headers={"host": host}).get(path)
        assert response.status_code == 404, (host, path, response.status_code)
        assert b"olga@atrium.example" not in response.content


@pytest.mark.parametrize(
    ("slug", "statement", "expected"),
    [
        ("gone", "DROP SCHEMA gone CASCADE", {404}),
        ("renamed", "ALTER SCHEMA renamed RENAME TO elsewhere", {404}),
        ("half", "DELETE FROM half.django_migrations WHERE id = (SELECT max(id) FROM half.django_migrations)", {503}),
    ],
)
def test_a_broken_tenant_is_never_served_from_public(unblocked, slug, statement, expected):
    key = make_tenant(slug)
    try:
        assert Client(headers={"host": f"{slug}.localhost"}).get("/accounts/login/").status_code == 200
        answers = statuses_under_load(f"{slug}.localhost", lambda: execute(statement))
        assert len(answers) > 20
        assert {status for _path, status, _body in answers} == expected
        by_key = asyncio.run(statuses_by_key(key))
        assert by_key == ({401} if expected == {404} else {503})
    finally:
        execute("DROP SCHEMA IF EXISTS elsewhere CASCADE")
        drop_schema(slug)


async def statuses_by_key(key: str) -> set[int]:
    """What `/v1` and its twin with a key of nobody answer; the bodies must be one and the same where both are 401."""
    front = Front()
    await gateway_host.start_host("test")
    try:
        real = await call(front, "GET", "/v1/models", headers={"authorization": f"Bearer {key}"})
        slug, key_id, secret = key.split("_", 3)[1:]
        nobody = await call(front, "GET", "/v1/models", headers={"authorization": f"Bearer atr_nobody_{key_id}_{secret}"})
        wrong = await call(front, "GET", "/v1/models", headers={"authorization": f"Bearer atr_{slug}_{key_id}_{'x' * 43}"})
        assert nobody.status == wrong.status == 401 and nobody.body == wrong.body
        if real.status == 401:
            assert real.body == nobody.body
        return {real.status}
    finally:
        await gateway_host.stop_host()


def test_a_suspended_tenant_gets_403_on_every_door_and_keeps_its_data(unblocked):
    from tenants.provisioning import set_tenant_status

    key = make_tenant("paused")
    try:
        set_tenant_status(slug="paused", status=Tenant.Status.SUSPENDED)
        hosts.forget()
        for path in PATHS:
            assert Client(headers={"host": "paused.localhost"}).get(path).status_code == 403
        assert asyncio.run(statuses_by_key(key)) == {403}
        set_tenant_status(slug="paused", status=Tenant.Status.ACTIVE)
        hosts.forget()
        assert Client(headers={"host": "paused.localhost"}).get("/accounts/login/").status_code == 200
    finally:
        drop_schema("paused")


def test_planted_bug_falling_back_to_public_is_noticed(unblocked, monkeypatch):
    """A host that is not found but served all the same, from the platform's schema."""
    from tenants.middleware import TenantMiddleware

    monkeypatch.setattr(TenantMiddleware, "_find_scope", lambda self, request: (self._platform(request), None))
    assert Client(headers={"host": "nobody.localhost"}).get("/accounts/login/").status_code != 404


def test_a_schema_that_is_gone_counts_as_unknown(unblocked):
    with platform():
        assert hosts.find_tenant_by_slug("nobody") is None
        assert hosts.find_tenant_by_slug("Not A Slug") is None
