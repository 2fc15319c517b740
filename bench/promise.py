"""1,000 calls a minute for each of two tenants at once, whose plan allows exactly that: none
refused, none lost (docs/figures.md).
"""

from __future__ import annotations

from contextlib import ExitStack

from bench.gateway import DELAYED
from bench.harness import chat_request, warm_load
from bench.load import Plan
from bench.report import Row
from bench.scene import Scene

PER_MINUTE = 1000


def bench(scene: Scene) -> list[Row]:
    """A minute (quick: a quarter) at the full rate of the plan; no
    warm-up, since it would use up the limit.
    """
    count = PER_MINUTE // 4 if scene.quick else PER_MINUTE
    answered, errors = 0, {}
    with ExitStack() as stack:
        loads = []
        for slug, key in scene.platform.promised.items():
            plan = Plan(
                scene.platform.port,
                [chat_request(key, DELAYED)],
                kind="rate",
                rate=PER_MINUTE / 60,
                connections=8,
                count=count,
                warm_up=0,
            )
            loads.append(stack.enter_context(warm_load(slug, plan)))
        for load in loads:
            load.go()
        for load in loads:
            result = load.result()
            answered += result["answered"]
            errors |= result["errors"]
    missing = count * len(loads) - answered
    return [
        Row(
            "1,000 calls/min for each of two tenants: not answered",
            float(missing),
            "",
            limit=0,
            target="0",
            note=f"{answered} answered {errors or ''}",
        )
    ]
