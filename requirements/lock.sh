#!/usr/bin/env bash
# Rewrites the hash locks: lock.txt (product and development), lock-ml.txt (the extra [ml] without torch and its CUDA companions,
# whose hashes depend on the build that a machine's index offers), and those of the clients that the tests run.
set -euo pipefail
cd "$(dirname "$0")/.."
compile=(.venv/bin/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11)
without=$(sed 's/^/--no-emit-package /' requirements/cuda.txt)
"${compile[@]}" "$@" --extra dev pyproject.toml -o requirements/lock.txt
# shellcheck disable=SC2086
"${compile[@]}" "$@" --extra ml -c requirements/lock.txt --no-emit-package torch $without pyproject.toml -o requirements/lock-ml.txt
"${compile[@]}" "$@" -c requirements/lock.txt -c requirements/lock-ml.txt requirements/clients/clients.in -o requirements/clients/lock.txt
requirements/clients/install.sh --relock
