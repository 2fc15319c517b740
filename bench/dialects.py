"""Anthropic's dialect, of clients and of the provider, beside OpenAI's in the same run: the gateway's CPU per
call and per token (docs/decisions/0015-anthropics-dialect.md).
"""

from __future__ import annotations

from bench.harness import BenchError, Measured, best, chat_request, measure, message_request
from bench.load import Plan
from bench.report import Row
from bench.scene import Scene
from bench.seed import CLAUDE

RATIO, TARGET = 1.5, "≤ 1.5 ×"
WHOLE, STREAMED = "mock", "mock-tokens-200-5-20"  # upstream; Claude's have names of their own
WAYS = {
    "OpenAI's client, OpenAI's server": (chat_request, ""),
    "Anthropic's client, OpenAI's server": (message_request, ""),
    "OpenAI's client, Claude": (chat_request, CLAUDE),
    "Anthropic's client, Claude": (message_request, CLAUDE),
}


def _measure_all(scene: Scene, upstream: str, figure: str, **plan) -> dict[str, Measured]:
    """The same plan in all ways, turn by turn, so that all see the same machine; the best of each."""
    key = next(iter(scene.platform.keys.values()))
    runs: dict[str, list[Measured]] = {way: [] for way in WAYS}
    for number in range(scene.rounds):
        for way, (request, prefix) in WAYS.items():
            text = request(key, prefix + upstream, stream=plan.get("kind") == "streams")
            run = measure(
                f"{way}, {upstream} {number}",
                Plan(scene.platform.port, [text], **plan),
                gateway=scene.gateway_pids,
                aux=scene.platform.service_pids,
                others=[scene.mock_pid, *scene.platform.processes()],
            )
            if run.errors:
                raise BenchError(f"{run.name}: {run.errors}; refused calls are cheap, so nothing counts")
            runs[way].append(run)
    return {way: best(measured, figure) for way, measured in runs.items()}


def bench(scene: Scene) -> list[Row]:
    """64 connections for whole answers, 50 streams of 200 tokens."""
    count = 1_000 if scene.quick else 3_000
    measured = {
        "CPU s / 1k calls": _measure_all(scene, WHOLE, "cpu_per_1k", connections=64, count=count),
        "CPU s / 1k tokens": _measure_all(
            scene, STREAMED, "cpu_per_1k_tokens", kind="streams", connections=50, count=100, warm_up=50
        ),
    }
    rows = []
    for what, runs in measured.items():
        figure = "cpu_per_1k" if "calls" in what else "cpu_per_1k_tokens"
        usual, *others = WAYS
        reference = getattr(runs[usual], figure)
        for way in others:
            value = getattr(runs[way], figure)
            rows.append(Row(f"{way}: {what}", value, "", reference, usual, RATIO, TARGET, judge_ratio=True))
    return rows
