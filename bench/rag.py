"""How good the search of collections is, by words, by vectors and by both, beside what was measured before it
was built: on the sample of `make test`, or on whole sets in the folder that ATRIUM_BENCH_SETS names. How
fast documents come in, and how long a search of ATRIUM_BENCH_CHUNKS passages takes (default: 100,000).

Each runs in a process with a database of its own (`bench.rag_quality`, `bench.rag_intake`,
`bench.rag_speed`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.harness import ROOT, BenchError
from bench.report import Row
from bench.scene import Scene

TIMEOUT_S = 3600
# nDCG@10 of plain BM25 (Snowball), of multilingual-e5-small, and of both with equal weights, in numpy
BEFORE = {
    "xquad-en": {"words": 0.970, "vectors": 0.979, "fused": 0.991},
    "xquad-de": {"words": 0.952, "vectors": 0.967, "fused": 0.981},
    "xquad-zh": {"words": 0.970, "vectors": 0.958, "fused": 0.979},
    "cmrc-zh": {"words": 0.979, "vectors": 0.957, "fused": 0.979},
    "gesetze-de": {"words": 0.648, "vectors": 0.696, "fused": 0.730},
    "musique-multihop-en": {"words": 0.588, "vectors": 0.619, "fused": 0.632},
}
TARGETS = {"xquad-en": 0.988, "xquad-de": 0.980, "xquad-zh": 0.980, "cmrc-zh": 0.980, "gesetze-de": 0.76}
PASSAGES_PER_S, PDF_FOUND_S = 1_000, 10
SEARCH_P50_MS, SEARCH_P95_MS, FILTERED_RECALL = 15, 40, 0.95  # of 100,000 passages
MANY, FEW = 100_000, 2_000
FUSED_LOSES = 0.01  # at most, against the better of both
GRAPH_LOSES = 0.005  # at most, where one passage answers
MULTI_HOP = ("musique-multihop-en",)
OTHERS = ("MRR@10", "recall@10", "all-gold@10")


def bench(scene: Scene) -> list[Row]:
    sets = os.environ.get("ATRIUM_BENCH_SETS")
    figures = _run("bench.rag_quality", *(["--sets", sets] if sets else []))
    rows = [row for name, legs in figures.items() for row in _rows(name, legs, is_whole=bool(sets))]
    chunks = FEW if scene.quick else int(os.environ.get("ATRIUM_BENCH_CHUNKS") or MANY)
    rows += _intake_rows(_run("bench.rag_intake"))
    return rows + _speed_rows(_run("bench.rag_speed", "--chunks", str(chunks)))


def _run(module: str, *options: str) -> dict:
    """What a bench says that runs in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "figures.json"
        command = [sys.executable, "-m", module, "--json", str(answer), *options]
        done = subprocess.run(command, cwd=ROOT, timeout=TIMEOUT_S)
        if done.returncode:
            raise BenchError(f"{module} ended with {done.returncode}")
        return json.loads(answer.read_text())


def _intake_rows(figures: dict[str, float]) -> list[Row]:
    return [
        Row(
            "documents read and indexed by words: passages",
            figures["chunks_per_s"],
            "/s",
            reference=figures["full_text_per_s"],
            reference_name="COPY under a GIN index of to_tsvector",
            limit=PASSAGES_PER_S,
            target=f"≥ {PASSAGES_PER_S:,}/s",
            is_floor=True,
            note=f"{figures['chunks']:.0f} passages, from the upload on, two documents at a time",
        ),
        Row(
            "a PDF of 200 pages: from its upload until its last page is found",
            figures["pdf_s"],
            "s",
            reference=figures["bare_pdf_s"],
            reference_name="its text by pypdfium2 alone",
            limit=PDF_FOUND_S,
            target=f"≤ {PDF_FOUND_S} s",
        ),
    ]


def _speed_rows(figures: dict[str, float]) -> list[Row]:
    chunks = int(figures["chunks"])
    limits = (SEARCH_P50_MS, SEARCH_P95_MS) if chunks >= MANY else (None, None)
    legs = {
        "words and vectors": "hybrid",
        "words": "words",
        "vectors": "vectors",
        "words and vectors, a filter to 2 %": "filtered",
    }
    rows = []
    for what, leg in legs.items():
        for cut, limit in zip(("p50", "p95"), limits, strict=True):
            wanted = limit if leg in ("hybrid", "filtered") else None
            rows.append(
                Row(
                    f"{chunks:,} passages, {what}: {cut}",
                    figures[f"{leg}_{cut}_ms"],
                    "ms",
                    limit=wanted,
                    target=f"≤ {wanted} ms" if wanted else "",
                )
            )
    made = "passages of the sample's sentences, vectors of the sample's with noise"
    for what, name, floor in (
        ("all", "recall", None),
        ("a filter to 2 %", "filtered_recall", FILTERED_RECALL),
    ):
        rows.append(
            Row(
                f"{chunks:,} passages, vectors, {what}: recall@10 against comparing each",
                figures[name],
                "",
                limit=floor,
                target=f"≥ {floor}" if floor else "",
                is_floor=True,
                note=made,
            )
        )
    return rows


def _rows(name: str, legs: dict[str, dict[str, list[float]]], *, is_whole: bool) -> list[Row]:
    gain = legs.pop("gain")
    rows = []
    for leg, measures in legs.items():
        mean, low, high = measures["nDCG@10"]
        others = ", ".join(f"{measure} {measures[measure][0]:.3f}" for measure in OTHERS)
        target = TARGETS.get(name) if leg == "fused" and is_whole else None
        rows.append(
            Row(
                f"{name}, {leg}: nDCG@10",
                mean,
                "",
                reference=BEFORE.get(name, {}).get(leg) if is_whole else None,
                reference_name="before" if is_whole else "",
                limit=target,
                target=f"≥ {target:.3f}" if target else "",
                is_floor=True,
                note=f"95 %: {low:.3f} to {high:.3f}; {others}",
            )
        )
    rows.append(_gain_row(name, gain))
    best = max(legs[leg]["nDCG@10"][0] for leg in ("words", "vectors"))
    lost = best - legs["fused"]["nDCG@10"][0]
    rows.append(
        Row("… what fusing loses against the better", lost, "", limit=FUSED_LOSES, target=f"≤ {FUSED_LOSES}")
    )
    return rows


def _gain_row(name: str, gain: dict[str, list[float]]) -> Row:
    """What following names changes, paired by question; only where several passages answer it must gain."""
    measure = "all-gold@10" if name in MULTI_HOP else "nDCG@10"
    mean, low, high = gain[measure]
    least = 0.0 if name in MULTI_HOP else -GRAPH_LOSES
    return Row(
        f"{name}, what following names adds: {measure}",
        low if name in MULTI_HOP else mean,
        "",
        limit=least,
        target=f"≥ {least}",
        is_floor=True,
        note=f"mean {mean:+.3f}, 95 % of the paired bootstrap: {low:+.3f} to {high:+.3f}",
    )
