"""What the chunks of one stream have in common: who speaks, one id and one moment, and one report."""

import asyncio
import json
from decimal import Decimal

import pytest

from gateway.answers.sse import EventReader
from gateway.answers.usage import usage_body
from tests.gateway.asking import ask
from tests.gateway.bills import Bills
from tests.gateway.calling import make_call
from tests.gateway.hearing import choice, hear
from tests.gateway.streaming import DONE, END, event
from tests.gateway.telling import data, tell, telling, whole

HELLO = event({"content": "Hello"})
ROLE = event({"role": "assistant"})
READ = {"prompt_tokens": 1000, "completion_tokens": 0, "total_tokens": 1000}
WRITTEN = {"prompt_tokens": 1000, "completion_tokens": 2, "total_tokens": 1002}


# -- who speaks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "begin",
    [
        [],
        [event({})],
        [event({}), ROLE],
        [choice(delta=None), ROLE],
        [event({"role": ""})],
        [event({"role": None, "content": None}), ROLE],
        [event({"role": "model"})],
        [ROLE, ROLE],
        [event({"role": "assistant", "content": "", "name": "x"}), event({"role": "assistant"})],
    ],
)
@pytest.mark.parametrize("end", [END, choice(delta={"role": "assistant"}, finish_reason="stop")])
def test_the_first_delta_says_who_speaks_and_no_other_does(begin, end):
    heard = hear([*begin, HELLO, HELLO, end, DONE])
    roles = [one["choices"][0]["delta"].get("role", "") for one in heard.chunks]
    assert roles == ["assistant", *[""] * (len(roles) - 1)] and heard.text() == "HelloHello"


def test_each_choice_has_one():
    parts = [choice(index=index, delta={"content": "Hello"}) for index in (0, 1, 0, 1)]
    deltas = [one["choices"][0]["delta"] for one in hear([*parts, DONE]).chunks]
    assert [delta.get("role") for delta in deltas] == ["assistant", "assistant", None, None, None]


@pytest.mark.parametrize("role", ["missing", "", None, "model"])
@pytest.mark.parametrize("stream", [True, False])
def test_a_whole_answer_has_one_too(role, stream):
    message = {"content": "Hello"} | ({} if role == "missing" else {"role": role})
    told = tell(json.dumps({"choices": [{"message": message}]}).encode(), stream=stream)
    said = told.events[0]["choices"][0]["delta"] if stream else told.message
    assert said["role"] == "assistant"


# -- one id and one moment -----------------------------------------------------------------------------------


def heads(events: list[dict]) -> set:
    return {(one["id"], one["created"], one["object"], one["model"]) for one in events}


def billed(*parts: bytes) -> list[dict]:
    """The events of a stream whose bill is told."""

    async def run() -> bytes:
        async with telling(*parts) as server:
            call = make_call(server.url)
            call.held, call.wants_usage = Decimal(1), True
            return await ask(call, ledger=Bills())

    return [json.loads(one) for one in EventReader().feed(asyncio.run(run())) if one != b"[DONE]"]


@pytest.mark.parametrize("usage", [None, WRITTEN, READ])
def test_all_chunks_bear_the_head_of_the_first(usage):
    names = [
        {"id": "one", "created": 7},
        {"id": "two", "created": 8},
        {"id": "three"},
        {"id": "", "created": 0},
    ]
    last = {"id": "four", "created": 9, "choices": [], "usage": usage}
    events = billed(
        *(event({"content": "Hello"}, **name) for name in names), END, *([data(last)] if usage else []), DONE
    )
    assert heads(events) == {("one", 7, "chat.completion.chunk", "ours")}
    assert [len(one["choices"]) for one in events] == [*[1] * 5, 0]


@pytest.mark.parametrize(
    "begin", [{}, {"id": "", "created": 0}, {"id": 5, "created": 7.0}, {"created": True}]
)
def test_a_stream_without_a_name_gets_one(begin):
    ((given_id, created, *_rest),) = heads(billed(event({"content": "Hello"}, **begin), HELLO, END, DONE))
    assert given_id.startswith("chatcmpl-") and type(created) is int and created > 7


def test_so_does_a_whole_answer_that_is_told_as_one():
    assert len(heads(billed(whole("Hello")))) == 1
    assert len(heads(billed(whole("Hello", usage=WRITTEN, created=7)))) == 1


# -- one report ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "usage"),
    [
        ([HELLO, END, data({"choices": [], "usage": WRITTEN})], WRITTEN),
        ([HELLO, event({}, usage=WRITTEN), END], WRITTEN),
        ([HELLO, END, data({"choices": [], "usage": READ})], None),
        ([event({"content": "Hello"}, usage=READ), HELLO, END], None),
        ([HELLO, END], None),
        ([whole("Hello", usage=WRITTEN)], WRITTEN),
        ([whole("Hello", usage=READ)], None),
        ([whole("Hello")], None),
    ],
)
def test_what_was_used_is_told_once_and_as_it_is_billed(parts, usage):
    events = billed(*parts, *([] if parts[0].startswith(b"{") else [DONE]))
    (told,) = [one["usage"] for one in events if one.get("usage")]
    assert "usage" in events[-1] and (told == usage if usage else told["completion_tokens"] > 0)


def test_a_report_goes_out_with_all_that_its_provider_says():
    more = {"system_fingerprint": "fp", "usage": WRITTEN | {"cost": 0.01}}
    assert billed(HELLO, END, data({"choices": [], **more}), DONE)[-1].items() >= more.items()


def test_a_report_that_cannot_be_written_is_told_without_its_extras():
    deep = json.loads("[" * 600 + "]" * 600)
    last = billed(HELLO, END, data({"choices": [], "x": deep, "usage": WRITTEN}), DONE)[-1]
    assert "x" not in last and last["usage"]["total_tokens"] == 1002


@pytest.mark.parametrize("usage", [None, READ])
def test_a_whole_answer_without_a_report_has_what_is_billed(usage):
    told = tell(whole("Hello", **({"usage": usage} if usage else {})), stream=False)
    assert told.answer["usage"] == usage_body(told.bill[0]) and told.bill[1]
    assert told.answer["usage"]["completion_tokens"] > 0 < told.answer["usage"]["prompt_tokens"]
