#!/usr/bin/env bash
# Builds .venv: the hash lock, then (ML=1) the [ml] packages and torch, then the project itself.
set -euo pipefail
cd "$(dirname "$0")/.."
began=$SECONDS
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Atrium needs Python 3.11 or newer; $python is $("$python" -V). Set PYTHON=…" >&2; exit 2; }
[ -x .venv/bin/python ] || "$python" -m venv .venv
pip() { .venv/bin/python -m pip --disable-pip-version-check --no-input "$@"; }
install=(install --quiet --no-compile --root-user-action=ignore)
echo "Installing packages into .venv …"
pip "${install[@]}" --require-hashes --no-deps -r requirements/lock.txt 2> >(grep -v "is ignored: it is neither" >&2)
if [ "${ML:-1}" = 1 ]; then
  pip "${install[@]}" --require-hashes --no-deps -r requirements/lock-ml.txt 2> >(grep -v "is ignored: it is neither" >&2)
  # Plain pip takes the build of torch that this machine's index offers (README, "Sizes").
  pip "${install[@]}" torch==2.13.0 2> >(grep -v "is ignored: it is neither" >&2)
fi
pip "${install[@]}" --no-build-isolation --no-deps -e .
.venv/bin/python -m config.messages compile
echo ".venv is ready after $((SECONDS - began)) s."
