"""What ends a call that would not end by itself, and who is sent away before work starts.

Covers: clients that send or take nothing, streams without end, upstreams that fail again and again. Too many
calls at once: test_in_flight.py. Connections without a request: tests/foundation/test_http_server.py.
"""

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from uuid import uuid4

import pytest

from foundation.egress import PRIVATE
from foundation.egress.data_plane import open_session
from foundation.errors import AtriumError, BodyTimeout, UpstreamError
from gateway import http, pipeline
from gateway import request as request_module
from gateway.answers.frames import Frames
from gateway.errors import UpstreamTimeout, error_headers
from gateway.http import ClientGone, read_body
from gateway.state.breaker import FAILURES, PAUSE_S, WITHIN_S, Breaker
from gateway.state.in_flight import InFlight
from gateway.steps import attempts
from gateway.steps.attempts import choose_first
from tests.gateway.calling import collaborators, make_call
from tests.gateway.sending import send

PATIENCE_S = 30  # for what happens at once where nothing else runs


def a_call(tenant: str = "acme", key: str = "aaaaaaaa"):
    call = make_call("http://nowhere/v1", "any")
    call.principal = replace(call.principal, tenant=tenant, key_name=key)
    return call


async def never() -> None:
    await asyncio.sleep(3600)


# -- clients -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "first", [[], [{"type": "http.request", "body": b"{", "more_body": True}]], ids=["nothing", "a piece"]
)
def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch, first):
    monkeypatch.setattr(http, "BODY_PAUSE_S", 0.05)

    async def receive():
        return first.pop() if first else await never()

    with pytest.raises(BodyTimeout) as caught:
        asyncio.run(read_body(receive))
    assert caught.value.http_status == 408 and (b"connection", b"close") in error_headers(caught.value)


def test_a_client_that_takes_nothing_ends_its_stream(monkeypatch):
    """The upstream is left, so that the bill ends here."""
    monkeypatch.setattr(request_module, "SEND_TIMEOUT_S", 0.1)
    ended, sent = [], []

    async def frames():
        try:
            while True:
                yield b"data: {}\n\n"
        finally:
            ended.append(True)

    async def take_little(message):
        sent.append(message)
        if len(sent) > 5:
            await never()

    request = SimpleNamespace(scope={}, send=take_little, receive=never, visit=SimpleNamespace(headers=list))
    with pytest.raises(ClientGone):
        asyncio.run(request_module.send_stream(request, frames(), a_call()))
    assert ended and len(sent) == 6


def test_a_client_that_takes_slowly_gets_all(monkeypatch):
    monkeypatch.setattr(request_module, "SEND_TIMEOUT_S", 0.2)
    sent = []

    async def frames():
        for _number in range(8):
            yield b"data: {}\n\n"

    async def take(message):
        await asyncio.sleep(0.05)
        sent.append(message)

    request = SimpleNamespace(scope={}, send=take, receive=never, visit=SimpleNamespace(headers=list))
    asyncio.run(request_module.send_stream(request, frames(), a_call()))
    assert len(sent) == 10, "the head, eight frames, the end"


# -- upstreams -----------------------------------------------------------------------------------------------


def test_a_stream_that_goes_on_beyond_its_limit_is_left(mock):
    call = make_call(mock.base_url, "fault-endless-0")
    call.max_output_tokens = 5
    with pytest.raises(UpstreamError) as caught:
        send(call)
    assert caught.value.code == "upstream_endless" and 4 * 5 < call.output_tokens_seen < 1_000


@pytest.mark.parametrize("stream", [True, False])
def test_signs_of_life_are_no_answer(mock, stream):
    call = make_call(
        mock.base_url,
        "fault-endless-50",
        stream=stream,
        first_byte_timeout_s=0.2,
        idle_timeout_s=0.2,
        total_timeout_s=0.5,
    )
    with pytest.raises(UpstreamTimeout):
        send(call)


# -- circuits ------------------------------------------------------------------------------------------------


@pytest.fixture
def circuit():
    now = SimpleNamespace(s=1_000.0)
    breaker = Breaker(clock=lambda: now.s)
    template = a_call()

    def call_of_tenant(tenant: str):
        call = replace(template, principal=replace(template.principal, tenant=tenant))
        call.candidates = template.candidates
        return call

    def ended(error_code: str = "", tenant: str = "acme") -> None:
        breaker.note(call_of_tenant(tenant), error_code)

    def is_open(tenant: str = "acme") -> bool:
        call = call_of_tenant(tenant)
        try:
            choose_first(call, breaker)
        except UpstreamError as exc:
            assert exc.code == "upstream_unavailable" and 1 <= exc.retry_after_s <= PAUSE_S + 1
            return True
        breaker.begin(call)
        return False

    return SimpleNamespace(now=now, ended=ended, is_open=is_open)


def test_an_upstream_that_fails_again_and_again_is_left_alone_and_then_tried_by_one(circuit):
    for _number in range(FAILURES):
        assert not circuit.is_open()
        circuit.ended("upstream_timeout")
    assert circuit.is_open() and not circuit.is_open("globex"), "only for the tenant whose calls failed"
    circuit.now.s += PAUSE_S
    assert not circuit.is_open() and circuit.is_open(), "one may try, the next one waits for it"
    circuit.ended("upstream_timeout")
    circuit.now.s += PAUSE_S / 2
    assert circuit.is_open(), "it failed again"
    circuit.now.s += PAUSE_S
    assert not circuit.is_open()
    circuit.ended()
    assert not circuit.is_open() and not circuit.is_open()


def test_rare_failures_and_refusals_open_nothing(circuit):
    for _number in range(3 * FAILURES):
        circuit.ended("upstream_timeout")
        circuit.now.s += WITHIN_S / (FAILURES - 2)
        assert not circuit.is_open()
    for code in ("context_length_exceeded", "upstream_rate_limited", ""):
        for _number in range(2 * FAILURES):
            circuit.ended(code)
        assert not circuit.is_open(), code
    for _number in range(3 * FAILURES):
        circuit.ended("upstream_timeout")
        circuit.ended()
    assert not circuit.is_open(), "a success in between"


async def one_call(host, call, end: str) -> str:
    """A whole call's way; its error's code."""
    snapshot = SimpleNamespace(
        bounds_of=lambda *_call: (),
        grants={},
        routes={"ours": call.route},
        policy_of=lambda _principal: "",
        candidates={},
    )
    try:
        await pipeline.prepare(call, snapshot, host)
        if end == "whole":
            await pipeline.complete(call, host)
        else:
            frames = pipeline.stream(call, host)
            await anext(frames)
            await frames.aclose()
    except AtriumError as exc:
        return exc.code
    return ""


@pytest.mark.parametrize(
    ("model", "end"),
    [("mock", "whole"), ("mock-slow-50", "left"), ("fault-400", "whole"), ("fault-500-mid-stream", "left")],
)
def test_a_call_leaves_its_place_however_it_ends(mock, model, end):
    async def run() -> None:
        async with open_session(PRIVATE) as client:
            host = collaborators(client, in_flight=InFlight())
            await one_call(host, make_call(mock.base_url, model, stream=end == "left"), end)
            unknown = make_call(mock.base_url, model)
            unknown.body["model"] = "unknown"
            assert await one_call(host, unknown, end) == "model_not_found"
            assert (host.in_flight._all, host.in_flight._by_name) == (0, {}) and (
                len(host.ledger.holds),
                len(host.ledger.bills),
            ) == (1, 1)

    asyncio.run(run())


@pytest.mark.parametrize("stream", [True, False])
def test_calls_to_an_upstream_that_is_left_alone_hold_and_send_nothing(mock, monkeypatch, stream):
    monkeypatch.setattr(attempts, "MAX_OF_ONE", 1)

    async def run() -> None:
        async with open_session(PRIVATE) as client:
            host = collaborators(client, in_flight=InFlight())
            first = make_call(mock.base_url, "fault-500", stream=stream)
            for _number in range(FAILURES + 3):
                call = replace(first, request_id=uuid4())
                codes.append(await one_call(host, call, "left" if stream else "whole"))
            assert (len(host.ledger.holds), len(host.ledger.bills)) == (FAILURES, FAILURES)

    codes: list[str] = []
    asyncio.run(run())
    assert codes == ["upstream_error"] * FAILURES + ["upstream_unavailable"] * 3


# -- signs of life -------------------------------------------------------------------------------------------


def heard(frames, monkeypatch, beat_s: float = 0.05) -> list[dict]:
    """What a client of a stream of these frames was sent."""
    monkeypatch.setattr(request_module, "HEARTBEAT_S", beat_s)
    sent: list[dict] = []

    async def take(message):
        sent.append(message)

    request = SimpleNamespace(scope={}, send=take, receive=never, visit=SimpleNamespace(headers=list))
    asyncio.run(request_module.send_stream(request, frames, a_call()))
    return sent


def test_a_stream_that_waits_says_that_it_lives(monkeypatch):
    async def frames():
        await asyncio.sleep(0.3)
        yield b"data: {}\n\n"
        await asyncio.sleep(0.3)
        yield b"data: [DONE]\n\n"

    head, *parts = heard(frames(), monkeypatch)
    bodies = [part["body"] for part in parts]
    assert head["status"] == 200 and bodies.count(Frames.heartbeat) >= 4
    assert [body for body in bodies if body.startswith(b"data")] == [b"data: {}\n\n", b"data: [DONE]\n\n"]
    assert bodies[0] == Frames.heartbeat and not parts[-1].get("more_body")


def test_a_refusal_after_a_sign_of_life_is_an_event(monkeypatch):
    async def frames():
        await asyncio.sleep(0.2)
        raise UpstreamError("no", code="upstream_error")
        yield b""

    head, *parts = heard(frames(), monkeypatch)
    assert head["status"] == 200
    *_beats, error, end = [part["body"] for part in parts]
    assert b"upstream_error" in error and error.endswith(b"data: [DONE]\n\n") and end == b""


def test_a_refusal_before_it_keeps_its_status(monkeypatch):
    async def frames():
        raise UpstreamError("no", code="upstream_error")
        yield b""

    with pytest.raises(UpstreamError):
        heard(frames(), monkeypatch, beat_s=30)


def test_the_head_says_who_answered(monkeypatch):
    async def frames():
        yield b"data: [DONE]\n\n"

    head, *_parts = heard(frames(), monkeypatch, beat_s=30)
    headers = dict(head["headers"])
    assert (headers[b"x-atrium-model"], headers[b"x-atrium-attempts"]) == (b"ours", b"1")


def test_the_head_asks_proxies_to_hold_nothing_back(monkeypatch):
    """nginx collects an answer before it passes it on, unless this is said or its own settings say so."""

    async def frames():
        yield b"data: [DONE]\n\n"

    head, *_parts = heard(frames(), monkeypatch, beat_s=30)
    assert dict(head["headers"])[b"x-accel-buffering"] == b"no"
