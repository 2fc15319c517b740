#!/usr/bin/env bash
# `make check`: lint, format, types, import contracts, migrations, an upgrade of kept data, licences, API
# schema, translations (whether they are whole; that no text of the code lacks one is a test).
set -euo pipefail
cd "$(dirname "$0")/.."
bin=.venv/bin
step() { echo "— $1"; shift; "$@"; }
export ATRIUM_DATA=${ATRIUM_DATA:-var}
step "lint" $bin/ruff check -q .
step "format" $bin/ruff format -q --check .
contracts() {
  local said
  said=$($bin/lint-imports --no-cache) || { echo "$said"; return 1; }
}
step "import contracts" contracts
step "types" $bin/mypy --no-error-summary
step "system checks" $bin/python manage.py check --fail-level WARNING
step "migrations" $bin/python manage.py makemigrations --check --dry-run --verbosity 0
step "upgrade of earlier data" $bin/python -m tests.upgrade
step "API schema" $bin/python manage.py spectacular --validate --fail-on-warn --file /dev/null
step "licences" $bin/python requirements/licences.py
step "translations" $bin/python -m config.messages missing
echo "All checks passed."
