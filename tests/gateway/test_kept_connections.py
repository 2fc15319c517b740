"""Connections that were kept open and close as the next request goes out; answers that break off."""

import asyncio
import contextlib
import json
from decimal import Decimal

import pytest

from foundation.egress import PRIVATE, data_plane
from foundation.egress.data_plane import open_session
from foundation.errors import AtriumError
from gateway import pipeline
from gateway.calls import Call
from tests.gateway.asking import FINE, WHOLE, ask, serving
from tests.gateway.bills import DEAR, Bills
from tests.gateway.calling import call_of, collaborators, make_endpoint, make_route

pytestmark = pytest.mark.usefixtures("short_pauses")
CUT = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n" + b'{"choices": ' * 8
)


def answer(content: bytes, kind: str) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b" % (
        kind.encode(),
        len(content),
        content,
    )


GOOD = {
    True: answer(FINE[1], "text/event-stream"),
    False: answer(json.dumps(WHOLE[1]).encode(), "application/json"),
}


@contextlib.asynccontextmanager
async def saying(*answers: bytes):
    """A server that keeps connections open and gives its answers in turn, the last one for ever; after one
    that is no whole answer it closes. Yields its address and how often it was asked on each connection.
    """
    asked: list[int] = []
    given = iter(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(0)
        place = len(asked) - 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                size = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
                await reader.readexactly(size)
                asked[place] += 1
                said = next(given, answers[-1])
                writer.write(said)
                if said not in GOOD.values():
                    break
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", asked


async def ask_in_turn(url: str, stream: bool, times: int) -> list[tuple[Call, Bills]]:
    """Calls with one session, so that each may get the connection of the one before."""
    done = []
    async with open_session(PRIVATE) as client:
        for _number in range(times):
            call, ledger = call_of(make_route([make_endpoint(url)], price=DEAR), stream=stream), Bills()
            call.held = Decimal(1)
            host = collaborators(client, ledger=ledger)
            with contextlib.suppress(AtriumError):
                if stream:
                    assert [part async for part in pipeline.stream(call, host)]
                else:
                    await pipeline.complete(call, host)
            done.append((call, ledger))
    return done


@pytest.mark.parametrize("stream", [True, False])
def test_a_kept_connection_that_closes_as_the_request_goes_out_costs_nothing(stream):
    """RFC 9112, 9.3.1: the server had closed it, and has taken nothing."""

    async def run() -> None:
        async with saying(GOOD[stream], b"", GOOD[stream]) as (url, asked):
            _first, (call, ledger) = await ask_in_turn(url, stream, 2)
            assert asked == [2, 1] and call.status == "ok"
            assert call.attempts == [] and ledger.bills[0].attempts == () and ledger.followed == []

    asyncio.run(run())


@pytest.mark.parametrize(
    ("answers", "times"),
    [
        ((b"", True), 1),
        ((True, b"HTTP/1.1 100 Continue\r\n\r\n", True), 2),
        ((True, b"", b"", True), 2),
    ],
    ids=["a new connection", "it was being worked on", "the second one too"],
)
@pytest.mark.parametrize("stream", [True, False])
def test_any_other_lost_connection_may_have_cost_the_prompt(answers, times, stream):
    async def run() -> None:
        told = [GOOD[stream] if one is True else one for one in answers]
        async with saying(*told) as (url, _asked):
            call, ledger = (await ask_in_turn(url, stream, times))[-1]
            (lost,) = ledger.bills[0].attempts
            assert call.status == "ok" and lost.cost > 0

    asyncio.run(run())


MANY = b"".join(b"X-Header-%d: 1\r\n" % number for number in range(300))
AGAINST_HTTP = {
    "a byte came": b"HTTP/1.1 200",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "300 headers": b"HTTP/1.1 200 OK\r\n%bContent-Length: 2\r\n\r\n{}" % MANY,
}


@pytest.mark.parametrize("head", AGAINST_HTTP.values(), ids=AGAINST_HTTP)
@pytest.mark.parametrize("is_kept", [True, False])
@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_that_cannot_be_read_is_bought_once(head, is_kept, stream):
    async def run() -> None:
        told = [GOOD[stream], head, GOOD[stream]] if is_kept else [head, GOOD[stream]]
        async with saying(*told) as (url, asked):
            call, ledger = (await ask_in_turn(url, stream, len(told) - 1))[-1]
            assert sum(asked) == len(told) - 1 and call.error_code == "upstream_disconnected"
            assert not call.attempts and ledger.bills[0].cost > 0

    asyncio.run(run())


def test_another_server_is_asked_for_an_answer_that_cannot_be_read():
    async def run() -> None:
        async with saying(AGAINST_HTTP["two lengths"]) as (url, asked), serving(FINE) as second:
            call = call_of(make_route([make_endpoint(url), make_endpoint(second.url)]))
            assert b"Hello" in await ask(call) and asked == [1] and len(call.attempts) == 1

    asyncio.run(run())


def test_a_server_that_had_time_to_work_may_have_read_the_prompt(monkeypatch):
    monkeypatch.setattr(data_plane, "STALE_S", -1.0)

    async def run() -> None:
        async with saying(GOOD[False], b"", GOOD[False]) as (url, _asked):
            _first, (_call, ledger) = await ask_in_turn(url, False, 2)
            (lost,) = ledger.bills[0].attempts
            assert lost.cost > 0

    asyncio.run(run())


# -- answers that break off ----------------------------------------------------------------------------------


def test_an_answer_that_broke_off_is_not_bought_again_from_the_same_server():
    async def run() -> None:
        async with saying(CUT, GOOD[False]) as (url, asked):
            ((call, ledger),) = await ask_in_turn(url, False, 1)
            assert sum(asked) == 1 and call.error_code == "upstream_disconnected"
            assert ledger.bills[0].attempts == () and ledger.bills[0].cost > 0

    asyncio.run(run())


def test_a_stream_that_broke_off_behind_its_first_event_is_not_bought_again():
    begun = (
        CUT.partition(b"\r\n\r\n")[0] + b'\r\n\r\ndata: {"choices": [{"delta": {"role": "assistant"}}]}\n\n'
    )

    async def run() -> None:
        async with saying(begun, GOOD[True]) as (url, asked):
            ((call, _ledger),) = await ask_in_turn(url, True, 1)
            assert sum(asked) == 1 and call.error_code == "upstream_disconnected"

    asyncio.run(run())


def test_a_stand_in_is_asked_after_it():
    async def run() -> None:
        async with saying(CUT) as (url, asked), serving(WHOLE) as other:
            call = call_of(make_route([make_endpoint(url), make_endpoint(other.url)]), stream=False)
            assert b"Hello" in await ask(call)
            assert sum(asked) == 1 and len(call.attempts) == 1

    asyncio.run(run())


def test_an_error_in_an_answer_was_refused_and_is_asked_again():
    async def run() -> None:
        async with serving((200, {"error": {"message": "boom", "code": 500}}), WHOLE) as server:
            call = call_of(make_route([make_endpoint(server.url)]), stream=False)
            assert b"Hello" in await ask(call) and len(server.seen) == 2

    asyncio.run(run())
