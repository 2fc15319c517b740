"""Benchmarks: each measures a figure of docs/figures.md beside a named reference in the same run,
and says whether the target holds.

`python -m bench` runs all, `python -m bench gateway --quick` one. Linux only (CPU seconds come from
/proc). Method: `bench/harness.py`.
"""
