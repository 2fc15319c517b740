"""The catalogue with 200 models beside the plainest page of the same shell, in the same run: how long the
server takes for each, asked by one person, one page after the other (docs/figures.md).
"""

from __future__ import annotations

import json
import os
from decimal import Decimal

from bench.atrium import run_inside
from bench.harness import BenchError, Measured, measure
from bench.load import Plan
from bench.report import Row
from bench.scene import Scene

MODELS, CALLED, CALLS = 200, 60, 50  # in all; those that were called lately, and how often each
LIMIT_MS = 100.0
USUAL = "the page of the log-out"
PAGES = {
    USUAL: "/accounts/logout/",
    f"catalogue of {MODELS} models": "/models/",
    "… sorted by speed": "/models/?sort=-speed",
    "… searched": "/models/?q=model+7&kind=chat",
    "one of its models": "",
}


def bench(scene: Scene) -> list[Row]:
    """The pages turn by turn, so that all see the same machine; the best of each."""
    slug = next(iter(scene.platform.keys))
    made = run_inside(scene.platform.data, "catalogue", slug=slug)
    runs: dict[str, list[Measured]] = {what: [] for what in PAGES}
    for number in range(scene.rounds):
        for what, path in PAGES.items():
            request = (
                f"GET {path or made['page']} HTTP/1.1\r\nHost: {slug}.localhost\r\n"
                f"Cookie: {made['cookie']}\r\n\r\n"
            )
            run = measure(
                f"{what} {number}",
                Plan(scene.platform.port, [request], connections=1, count=20, warm_up=5),
                gateway=scene.gateway_pids,
                aux=scene.platform.service_pids,
                others=scene.platform.processes(),
            )
            if run.errors:
                raise BenchError(f"{run.name}: {run.errors}")
            runs[what].append(run)
    usual, *others = PAGES
    reference = min(map(_server_ms, runs[usual]))
    return [_row(what, runs[what], reference) for what in others]


def _server_ms(run: Measured) -> float:
    """What a page takes of the web process and of the database: a thousand of them take as many seconds."""
    return run.cpu_per_1k + run.aux_per_1k


def _row(what: str, runs: list[Measured], reference: float) -> Row:
    cheapest = min(runs, key=_server_ms)
    note = f"{cheapest.aux_per_1k:.0f} of it the database’s; p50 {cheapest.latency_ms['p50']:.0f} ms"
    target = f"≤ {LIMIT_MS:.0f} ms"
    what = f"{what}: CPU of the server"
    return Row(what, _server_ms(cheapest), "ms", reference, USUAL, LIMIT_MS, target, note=note)


def main() -> None:
    """Inside `manage.py shell`: the models, their calls, and somebody who looks at them."""
    from django.conf import settings

    from models_registry.services import add_connection, add_model, set_model_price
    from tenants.context import tenant
    from tests.prompts.visitor import make_person, start_session

    slug = json.loads(os.environ["BENCH_TASK"])["slug"]
    with tenant(slug):
        where = {"kind": "openai_compatible", "base_url": "http://127.0.0.1:9999/v1", "allow_private": True}
        connections = [
            add_connection(actor=None, name=f"server {number}", secret="sk-x", **where) for number in range(8)
        ]
        for number in range(MODELS):
            model = add_model(
                actor=None,
                connection=connections[number % len(connections)],
                name=f"catalogue/model-{number}",
                label=f"Model {number} of the catalogue",
                notes="For letters and summaries in the languages of the house.",
                licence="Apache-2.0",
                context_window=131_072,
                capabilities=["tools", "vision"],
                aliases=[f"alias-{number}"],
            )
            set_model_price(actor=None, model=model, input=Decimal("0.15"), output=Decimal(number + 1))
        _book_calls()
    person = make_person(slug)
    cookie = start_session(slug, person)["cookie"]
    told = {"cookie": f"{settings.SESSION_COOKIE_NAME}={cookie}", "page": f"/models/{model.pk}/"}
    print(json.dumps(told))


def _book_calls() -> None:
    """As the ledger books them."""
    from datetime import timedelta

    from django.utils import timezone

    from foundation.ids import uuid7
    from usage.models import UsageEvent

    now = timezone.now()
    UsageEvent.objects.bulk_create(
        UsageEvent(
            source="api",
            model=f"catalogue/model-{number}",
            request_id=uuid7(),
            input_tokens=10,
            output_tokens=200,
            cost=Decimal("0.001"),
            currency="EUR",
            latency_ms=2_000 + number,
            first_token_ms=300 + number,
            status="ok",
            quantities={"input": 10, "output": 200},
            booked_at=now,
            created_at=now - timedelta(minutes=turn),
        )
        for number in range(CALLED)
        for turn in range(CALLS)
    )
