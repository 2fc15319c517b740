"""Servers that say that their answer is over and keep the connection open: it ends as a success."""

import asyncio
import contextlib

import pytest

from foundation.egress import PRIVATE
from foundation.egress.data_plane import open_session
from gateway import pipeline
from gateway.answers import stream
from gateway.answers.billed import billed_usage
from gateway.deltas import Finish
from tests.gateway.calling import call_of, collaborators, make_endpoint, make_route
from tests.gateway.hearing import PING, ROLE, choice, hear
from tests.gateway.streaming import DONE, END, event, server, usage_event

HELLO = event({"content": "Hello"})
LIMITS = {"then_wait": True, "idle_timeout_s": 5, "total_timeout_s": 10}


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    monkeypatch.setattr(stream, "AFTER_FINISH_S", 0.2)
    monkeypatch.setattr(stream, "AFTER_USAGE_S", 0.1)


@pytest.mark.parametrize("rest", [[], [usage_event(5)], [b": ping\n\n"], [b'data: {"choi']])
def test_a_connection_that_stays_open_after_the_end_is_a_success(rest):
    heard = hear([HELLO, END, *rest], **LIMITS)
    assert heard.text() == heard.inner_text == "Hello" and heard.error is None
    assert heard.call.status == heard.inside.status == "ok"
    assert billed_usage(heard.call)[0].output_tokens == (5 if rest == [usage_event(5)] else 1)


def test_a_limit_that_comes_sooner_is_no_error_then(monkeypatch):
    monkeypatch.setattr(stream, "AFTER_FINISH_S", 60)
    heard = hear([HELLO, END], then_wait=True, idle_timeout_s=0.2)
    assert heard.error is None and heard.call.status == "ok"


@pytest.mark.parametrize("ping", [b": ping\n\n", PING, event({})])
def test_signs_of_life_lengthen_no_answer(ping):
    async def live(reader, writer) -> None:
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
            writer.write(HELLO + END)
            while not writer.is_closing():
                writer.write(ping)
                await writer.drain()
                await asyncio.sleep(0.01)
        writer.transport.abort()

    async def run() -> None:
        listening = await asyncio.start_server(live, "127.0.0.1", 0)
        async with listening, open_session(PRIVATE) as client:
            url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
            call = call_of(make_route([make_endpoint(url, total_timeout_s=5)]))
            frames = b"".join([part async for part in pipeline.stream(call, collaborators(client))])
            assert b"Hello" in frames and b"error" not in frames and call.status == "ok"

    asyncio.run(run())


def test_the_report_is_waited_for_and_text_behind_the_end_is_kept(monkeypatch):
    monkeypatch.setattr(stream, "AFTER_FINISH_S", 60)
    heard = hear([HELLO, END, event({"content": " you"}), END, usage_event(5)], **LIMITS)
    assert heard.text() == heard.inner_text == "Hello you" and heard.usage == (7, 0, 5, 0)


def test_a_client_that_reads_slowly_gets_what_had_come(monkeypatch):
    async def run() -> None:
        async with (
            server([HELLO, END, usage_event(5)], then_wait=True) as port,
            open_session(PRIVATE) as client,
        ):
            call = call_of(make_route([make_endpoint(f"http://127.0.0.1:{port}")]))
            async for _part in pipeline.stream(call, collaborators(client)):
                await asyncio.sleep(0.5)
            usage, is_estimated = billed_usage(call)
            assert usage.output_tokens == 5 and not is_estimated and call.status == "ok"

    asyncio.run(run())


def test_the_first_of_several_choices_ends_none_of_the_others():
    async def run() -> None:
        async with server([HELLO, END], then_wait=True) as port, open_session(PRIVATE) as client:
            endpoint = make_endpoint(f"http://127.0.0.1:{port}", idle_timeout_s=1.0)
            call = call_of(make_route([endpoint]), n=2)
            frames = b"".join([part async for part in pipeline.stream(call, collaborators(client))])
            assert b"upstream_idle" in frames and call.error_code == "upstream_idle"

    asyncio.run(run())


# -- reasons with each piece ---------------------------------------------------------------------------------

PIECES = [choice(delta={"content": text}, finish_reason="stop") for text in ("Hel", "lo ", "you")]
EMPTY = [choice(delta={"content": text}, finish_reason="") for text in ("Hel", "lo ", "you")]
ROLE_WITH_REASON = choice(delta={"role": "assistant", "content": ""}, finish_reason="stop")
ALL_IN_ONE = choice(delta={"role": "assistant", "content": "Hello you"}, finish_reason="stop")
HABITS = {
    "each piece": PIECES,
    "each piece, with who speaks": [ROLE_WITH_REASON, *PIECES],
    "each piece but who speaks": [ROLE, *PIECES],
    "who speaks alone": [ROLE_WITH_REASON, *EMPTY, END],
    "each, and an empty one": [*PIECES, END],
    "empty ones": [*EMPTY, END],
}


def finish_reasons(heard) -> list[str]:
    told = (one["finish_reason"] for chunk in heard.chunks for one in chunk["choices"])
    return [reason for reason in told if reason is not None]


@pytest.mark.parametrize("rest", [[DONE], [], [usage_event(5), DONE]], ids=["done", "nothing", "usage"])
@pytest.mark.parametrize("parts", HABITS.values(), ids=HABITS)
def test_a_reason_with_each_piece_is_no_end_and_told_once(parts, rest, monkeypatch):
    monkeypatch.setattr(stream, "AFTER_FINISH_S", 0)  # what comes later than at once is not waited for
    monkeypatch.setattr(stream, "AFTER_USAGE_S", 60)
    heard = hear([*parts, *rest])
    assert heard.text() == heard.inner_text == "Hello you" and heard.error is None
    assert finish_reasons(heard) == ["stop"] and heard.deltas[-1] == Finish("stop")
    assert heard.deltas.count(Finish("stop")) == 1 and heard.call.finish_reason == "stop"


def test_the_reason_of_an_answer_that_goes_on_says_nothing_of_its_end():
    heard = hear(PIECES, then_wait=True, idle_timeout_s=0.3)
    assert heard.text() == heard.inner_text == "Hello you", "what came is kept"
    assert heard.call.error_code == heard.inside.error_code == "upstream_idle"


def test_an_answer_in_one_event_has_ended_when_nothing_more_comes():
    heard = hear([ALL_IN_ONE], then_wait=True, idle_timeout_s=0.3)
    assert heard.text() == heard.inner_text == "Hello you" and heard.error is None
    assert finish_reasons(heard) == ["stop"] and heard.call.status == "ok"


CALL = {"index": 0, "id": "c", "type": "function", "function": {"name": "now", "arguments": "{}"}}
CALL_IN_ONE = choice(delta={"role": "assistant", "tool_calls": [CALL]}, finish_reason="tool_calls")
ENDED = {
    "a reason of its own": [*PIECES, END],
    "a report": [*PIECES, usage_event(5)],
    "all in one event, and a report": [ALL_IN_ONE, usage_event(5)],
    "a call in one event, and a report": [CALL_IN_ONE, usage_event(5)],
}


@pytest.mark.parametrize("parts", ENDED.values(), ids=ENDED)
def test_an_event_behind_the_reason_ends_these_too(parts):
    heard = hear(parts, then_wait=True, idle_timeout_s=60, total_timeout_s=120)
    assert heard.error is None and heard.call.status == heard.inside.status == "ok"
    called = parts[0] == CALL_IN_ONE
    assert heard.text() == ("" if called else "Hello you")
    assert finish_reasons(heard) == ["tool_calls" if called else "stop"]


def test_a_report_behind_each_piece_is_no_end(monkeypatch):
    monkeypatch.setattr(stream, "AFTER_USAGE_S", 0)  # what comes later than at once is not waited for
    begin = PIECES[0] + usage_event(1) + PIECES[1] + usage_event(2)
    heard = hear([begin, PIECES[2] + usage_event(3), DONE])
    assert heard.text() == heard.inner_text == "Hello you" and heard.error is None


def test_who_speaks_and_stops_and_says_nothing_more_has_said_nothing():
    heard = hear([ROLE_WITH_REASON, DONE])
    assert finish_reasons(heard) == ["stop"] and heard.text() == "" and heard.error is None
