"""S26 and S25 where calls are sent more than once: 200 concurrent calls with stand-ins at a budget for ten of
them, and processes killed in the middle of falling back.

The upstream keeps its own books: each request that it took and did not refuse is in a bill, once. Nothing is
overspent, nothing stays held, and a bill names who was asked last, at that price.
"""

import asyncio
import os
import random
import signal
from collections import Counter, defaultdict
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import aiohttp
import pytest

from tests.live import house_with_bug, listen, running_web

CALLS, ROOM_FOR = 200, 10
KILLS = 20 if os.environ.get("ATRIUM_PROOF") == "night" else 3
CALLS_PER_KILL = 8
HANG, CUT = "fault-hang-before-header", "fault-close-before-header"
BUSY, GOOD, SLOW = "fault-503", "mock-tokens-300-1", "mock-tokens-100-20"
LONGEST = (
    300  # tokens: what is lost and what is answered weigh more than what a hold has to spare for the prompt
)
DEAR, CHEAP = Decimal(10), Decimal(9)
NO_BREAKER = (
    "import gateway.state.breaker\ngateway.state.breaker.FAILURES = 10**9\n"
    "gateway.state.breaker.SLOW_FAILURES = 10**9\n"
)
pytestmark = [pytest.mark.scope(None), pytest.mark.timeout(1_200)]


@pytest.fixture
def place(house, django_db_blocker):
    """A tenant with two models. `silent` does not answer, `cut` is cut off; the first stand-in of both
    refuses, the second one answers, that of `cut` slowly.
    """
    from accounts.services import create_api_key, create_user
    from models_registry.services import add_connection, add_model, set_model_price
    from tenants.context import tenant
    from tenants.provisioning.services import create_tenant

    slug = f"lost-{uuid4().hex[:8]}"
    with django_db_blocker.unblock():
        create_tenant(slug=slug, name=slug, host=f"{slug}.localhost", plan="unlimited")
        with tenant(slug):
            person = create_user(actor=None, email=f"erin@{slug}.example", name="Erin", roles=["user"])
            text = create_api_key(actor=None, user=person, name="k")[1]
            theirs = {"kind": "openai_compatible", "base_url": house.mock.base_url, "allow_private": True}
            patient = add_connection(actor=None, name="patient", **theirs)
            hasty = add_connection(
                actor=None, name="hasty", first_byte_timeout_s=1, total_timeout_s=1, **theirs
            )
            for name, upstream, connection, price, stand_ins in [
                ("good", GOOD, patient, CHEAP, []),
                ("slow", SLOW, patient, CHEAP, []),
                ("busy", BUSY, patient, DEAR, []),
                ("silent", HANG, hasty, DEAR, ["busy", "good"]),
                ("cut", CUT, patient, DEAR, ["busy", "slow"]),
            ]:
                row = add_model(
                    actor=None, connection=connection, name=name, upstream_name=upstream, fallbacks=stand_ins
                )
                set_model_price(actor=None, model=row, input=price, output=2 * price)
        house.mock.reset()
        yield slug, text


async def ask(session, port: int, model: str, number: int, *, stream: bool) -> str:
    """The error's code, "ok", or "gone" where the server has died."""
    body = {
        "model": model,
        "max_tokens": LONGEST,
        "stream": stream,
        "messages": [{"role": "user", "content": str(number)}],
    }
    headers = {"traceparent": f"00-{number + 1:032x}-{'1' * 16}-01"}
    try:
        url = f"http://127.0.0.1:{port}/v1/chat/completions"
        async with session.post(url, json=body, headers=headers) as response:
            raw = await response.read()
            return "ok" if response.status == 200 else (await response.json())["error"]["code"] or str(raw)
    except aiohttp.ClientError:
        return "gone"


async def storm(port: int, text: str, model: str, numbers) -> Counter:
    headers = {"Authorization": f"Bearer {text}", "Host": "localhost"}
    async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=0)) as session:
        return Counter(
            await asyncio.gather(*[ask(session, port, model, one, stream=one % 2 == 0) for one in numbers])
        )


def number_of(event) -> int:
    return int(event.trace_id, 16) - 1


def asked_upstream(house) -> dict[int, list[str]]:
    """Call → the models that its requests named, in their order, by the upstream's own books."""
    asked = defaultdict(list)
    for entry in sorted(house.mock.ledger(), key=lambda one: one["serial"]):
        asked[int(entry["body"]["messages"][-1]["content"])].append(entry["model"])
    return asked


def check_bills(house, budget, bills) -> None:
    """Each request that was taken is in a bill, at its own price; the budget is their sum and no more."""
    from usage.models import Hold
    from usage.pricing import Price, Usage, cost

    asked, billed = asked_upstream(house), {number_of(event): event for event in bills}
    assert len(billed) == len(bills), "one bill for each call"
    assert asked.keys() <= billed.keys(), "nobody works for nothing"
    for number, event in billed.items():
        lost = event.attempts or []
        names = [one["upstream_model"] for one in lost] + [event.upstream_model]
        assert names[: len(asked[number])] == asked[number], "the bill says who was asked"
        assert len(names) <= len(asked[number]) + 1, "one more if the process died before it asked"
        for one in lost:
            used = Usage.of(one["quantities"])
            assert Decimal(one["cost"]) == cost(Price("EUR", DEAR, DEAR, 2 * DEAR, 2 * DEAR), used)
            assert bool(used.quantities) == (one["upstream_model"] in (HANG, CUT)), "what was refused is free"
        own = cost(Price.from_snapshot(event.price_snapshot), Usage.of(event.used))
        whole = own + sum(Decimal(one["cost"]) for one in lost)
        is_right = event.cost == whole or (event.status == "interrupted" and event.cost > whole)
        assert is_right, "not the sum of what was used"
        assert not event.over_hold, "over its hold"
    assert not Hold.objects.exists(), "nothing stays held"
    budget.refresh_from_db()
    assert (budget.spent, budget.held) == (sum(event.cost for event in bills), 0)
    assert budget.spent <= budget.limit == budget.allowance, "overspent"


def highest_of_one(house, text) -> Decimal:
    """What one call needs that loses an attempt and is answered by its stand-in."""
    from usage.models import UsageEvent

    outcomes = asyncio.run(storm(house.port, text, "silent", [10_001]))
    assert outcomes == {"ok": 1}
    (event,) = UsageEvent.objects.all()
    assert [one["upstream_model"] for one in event.attempts] == [HANG, BUSY]
    return 2 * Decimal(event.attempts[0]["cost"])  # that one was billed as long an answer as may be


def attack(house, place) -> Counter:
    from tenants.context import tenant
    from usage.models import UsageEvent
    from usage.services import set_budget

    slug, text = place
    with tenant(slug):
        room = ROOM_FOR * highest_of_one(house, text)
        budget = set_budget(actor=None, level="tenant", limit=room)
        outcomes = asyncio.run(storm(house.port, text, "silent", range(CALLS)))
        bills = list(UsageEvent.objects.all())
        check_bills(house, budget, bills)
        assert "insufficient_quota" in outcomes and outcomes["ok"], outcomes
        print(
            f"\nS26: {CALLS} calls at room for {ROOM_FOR}: {dict(outcomes)}, {len(bills)} bills, "
            f"{len(house.mock.ledger())} requests upstream, spent {budget.spent} of {budget.limit}"
        )
    return outcomes


def test_racing_calls_that_fall_back_never_overspend(house, place):
    with house_with_bug(house, NO_BREAKER) as patient:
        attack(patient, place)


@pytest.mark.parametrize(
    ("bug", "noticed"),
    [
        (
            "import gateway.steps.attempts as a\na.lost_cost = lambda lost: 0\n"
            "a.highest_cost_of = lambda call, route: 0",
            "over its hold|overspent",
        ),
        ("import gateway.steps.settle as s\ns.lost_cost = lambda lost: 0", "not the sum"),
    ],
    ids=["what was lost is not held", "what was lost is not billed"],
)
def test_planted_bug_is_found_out(house, place, bug, noticed):
    with house_with_bug(house, NO_BREAKER + bug) as careless, pytest.raises(AssertionError, match=noticed):
        attack(careless, place)


# -- kill -9 -------------------------------------------------------------------------------------------------


def sweep_the_dead(slug: str) -> None:
    """As the scheduler does it once the lease of the killed process has run out."""
    from django.utils import timezone

    from tenants.context import platform, tenant
    from usage.ledger.sweeper import sweep_holds
    from usage.platform.models import Process

    with platform():
        Process.objects.update(heartbeat_at=timezone.now() - timedelta(minutes=2))
    with tenant(slug):
        sweep_holds()


async def storm_until_killed(mock, port: int, pid: int, text: str, numbers, after: tuple[int, float]) -> None:
    """`after`: so many requests upstream, and seconds."""
    requests, pause_s = after
    wanted = len(mock.ledger()) + requests
    storming = asyncio.create_task(storm(port, text, "cut", numbers))
    await asyncio.to_thread(mock.wait_for, lambda ledger: len(ledger) >= wanted)
    await asyncio.sleep(pause_s)
    os.kill(pid, signal.SIGKILL)
    await asyncio.sleep(0.2)
    storming.cancel()  # who was not accepted waits for ever: the socket is still there
    await asyncio.gather(storming, return_exceptions=True)


def test_processes_killed_while_they_fall_back_leave_right_bills(house, place, monkeypatch):
    from tenants.context import tenant
    from usage.ledger import sweeper
    from usage.models import UsageEvent
    from usage.services import set_budget

    monkeypatch.setattr(sweeper, "GRACE", timedelta(0))
    (slug, text), dice = place, random.Random(25)
    with tenant(slug):
        budget = set_budget(actor=None, level="tenant", limit=Decimal(10))
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    for kill in range(KILLS):
        numbers = range(kill * CALLS_PER_KILL, (kill + 1) * CALLS_PER_KILL)
        with listen() as listener, running_web(listener, environment, NO_BREAKER) as web:
            port = listener.getsockname()[1]
            after = dice.randint(1, CALLS_PER_KILL), 0.1 * dice.random()  # falling back takes some 50 ms
            asyncio.run(storm_until_killed(house.mock, port, web.pid, text, numbers, after))
        house.mock.wait_for(lambda ledger: all(entry["outcome"] != "open" for entry in ledger))
        sweep_the_dead(slug)
    with tenant(slug):
        bills = list(UsageEvent.objects.all())
        check_bills(house, budget, bills)
        states = Counter(event.status for event in bills)
        models = Counter(event.model for event in bills if event.status == "interrupted")
    assert states["interrupted"] >= KILLS, "they were killed in the middle"
    print(
        f"\nS25: {KILLS} kills, bills {dict(states)}, interrupted at {dict(models)}, "
        f"{len(house.mock.ledger())} requests upstream, 0 held, spent {budget.spent}"
    )
