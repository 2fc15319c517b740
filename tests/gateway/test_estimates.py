"""What a call costs whose provider does not count, or is not heard to the end: by the bytes of all that came,
never by events.

A small server of this file sends just the bytes of each case; the mock upstream sends a token in each
event, and hides what is tested here.
"""

import asyncio
import json

import pytest

from foundation.egress import PRIVATE
from foundation.egress.data_plane import open_session
from gateway import pipeline
from gateway.answers.billed import billed_usage
from gateway.answers.estimate import count_text_bytes
from gateway.answers.usage import estimate_input_tokens
from tests.gateway.calling import collaborators
from tests.gateway.streaming import (
    DONE,
    END,
    ERROR,
    TEXT,
    WORDS,
    answer_whole,
    bill,
    cut,
    event,
    make_call,
    server,
    usage_event,
    whole,
)
from usage.pricing import Usage

NAMES = {
    "content": lambda text: {"content": text},
    "reasoning_content": lambda text: {"reasoning_content": text},
    "reasoning": lambda text: {"reasoning": text},
    "a name nobody knows": lambda text: {"thoughts": {"summary": [text]}},
    "refusal": lambda text: {"refusal": text},
    "parts": lambda text: {"content": [{"type": "text", "text": text}, {"type": "thinking", "thinking": []}]},
    "tool arguments": lambda text: {
        "tool_calls": [
            {"index": 0, "id": "x", "type": "function", "function": {"name": "", "arguments": text}}
        ]
    },
}


@pytest.mark.parametrize("pieces", [200, 4, 1])
@pytest.mark.parametrize("name", NAMES)
def test_a_client_who_leaves_before_the_count_pays_what_it_got(name, pieces):
    events = [event(NAMES[name](text)) for text in cut(pieces)]
    billed, is_estimated = bill(events, leaves_after=4_000, then_wait=True)
    assert is_estimated and TEXT * 0.95 <= billed <= TEXT


@pytest.mark.parametrize("pieces", [200, 1])
def test_a_provider_that_never_counts_is_estimated(pieces):
    billed, is_estimated = bill([event({"content": text}) for text in cut(pieces)] + [END, DONE])
    assert is_estimated and TEXT * 0.95 <= billed <= TEXT


@pytest.mark.parametrize(
    "end",
    [
        b"",  # the connection breaks in the middle
        b"x" * 1_000_000,  # more than an event may have
    ],
    ids=["broken", "too-long"],
)
def test_an_event_that_never_came_whole_counts(end):
    begun = b'data: {"choices": [{"index": 0, "delta": {"content": "' + WORDS.encode()
    billed, is_estimated = bill([begun, end] if end else [begun])
    assert is_estimated and (billed == 8_000 if end else TEXT - 250 <= billed <= TEXT)


def test_an_event_that_makes_no_sense_counts():
    assert bill([b"data: {" + WORDS.encode() + b"\n\n"]) == ((20_000 + 1 - 1_000) // 4, True)


def test_what_comes_behind_the_end_counts_nothing():
    assert bill([event({"content": "a word"}), usage_event(3), DONE + b"x" * 9_000]) == (3, False)


def test_every_piece_is_at_least_one_token():
    assert bill([event({"content": "a"})] * 30 + [END, DONE]) == (30, True)


def test_all_choices_count():
    both = {
        "choices": [
            {"index": number, "delta": {"content": "word " * 800}, "finish_reason": None} for number in (0, 1)
        ]
    }
    assert bill([b"data: " + json.dumps(both).encode() + b"\n\n", END, DONE]) == (2_000, True)


def test_text_under_two_names_counts_once_and_sound_is_no_text():
    twice = {"reasoning": WORDS, "reasoning_details": [{"type": "reasoning.text", "text": WORDS}]}
    assert bill([event(twice), END, DONE]) == (TEXT, True)
    assert bill([event({"audio": {"data": "x" * 9_000, "transcript": "a word"}}), END, DONE]) == (1, True)


@pytest.mark.parametrize("place", ["message", "text"])
def test_text_beside_the_delta_counts_too(place):
    value = {"content": WORDS} if place == "message" else WORDS
    choice = {"index": 0, place: value, "finish_reason": None}
    assert bill([b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n", END, DONE]) == (TEXT, True)


def test_arguments_of_a_tool_count_whatever_they_are_called():
    call = {"index": 0, "id": "call_1", "function": {"name": "f", "arguments": {"id": WORDS, "type": "x"}}}
    assert bill([event({"tool_calls": [call]}), END, DONE])[0] == TEXT + 2  # the names are the model's too


def test_calls_of_a_tool_that_say_the_same_count_each():
    calls = [{"index": number, "function": {"name": "f", "arguments": WORDS[:8_000]}} for number in range(3)]
    assert bill([event({"tool_calls": calls}), END, DONE])[0] == 6_000


def test_names_and_numbers_in_arguments_count():
    numbers = {"index": 0, "function": {"name": "f", "arguments": {"a" * 4_000: [1_000_000] * 2_000}}}
    assert bill([event({"tool_calls": [numbers]}), END, DONE])[0] == 1_000 + 14_000 // 4


def test_text_beside_an_error_counts():
    both = b'data: {"error": {"message": "x"}, "choices": [{"index": 0, "delta": {"content": "' + b"a" * 400
    assert bill([both + b'"}}]}\n\n']) == (100, True)


def test_an_error_that_is_none_is_no_error():
    assert bill([event({"content": WORDS}, error=None), END, usage_event(3_000), DONE]) == (3_000, False)


def test_a_report_beside_an_error_counts():
    error = b'data: {"error": {"message": "x"}, "usage": {"prompt_tokens": 7, "completion_tokens": 6000}}\n\n'
    assert bill([event({"content": WORDS}), error]) == (6_000, False)
    assert bill([error]) == (6_000, False)


def test_an_endless_stream_is_told_by_its_pieces_and_not_by_its_size():
    """Few large pieces are a long answer; that it is longer than was asked for is for the bill to say."""
    events = [event({"content": WORDS})] * 8
    assert bill([*events, END, usage_event(40_000), DONE]) == (40_000, False)


@pytest.mark.parametrize(("most", "foreseen"), [(100, TEXT), (8_000, 8_000), (50_000, 2 * TEXT)])
def test_progress_is_marked_in_tokens_and_ahead(monkeypatch, most, foreseen):
    """So that the bill of a stream whose process dies is no count of events, and not that of a moment ago: as
    far as the answer will be at the next mark, if it goes on so; no further than it may be.
    """
    marks = []
    monkeypatch.setattr(pipeline, "PROGRESS_EVERY_S", 0.02)

    async def run() -> None:
        parts = [event({"content": WORDS})]
        async with server(parts, then_wait=True) as port, open_session(PRIVATE) as client:
            gateway = collaborators(client)
            gateway.ledger.mark = lambda slug, request_id, tokens: marks.append(tokens)
            frames = pipeline.stream(make_call(port, stream=True, max_tokens=most), gateway)
            await anext(frames)
            async with asyncio.timeout(30):
                while len([mark for mark in marks if mark]) < 3:
                    await asyncio.sleep(0.01)
            await frames.aclose()

    asyncio.run(run())
    first, *others = [mark for mark in marks if mark]
    assert first == foreseen and set(others) == {TEXT}, "nothing came any more"


def test_an_error_after_reasoning_is_no_refusal():
    assert bill([event({"reasoning": WORDS}), ERROR]) == (TEXT, True)
    assert bill([event({"role": "assistant", "content": ""}), ERROR]) == (0, False), (
        "an error before the first piece is one"
    )


REPORTS = [
    # after the last piece: believed
    ([event({"content": WORDS}), END, usage_event(3_000), DONE], (3_000, False)),
    ([usage_event(1), event({"content": WORDS}), END, DONE], (TEXT, True)),  # before it: the greater
    ([usage_event(7_000), event({"content": WORDS}), END, DONE], (7_000, True)),
    # with it
    (
        [event({"content": WORDS}, usage={"prompt_tokens": 7, "completion_tokens": 2_500}), END, DONE],
        (2_500, False),
    ),
    # it counts nothing where something came
    ([event({"content": WORDS}), END, usage_event(0), DONE], (TEXT, True)),
    ([END, usage_event(0), DONE], (0, False)),
]


@pytest.mark.parametrize(("parts", "expected"), REPORTS)
def test_a_report_counts_if_nothing_came_after_it(parts, expected):
    assert bill(parts) == expected


@pytest.mark.parametrize("second", [(0, 0), (7, 100), (0, 3_000)])
def test_a_report_that_says_less_than_the_last_takes_nothing_back(second):
    prompt, completion = second
    later = usage_event(completion, prompt=prompt)
    assert bill([event({"content": WORDS}), END, usage_event(3_000), later, DONE]) == (3_000, False)


def test_a_report_that_counts_nothing_of_what_was_sent_is_filled_up(monkeypatch):
    monkeypatch.setattr("gateway.answers.billed.estimate_input_tokens", lambda call: 1_234)
    call = make_call(1, stream=True)
    call.note_usage(Usage(0, 0, 500, 0))
    assert billed_usage(call) == (Usage(1_234, 0, 500, 0), True)


def test_the_estimate_is_no_more_than_was_allowed():
    """A provider keeps to `max_tokens`; where it visibly does not, what came counts."""
    assert bill([event({"content": WORDS * 3}), END, DONE]) == (8_000, True)


# -- answers in one piece ------------------------------------------------------------------------------------


MALFORMED = [
    ({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3_000}}, (3_000, False)),
    ({"error": {"message": "x"}, "usage": {"prompt_tokens": 7, "completion_tokens": 3_000}}, (3_000, False)),
    ({"error": {"message": "x"}}, (0, False)),
]


@pytest.mark.parametrize(("answer", "expected"), MALFORMED)
def test_a_report_in_an_answer_that_makes_no_sense_counts(answer, expected):
    call = asyncio.run(answer_whole([json.dumps(answer).encode()], leaves=False))
    usage, is_estimated = billed_usage(call)
    assert (usage.output_tokens, is_estimated) == expected


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_in_one_piece_without_a_count_is_estimated_by_its_text(name):
    usage, is_estimated = billed_usage(asyncio.run(answer_whole(whole(NAMES[name](WORDS)), leaves=False)))
    assert is_estimated and usage.output_tokens == TEXT


def test_an_answer_in_one_piece_that_is_abandoned_costs_as_long_an_answer_as_may_be():
    call = asyncio.run(answer_whole([], leaves=True))
    usage, is_estimated = billed_usage(call)
    assert is_estimated and (usage.input_tokens, usage.output_tokens) == (estimate_input_tokens(call), 8_000)


@pytest.mark.parametrize(("code", "tokens"), [("upstream_timeout", 700), ("upstream_unreachable", 0)])
def test_an_answer_in_one_piece_that_we_gave_up_costs_as_long_an_answer_as_may_be(code, tokens):
    """Else long answers that are not streamed spend the provider's money past every budget."""
    call = make_call(1, stream=False)
    call.max_output_tokens = 700
    call.was_dispatched = True
    call.error_code = code
    usage, is_estimated = billed_usage(call)
    assert is_estimated and usage.output_tokens == tokens
    assert usage.input_tokens == estimate_input_tokens(call)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("native_finish_reason", "network_error"),
        ("stop_reason", "###"),
        ("matched_stop", "###"),
        ("content_filter_results", {"hate": {"filtered": False, "severity": "safe"}}),
    ],
)
def test_what_a_server_says_of_the_end_is_no_text(name, said):
    assert count_text_bytes([{"delta": {"content": "Hello"}, name: said}], 100) == 5


def test_names_and_places_are_no_text():
    delta = {
        "role": "assistant",
        "tool_calls": [{"index": 0, "id": "call_123", "type": "function", "function": {"arguments": "äö"}}],
    }
    assert count_text_bytes(delta, 100) == 4
    assert count_text_bytes({"content": None, "audio": {"transcript": "你好"}}, 100) == 6
    assert count_text_bytes({"content": "\ud83d"}, 100) == 3
