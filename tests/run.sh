#!/usr/bin/env bash
# `make test`: all tests in three groups side by side, each with services of its own; then how many there were.
# Three on two cores: much of the time is waiting for processes and browsers. With arguments: one pytest, with these.
set -uo pipefail
cd "$(dirname "$0")/.."
pytest=(.venv/bin/python -m pytest)
if [ $# -gt 0 ]; then exec "${pytest[@]}" "$@"; fi
browser=(tests/e2e tests/proof)
chat=(tests/prompts tests/gateway tests/runtimes)
logs=$(mktemp -d)
runs=()
trap 'kill "${runs[@]}" 2>/dev/null; rm -rf "$logs"' EXIT
"${pytest[@]}" "${browser[@]}" > "$logs/browser" 2>&1 &
runs+=($!)
"${pytest[@]}" "${chat[@]}" > "$logs/chat" 2>&1 &
runs+=($!)
"${pytest[@]}" tests "${browser[@]/#/--ignore=}" "${chat[@]/#/--ignore=}" > "$logs/rest" 2>&1 &
runs+=($!)
worst=0
for run in "${runs[@]}"; do
  wait "$run"
  status=$?
  worst=$((status > worst ? status : worst))
done
cat "$logs"/*
grep -hoE '[0-9]+ passed' "$logs"/* | awk '{ cases += $1 } END { print cases " cases passed." }'
exit "$worst"
