"""One tenant asks ten times what its plan allows: it gets that and no more, and the other one does not notice
(S33 of docs/proofs.md).
"""

from __future__ import annotations

import time

from bench.gateway import DELAYED
from bench.harness import chat_request, warm_load
from bench.load import Plan
from bench.report import Row
from bench.scene import Scene

PER_MINUTE = 1_000  # what the plan “promise” of bench.seed allows
RATE, NOISE = 50.0, 10 * PER_MINUTE / 60
LIMIT = 1.5


def bench(scene: Scene) -> list[Row]:
    """The normal tenant's p95 alone, and beside the noisy one."""
    platform = scene.platform
    normal_key, noisy_key = next(iter(platform.keys.values())), next(iter(platform.promised.values()))
    seconds = 6 if scene.quick else 20

    def plan(key: str, rate: float, count: float, warm_up: int) -> Plan:
        return Plan(
            platform.port,
            [chat_request(key, DELAYED)],
            kind="rate",
            rate=rate,
            connections=16,
            count=int(count),
            warm_up=warm_up,
        )

    with warm_load("normal alone", plan(normal_key, RATE, RATE * seconds, 100)) as load:
        load.go()
        alone = load.result()
    with (
        warm_load("normal beside", plan(normal_key, RATE, RATE * seconds, 100)) as load,
        warm_load("noisy (429 is right)", plan(noisy_key, NOISE, NOISE * (seconds + 2), 1)) as other,
    ):
        other.go()
        time.sleep(1)
        load.go()
        beside, refused = load.result(), other.result()
    p95 = [run["latency_ms"].get("p95") for run in (alone, beside)]
    what = "a neighbour at 10 × its limit: p95 of the normal one"
    told = refused["errors"].get("status 429", 0)
    return [
        Row(what, p95[1], "ms", p95[0], "alone", LIMIT, "≤ 1.5 ×", judge_ratio=True),
        Row(
            "… errors of the normal one",
            float(sum(beside["errors"].values())),
            "",
            limit=0,
            target="0",
            note=str(beside["errors"]),
        ),
        Row(
            "… calls of the noisy one admitted",
            float(refused["answered"]),
            "",
            limit=PER_MINUTE * 1.01,
            target="≤ 1,010",
            note=f"{told} × 429",
        ),
    ]
