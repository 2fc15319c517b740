"""What the ledger costs the process that calls it: CPU, since that is comparable on a shared machine."""

import asyncio
import os
import resource
import time
from pathlib import Path

import uvloop

from tests.usage.books import a_bill, a_hold

CALLERS, CALLS = 64, 3_200
TARGET_MS, BOUND_MS = 0.08, 0.24  # the target on a quiet machine; the bound leaves room for a busy one


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def server_cpu_s(books) -> float:
    pids = [
        row.pid
        for row in books.sql("SELECT pid FROM pg_stat_activity WHERE application_name = 'atrium-ledger'")
    ]
    stats = [Path(f"/proc/{pid}/stat") for pid in pids]
    fields = [stat.read_text().rsplit(")", 1)[1].split() for stat in stats if stat.exists()]
    return sum(int(found[11]) + int(found[12]) for found in fields) / os.sysconf("SC_CLK_TCK")


async def measure(books, callers: int, calls: int) -> tuple[float, float, float]:
    """CPU seconds of this process, of the database, and seconds passed."""
    holds = [a_hold("0.0005") for _ in range(calls)]
    bills = iter([(hold, a_bill(hold.request_id)) for hold in holds])

    async def caller(ledger) -> None:
        for hold, bill in bills:
            await ledger.reserve(books.slug, hold)
            await ledger.settle(books.slug, bill)

    async with books.ledger() as ledger:
        warm = [a_hold("0.0005") for _ in range(callers)]
        await asyncio.gather(*(ledger.reserve(books.slug, hold) for hold in warm))
        await asyncio.gather(*(ledger.settle(books.slug, a_bill(hold.request_id)) for hold in warm))
        began, cpu_began, server_began = time.perf_counter(), cpu_s(), server_cpu_s(books)
        await asyncio.gather(*(caller(ledger) for _ in range(callers)))
        return cpu_s() - cpu_began, server_cpu_s(books) - server_began, time.perf_counter() - began


def test_a_call_costs_little_cpu_at_saturation(books):
    for level in ("tenant", "project", "user", "key"):
        books.add_budget(level, "1000000")
    best = min(uvloop.run(measure(books, CALLERS, CALLS)) for _ in range(2))
    per_call = best[0] / CALLS * 1000
    print(
        f"\nledger, {CALLERS} callers, 4 budgets: {per_call:.4f} ms CPU per call (target {TARGET_MS}), "
        f"database {best[1] / CALLS * 1000:.4f} ms, {CALLS / best[2]:.0f} calls/s"
    )
    few = uvloop.run(measure(books, 4, 1_000))
    print(
        f"ledger, 4 callers: {few[0]:.4f} ms CPU per call, database {few[1]:.4f} ms, {1_000 / few[2]:.0f} "
        "calls/s"
    )
    assert per_call <= BOUND_MS
    assert books.balances_match()
