"""The machine itself: mock upstream and pass-through, without the platform. Says how far today's figures
can be compared with another day's.
"""

from __future__ import annotations

from bench import machine
from bench.gateway import DELAYED, RATE, STREAMED
from bench.harness import best, chat_request, measure
from bench.load import Plan
from bench.report import Row
from bench.scene import Scene


def bench(scene: Scene) -> list[Row]:
    """Each way of loading, straight to the mock and through the pass-through; references from
    `docs/figures.md`.
    """
    rows = [
        Row(
            "calibration loop, best CPU",
            machine.calibrate(),
            "ms",
            note=f"{len(machine.allowed_cores())} cores",
        )
    ]
    count = 5_000 if scene.quick else 10_000
    ways = [
        ("64 connections", "mock", {"connections": 64, "count": count}),
        (
            "100 calls/s",
            DELAYED,
            {"kind": "rate", "rate": RATE, "connections": 16, "count": 300, "warm_up": 100},
        ),
        ("50 streams", STREAMED, {"kind": "streams", "connections": 50, "count": 100, "warm_up": 50}),
    ]
    doors = [
        ("direct", scene.mock_port, scene.mock_pid, "any"),
        ("pass-through", scene.pass_port, scene.pass_pid, "secret"),
    ]
    for name, port, pid, key in doors:
        for way, model, plan in ways:
            request = chat_request(key, model, stream=plan.get("kind") == "streams")
            others = [] if pid == scene.mock_pid else [scene.mock_pid]
            run = best(
                [
                    measure(f"{name} {way}", Plan(port, [request], **plan), gateway=[pid], others=others)
                    for _ in range(scene.rounds)
                ]
            )
            rows += _rows(name, way, run)
    return rows


# CPU seconds of docs/figures.md: direct (the load generator's and wrk's view of its own mock) and
# through raw ASGI + aiohttp
NOTED = {
    ("direct", "64 connections"): 0.006,
    ("pass-through", "64 connections"): 0.107,
    ("direct", "50 streams"): 0.0067,
    ("pass-through", "50 streams"): 0.0271,
}


def _rows(name: str, way: str, run) -> list[Row]:
    noted = NOTED.get((name, way))
    note = f"{run.answered / run.seconds:,.0f} calls/s, others {run.other_load:.1f} cores" + (
        f", {run.errors}" if run.errors else ""
    )
    if way == "50 streams":
        cpu = Row(f"{name}, {way}: CPU s / 1k tokens", run.cpu_per_1k_tokens, "", noted, "noted", note=note)
    else:
        cpu = Row(
            f"{name}, {way}: CPU s / 1k calls", run.cpu_per_1k, "", noted, "noted" if noted else "", note=note
        )
    kind = "added time to first token" if way == "50 streams" else "added latency"
    spread = f"p99 {run.added_ms.get('p99', 0):.2f} ms"
    return [cpu, Row(f"{name}, {way}: {kind} p50", run.added_ms.get("p50"), "ms", note=spread)]
