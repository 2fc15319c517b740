"""S29: a client that hangs up at a random byte: the upstream is closed within two seconds, and what was used
is settled.

Each stream is measured for itself, by the tokens that its upstream sent beyond those that its client
got: at a token every 20 ms, two seconds are a hundred. It is one or two, unless something is wrong.
"""

import asyncio
import random
import sys
import time
from uuid import UUID

import pytest

from tests.live import TENANTS, house_with_bug

CUTS = 100
AT_ONCE = 10
TOKENS = 200
MODEL = f"mock-tokens-{TOKENS}-20"  # four seconds: nothing ends by itself within two
TOKENS_FOR_NOBODY = 100  # two seconds' worth
SETTLED_S, OVER_S = 30, 30
pytestmark = [pytest.mark.scope(None), pytest.mark.timeout(300)]
SLUG = TENANTS[1]


async def hang_up_after(house, number: int, bytes_wanted: int, is_streamed: bool) -> int:
    """Send a request, read so many bytes of the answer, close the socket; how many events were read."""
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    body = b'{"model": "%s", "stream": %s, "messages": [{"role": "user", "content": "%d"}]}' % (
        MODEL.encode(),
        b"true" if is_streamed else b"false",
        number,
    )
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "
        f"{house.keys[SLUG]}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    await writer.drain()
    got = b""
    if is_streamed:
        while len(got) < bytes_wanted and (part := await reader.read(min(4096, bytes_wanted - len(got)))):
            got += part
    else:
        await asyncio.sleep(0.5)
    writer.transport.abort()
    return got.count(b"data: ")


async def hang_up_often(house) -> list[int]:
    """How many events each client got, in the order of their numbers."""
    dice, gate = random.Random(29), asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> int:
        async with gate:
            return await hang_up_after(house, number, dice.randrange(1, 12_000), is_streamed=number % 5 != 0)

    return await asyncio.gather(*[one(number) for number in range(CUTS)])


def wait_until_over(mock) -> list[dict]:
    """The upstream's books once every answer has ended, one way or the other."""
    return mock.wait_for(lambda ledger: all(entry["outcome"] != "open" for entry in ledger), timeout_s=OVER_S)


def is_streamed(entry: dict) -> bool:
    return bool(entry["body"].get("stream"))


def tokens_for_nobody(ledger: list[dict], got: list[int]) -> list[int]:
    """How many tokens of each stream came from upstream after its client had gone. AssertionError for one
    that went on to its end.
    """
    streams = [entry for entry in ledger if is_streamed(entry)]
    ended = [entry["outcome"] for entry in streams if entry["outcome"] != "client_closed"]
    assert not ended, f"the upstream was asked on: {len(ended)} answers were made for nobody"
    return [entry["tokens_sent"] - got[int(entry["body"]["messages"][-1]["content"])] for entry in streams]


def events_since(started_at) -> list:
    from tenants.context import tenant
    from usage.models import UsageEvent

    with tenant(SLUG):
        return list(UsageEvent.objects.filter(created_at__gte=started_at, model=MODEL))


def open_holds(since) -> int:
    """Those of processes that other proofs have killed are the sweeper's."""
    from tenants.context import tenant
    from usage.models import Hold

    with tenant(SLUG):
        return Hold.objects.filter(created_at__gte=since).count()


def test_hanging_up_closes_the_upstream_and_bills_what_was_used(house, django_db_blocker):
    from django.utils import timezone

    house.mock.reset()
    started_at = timezone.now()
    got = asyncio.run(hang_up_often(house))
    ledger = wait_until_over(house.mock)
    most = max(tokens_for_nobody(ledger, got))
    assert most <= TOKENS_FOR_NOBODY, f"an upstream was closed {most} tokens later"
    sent_upstream = len(ledger)  # one or two may have left before their call was sent: those cost nothing
    assert CUTS * 0.8 <= sent_upstream <= CUTS
    with django_db_blocker.unblock():
        end = time.monotonic() + SETTLED_S
        while len(events_since(started_at)) < sent_upstream or open_holds(started_at):
            assert time.monotonic() < end, "one bill for each call, and nothing held"
            time.sleep(0.1)
        events = events_since(started_at)
        assert len(events) == sent_upstream
    assert len({event.request_id for event in events}) == sent_upstream
    sent = sum(entry["tokens_sent"] for entry in ledger if is_streamed(entry))
    billed = sum(event.output_tokens for event in events if event.estimated)
    whole = [event.output_tokens for event in events if not event.estimated]
    assert whole == [TOKENS] * sum(not is_streamed(entry) for entry in ledger), (
        "an answer in one piece is read to its end and billed exactly"
    )
    cancelled = [event for event in events if event.status == "cancelled"]
    assert len(cancelled) > CUTS // 2 and all(isinstance(event.request_id, UUID) for event in cancelled)
    assert 0 < billed <= sent, "what was relayed is billed, never more than the upstream sent"


DEAF = (
    "import contextlib, unittest.mock, gateway.request as api; api._cancelled_when_gone = lambda *_: "
    "contextlib.nullcontext(unittest.mock.Mock())"
)


@pytest.fixture
def few_cuts(monkeypatch):
    """As many as a planted bug needs to be found."""
    monkeypatch.setattr(sys.modules[__name__], "CUTS", 30)


def test_planted_bug_a_gateway_that_does_not_notice_is_found_out(house, few_cuts, django_db_blocker):
    with house_with_bug(house, DEAF) as deaf, pytest.raises(AssertionError, match="asked on"):
        test_hanging_up_closes_the_upstream_and_bills_what_was_used(deaf, django_db_blocker)


LATE = """
from gateway.request import _ClientWatch
start = _ClientWatch.start
_ClientWatch.start = lambda watch: watch.loop.call_later(3, start, watch)
"""


def test_planted_bug_a_gateway_that_notices_too_late_is_found_out(house, few_cuts, django_db_blocker):
    with (
        house_with_bug(house, LATE) as late,
        pytest.raises(AssertionError, match=r"an upstream was closed .* later"),
    ):
        test_hanging_up_closes_the_upstream_and_bills_what_was_used(late, django_db_blocker)
