"""Events that make no sense among others that do, byte for byte over a socket: an answer that is not mostly
nonsense goes on, and what it may have said more is billed.
"""

import asyncio
import logging

import openai
import pytest

from gateway.answers.stream import MOST_LOST_EVENTS
from gateway.steps.settle import billed_usage
from tests.gateway.telling import tell
from tests.gateway.test_estimates import DONE, END, event, server, usage_event
from tests.gateway.test_what_servers_send import ROLE, hear

BROKEN = b'data: {"choices": [{"index": 0, "delta": {"cont\n\n'
KINDS = {
    "cut": BROKEN,
    "two in one": b'data: {"choices": []}{"choices": []}\n\n',
    "another shape": b'data: {"choices": [{"index": 0, "delta": 7}]}\n\n',
    "another type": b"data: [{}]\n\n",
    "too many values": b'data: {"choices": [' + b"{}," * 30_000 + b"{}]}\n\n",
}
HEL, LO = event({"content": "Hel"}), event({"content": "lo"})
LAST = [END, usage_event(9, prompt=4), DONE]


async def _by_client(frames: bytes) -> str:
    async with server([frames]) as port:
        client = openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{port}", api_key="sk-any", max_retries=0)
        async with client, client.chat.completions.stream(model="ours", messages=[]) as stream:
            return (await stream.get_final_completion()).choices[0].message.content


@pytest.mark.parametrize("broken", KINDS.values(), ids=KINDS)
def test_an_answer_goes_on_without_one_event(broken, caplog):
    with caplog.at_level(logging.WARNING, "gateway"):
        heard = hear([ROLE, HEL, broken, LO, *LAST])
    assert heard.text() == heard.inner_text == "Hello" and heard.error is None
    assert asyncio.run(_by_client(heard.frames)) == "Hello"
    assert heard.usage == (4, 0, 9, 0) and heard.call.status == "ok"
    told = [one.getMessage() for one in caplog.records if "makes no sense" in one.getMessage()]
    assert len(told) == 2 and str(heard.call.request_id) in told[0] and "cont" not in told[0]


def test_one_behind_the_end_takes_nothing_from_the_answer():
    heard = hear([HEL, LO, END, b'data: {"choices": [], "usage": {"prompt_tok\n\n', DONE])
    assert heard.text() == "Hello" and heard.error is None and billed_usage(heard.call)[1]


def test_an_answer_in_one_piece_that_is_made_of_a_stream_goes_on_too():
    told = tell(ROLE, HEL, BROKEN, LO, *LAST, stream=False)
    assert told.text == "Hello" and told.bill[0].total_output == 9


@pytest.mark.parametrize(
    "said",
    [
        [BROKEN, HEL, LO],
        [ROLE, BROKEN, HEL, LO],
        [HEL, BROKEN, BROKEN, LO],
        [HEL, LO, BROKEN, BROKEN, BROKEN, LO],
    ],
    ids=["at the beginning", "before it says anything", "half", "more than half"],
)
def test_what_is_mostly_nonsense_fails(said):
    heard = hear([*said, *LAST])
    assert heard.call.error_code == heard.inside.error_code == "upstream_invalid_response"
    assert "makes no sense" in heard.error["message"]


@pytest.mark.parametrize("count", [MOST_LOST_EVENTS, MOST_LOST_EVENTS + 1])
def test_so_many_are_lost_and_no_more(count):
    heard = hear([*[LO] * 100, *[BROKEN] * count, *LAST])
    assert (heard.error is None) == (count == MOST_LOST_EVENTS)
    assert heard.text() == "lo" * 100


CALL = {"index": 0, "id": "a", "type": "function", "function": {"name": "pay", "arguments": '{"sum": 1'}}
MORE = {"index": 0, "function": {"arguments": "}"}}
CALLED = b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}\n\n'


def test_no_piece_of_a_tools_call_is_lost():
    """A sum without one of its digits is another sum."""
    begun, rest = event({"tool_calls": [CALL]}), event({"tool_calls": [MORE]})
    for said in (
        [HEL, begun, BROKEN, rest, CALLED],
        [HEL, event({"tool_calls": [CALL]})[:-9] + b"\n\n", rest, CALLED],
        [HEL, b'data: {"choices": [{"delta": {"function_call": {"na\n\n', CALLED],
    ):
        heard = hear([*said, DONE])
        assert heard.call.error_code == heard.inside.error_code == "upstream_invalid_response"
    heard = hear([HEL, begun, rest, CALLED, BROKEN, DONE])
    assert heard.error is None, "behind its end there are no more"


def test_an_error_that_came_broken_ends_the_answer():
    heard = hear([HEL, b'data: {"error": {"message": "out of mem\n\n', LO, *LAST])
    assert heard.text() == "Hel" and heard.call.error_code == "upstream_invalid_response"


def test_what_was_lost_is_billed_where_the_provider_does_not_count():
    long = b'data: {"choices": [{"delta": {"content": "' + b"word " * 800 + b"\n\n"
    heard = hear([HEL, LO, BROKEN, long, END, DONE])
    expected = 1 + 1 + 1 + (len(long) - len(b"data: \n\n") - 1_000) // 4
    assert (billed_usage(heard.call)[0].total_output, billed_usage(heard.call)[1]) == (expected, True)


def test_what_was_lost_behind_a_report_counts_beside_it():
    report = {"prompt_tokens": 4, "completion_tokens": 1}
    heard = hear([event({"content": "Hello"}, usage=report), BROKEN, END, DONE])
    usage, is_estimated = billed_usage(heard.call)
    assert (usage.total_output, is_estimated) == (2, True)
