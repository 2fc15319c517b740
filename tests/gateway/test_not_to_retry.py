"""Errors that OpenAI's clients repeat by themselves, and twice: told where that is paid, or in vain."""

import asyncio
from decimal import Decimal

import pytest

from foundation.egress import PRIVATE
from foundation.egress.data_plane import open_session
from foundation.errors import AtriumError
from gateway import pipeline
from gateway.request import retry_header
from tests.gateway.asking import BUSY, DEAD, ILL, serving
from tests.gateway.bills import Bills
from tests.gateway.calling import call_of, collaborators, make_endpoint, make_route
from tests.gateway.test_doors import BODY, ask

pytestmark = [pytest.mark.scope(None), pytest.mark.usefixtures("short_pauses")]
NO = [(b"x-should-retry", b"false")]
REPORT = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
OTHER_PLACE = {"error": {"message": "Country, region, or territory not supported"}}
VAIN = {
    "credentials": (401, {}),
    "quota": (402, {}),
    "region": (403, OTHER_PLACE),
    "not found": (404, {}),
    "refused": (405, {}),
    "by the server's word": (*ILL, {"X-Should-Retry": "false"}),
}
LATER = {
    "busy": BUSY,
    "busy for long": (*BUSY, {"Retry-After": "60"}),
    "overloaded": (503, {}, {"Retry-After": "60"}),
    "overloaded, and asked again": (503, {}, {"Retry-After-Ms": "10"}),
    "invalid": (400, {"error": {"message": "bad"}}),
}


def advice(*failures: tuple, stream: bool = False) -> tuple[list, int]:
    """What a client is told of a server that says this in turn, and how often that was asked."""

    async def run() -> tuple[list, int]:
        async with serving(*failures) as server, open_session(PRIVATE) as client:
            call = call_of(make_route([make_endpoint(server.url)]), stream=stream)
            call.held = Decimal(1)
            host = collaborators(client, ledger=Bills())
            with pytest.raises(AtriumError) as caught:
                if stream:
                    [part async for part in pipeline.stream(call, host)]
                else:
                    await pipeline.complete(call, host)
            return retry_header(call, caught.value), len(server.seen)

    return asyncio.run(run())


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("failure", VAIN)
def test_what_an_administrator_must_see_to_is_not_to_be_repeated(failure, stream):
    assert advice(VAIN[failure], stream=stream) == (NO, 1)


@pytest.mark.parametrize(
    ("failure", "asked"),
    [((200, {"choices": "x" * 400}), 1), ((200, {"choices": [], "usage": REPORT}), 1), (DEAD, 3)],
    ids=["nonsense", "a report", "lost"],
)
def test_nor_what_was_paid(failure, asked):
    """Also where the server is the house's own, and free: it has worked."""
    assert advice(failure) == (NO, asked)


def test_nor_what_an_attempt_before_was_paid_for():
    assert advice(DEAD, LATER["overloaded"]) == (NO, 2)


@pytest.mark.parametrize("failure", [ILL, (503, {})])
def test_nor_what_we_have_repeated(failure):
    assert advice(failure) == (NO, 3)


@pytest.mark.parametrize("failure", LATER)
def test_what_may_be_better_later_says_nothing(failure):
    assert advice(LATER[failure])[0] == []


@pytest.mark.parametrize("stream", [True, False])
def test_it_is_a_header_of_the_answer(house, stream):
    body = BODY | {"stream": stream}
    paid = ask(house, "POST", "/v1/chat/completions", json=body | {"model": "fault-close-before-header"})
    assert (paid.status_code, paid.headers["x-should-retry"]) == (502, "false")
    invalid = ask(house, "POST", "/v1/chat/completions", json=body | {"model": "fault-400"})
    assert invalid.status_code == 400 and "x-should-retry" not in invalid.headers
