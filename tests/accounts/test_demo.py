"""The demonstration that `manage.py prepare --demo` makes, also after a first start that was killed in the
middle.
"""

import json
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connections, transaction
from django.test import Client

from accounts import seeds
from tenants.context import owner, platform
from tenants.management.commands import prepare
from tenants.models import Tenant
from tenants.provisioning.services import _make_schema, drop_schema, insert_tenant

SLUG = "halfway"

pytestmark = [pytest.mark.scope(None), pytest.mark.timeout(120)]


def insert_only() -> None:
    with owner(), transaction.atomic(using="owner"):
        insert_tenant(SLUG, "Halfway", f"{SLUG}.localhost", "standard", "en", "EUR")


def insert_and_clone() -> None:
    insert_only()
    with owner(), transaction.atomic(using="owner"):
        _make_schema(SLUG)


def insert_and_fail() -> None:
    insert_only()
    with owner():
        Tenant.objects.filter(slug=SLUG).update(status=Tenant.Status.FAILED)


@pytest.mark.parametrize(
    "begun",
    [None, insert_only, insert_and_clone, insert_and_fail],
    ids=["nothing", "row", "schema", "failed"],
)
def test_prepare_finishes_what_a_killed_start_began(
    django_db_setup, django_db_blocker, monkeypatch, settings, tmp_path, begun
):
    settings.DEMO_FILE = tmp_path / "demo.json"
    settings.DEMO_FILE.write_text(json.dumps({"platform": {"user": "olga@atrium.example"}, "tenants": {}}))
    monkeypatch.setattr(prepare, "DEMO_TENANTS", {SLUG: "Halfway"})
    monkeypatch.setitem(seeds.CAST, SLUG, [("hanna@halfway.example", "Hanna", "owner")])
    with django_db_blocker.unblock():
        try:
            if begun:
                begun()
            for _twice in range(2):
                call_command("prepare", "--demo", stdout=StringIO())
                with platform():
                    assert Tenant.objects.get(slug=SLUG).status == Tenant.Status.ACTIVE
            entry = json.loads(settings.DEMO_FILE.read_text())["tenants"][SLUG]
            client = Client(headers={"host": f"{SLUG}.localhost"})
            hanna = entry["users"]["hanna"]
            assert (
                client.post(
                    "/accounts/login/", {"login": hanna["email"], "password": hanna["password"]}
                ).status_code
                == 302
            )
            assert entry["guide"], "the first tenant has it ordered (tests/rag/test_guide.py)"
            assert (
                client.get(
                    "/api/v1/me/",
                    headers={"host": "localhost", "authorization": f"Bearer {entry['api_key']}"},
                ).json()["name"]
                == "Hanna"
            )
        finally:
            drop_schema(SLUG)
            connections.close_all()
