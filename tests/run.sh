#!/usr/bin/env bash
# `make test`: all tests in four groups side by side, each with services of its own; then how many there were.
# Four on two cores: much of the time is waiting, for browsers, processes and streams. With arguments: one
# pytest, with these.
set -uo pipefail
cd "$(dirname "$0")/.."
pytest=(.venv/bin/python -m pytest)
if [ $# -gt 0 ]; then exec "${pytest[@]}" "$@"; fi
.venv/bin/python -m tests.prepared || exit 1  # what each group begins with
waiting="tests/proof/test_s10_revocation.py tests/proof/test_s28_upstream_misbehaviour.py"  # for what lasts seconds
embedded="tests/proof/test_s42_cache_salt.py"  # where torch is loaded already
groups=(
  "tests/e2e tests/launcher tests/runtimes tests/api tests/models_registry tests/files $embedded"
  "tests/proof tests/usage tests/upgrade tests/rag ${waiting//tests/--ignore=tests} --ignore=$embedded"
  "tests/gateway tests/clients tests/doubles tests/foundation $waiting"
)
others=()
for group in "${groups[@]}"; do
  for folder in $group; do others+=("--ignore=${folder#--ignore=}"); done
done
groups+=("tests ${others[*]}")
logs=$(mktemp -d)
runs=()
trap 'kill "${runs[@]}" 2>/dev/null; rm -rf "$logs"' EXIT
run() {
  read -ra arguments <<< "${groups[$1]}"
  "${pytest[@]}" "${arguments[@]}" > "$logs/$1" 2>&1
}
for number in "${!groups[@]}"; do
  run "$number" &
  runs+=($!)
done
worst=0
for number in "${!runs[@]}"; do
  wait "${runs[$number]}"
  status=$?
  # seen twice: a database of which nobody in the house had sent a signal was killed, and told nothing
  if [ $status -ne 0 ] && grep -q "^A server of this run has died" "$logs/$number"; then
    cp "$logs/$number" "$logs/$number.died"
    run "$number"
    status=$?
  fi
  worst=$((status > worst ? status : worst))
done
cat "$logs"/*
grep -hoE '[0-9]+ passed' "$logs"/[0-9] | awk '{ cases += $1 } END { print cases " cases passed." }'
exit "$worst"
