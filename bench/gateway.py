"""The gateway, everything on, beside the pass-through in the same run: CPU per call, added latency,
streams (docs/figures.md).

The pass-through's own CPU tells how fast the machine is at the moment, so CPU figures are judged by their
ratio to it; the absolute targets were set on a machine where the pass-through needs 0.107 s per 1,000
calls and 0.027 s per 1,000 tokens.
"""

from __future__ import annotations

from bench.harness import BenchError, Measured, best, chat_request, measure
from bench.load import Plan
from bench.report import Row
from bench.scene import Scene

CPU_RATIO, CPU_TARGET = 3.2, "first cut ≤ 3.2 × (0.35); then ≤ 2.3 × (0.25)"
TOKEN_RATIO, TOKEN_TARGET = 0.035 / 0.027, "≤ 1.30 × (0.035)"
MANY_RATIO = 1.6
RATE, DELAYED, STREAMED = 100.0, "mock-slow-50", "mock-tokens-200-5-20"
MODELS = ["mock", DELAYED, STREAMED]


class Pair:
    """The same plan through the platform and through the pass-through, turn by turn, so that both see the
    same machine.
    """

    def __init__(
        self, scene: Scene, name: str, *, model: str, tenants: int = 1, rounds: int = 3, **plan
    ) -> None:
        stream = plan.get("kind") == "streams"
        keys = list(scene.platform.keys.values())[:tenants]
        ours = Plan(scene.platform.port, [chat_request(key, model, stream=stream) for key in keys], **plan)
        theirs = Plan(scene.pass_port, [chat_request("secret", model, stream=stream)], **plan)
        self.ours: list[Measured] = []
        self.theirs: list[Measured] = []
        for number in range(rounds):
            self.theirs.append(
                measure(
                    f"passthrough {name} {number}", theirs, gateway=[scene.pass_pid], others=[scene.mock_pid]
                )
            )
            others = [scene.mock_pid, *scene.platform.processes()]
            self.ours.append(
                measure(
                    f"atrium {name} {number}",
                    ours,
                    gateway=scene.gateway_pids,
                    aux=scene.platform.service_pids,
                    others=others,
                )
            )

        for run in [*self.ours, *self.theirs]:
            if run.errors:
                raise BenchError(
                    f"{run.name}: {run.errors}; refused calls are cheap, so nothing of this counts"
                )

    @property
    def note(self) -> str:
        """The load of others where it may matter."""
        load = max(run.other_load for run in [*self.ours, *self.theirs])
        return f"others {load:.1f} cores" if load > 0.2 else ""


def bench_saturated(scene: Scene) -> list[Row]:
    """64 connections, not streamed: CPU seconds of the gateway process per 1,000 calls."""
    count = 2_000 if scene.quick else 5_000
    rows: list[Row] = []
    of_one: float | None = None
    for tenants in (1, len(scene.platform.keys)):
        pair = Pair(
            scene,
            f"64 connections, {tenants} tenants",
            model="mock",
            tenants=tenants,
            rounds=scene.rounds,
            connections=64,
            count=count,
        )
        ours, theirs = best(pair.ours), best(pair.theirs)
        what = f"64 connections, {tenants} tenant{'s' if tenants > 1 else ''}: gateway CPU s / 1k calls"
        judged = {"limit": CPU_RATIO, "target": CPU_TARGET, "judge_ratio": True} if tenants == 1 else {}
        rows.append(
            Row(what, ours.cpu_per_1k, "", theirs.cpu_per_1k, "pass-through", note=pair.note, **judged)
        )
        rows.append(
            Row(
                "… database and cache CPU s / 1k calls",
                ours.aux_per_1k,
                "",
                note=f"p99 {ours.latency_ms.get('p99', 0):.0f} ms, {ours.rss_mb:.0f} MB",
            )
        )
        rows.append(
            Row(
                "… calls/s",
                ours.answered / ours.seconds,
                "",
                theirs.answered / theirs.seconds,
                "pass-through",
            )
        )
        if of_one is not None:
            what = f"{tenants} tenants: gateway CPU s / 1k calls"
            target = f"≤ {MANY_RATIO} ×"
            rows.append(
                Row(what, ours.cpu_per_1k, "", of_one, "1 tenant", MANY_RATIO, target, judge_ratio=True)
            )
        of_one = ours.cpu_per_1k
    return rows


def bench_latency(scene: Scene) -> list[Row]:
    """100 calls per second at a fixed rate, upstream 50 ms: what the gateway adds."""
    seconds = 3 if scene.quick else 10
    pair = Pair(
        scene,
        "100 calls/s",
        model=DELAYED,
        rounds=min(3, scene.rounds),
        kind="rate",
        rate=RATE,
        connections=16,
        count=int(RATE * seconds),
        warm_up=200,
    )
    rows = []
    for percentile, limit in (("p50", 4.0), ("p99", 8.0)):
        ours = min((run.added_ms.get(percentile) for run in pair.ours if run.added_ms), default=None)
        theirs = min((run.added_ms.get(percentile) for run in pair.theirs if run.added_ms), default=None)
        rows.append(
            Row(
                f"100 calls/s: added latency {percentile}",
                ours,
                "ms",
                theirs,
                "pass-through",
                limit,
                f"≤ {limit:.0f} ms",
                note=pair.note,
            )
        )
    return rows


def bench_streams(scene: Scene) -> list[Row]:
    """50 streams of 200 tokens, 5 ms apart: added time to the first token, CPU per token."""
    pair = Pair(
        scene,
        "50 streams",
        model=STREAMED,
        rounds=scene.rounds,
        kind="streams",
        connections=50,
        count=100,
        warm_up=50,
    )
    ours, theirs = best(pair.ours, "cpu_per_1k_tokens"), best(pair.theirs, "cpu_per_1k_tokens")
    first = [
        min((run.added_ms.get("p50") for run in runs if run.added_ms), default=None)
        for runs in (pair.ours, pair.theirs)
    ]
    return [
        Row(
            "50 streams: added time to first token p50",
            first[0],
            "ms",
            first[1],
            "pass-through",
            3.0,
            "≤ 3 ms",
            note=pair.note,
        ),
        Row(
            "50 streams: gateway CPU s / 1k tokens",
            ours.cpu_per_1k_tokens,
            "",
            theirs.cpu_per_1k_tokens,
            "pass-through",
            TOKEN_RATIO,
            TOKEN_TARGET,
            judge_ratio=True,
        ),
    ]


def bench(scene: Scene) -> list[Row]:
    """All of it."""
    return [*bench_saturated(scene), *bench_latency(scene), *bench_streams(scene)]
