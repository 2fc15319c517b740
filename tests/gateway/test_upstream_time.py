"""How long an upstream may be silent: before its first byte, and within an answer."""

import asyncio

import pytest

from gateway.answers.billed import billed_usage
from gateway.answers.idle import IdleWatch
from gateway.errors import UpstreamTimeout
from tests.gateway.calling import make_call
from tests.gateway.sending import Chunks, events_of, send


@pytest.mark.parametrize("stream", [True, False])
def test_the_first_byte_may_take_longer_than_a_pause(mock, stream):
    call = make_call(
        mock.base_url, "mock-slow-600", stream=stream, first_byte_timeout_s=20, idle_timeout_s=0.2
    )
    assert b"w0" in send(call)


@pytest.mark.parametrize("where", ["before", "after"])
def test_no_first_byte_in_time(mock, where):
    call = make_call(mock.base_url, f"fault-hang-{where}-header", first_byte_timeout_s=0.3)
    with pytest.raises(UpstreamTimeout) as caught:
        send(call)
    assert caught.value.http_status == 504 and billed_usage(call)[1], (
        "it may have begun to work: billed by estimate"
    )


@pytest.mark.parametrize("stream", [True, False])
def test_silence_in_mid_answer_ends_it(mock, stream):
    call = make_call(mock.base_url, "fault-hang-mid-stream", stream=stream, idle_timeout_s=0.3)
    with pytest.raises(UpstreamTimeout) as caught:
        send(call)
    assert (
        caught.value.http_status == 504
        and call.pieces_seen == (3 if stream else 0)
        and call.output_tokens_seen > 0
    )


def test_a_client_that_reads_slowly_is_not_the_upstreams_fault(mock):
    call = make_call(mock.base_url, "mock-tokens-4-400", idle_timeout_s=0.6)
    assert len(events_of(send(call, pause_s=0.7))) >= 4


def test_the_watch_is_stopped():
    async def run() -> tuple[bool, bool]:
        with IdleWatch(Chunks(b"x"), 60, 60, 600) as watch:
            await watch.read()
            was_stopped = watch._timer.cancelled()
        return was_stopped, watch._timer.cancelled()

    assert asyncio.run(run()) == (False, True)
