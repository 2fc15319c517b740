"""How long a new tenant takes, and how long an upgrade that finds nothing to do (docs/figures.md, row 4)."""

from __future__ import annotations

import io
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

from bench.atrium import run_inside
from bench.report import Row
from bench.scene import Scene

MIGRATE_S, NOOP_S = 2.0, 38.0  # docs/figures.md: by migrations; migrate_schemas over 100 tenants


def bench(scene: Scene) -> list[Row]:
    """Creates tenants in an installation of its own, then upgrades all."""
    count = 20 if scene.quick else 100
    with tempfile.TemporaryDirectory(prefix="atrium-bench-", ignore_cleanup_errors=True) as data:
        told = run_inside(Path(data), "tenants", count=count)
    created, upgraded = sorted(told["created_s"]), told["upgraded_s"]
    spread = f"p95 {created[int(len(created) * 0.95)]:.2f} s, first {told['created_s'][0]:.2f} s"
    return [
        Row(
            "new tenant (clone, role, seeds), median",
            statistics.median(created),
            "s",
            MIGRATE_S,
            "by migrations",
            0.5,
            "≤ 0.5 s",
            note=spread,
        ),
        Row(
            f"no-op upgrade of {told['tenants']} tenants",
            min(upgraded),
            "s",
            NOOP_S,
            "migrate_schemas, 100",
            1.0,
            "≤ 1 s",
            note=f"{told['migrated']} migrated",
        ),
    ]


def main() -> None:
    """Inside `manage.py shell`: the services that the commands call."""
    from django.core.management import call_command
    from django.db import connection

    from tenants.context import owner, platform
    from tenants.database.schemas import migrate_public, migrate_template, migrate_tenants
    from tenants.models import Tenant
    from tenants.provisioning.services import create_tenant

    call_command("prepare", stdout=io.StringIO())
    with platform(), connection.cursor() as cursor:
        cursor.execute("SHOW fsync")
        if cursor.fetchone() != ("on",):
            raise RuntimeError("fsync is off: the figures would not count")
    created: list[float] = []
    for number in range(json.loads(os.environ["BENCH_TASK"])["count"]):
        started = time.perf_counter()
        create_tenant(slug=f"fleet-{number}", host=f"fleet-{number}.localhost")
        created.append(time.perf_counter() - started)
    with owner():
        slugs = list(Tenant.objects.values_list("slug", flat=True))
    upgraded, migrated = [], 0
    for _ in range(3):
        started = time.perf_counter()
        migrate_public()
        migrate_template()
        migrated += len(migrate_tenants(slugs).migrated)
        upgraded.append(time.perf_counter() - started)
    print(
        json.dumps(
            {"created_s": created, "upgraded_s": upgraded, "tenants": len(slugs), "migrated": migrated}
        )
    )
