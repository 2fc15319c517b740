"""`python -m bench [name …] [--quick] [--profile DIR] [--json FILE]`: run benches and print one table.
Exit code 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import traceback
from pathlib import Path

from bench import (
    catalogue,
    dialects,
    gateway,
    isolation,
    machine,
    neighbours,
    page,
    profiling,
    promise,
    rag,
    reference,
    runtime,
    tenants,
)
from bench.report import Row, table
from bench.scene import Scene

BENCHES = {
    "reference": reference.bench,
    "gateway": gateway.bench,
    "dialects": dialects.bench,
    "isolation": isolation.bench,
    "promise": promise.bench,
    "tenants": tenants.bench,
    "catalogue": catalogue.bench,
    "runtime": runtime.bench,
    "page": page.bench,
    "rag": rag.bench,
    "neighbours": neighbours.bench,  # last: it uses up a limit that “promise” needs
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(BENCHES)}; default: all")
    parser.add_argument(
        "--quick", action="store_true", help="fewer calls, one round: a smoke test, not a figure"
    )
    parser.add_argument(
        "--profile",
        type=Path,
        metavar="DIR",
        help="write a CPU profile of the gateway for every run into this folder",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows to a file too")
    args = parser.parse_args()
    if unknown := set(args.names) - set(BENCHES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    if args.profile:
        args.profile.mkdir(parents=True, exist_ok=True)
        profiling.folder = args.profile.absolute()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything started is ended too
    machine.shorten_slice()
    rows = run(args.names or list(BENCHES), quick=args.quick)
    print(table(rows))
    if args.json:
        args.json.write_text(json.dumps([row.as_json() for row in rows], indent=1) + "\n")
    return int(any(row.verdict in ("OVER", "UNDER", "missing") for row in rows))


def run(names: list[str], *, quick: bool) -> list[Row]:
    """The rows of the named benches; one that breaks gives a row that says so, and the others go on."""
    rows: list[Row] = []
    with Scene(quick=quick) as scene:
        for name in names:
            print(f"{name} …", file=sys.stderr, flush=True)
            try:
                rows += BENCHES[name](scene)
            except Exception as exc:  # one broken bench must not hide the others' figures
                traceback.print_exc()
                rows.append(
                    Row(name, None, "", limit=0, target="runs", note=f"{type(exc).__name__}: {exc}"[:200])
                )
    return rows


if __name__ == "__main__":
    sys.exit(main())
