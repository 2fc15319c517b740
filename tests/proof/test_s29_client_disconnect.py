"""S29: a client that hangs up at a random byte: the upstream is closed within two seconds, and what was used is settled."""

import asyncio
import os
import random
import time
from uuid import UUID

import pytest

from tests.live import TENANTS, house_with_bug

CUTS = 100 if os.environ.get("ATRIUM_PROOF") == "night" else 30
AT_ONCE = 10
MODEL = "mock-tokens-100-20"
CLOSED_S, SETTLED_S = 5, 10  # two seconds on a quiet machine
pytestmark = [pytest.mark.scope(None), pytest.mark.timeout(300)]
SLUG = TENANTS[1]


async def hang_up_after(house, bytes_wanted: int, is_streamed: bool) -> str:
    """Send a request, read so many bytes of the answer, close the socket; the request's id if a head was seen."""
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    body = b'{"model": "%s", "stream": %s, "messages": [{"role": "user", "content": "count"}]}' % (MODEL.encode(), b"true" if is_streamed else b"false")
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {house.keys[SLUG]}\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
    seen = b""
    if is_streamed:
        while len(seen) < bytes_wanted and (part := await reader.read(min(4096, bytes_wanted - len(seen)))):
            seen += part
    else:
        await asyncio.sleep(0.5)
    writer.transport.abort()
    return seen.partition(b"x-request-id: req_")[2][:32].decode()


async def hang_up_often(house) -> None:
    dice, gate = random.Random(29), asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        async with gate:
            await hang_up_after(house, dice.randrange(1, 12_000), is_streamed=number % 5 != 0)

    await asyncio.gather(*[one(number) for number in range(CUTS)])


def wait_until_closed(mock) -> list[dict]:
    """The upstream's books, once every connection is closed by the gateway; AssertionError after a bounded time."""
    end = time.monotonic() + CLOSED_S
    while not all(entry["closed_at"] for entry in mock.ledger()):
        assert time.monotonic() < end, "the upstream is still being asked"
        time.sleep(0.05)
    return mock.ledger()


def events_since(started_at) -> list:
    from tenants.context import tenant
    from usage.models import UsageEvent

    with tenant(SLUG):
        return list(UsageEvent.objects.filter(created_at__gte=started_at, model=MODEL))


def open_holds() -> int:
    from tenants.context import tenant
    from usage.models import Hold

    with tenant(SLUG):
        return Hold.objects.count()


def test_hanging_up_closes_the_upstream_and_bills_what_was_used(house, django_db_blocker):
    from django.utils import timezone

    house.mock.reset()
    started_at = timezone.now()
    asyncio.run(hang_up_often(house))
    ledger = wait_until_closed(house.mock)
    sent_upstream = len(ledger)  # one or two may have left before their call was sent: those cost nothing
    assert CUTS * 0.8 <= sent_upstream <= CUTS
    with django_db_blocker.unblock():
        end = time.monotonic() + SETTLED_S
        while (len(events_since(started_at)) < sent_upstream or open_holds()) and time.monotonic() < end:
            time.sleep(0.1)
        events = events_since(started_at)
        assert len(events) == sent_upstream and open_holds() == 0, "one bill for each call, and nothing held"
    assert len({event.request_id for event in events}) == sent_upstream
    sent, billed = sum(entry["tokens_sent"] for entry in ledger), sum(event.output_tokens for event in events if event.estimated)
    cancelled = [event for event in events if event.status == "cancelled"]
    assert len(cancelled) > CUTS // 2 and all(isinstance(event.request_id, UUID) for event in cancelled)
    assert 0 < billed <= sent, "what was relayed is billed, never more than the upstream sent"


DEAF = "import contextlib, gateway.api as api; api._cancelled_when_gone = lambda receive, after_s: contextlib.nullcontext()"


def test_planted_bug_a_gateway_that_does_not_notice_is_found_out(house, django_db_blocker):
    with house_with_bug(house, DEAF) as deaf, pytest.raises(AssertionError, match="still being asked"):
        test_hanging_up_closes_the_upstream_and_bills_what_was_used(deaf, django_db_blocker)
