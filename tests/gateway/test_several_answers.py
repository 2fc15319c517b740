"""`n`: several answers to one call, in one piece and streamed; what is held, counted and billed of them."""

import asyncio
from decimal import Decimal

import orjson
import pytest

from foundation.errors import InvalidInput
from gateway.answers.billed import billed_usage
from gateway.operations.chat_completions.answer import MAX_CHOICES
from gateway.steps.capable import keep_capable
from gateway.steps.reserve import highest_price
from tests.gateway.asking import ask, serving
from tests.gateway.calling import call_of, make_endpoint, make_route
from tests.gateway.living import HELLO, ONE, events_of
from tests.gateway.parsing import parse
from tests.gateway.telling import data, tell, whole
from usage.pricing import Price, Usage

pytestmark = pytest.mark.scope(None)
TEXT = "w0 w1 w2 w3 w4 w5 w6 w7"


def test_the_official_client_gets_as_many_answers_as_it_asks_for(house):
    answer = house.client().chat.completions.create(model="mock", messages=HELLO, n=3)
    assert [(one.index, one.message.content) for one in answer.choices] == [(n, TEXT) for n in range(3)]
    assert answer.usage.completion_tokens == 24
    event = events_of(ONE)[0]
    assert (event.output_tokens, event.estimated) == (24, False)
    assert event.cost == Decimal("0.000051"), "3 tokens at 1 and 24 at 2 EUR per million"


@pytest.mark.parametrize("model", ["mock", "mock-tokens-20-5"])
def test_streams_bring_several_answers_side_by_side(house, model):
    stream = house.client().chat.completions.create(
        model=model, messages=HELLO, n=2, stream=True, stream_options={"include_usage": True}
    )
    texts, reasons, tokens = ["", ""], ["", ""], 0
    for chunk in stream:
        tokens = chunk.usage.completion_tokens if chunk.usage else tokens
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
            reasons[choice.index] = choice.finish_reason or reasons[choice.index]
    count = 8 if model == "mock" else 20
    assert texts == [" ".join(f"w{i}" for i in range(count))] * 2
    assert reasons == ["stop", "stop"] and tokens == 2 * count


@pytest.mark.parametrize("count", [0, -1, MAX_CHOICES + 1, "2", 1.5])
def test_a_number_of_answers_that_is_none_is_named(count):
    with pytest.raises(InvalidInput) as caught:
        parse(n=count)
    assert caught.value.param == "n"


def test_as_many_answers_are_held_for():
    price = Price("EUR", input=Decimal(0), output=Decimal(1))
    costs = []
    for count in (1, 4):
        call = parse(n=count, max_tokens=1_000)
        call.candidates = call_of(make_route([make_endpoint("http://nowhere/v1")], price=price)).candidates
        costs.append(highest_price(call))
    assert costs == [Decimal("0.001"), Decimal("0.004")]


def piece(text: str, index: int, reason: str | None = None) -> bytes:
    return data({"choices": [{"index": index, "delta": {"content": text}, "finish_reason": reason}]})


def several(*routes, stream=True, count=2, **more):
    call = call_of(*routes, stream=stream, n=count, **more)
    call.answer_count = count
    return call


def ask_for_two(*parts: bytes, max_tokens: int = 100):
    """The call, and what came, of a server that says this to a stream of two answers."""

    async def run():
        async with serving((200, b"".join(parts))) as server:
            call = several(make_route([make_endpoint(server.url)]), max_tokens=max_tokens)
            return call, await ask(call)

    return asyncio.run(run())


def test_an_answer_that_was_cut_beside_one_that_has_ended_is_told():
    _call, said = ask_for_two(piece("a", 0), piece("b", 1), piece("", 0, "stop"))
    assert b"upstream_incomplete" in said


def test_both_ends_are_an_end_without_its_mark():
    _call, said = ask_for_two(piece("a", 0), piece("b", 1), piece("", 0, "stop"), piece("", 1, "length"))
    assert b"error" not in said and said.endswith(b"[DONE]\n\n")


def test_without_a_report_all_answers_are_billed_by_what_was_seen():
    long = "word " * 80  # 100 tokens by estimate
    parts = [piece(long, index) for index in (0, 1)] + [piece("", index, "stop") for index in (0, 1)]
    call, _said = ask_for_two(*parts, b"data: [DONE]\n\n", max_tokens=90)
    usage, is_estimated = billed_usage(call)
    assert is_estimated and usage.output_tokens == 180, "two answers of at most 90"


@pytest.mark.parametrize("kind", ["ollama", "lmstudio", "cohere", "anthropic", "embedded"])
def test_a_provider_of_one_answer_is_not_asked_for_several(kind):
    call = several(make_route([make_endpoint("http://nowhere/v1", kind=kind)]))
    with pytest.raises(InvalidInput) as caught:
        keep_capable(call)
    assert (caught.value.param, caught.value.code) == ("n", "unsupported_value")
    one = several(make_route([make_endpoint("http://nowhere/v1", kind=kind)]), count=1)
    keep_capable(one)
    assert len(one.candidates) == 1


def test_a_stand_in_that_gives_one_answer_does_not_stand_in_for_several():
    able, unable = make_endpoint("http://a/v1"), make_endpoint("http://b/v1", kind="ollama")
    call = several(make_route([able]), make_route([unable], name="other"))
    keep_capable(call)
    assert [one.endpoint for one in call.candidates] == [able]
    assert call.candidate.endpoint is able


def test_a_whole_answer_is_billed_by_its_report():
    told = tell(
        whole("x", usage={"prompt_tokens": 3, "completion_tokens": 10, "total_tokens": 13}), stream=False
    )
    assert told.bill == (Usage(3, 0, 10), False)


def test_log_probabilities_pass_also_where_a_stream_came_whole():
    answer = {
        "choices": [
            {
                "index": 0,
                "message": {"content": "a"},
                "finish_reason": "stop",
                "logprobs": {"content": [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}]},
            }
        ]
    }
    told = tell(orjson.dumps(answer), stream=True, asking={"logprobs": True})
    assert told.events[0]["choices"][0]["logprobs"] == answer["choices"][0]["logprobs"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"logprobs": 1}, "logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": -1}, "top_logprobs"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"reasoning_effort": 3}, "reasoning_effort"),
        ({"metadata": "x"}, "metadata"),
    ],
)
def test_fields_of_another_form_are_named(fields, param):
    with pytest.raises(InvalidInput) as caught:
        parse(**fields)
    assert caught.value.param == param


def test_fields_that_are_right_pass():
    fields = {"logprobs": True, "top_logprobs": 20, "reasoning_effort": "low", "metadata": {"a": "b"}}
    assert parse(**fields).body.items() >= fields.items()
