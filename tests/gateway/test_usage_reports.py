"""Reports of usage as servers write them: what is billed, and what the client is told."""

import json

import pytest

from gateway.answers.usage import usage_body
from tests.gateway.streaming import DONE, END, event
from tests.gateway.telling import Told, data, tell, whole
from usage.pricing import Usage


def report(prompt, completion, total=None, **more) -> dict:
    total = total if total is not None else prompt + completion
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total, **more}


def told_usage(told: Told) -> dict:
    if not told.call.wants_stream:
        return told.answer["usage"]
    return [one["usage"] for one in told.events if one.get("usage")][-1]


def ask(usage: dict, stream: bool) -> Told:
    if not stream:
        return tell(whole("Hello", usage=usage), stream=False)
    last = data({"choices": [], "usage": usage})
    return tell(event({"content": "Hello"}), END, last, DONE, stream=True, wants_usage=True)


ODD = {
    "texts": (report("3", "2", "5"), Usage(3, 0, 2, 0)),
    "floats": (report(3.0, 2.0, 5.0), Usage(3, 0, 2, 0)),
    "a total of nothing": (report(3, 2, 0), Usage(3, 0, 2, 0)),
    "no completion, but a total": (report(3, None, 5), Usage(3, 0, 2, 0)),
    "more cached than read": (report(3, 2, prompt_tokens_details={"cached_tokens": 30}), Usage(3, 30, 2, 0)),
    "more thought than written": (
        report(3, 2, completion_tokens_details={"reasoning_tokens": 30}),
        Usage(3, 0, 2, 30),
    ),
    "details that are a text": (report(3, 2, prompt_tokens_details="none"), Usage(3, 0, 2, 0)),
    "details below zero": (report(3, 2, prompt_tokens_details={"audio_tokens": -4}), Usage(3, 0, 2, 0)),
    "details with a fraction": (report(3, 2, completion_tokens_details={"x": 0.5}), Usage(3, 0, 2, 0)),
}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", ODD)
def test_an_odd_report_is_told_as_it_was_understood(name, stream):
    """Clients add up what they are told, and trip over texts and counts below zero."""
    usage, expected = ODD[name]
    told = ask(usage, stream)
    assert told.bill == (expected, False)
    assert told_usage(told) == usage_body(expected)


@pytest.mark.parametrize("stream", [True, False])
def test_a_report_of_openais_is_passed_on_as_it_came(stream):
    usage = report(
        30,
        20,
        prompt_tokens_details={"cached_tokens": 10, "audio_tokens": None},
        completion_tokens_details=None,
        cost=0.01,
    )
    assert told_usage(ask(usage, stream)) == usage


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    "usage", [report(3e30, 2, 5), report(-1, 2, 1), report("-1", 2, 1), report(2.5, 1.5, 4)]
)
def test_a_report_that_cannot_be_true_is_none(usage, stream):
    told = ask(usage, stream)
    assert told.bill[1] and told.bill[0].total_input > 5
    assert stream or told.answer["usage"] == usage_body(told.bill[0]), "as it is billed"


# -- several reports of one stream ---------------------------------------------------------------------------


def piece(text: str, usage: dict | None, **more) -> bytes:
    return event({"content": text}, **({"usage": usage} if usage else {}), **more)


def stream_of(*events: bytes) -> Told:
    return tell(*events, DONE, stream=True, wants_usage=True)


def last(usage: dict) -> bytes:
    return data({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": usage})


def test_reports_that_grow_are_one():
    told = stream_of(*(piece("word", report(3, count)) for count in range(1, 50)), END)
    assert told.bill == (Usage(3, 0, 49, 0), False) and told_usage(told) == report(3, 49)


@pytest.mark.parametrize(
    ("first", "final", "expected"),
    [
        (report(30, 0), report(0, 20), Usage(30, 0, 20, 0)),
        ({"input_tokens": 30, "output_tokens": 1}, {"output_tokens": 20}, Usage(30, 0, 20, 0)),
        (
            {"input_tokens": 30, "cache_read_input_tokens": 100, "output_tokens": 1},
            {"input_tokens": 30, "output_tokens": 20},
            Usage(30, 100, 20, 0),
        ),
        (report(100, 1), report(100, 20, prompt_tokens_details={"cached_tokens": 80}), Usage(20, 80, 20, 0)),
        (report(100, 4), report(3, 5), Usage(100, 0, 5, 0)),
        (report(3, 9), report(30, 5), Usage(30, 0, 9, 0)),
    ],
)
def test_the_prompt_may_be_told_first_and_the_answer_last(first, final, expected):
    told = stream_of(piece("", first), piece("Hello", None), last(final))
    assert told.bill == (expected, False)
    usage = told_usage(told)
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (
        expected.total_input,
        expected.total_output,
    )


@pytest.mark.parametrize("prompts", ["each", "first"])
def test_reports_of_each_event_by_itself_are_added(prompts):
    events = [piece("word", report(3 if prompts == "each" or number == 0 else 0, 2)) for number in range(40)]
    told = stream_of(*events, END)
    assert told.bill == (Usage(3, 0, 80, 0), False)
    assert told_usage(told)["completion_tokens"] == 80


def test_what_may_be_the_whole_count_in_each_event_is_not_added():
    """Answers from a cache are cut into pieces with the same report in each."""
    told = stream_of(*(piece("some words", report(3, 200)) for _number in range(40)), END)
    assert told.bill == (Usage(3, 0, 200, 0), False)


def test_the_whole_count_in_each_event_is_not_added_however_small_the_pieces_are():
    """A cache may give its answer back letter by letter; no letter has two tokens."""
    told = stream_of(*(piece("a", report(3, 12)) for _number in range(63)), END)
    assert told.bill == (Usage(3, 0, 12, 0), False)


@pytest.mark.parametrize("beside", [True, False])
def test_reports_of_each_event_between_the_events_are_added(beside):
    """Events that differ in their text alone are passed on without being read, and their bytes count too."""
    between = [piece("word", None) + data({"choices": [], "usage": report(3, 1)}) for _number in range(40)]
    parts = between if beside else [one + b"\n\n" for both in between for one in both.split(b"\n\n")[:2]]
    told = stream_of(*parts, END)
    assert told.bill == (Usage(3, 0, 40, 0), False)


def test_a_last_report_of_all_is_the_last_word():
    told = stream_of(*(piece("word", report(3, 2)) for _number in range(40)), END, last(report(3, 90)))
    assert told.bill[0].total_output == 90
    assert json.dumps(told_usage(told)) == json.dumps(report(3, 90))


DETAILED = report(
    1_000,
    100,
    prompt_tokens_details={"cached_tokens": 900, "cache_write_tokens": 60},
    completion_tokens_details={"reasoning_tokens": 80},
)
PLAIN = report(1_000, 100)
NO_DETAILS = {"prompt_tokens_details": None, "completion_tokens_details": None}


@pytest.mark.parametrize("reports", [(DETAILED, PLAIN), (DETAILED, PLAIN | NO_DETAILS), (PLAIN, DETAILED)])
def test_what_one_report_breaks_down_another_of_the_same_sum_does_not_wipe_out(reports):
    """From the cache it costs a tenth, and thoughts may cost twice."""
    told = stream_of(piece("Hello", None), END, *(data({"choices": [], "usage": one}) for one in reports))
    expected = Usage(40, 900, 20, 80, cache_write=60)
    assert told.bill == (expected, False)
    usage = told_usage(told)
    assert usage["prompt_tokens_details"]["cached_tokens"] == 900
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 80


def test_a_larger_report_without_details_keeps_those_that_were_told():
    told = stream_of(piece("Hello", DETAILED), last(report(1_001, 130)))
    assert told.bill == (Usage(41, 900, 50, 80, cache_write=60), False)


@pytest.mark.parametrize("stream", [True, False])
def test_of_two_reports_in_one_event_the_one_that_is_broken_down_counts(stream):
    """llama.cpp tells what it had in its cache beside the usage."""
    timings = {"prompt_n": 40, "cache_n": 960, "predicted_n": 100}
    if stream:
        told = stream_of(piece("Hello", None), END, data({"choices": [], "usage": PLAIN, "timings": timings}))
    else:
        told = tell(whole("Hello", usage=PLAIN, timings=timings), stream=False)
    assert told.bill == (Usage(40, 960, 100, 0), False)


FIRST, LAST = report(1_000, 0), report(1_000, 10)
HI = event({"content": "Hi"})


@pytest.mark.parametrize(
    "parts",
    [
        [
            data({"choices": [], "usage": FIRST}),
            event({"content": "Hi"}),
            END,
            data({"choices": [], "usage": LAST}),
        ],
        [event({"content": "Hi"}), last(LAST), data({"choices": [], "usage": LAST})],
        [piece("Hi", report(1_000, 1)), piece(" you", LAST), END],
    ],
    ids=["first and last", "beside the end and behind it", "with each piece"],
)
def test_whoever_asked_is_told_once_and_at_the_end(parts):
    """LangChain adds up what comes twice."""
    told = stream_of(*parts)
    assert [one["usage"]["total_tokens"] for one in told.events if one.get("usage")] == [1_010]
    assert told.events[-1]["choices"] == [] and told.events[-1]["usage"]["prompt_tokens"] == 1_000


@pytest.mark.parametrize("aside", [{"prompt_filter_results": []}, {"cost": "0"}])
def test_chunks_without_choices_are_for_those_who_asked_for_usage(aside):
    """Others take the first choice of each chunk, as OpenAI's own examples do."""
    parts = [
        data({"choices": [], **aside}),
        event({"content": "Hi"}),
        END,
        data({"choices": [], **aside}),
        DONE,
    ]
    assert all(one["choices"] for one in tell(*parts, stream=True).events)
    assert sum(not one["choices"] for one in tell(*parts, stream=True, wants_usage=True).events) >= 2


@pytest.mark.parametrize("choices", [[7], "", [{"index": 0, "delta": 5}]])
def test_a_report_in_an_event_that_makes_no_sense_counts(choices):
    odd = data({"choices": choices, "usage": report(1_000, 5_000)})
    told = stream_of(event({"content": "Hi"}), event({"content": " you"}), END, odd)
    assert told.bill[0] == Usage(1_000, 0, 5_000, 0)
