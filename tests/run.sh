#!/usr/bin/env bash
# `make test`: all tests in two halves side by side, each with services of its own. With arguments: one pytest, with these.
set -uo pipefail
cd "$(dirname "$0")/.."
pytest=(.venv/bin/python -m pytest)
if [ $# -gt 0 ]; then exec "${pytest[@]}" "$@"; fi
half=(tests/e2e tests/proof tests/prompts)
log=$(mktemp)
"${pytest[@]}" "${half[@]}" > "$log" 2>&1 &
other=$!
trap 'kill "$other" 2>/dev/null; rm -f "$log"' EXIT
"${pytest[@]}" tests "${half[@]/#/--ignore=}"
first=$?
wait "$other"
second=$?
cat "$log"
exit $((first > second ? first : second))
