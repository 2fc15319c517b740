"""A web process that is told to end lets streams under way end, for so long; what it then cuts is billed."""

import signal

import httpx
import pytest

from tenants.context import tenant
from tests.live import TENANTS, House, house_with_bug
from usage.models import Hold, UsageEvent

pytestmark = [pytest.mark.scope(None), pytest.mark.timeout(120)]
SLUG = TENANTS[0]
PATIENCE_S = 60


def read_through_the_end(house: House, model: str) -> tuple[bytes, bool]:
    """What came of a stream whose server is told to end after its first piece; whether it broke."""
    headers = {"Authorization": f"Bearer {house.keys[SLUG]}"}
    body = {"model": model, "stream": True, "messages": [{"role": "user", "content": "hi"}]}
    address, got = f"{house.base_url}/chat/completions", b""
    with httpx.stream("POST", address, json=body, headers=headers, timeout=PATIENCE_S) as answer:
        assert answer.status_code == 200
        try:
            for part in answer.iter_raw():
                if not got:
                    house.web.send_signal(signal.SIGTERM)
                got += part
        except httpx.HTTPError:
            return got, True
    return got, False


def test_a_stream_under_way_goes_on_to_its_end(house):
    with house_with_bug(house, "") as ending:
        got, is_broken = read_through_the_end(ending, "mock-tokens-100-20")
        assert not is_broken and got.endswith(b"data: [DONE]\n\n")
        ending.web.wait(PATIENCE_S)


def test_a_stream_that_takes_longer_is_cut_and_billed(house, django_db_blocker):
    with house_with_bug(house, "", ATRIUM_DRAIN_S="1") as ending:
        got, is_broken = read_through_the_end(ending, "mock-tokens-300-20")
        assert is_broken and b"[DONE]" not in got
        ending.web.wait(PATIENCE_S)
    with django_db_blocker.unblock(), tenant(SLUG):
        event = UsageEvent.objects.filter(model="mock-tokens-300-20").latest("created_at")
        assert event.status == "cancelled" and 0 < event.output_tokens < 300
        assert not Hold.objects.filter(pk=event.request_id).exists()
