"""Events that make no sense among others that do, byte for byte over a socket: an answer that is not mostly
nonsense goes on, and what it may have said more is billed.
"""

import asyncio
import logging

import openai
import pytest

from foundation.egress import PRIVATE
from foundation.egress.data_plane import open_session
from gateway import pipeline
from gateway.answers.billed import billed_usage
from gateway.answers.loss import MOST_LOST_EVENTS
from gateway.calls import Call
from gateway.deltas import Finish, ToolCall
from tests.gateway.calling import call_of, collaborators, make_endpoint, make_route
from tests.gateway.hearing import ROLE, hear
from tests.gateway.streaming import DONE, END, event, server, usage_event
from tests.gateway.telling import tell

BROKEN = b'data: {"choices": [{"index": 0, "delta": {"cont\n\n'
KINDS = {
    "cut": BROKEN,
    "two in one": b'data: {"choices": []}{"choices": []}\n\n',
    "another shape": b'data: {"choices": [{"index": 0, "delta": 7}]}\n\n',
    "another type": b"data: [{}]\n\n",
    "too many values": b'data: {"choices": [' + b"{}," * 30_000 + b"{}]}\n\n",
}
HEL, LO = event({"content": "Hel"}), event({"content": "lo"})
TOOL = {"type": "function", "function": {"name": "pay"}}
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


# -- fields whose names broke --------------------------------------------------------------------------------

PIECE = b'{"choices": [{"index": 0, "delta": {"content": "XX"}, "finish_reason": null}]}'
NAMES = {
    "a letter less": b"dta: " + PIECE + b"\n\n",
    "the beginning is missing": b"ata: " + PIECE + b"\n\n",
    "more is missing": PIECE[30:] + b"\n\n",
    "behind a name of its own": b"event: chunk\nid: 7\nda-ta: " + PIECE + b"\n\n",
    "behind a comment": b": ping\nd: " + PIECE + b"\n\n",
}


@pytest.mark.parametrize("broken", NAMES.values(), ids=NAMES)
def test_an_event_whose_name_broke_is_lost(broken, caplog):
    with caplog.at_level(logging.WARNING, "gateway"):
        heard = hear([ROLE, HEL, broken, LO, END, DONE])
    assert heard.text() == heard.inner_text == "Hello" and heard.error is None
    assert len([one for one in caplog.records if "makes no sense" in one.getMessage()]) == 2
    assert 3 <= billed_usage(heard.call)[0].total_output <= 4
    many = hear([*[LO] * 100, *[broken] * (MOST_LOST_EVENTS + 1), *LAST])
    assert many.call.error_code == many.inside.error_code == "upstream_invalid_response"
    told = tell(ROLE, HEL, broken, LO, *LAST, stream=True, asking={"tools": [TOOL]})
    assert told.call.error_code == "upstream_invalid_response", "a call may have been in it"


def test_an_event_without_the_name_is_read():
    heard = hear([HEL, LO.removeprefix(b"data: "), *LAST])
    assert heard.text() == heard.inner_text == "Hello" and heard.usage == (4, 0, 9, 0)
    error = b'{"error": {"message": "CUDA out of memory"}}\n\n'
    assert "CUDA out of memory" in hear([HEL, error]).error["message"]


UNKNOWN = [
    b'trace: {"id": 7}\n\n',
    b"lang: en\n\n",
    b": it is\nlang: en\n\n",
    b': {"choices": []}\nlang: en\n\n',
    b'x-meta: {"error": null}\n\n',
    b'meta: {"content": "en"}\n\n',
    b'fields: ["choices", "content"]\n\n',
    b'note: its "content" follows\n\n',
]


@pytest.mark.parametrize("unknown", UNKNOWN)
def test_fields_of_other_names_say_nothing(unknown, caplog):
    """As the standard of events wants it."""
    with caplog.at_level(logging.WARNING, "gateway"):
        heard = hear([unknown, HEL, *[unknown] * 20, LO, END, DONE])
        told = tell(unknown, HEL, unknown, LO, *LAST, stream=True, asking={"tools": [TOOL]})
    assert heard.text() == told.text == "Hello" and heard.error is None and told.call.status == "ok"
    assert billed_usage(heard.call)[0].total_output == 2 and "makes no sense" not in caplog.text


CALL = {"index": 0, "id": "a", "type": "function", "function": {"name": "pay", "arguments": '{"sum": 1'}}
MORE = {"index": 0, "function": {"arguments": "}"}}
CALLED = b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}\n\n'
FUNCTION_CALLED = CALLED.replace(b"tool_calls", b"function_call")


BEGUN, REST = event({"tool_calls": [CALL]}), event({"tool_calls": [MORE]})
NAMELESS = event({"tool_calls": [{"index": 0, "function": {"arguments": '"to": "bob"}'}}]})
FUNCTION = event({"function_call": {"name": "pay", "arguments": '{"sum": 1'}})
FUNCTION_REST = event({"function_call": {"arguments": "5}"}})
EARLY = b'data: {"choices": [{"index": 0, "del\n\n'  # cut before it says what it is
OF_CALLS = {
    "a piece": [HEL, BEGUN, BROKEN, REST, CALLED],
    "the first one": [HEL, BEGUN[:-9] + b"\n\n", REST, CALLED],
    "the first one, before the word": [HEL, EARLY, NAMELESS, CALLED],
    "one of two": [HEL, EARLY, BEGUN, REST, CALLED],
    "all of it": [HEL, EARLY, CALLED],
    "behind the reason": [HEL, BEGUN, CALLED, EARLY],
    "a function's word": [HEL, b'data: {"choices": [{"delta": {"function_call": {"na\n\n', END],
    "a function's piece": [HEL, FUNCTION, EARLY, FUNCTION_REST, END],
    "a function's beginning": [HEL, EARLY, FUNCTION_REST, END],
    "all of a function": [HEL, EARLY, FUNCTION_CALLED],
}


@pytest.mark.parametrize("said", OF_CALLS.values(), ids=OF_CALLS)
def test_no_piece_of_a_tools_call_is_lost(said):
    """A sum without one of its digits is another sum."""
    heard = hear([*said, DONE])
    assert heard.call.error_code == heard.inside.error_code == "upstream_invalid_response"
    assert not [one for one in heard.deltas if isinstance(one, ToolCall) and not (one.name or one.id)]
    told = tell(*said, DONE, stream=False)
    assert told.error is not None and told.error.code == "upstream_invalid_response"


BY_PROGRAMS = {
    "tools": [TOOL],
    "functions": [TOOL["function"]],
    "response_format": {"type": "json_object"},
    "structured_outputs": {"json": {}},
}


@pytest.mark.parametrize("field", BY_PROGRAMS)
def test_what_a_program_reads_loses_nothing(field):
    """A whole call may have been in it, or a digit."""

    async def ask() -> Call:
        async with server([HEL, EARLY, LO, *LAST]) as port, open_session(PRIVATE) as client:
            endpoint = make_endpoint(f"http://127.0.0.1:{port}")
            call = call_of(make_route([endpoint]), max_tokens=8_000, **{field: BY_PROGRAMS[field]})
            async for _part in pipeline.stream(call, collaborators(client)):
                pass
            return call

    assert asyncio.run(ask()).error_code == "upstream_invalid_response"


CUT_REASONS = [b"len", b'content_filter", "content_filter_results": {"ha', b""]


@pytest.mark.parametrize("reason", CUT_REASONS, ids=["length", "filter", "none"])
def test_no_end_is_made_up_where_the_reason_may_have_been_lost(reason):
    cut = b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "' + reason + b"\n\n"
    heard = hear([HEL, LO, event({"content": " <"}), cut, DONE])
    assert heard.text() == heard.inner_text == "Hello <", "what came is kept"
    assert heard.call.error_code == heard.inside.error_code == "upstream_incomplete"
    assert heard.call.finish_reason is None and Finish("stop") not in heard.deltas
    told = tell(HEL, LO, cut, DONE, stream=False)
    assert told.error is not None and told.error.code == "upstream_incomplete"


def test_the_end_of_one_choice_is_not_that_of_another():
    other = b'data: {"choices": [{"index": 1, "delta": {"content": "Hi"}}]}\n\n'
    heard = hear([HEL, other, LO, EARLY, END, DONE])
    assert heard.call.error_code == "upstream_incomplete"


def test_a_reason_in_an_event_that_was_lost_is_none():
    two = b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}, 7]}\n\n'
    assert hear([HEL, LO, two, DONE]).call.error_code == "upstream_incomplete"


def test_an_error_that_came_broken_ends_the_answer():
    heard = hear([HEL, b'data: {"error": {"message": "out of mem\n\n', LO, *LAST])
    assert heard.text() == "Hel" and heard.call.error_code == "upstream_invalid_response"


@pytest.mark.parametrize("said", [b'"choices": []', b'"message": {"content": "x"}', b'"error": "content"'])
def test_a_piece_or_an_error_under_a_strange_name_is_none_of_these(said):
    heard = hear([HEL, *[b"chunk: {" + said + b"}\n\n", LO] * (MOST_LOST_EVENTS + 1), *LAST])
    assert heard.call.error_code == "upstream_invalid_response"


def test_what_was_lost_is_billed_where_the_provider_does_not_count():
    long = b'data: {"choices": [{"delta": {"content": "' + b"word " * 800 + b"\n\n"
    heard = hear([HEL, LO, BROKEN, long, END, DONE])
    expected = 1 + 1 + 1 + (len(long) - len(LO) + 4) // 4
    assert (billed_usage(heard.call)[0].total_output, billed_usage(heard.call)[1]) == (expected, True)


@pytest.mark.parametrize("name", [b"data", b"dta"])
def test_texts_of_events_that_were_lost_are_billed_as_those_that_were_read(name):
    """Short ones too: sixteen of them are a page of text."""
    text = b"word " * 160
    pieces, cut = [event({"content": text.decode()})] * 17, event({"content": text.decode()})[:-9] + b"\n\n"
    heard = hear([*pieces, *[name + cut[4:]] * MOST_LOST_EVENTS, END, DONE])
    usage, is_estimated = billed_usage(heard.call)
    of_text = (17 + MOST_LOST_EVENTS) * len(text) // 4
    assert is_estimated and of_text - 2 * MOST_LOST_EVENTS <= usage.total_output <= of_text


def test_an_answer_that_ends_in_nonsense_costs_all_that_came():
    last = b'data: {"choices": [{"index": 0, "delta": {"content": "' + b"word " * 160 + b"\n\n"
    heard = hear([HEL, last, last])
    assert heard.call.error_code == "upstream_invalid_response"
    assert billed_usage(heard.call)[0].total_output >= 2 * 160


def test_what_was_lost_behind_a_report_counts_beside_it():
    report = {"prompt_tokens": 4, "completion_tokens": 1}
    heard = hear([event({"content": "Hello"}, usage=report), BROKEN, END, DONE])
    usage, is_estimated = billed_usage(heard.call)
    assert (usage.total_output, is_estimated) == (2, True)
