"""Asking the same server once more after a failure before the first byte, when it says and not for ever."""

import asyncio
from types import SimpleNamespace

import pytest

from gateway.steps import attempts
from tests.gateway.asking import BUSY, DEAD, FINE, ILL, WHOLE, ask, serving
from tests.gateway.calling import call_of, make_call, make_endpoint, make_route

pytestmark = pytest.mark.usefixtures("short_pauses")


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("failure", [ILL, DEAD, BUSY, (503, b"<html>")])
def test_the_same_server_is_asked_three_times(stream, failure):
    async def run() -> None:
        fine = FINE if stream else WHOLE
        async with serving(failure, failure, fine) as server:
            call = make_call(server.url, stream=stream)
            assert b"Hello" in await ask(call)
            assert len(server.seen) == 3 and len(call.attempts) == 2 and call.status == "ok"
        async with serving(failure) as server:
            call = make_call(server.url, stream=stream)
            assert (await ask(call)).startswith(b"upstream_")
            assert len(server.seen) == 3 and call.status == "error"

    asyncio.run(run())


@pytest.mark.parametrize(
    "failure",
    [
        (400, {"error": {"message": "bad"}}),
        (401, {}),
        (404, {}),
        (
            429,
            {"error": {"message": "Request too large for m on tokens per min (TPM): Limit 1, Requested 2."}},
        ),
    ],
)
def test_what_will_not_be_better_in_a_moment_is_not_asked_again(failure):
    async def run() -> None:
        async with serving(failure) as server:
            await ask(make_call(server.url))
            assert len(server.seen) == 1

    asyncio.run(run())


@pytest.mark.parametrize(
    ("headers", "asked", "waited"),
    [
        ({"Retry-After": "1"}, 2, [1.0]),
        ({"Retry-After": "30"}, 1, []),
        ({"Retry-After": "Wed, 21 Oct 2099 07:28:00 GMT"}, 1, []),
        ({"Retry-After-Ms": "300"}, 2, [0.3]),  # it may be less than a second
    ],
)
def test_a_server_says_when_it_wants_to_be_asked_again(monkeypatch, headers, asked, waited):
    pauses = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    # of this module alone: other threads of the process sleep, too
    monkeypatch.setattr(attempts, "asyncio", SimpleNamespace(**vars(asyncio) | {"sleep": sleep}))

    async def run() -> None:
        async with serving((*BUSY, headers), FINE) as server:
            await ask(make_call(server.url))
            assert len(server.seen) == asked

    asyncio.run(run())
    assert [pause for pause in pauses if pause >= 0.1] == waited


NEVER = {"X-Should-Retry": "False"}


@pytest.mark.parametrize(("headers", "asked"), [(NEVER, 1), ({"X-Should-Retry": "true"}, 3)])
@pytest.mark.parametrize("failure", [ILL, BUSY, (200, {"error": {"message": "boom", "code": 500}})])
def test_a_server_says_that_the_same_will_fail_again(failure, headers, asked):
    """Another one is still asked: it does not know that one."""

    async def run() -> None:
        async with serving((*failure, headers)) as first, serving(WHOLE) as second:
            await ask(make_call(first.url, stream=False))
            assert len(first.seen) == asked
            call = call_of(make_route([make_endpoint(first.url), make_endpoint(second.url)]), stream=False)
            assert b"Hello" in await ask(call)

    asyncio.run(run())


def test_what_a_server_said_holds_for_its_own_attempt():
    async def run() -> None:
        async with serving((*ILL, NEVER)) as first, serving(DEAD, WHOLE) as second:
            call = call_of(make_route([make_endpoint(first.url), make_endpoint(second.url)]), stream=False)
            assert b"Hello" in await ask(call) and len(second.seen) == 2

    asyncio.run(run())
