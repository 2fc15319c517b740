"""The benches' own instruments: what the load generator counts, and what the harness reads, through the
pass-through.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from bench import harness
from bench.harness import chat_request
from bench.load import Plan
from bench.report import Row, table

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="CPU seconds come from /proc")


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[int, int, int]]:
    """The pass-through's port and pid, and the mock's pid."""
    with harness.mock_upstream() as (upstream, mock_pid), harness.passthrough(upstream) as (port, pid):
        yield port, pid, mock_pid


@pytest.mark.parametrize(
    ("model", "plan"),
    [
        ("mock", {"connections": 8, "count": 400, "warm_up": 20}),
        ("mock-slow-10", {"kind": "rate", "rate": 200.0, "connections": 4, "count": 60, "warm_up": 4}),
        ("mock-tokens-10-2", {"kind": "streams", "connections": 5, "count": 10, "warm_up": 2}),
    ],
)
def test_every_call_is_counted_once(servers: tuple[int, int, int], model: str, plan: dict) -> None:
    port, pid, mock_pid = servers
    is_stream = plan.get("kind") == "streams"
    run = harness.measure(
        model,
        Plan(port, [chat_request("secret", model, stream=is_stream)], **plan),
        gateway=[pid],
        others=[mock_pid],
    )
    assert (run.answered, run.errors) == (plan["count"], {})
    assert run.tokens == (plan["count"] * 10 if is_stream else 0)
    assert 0 < run.added_ms["p50"] < 1000
    assert 0 <= run.gateway_cpu_s < 10


def test_refusals_are_errors(servers: tuple[int, int, int]) -> None:
    port, pid, _ = servers
    with pytest.raises(harness.BenchError, match="status 401"):
        harness.measure(
            "wrong key",
            Plan(port, [chat_request("wrong", "mock")], connections=2, count=4, warm_up=2),
            gateway=[pid],
        )


def test_a_row_is_judged_by_its_target() -> None:
    rows = [
        Row("a", 2.0, "ms", 1.0, "alone", 1.5, "≤ 1.5 ×", judge_ratio=True),
        Row("b", 2.0, "ms", 1.0, "alone", 4.0, "≤ 4 ms"),
        Row("c", None, "ms", limit=1.0),
        Row("d", 1.0, "s"),
    ]
    assert [row.verdict for row in rows] == ["OVER", "ok", "missing", ""]
    assert len(set(map(len, table(rows).splitlines()))) == 1
