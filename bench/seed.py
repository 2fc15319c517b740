"""Fills a platform for the benches, through the commands that people use. Runs inside `manage.py shell`, so
that Django starts once, not 40 times.

Takes a JSON object in BENCH_TASK (`upstream`, `models`, `tenants`, and `promised` tenants with 1,000 calls a
minute), prints as its last line {"keys": {slug: key}, "promised": {slug: key}}.
"""

from __future__ import annotations

import io
import json
import os
import re

from django.core.management import call_command

PLAN, PROMISE = "bench", "promise"
CLAUDE = "claude-"  # before the names of models that are asked in Anthropic's protocol
MUCH, PROMISED = "100000000", "1000"


def command(*words: str) -> str:
    """One management command; returns what it printed."""
    output = io.StringIO()
    call_command(*words, stdout=output)
    return output.getvalue()


def seed_platform(upstream: str, models: list[str]) -> None:
    """A plan whose limits are on but far away, a connection to the mock upstream, and prices."""
    limits = ["--requests-per-minute", MUCH, "--monthly-budget", "1000000"]
    command("plan", "set", PLAN, *limits)
    command("plan", "set", PROMISE, "--requests-per-minute", PROMISED)
    os.environ["BENCH_UPSTREAM_KEY"] = "sk-mock"
    where = ["--base-url", upstream, "--api-key-env", "BENCH_UPSTREAM_KEY", "--platform", "--allow-private"]
    command("connection", "add", "--name", "mock", "--kind", "openai_compatible", *where, "--sync")
    command("connection", "add", "--name", "claude", "--kind", "anthropic", *where)
    prices = ["--input-price", "0.15", "--output-price", "0.60"]
    for model in models:
        command("model", "set", model, "--platform", *prices)
        there = ["--connection", "claude", "--upstream-name", model]
        command("model", "set", f"{CLAUDE}{model}", "--platform", *there, *prices)


def seed_tenant(slug: str, plan: str) -> str:
    """A tenant with an owner and a key that has limits and a budget of its own; returns the key."""
    owner = f"owner@{slug}.example"
    command("tenant", "create", slug, "--owner", owner, "--plan", plan)
    output = command(
        "apikey",
        "create",
        "--tenant",
        slug,
        "--user",
        owner,
        "--name",
        "bench",
        "--requests-per-minute",
        MUCH,
        "--budget",
        "100000",
    )
    found = re.search(r"atr_\S+", output)
    if found is None:
        raise RuntimeError(f"apikey create printed no key: {output!r}")
    return found[0]


def main() -> None:
    wanted = json.loads(os.environ["BENCH_TASK"])
    seed_platform(wanted["upstream"], wanted["models"])
    keys = {slug: seed_tenant(slug, PLAN) for slug in wanted["tenants"]}
    promised = {slug: seed_tenant(slug, PROMISE) for slug in wanted["promised"]}
    print(json.dumps({"keys": keys, "promised": promised}))
