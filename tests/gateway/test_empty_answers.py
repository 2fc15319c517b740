"""Answers in which nothing was written, by their own word and by the provider's count."""

import asyncio
import json
from decimal import Decimal

import pytest

from foundation.errors import QuotaExceeded
from gateway.answers.sse import EventReader
from tests.gateway.asking import FINE, ILL, WHOLE, ask, serving
from tests.gateway.bills import CHEAP, DEAR, Bills
from tests.gateway.calling import call_of, make_endpoint, make_route
from tests.gateway.streaming import DONE, END, event
from tests.gateway.telling import data, tell, telling, whole
from usage.pricing import Usage, cost

READ = {"prompt_tokens": 30, "completion_tokens": 0, "total_tokens": 30}
NONE = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
WRITTEN = {"prompt_tokens": 30, "completion_tokens": 5, "total_tokens": 35}
ROLE = event({"role": "assistant", "content": ""})
TOOL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}


def empty(stream: bool, usage: dict | None, delta: dict | None = None, reason: str = "stop") -> tuple:
    """A server's answer that holds no more than this."""
    if stream:
        said = ROLE + (event(delta) if delta else b"")
        end = data({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
        return 200, said + end + (data({"choices": [], "usage": usage}) if usage else b"") + DONE
    message = {"role": "assistant", "content": "", **(delta or {})}
    choice = {"index": 0, "message": message, "finish_reason": reason}
    return 200, {"choices": [choice]} | ({"usage": usage} if usage else {})


def call_two(first, second, stream: bool):
    """Of a dear model, for which a cheap one stands in."""
    call = call_of(
        make_route([make_endpoint(first.url)], price=DEAR),
        make_route([make_endpoint(second.url)], name="other", price=CHEAP),
        stream=stream,
    )
    call.held, call.wants_usage = Decimal(1), True
    return call


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("usage", "lost"), [(READ, cost(DEAR, Usage(30))), (NONE, Decimal(0))], ids=["read", "nothing at all"]
)
def test_a_stand_in_is_asked_and_the_empty_answer_costs_what_its_report_says(usage, lost, stream):
    async def run() -> None:
        async with serving(empty(stream, usage)) as first, serving(FINE if stream else WHOLE) as second:
            call, ledger = call_two(first, second, stream), Bills()
            told = await ask(call, ledger=ledger)
            (bill,) = ledger.bills
            assert b"Hello" in told and call.status == "ok" and call.route.name == "other"
            assert [(one.error_code, one.cost) for one in bill.attempts] == [("upstream_empty", lost)]
            assert bill.cost == lost + cost(CHEAP, bill.usage)
            if stream:  # nothing of the first answer went out
                events = [json.loads(one) for one in EventReader().feed(told) if one != b"[DONE]"]
                assert {one["model"] for one in events} == {"other"}
                assert [one["usage"]["completion_tokens"] for one in events if one.get("usage")] == [2]

    asyncio.run(run())


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("usage", "billed"), [(READ, Usage(30)), (NONE, Usage())])
def test_without_one_it_is_passed_on_and_billed_by_its_report(usage, billed, stream):
    _status, said = empty(stream, usage)
    told = tell(said if stream else json.dumps(said).encode(), stream=stream, wants_usage=True)
    assert told.text == "" and told.bill == (billed, False) and told.asked == 1 and told.call.status == "ok"
    reasons = [one["finish_reason"] for event in told.events for one in event["choices"]] if stream else []
    assert reasons == ([None, "stop"] if stream else [])


@pytest.mark.parametrize("stream", [True, False])
def test_so_it_is_where_nothing_more_can_be_held(stream):
    async def run() -> None:
        async with serving(empty(stream, READ)) as first, serving(ILL) as second:
            call, ledger = call_two(first, second, stream), Bills(QuotaExceeded("no"))
            assert b"stop" in await ask(call, ledger=ledger)
            (bill,) = ledger.bills
            assert (second.seen, bill.attempts, bill.cost) == ([], (), cost(DEAR, Usage(30)))

    asyncio.run(run())


WHAT_IS_SAID = {
    "a report of output": (WRITTEN, None, "stop"),
    "no report": (None, None, "stop"),
    "a text": (READ, {"content": "Hi"}, "stop"),
    "a thought": (READ, {"reasoning_content": "Hm"}, "stop"),
    "a tool's call": (READ, {"tool_calls": [TOOL | {"index": 0}]}, "tool_calls"),
    "a bound": (READ, None, "length"),
    "a filter": (NONE, None, "content_filter"),
}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", WHAT_IS_SAID)
def test_what_says_anything_is_an_answer(name, stream):
    async def run() -> None:
        async with serving(empty(stream, *WHAT_IS_SAID[name])) as first, serving(ILL) as second:
            call = call_two(first, second, stream)
            assert WHAT_IS_SAID[name][2].encode() in await ask(call, ledger=Bills())
            assert call.status == "ok" and second.seen == [] and call.attempts == []

    asyncio.run(run())


@pytest.mark.parametrize(
    ("begun", "asked"),
    [
        (event({"role": "assistant", "content": ""}, usage=READ), 1),
        (event({"role": "assistant", "content": "", "annotations": [{"type": "url_citation"}]}), 0),
    ],
    ids=["a report", "an annotation"],
)
def test_nobody_is_asked_after_a_piece_has_gone_out(begun, asked):
    """A report of how far it is, which some bring with each event, is none."""
    rest = empty(True, READ)[1].removeprefix(ROLE)

    async def run() -> None:
        async with telling(begun, rest) as first, serving(FINE) as second:
            call, ledger = call_two(first, second, stream=True), Bills()
            told = await ask(call, ledger=ledger)
            assert b"stop" in told and told.endswith(DONE) and len(second.seen) == asked
            assert len(ledger.bills[0].attempts) == asked

    asyncio.run(run())


@pytest.mark.parametrize("stream", [True, False])
def test_a_report_of_nothing_is_none_where_something_was_written(stream):
    said = [event({"content": "Hello"}), END, data({"choices": [], "usage": NONE}), DONE]
    told = tell(*said, stream=True) if stream else tell(whole("Hello", usage=NONE), stream=False)
    usage, is_estimated = told.bill
    assert is_estimated and usage.total_input > 0 and usage.total_output > 0
