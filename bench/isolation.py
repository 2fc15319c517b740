"""One tenant's ledger tables are locked and its calls pile up: the other tenant must not notice
(docs/architecture.md, the ledger).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from bench.gateway import DELAYED
from bench.harness import BenchError, chat_request, warm_load
from bench.load import Plan
from bench.report import Row
from bench.scene import Scene

RATE = 50.0
LIMIT = 1.5


@contextmanager
def locked_ledger(dsn: str, schema: str) -> Iterator[int]:
    """Every table of the tenant's ledger under ACCESS EXCLUSIVE; gives how many."""
    with psycopg.connect(dsn) as connection:
        found = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = %s AND tablename LIKE 'usage%%'", [schema]
        ).fetchall()
        if not found:
            raise BenchError(f"schema {schema} has no table usage…: nothing to lock")
        tables = sql.SQL(", ").join(sql.Identifier(schema, name) for (name,) in found)
        connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(tables))
        yield len(found)
        connection.rollback()


def run_pair(scene: Scene) -> tuple[dict, dict, dict, int]:
    """The quiet tenant alone, the quiet one beside the locked one, the locked one, and how many tables were
    locked.
    """
    platform = scene.platform
    (locked, locked_key), (quiet, quiet_key) = list(platform.keys.items())[:2]
    count = int(RATE * (5 if scene.quick else 20))
    plans = [
        Plan(
            platform.port,
            [chat_request(key, DELAYED)],
            kind="rate",
            rate=RATE,
            connections=16,
            count=count,
            warm_up=100,
        )
        for key in (quiet_key, locked_key)
    ]
    with warm_load(f"{quiet} alone", plans[0]) as load:
        load.go()
        alone = load.result()
    with (
        warm_load(f"{quiet} beside", plans[0]) as load,
        warm_load(f"{locked} (locked: errors are right)", plans[1]) as other,
        locked_ledger(platform.addresses["owner_database_url"], locked.replace("-", "_")) as tables,
    ):
        other.go()
        time.sleep(0.5)
        load.go()
        return alone, load.result(), other.result(), tables


def bench(scene: Scene) -> list[Row]:
    """The quiet tenant's p95 alone, and while the other one is locked and keeps calling."""
    alone, beside, refused, tables = run_pair(scene)
    told = refused["errors"].get("status 503", 0)
    wrong = refused["answered"] + sum(refused["errors"].values()) - told
    errors = sum(beside["errors"].values())
    p95 = [run["latency_ms"].get("p95") for run in (alone, beside)]
    what = "another tenant's ledger locked: p95 of the quiet one"
    return [
        Row(what, p95[1], "ms", p95[0], "alone", LIMIT, "≤ 1.5 ×", judge_ratio=True),
        Row("… errors of the quiet one", float(errors), "", limit=0, target="0", note=str(beside["errors"])),
        Row(
            "… calls of the locked one not refused by 503",
            float(wrong),
            "",
            limit=0,
            target="0",
            note=f"{tables} tables locked, {told} × 503",
        ),
    ]
