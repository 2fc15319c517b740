"""Texts that go on: what may be asked, what is held, and what comes, whole and streamed."""

import asyncio
from decimal import Decimal
from uuid import uuid4

import openai
import orjson
import pytest

from foundation.errors import AtriumError, InvalidInput
from foundation.ids import uuid7
from gateway.answers.billed import billed_usage
from gateway.calls import Call, Principal
from gateway.operations.completions import DEFAULT_MAX_TOKENS, OPERATION
from gateway.steps.capable import keep_capable
from gateway.steps.reserve import highest_price
from models_registry.routes import Candidate
from tests.doubles.vendor import running_vendor
from tests.gateway.calling import collaborators, make_endpoint, make_route
from tests.gateway.living import HELLO, ONE, events_of
from usage.pricing import Price, Usage

pytestmark = pytest.mark.scope(None)
PRINCIPAL = Principal("acme", uuid4(), uuid4())
TEXT = "w0 w1 w2 w3 w4 w5 w6 w7"


def parse(kind: str = "openai_compatible", url: str = "http://nowhere/v1", **body) -> Call:
    asked = {"model": "ours", "prompt": "Once upon", **body}
    call = OPERATION.parse(orjson.dumps(asked), PRINCIPAL, uuid7())
    price = Price("EUR", input=Decimal(0), output=Decimal(1))
    route = make_route([make_endpoint(url, kind=kind)], price=price)
    call.candidates = [Candidate(route, route.targets[0], route.name)]
    call.begin_attempt(call.candidates[0])
    return call


@pytest.mark.parametrize(
    ("prompt", "count"),
    [("a", 1), (["a", "b"], 2), ([1, 2, 3], 1), ([[1, 2], [3]], 2), (["a", [1]], 2)],
)
def test_prompts_come_in_every_form(prompt, count):
    assert parse(prompt=prompt).text_count == count


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"prompt": None}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": 7}, "prompt"),
        ({"prompt": ["a", ""]}, "prompt[1]"),
        ({"prompt": ["a", None]}, "prompt[1]"),
        ({"prompt": [-1]}, "prompt[0]"),
        ({"prompt": [[1, -1]]}, "prompt[0]"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": 5}, "max_completion_tokens"),
        ({"max_new_tokens": 5}, "max_new_tokens"),
        ({"n": 0}, "n"),
        ({"n": 129}, "n"),
        ({"n": 3, "best_of": 2}, "best_of"),
        ({"best_of": 2, "stream": True}, "best_of"),
        ({"n_cmpl": 2}, "n_cmpl"),
        ({"prompt": ["a"] * 65, "n": 2}, "n"),
        ({"prompt": ["a"] * 129}, "prompt"),
        ({"logprobs": 21}, "logprobs"),
        ({"logprobs": True}, "logprobs"),
        ({"echo": "yes"}, "echo"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 0, "echo": False}, "max_tokens"),
        ({"max_tokens": -1, "echo": True}, "max_tokens"),
        ({"suffix": 7}, "suffix"),
        ({"temperature": 3}, "temperature"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
    ],
)
def test_what_is_wrong_is_named(body, param):
    with pytest.raises(InvalidInput) as caught:
        parse(**body)
    assert caught.value.param == param


def test_who_sends_messages_is_told_what_is_taken():
    with pytest.raises(InvalidInput) as caught:
        parse(prompt=None, messages=HELLO)
    assert "messages" in str(caught.value.message) and caught.value.param == "prompt"


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        ({}, DEFAULT_MAX_TOKENS),
        ({"max_tokens": 50}, 50),
        ({"max_tokens": 0, "echo": True}, 0),
        ({"max_tokens": 50, "n": 3}, 150),
        ({"max_tokens": 50, "n": 2, "best_of": 5}, 250),
        ({"max_tokens": 50, "n": 2, "prompt": ["a", "b", "c"]}, 300),
    ],
)
def test_all_that_may_be_written_is_held_for(body, tokens):
    assert highest_price(parse(**body)) == Decimal(tokens) / 1_000_000


@pytest.mark.parametrize(
    ("kind", "more", "word"),
    [
        ("ollama", {}, "no arrays of tokens"),
        ("embedded", {}, "model_tokens"),
        ("openai_compatible", {}, ""),
        ("embedded", {"model_tokens": True}, ""),
    ],
)
def test_tokens_go_where_they_mean_something(kind, more, word):
    call = parse(kind, prompt=[1, 2], **more)
    if not word:
        written = OPERATION.write_body(call, "max_tokens", asks_for_usage=True)
        assert written["prompt"] == [1, 2] and "model_tokens" not in written
        return
    with pytest.raises(InvalidInput) as caught:
        OPERATION.write_body(call, "max_tokens", asks_for_usage=True)
    assert word in str(caught.value.message) and caught.value.param == "prompt"


def test_all_that_says_how_passes():
    given = {"suffix": "end", "echo": True, "logprobs": 2, "stop": ["x"], "best_of": 1, "seed": 7}
    written = OPERATION.write_body(parse(**given), "max_completion_tokens", asks_for_usage=True)
    assert written == {"model": "ours", "prompt": "Once upon", "max_tokens": DEFAULT_MAX_TOKENS, **given}


@pytest.mark.parametrize("kind", ["anthropic", "cohere", "mistral", "embedded"])
def test_a_provider_without_them_is_not_asked(kind):
    with pytest.raises(InvalidInput) as caught:
        keep_capable(parse(kind))
    assert caught.value.code == "unsupported_operation"
    assert "/v1/chat/completions" in str(caught.value.message)


def test_the_official_client_gets_texts(house):
    answer = house.client().completions.create(
        model="mock", prompt=["Once upon a", "There"], n=2, max_tokens=20
    )
    assert answer.object == "text_completion" and answer.model == "mock" and answer.id.startswith("cmpl-")
    assert [(one.index, one.text, one.finish_reason) for one in answer.choices] == [
        (index, TEXT, "stop") for index in range(4)
    ]
    event = events_of(ONE)[0]
    assert (event.endpoint, event.input_tokens, event.output_tokens) == ("completions", 4, 32)
    assert event.cost == Decimal("0.000068") and not event.estimated


def test_echo_and_best_of_are_billed_as_reported(house):
    answer = house.client().completions.create(
        model="mock", prompt="Once", echo=True, best_of=3, max_tokens=20
    )
    assert [one.text for one in answer.choices] == [f"Once{TEXT}"]
    assert events_of(ONE)[0].output_tokens == 24


@pytest.mark.parametrize("is_streamed", [True, False])
def test_a_prompt_alone_comes_back_and_nothing_is_written(house, is_streamed):
    """As programs ask that measure how probable a text is."""
    told = house.client().completions.create(
        model="mock", prompt="Once", echo=True, max_tokens=0, logprobs=0, stream=is_streamed
    )
    if not is_streamed:
        assert [(one.text, one.finish_reason) for one in told.choices] == [("Once", "length")]
    else:
        assert (
            "".join(one.text for chunk in told for one in chunk.choices) == ""
        )  # the double echoes no streams
    event = events_of(ONE)[0]
    assert (event.output_tokens, event.input_tokens, event.status) == (0, 1, "ok")
    sent = house.mock.ledger()[-1]["body"]
    assert (sent["max_tokens"], sent["echo"], sent["logprobs"]) == (0, True, 0)


@pytest.mark.parametrize("usage", [{}, {"usage": {"prompt_tokens": 2, "completion_tokens": 0}}])
def test_a_prompt_that_comes_back_is_not_billed_as_written(usage):
    choice = {"text": "Once upon " * 9, "index": 0, "finish_reason": "length"}
    call, _said = answered(orjson.dumps({"choices": [choice], **usage}), echo=True, max_tokens=0)
    assert billed_usage(call)[0].total_output == 0


@pytest.mark.parametrize("wants_usage", [True, False])
def test_the_official_client_gets_streams(house, wants_usage):
    options = {"stream_options": {"include_usage": True}} if wants_usage else {}
    chunks = list(
        house.client().completions.create(
            model="mock-tokens-20-5", prompt="Once", n=2, max_tokens=30, stream=True, **options
        )
    )
    texts = ["", ""]
    for chunk in chunks:
        assert chunk.object == "text_completion" and chunk.model == "mock-tokens-20-5"
        for choice in chunk.choices:
            texts[choice.index] += choice.text
    assert texts == [" ".join(f"w{i}" for i in range(20))] * 2
    assert [chunk.usage.completion_tokens for chunk in chunks if chunk.usage] == [40] * wants_usage
    assert len({chunk.id for chunk in chunks}) == 1
    event = events_of(ONE)[0]
    assert (event.output_tokens, event.estimated, event.status) == (40, False, "ok")


def test_an_unknown_model_is_told_as_that(house):
    with pytest.raises(openai.NotFoundError):
        house.client().completions.create(model="nothing", prompt="Once")


def answered(answer: bytes, **body):
    """The call, and what came of a server that says this."""

    async def run():
        from foundation.egress import PRIVATE
        from foundation.egress.data_plane import open_session
        from gateway import pipeline

        async with (
            running_vendor({"/v1/completions": lambda _body: (200, answer)}) as vendor,
            open_session(PRIVATE) as client,
        ):
            call = parse(url=f"{vendor.url}/v1", **body)
            try:
                if call.wants_stream:
                    stream = pipeline.stream(call, collaborators(client))
                    return call, b"".join([part async for part in stream])
                return call, await pipeline.complete(call, collaborators(client))
            except AtriumError as exc:
                return call, exc.code.encode()

    return asyncio.run(run())


LOGPROBS = {"tokens": ["a"], "token_logprobs": [-0.5], "top_logprobs": [{"a": -0.5}], "text_offset": [0]}
ODD = {"choices": [{"text": "a b", "index": 0, "logprobs": LOGPROBS, "finish_reason": "eos_token"}]}


def test_what_servers_leave_out_is_filled_in_and_log_probabilities_pass():
    call, said = answered(orjson.dumps(ODD), logprobs=1)
    told = orjson.loads(said)
    assert told["choices"] == [{"text": "a b", "logprobs": LOGPROBS, "index": 0, "finish_reason": "stop"}]
    assert told["id"] == f"cmpl-{call.request_id.hex}" and told["object"] == "text_completion"
    assert told["usage"]["completion_tokens"] == billed_usage(call)[0].output_tokens > 0


def test_a_text_that_came_whole_where_a_stream_was_asked_for_is_one():
    call, said = answered(
        orjson.dumps({**ODD, "usage": {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}}),
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [orjson.loads(line[6:]) for line in said.split(b"\n") if line.startswith(b"data: {")]
    assert "".join(one["choices"][0]["text"] for one in chunks if one["choices"]) == "a b"
    assert chunks[0]["choices"][0]["logprobs"] == LOGPROBS
    assert {one["object"] for one in chunks} == {"text_completion"}
    assert billed_usage(call) == (Usage(2, 0, 3), False)


def test_a_stream_that_breaks_off_is_told():
    piece = b'data: {"choices":[{"index":0,"text":"Hel","finish_reason":null}]}\n\n'
    call, said = answered(piece * 2, stream=True)
    assert b'"text":"Hel"' in said and b"upstream_incomplete" in said and call.status == "error"
    assert billed_usage(call)[1], "by what was seen"
