"""Vectors: every form of texts in, every form of vectors out, whatever the server sends."""

import asyncio
import base64
import math
import struct
from uuid import uuid4

import openai
import orjson
import pytest

from foundation.egress import PRIVATE
from foundation.egress.data_plane import open_session
from foundation.errors import AtriumError, InvalidInput, UpstreamError
from foundation.ids import uuid7
from foundation.json_bounds import MAX_VALUES
from gateway import pipeline
from gateway.answers.billed import billed_usage
from gateway.calls import Principal
from gateway.operations.body import MAX_TOKENS
from gateway.operations.embeddings import OPERATION
from gateway.operations.embeddings.request import MAX_TEXTS
from models_registry.routes import Candidate
from tests.doubles.mock_embeddings import vector_of
from tests.doubles.vendor import running_vendor
from tests.gateway.calling import collaborators, make_endpoint, make_route
from usage.pricing import Usage

PRINCIPAL = Principal("acme", uuid4(), uuid4())


def parse(**body):
    call = OPERATION.parse(orjson.dumps({"model": "ours", **body}), PRINCIPAL, uuid7())
    route = make_route([make_endpoint("http://nowhere/v1")], kind="embedding")
    call.begin_attempt(Candidate(route, route.targets[0], route.name))
    return call


def read(call, answer) -> dict:
    call.was_dispatched = True
    return orjson.loads(OPERATION.read_answer(call, orjson.dumps(answer)))


@pytest.mark.parametrize(
    ("texts", "count"),
    [("a", 1), (["a", "b"], 2), ([1, 2, 3], 1), ([[1, 2], [3]], 2), (["a"] * MAX_TEXTS, MAX_TEXTS)],
)
def test_texts_come_in_every_form(texts, count):
    assert parse(input=texts).text_count == count


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "input"),
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": 7}, "input"),
        ({"input": {"a": 1}}, "input"),
        ({"input": ["a", ""]}, "input[1]"),
        ({"input": ["a", None]}, "input[1]"),
        ({"input": [[1], ["a"]]}, "input[1]"),
        ({"input": [-1]}, "input"),
        ({"input": [True]}, "input[0]"),
        ({"input": [[]]}, "input[0]"),
        ({"input": ["a"] * (MAX_TEXTS + 1)}, "input"),
        ({"input": "a", "dimensions": 0}, "dimensions"),
        ({"input": "a", "dimensions": "8"}, "dimensions"),
        ({"input": "a", "encoding_format": "hex"}, "encoding_format"),
        ({"input": "a", "encoding_format": 7}, "encoding_format"),
        ({"input": [7], "model_tokens": "yes"}, "model_tokens"),
        ({"input": "a", "models": ["dear"]}, "models"),
        ({"input": "a", "messages": [{"role": "user", "content": "b"}]}, "messages"),
    ],
)
def test_what_is_wrong_is_named(body, param):
    with pytest.raises(InvalidInput) as caught:
        parse(**body)
    assert caught.value.param == param


def test_as_many_tokens_as_openai_takes_are_read():
    rows = [[100_257] * 250] * (MAX_TOKENS // 250)
    assert parse(input=rows).body["input"] == rows
    assert parse(input=[7] * MAX_TOKENS).text_count == 1


@pytest.mark.parametrize(
    ("texts", "limit"),
    [
        ([7] * (MAX_TOKENS + MAX_VALUES), "400,000"),
        ([[7]] * MAX_VALUES, "100,000"),
        (["7"] * MAX_VALUES, "100,000"),
        (["1," * 4] * MAX_VALUES, "100,000"),  # no numbers
        ([{"7": 7}] * MAX_VALUES, "100,000"),
    ],
    ids=["tokens", "lists", "texts", "texts that look like numbers", "objects"],
)
def test_what_is_more_or_no_number_is_refused_unread(texts, limit, monkeypatch):
    raw = orjson.dumps({"model": "ours", "input": texts})
    monkeypatch.setattr("gateway.operations.body.orjson.loads", lambda raw: pytest.fail("it was read"))
    with pytest.raises(InvalidInput) as caught:
        OPERATION.parse(raw, PRINCIPAL, uuid7())
    assert caught.value.code == "invalid_json" and f"more than {limit} values" in str(caught.value.message)


def test_what_is_null_is_not_passed_on():
    call = parse(input="a", user=None, dimensions=None, encoding_format=None)
    assert OPERATION.write_body(call, "", asks_for_usage=False) == {"model": "ours", "input": "a"}


def packed(*numbers: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


@pytest.mark.parametrize("form", ["float", "base64", None])
@pytest.mark.parametrize("sent", [[0.5, 0.25], packed(0.5, 0.25)])
def test_vectors_go_out_in_the_form_that_was_asked_for(form, sent):
    call = parse(input="a", **({"encoding_format": form} if form else {}))
    answer = read(call, {"data": [{"embedding": sent}], "usage": {"prompt_tokens": 3, "total_tokens": 3}})
    expected = packed(0.5, 0.25) if form == "base64" else [0.5, 0.25]
    assert answer == {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": expected}],
        "model": "ours",
        "usage": {"prompt_tokens": 3, "total_tokens": 3},
    }
    usage, is_estimated = billed_usage(call)
    assert (usage.input_tokens, usage.output_tokens, is_estimated) == (3, 0, False)


@pytest.mark.parametrize("answer", [{"embedding": [0.5]}, {"data": {"embedding": [0.5]}}])
def test_one_vector_may_stand_by_itself(answer):
    assert [one["embedding"] for one in read(parse(input="a"), answer)["data"]] == [[0.5]]


@pytest.mark.parametrize("beside", [{"embedding": None}, {"embedding": [0.5]}, {"embeddings": []}])
@pytest.mark.parametrize("name", ["data", "embeddings"])
def test_a_list_of_vectors_counts_before_one_that_stands_beside_it(name, beside):
    answer = beside | {name: [[0.5], [0.25]]}
    assert [one["embedding"] for one in read(parse(input=["a", "b"]), answer)["data"]] == [[0.5], [0.25]]


@pytest.mark.parametrize("form", ["float", "base64"])
@pytest.mark.parametrize("vector", [[0.5], [0.5, 0.25]])
def test_base64_may_lack_its_padding(form, vector):
    bare = packed(*vector).rstrip("=")
    answer = read(parse(input="a", encoding_format=form), {"data": [{"embedding": bare}]})
    assert answer["data"][0]["embedding"] == (packed(*vector) if form == "base64" else vector)


def test_a_total_alone_is_what_was_read():
    call = parse(input="some words to count")
    told = read(call, {"data": [{"embedding": [1.0]}], "usage": {"total_tokens": 41}})["usage"]
    assert told == {"prompt_tokens": 41, "total_tokens": 41}
    assert billed_usage(call) == (Usage(41), False)


@pytest.mark.parametrize(
    ("refusal", "learnt"),
    [
        ("encoding_format: Extra inputs are not permitted", True),
        ("encoding_format must be float", True),
        ("input is odd", False),
    ],
)
@pytest.mark.parametrize("form", ["base64", "float"])
async def test_a_server_that_refuses_the_form_is_asked_without_it_and_remembered(refusal, learnt, form):
    def answer(body: dict) -> tuple[int, bytes]:
        if "encoding_format" in body:
            return 422, orjson.dumps({"detail": refusal})
        return 200, orjson.dumps({"data": [{"embedding": [0.5, 0.25]}]})

    async with running_vendor({"/v1/embeddings": answer}) as vendor, open_session(PRIVATE) as client:
        route = make_route([make_endpoint(f"{vendor.url}/v1", kind="vllm")], kind="embedding")
        host = collaborators(client)
        for _time in range(2):
            call = OPERATION.parse(
                orjson.dumps({"model": "ours", "input": "a", "encoding_format": form}), PRINCIPAL, uuid7()
            )
            call.candidates = [Candidate(route, route.targets[0], route.name)]
            call.begin_attempt(call.candidates[0])
            if not learnt:
                with pytest.raises(InvalidInput):
                    await pipeline.complete(call, host)
                continue
            (one,) = orjson.loads(await pipeline.complete(call, host))["data"]
            assert one["embedding"] == (packed(0.5, 0.25) if form == "base64" else [0.5, 0.25])
        asked = ["encoding_format" in body for body in vendor.bodies]
        assert asked == ([True, False, False] if learnt else [True, True])


def answer_numbers_alone(body: dict) -> tuple[int, bytes]:
    if body.get("encoding_format") == "base64":
        return 200, b'{"data":[]}'
    return 200, orjson.dumps({"data": [{"embedding": [0.5, 0.25]}]})


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        ("openai_compatible", None),
        ("qwen", None),
        ("ollama", None),
        ("openai", "base64"),
        ("vllm", "base64"),
        ("embedded", "base64"),
    ],
)
async def test_base64_is_asked_of_servers_that_are_known_to_send_it(kind, asked):
    async with running_vendor({"/v1/embeddings": answer_numbers_alone}) as vendor:
        raw = orjson.dumps({"model": "ours", "input": "a", "encoding_format": "base64"})
        told = await ask(vendor, raw, kind)
        assert [body.get("encoding_format") for body in vendor.bodies[:1]] == [asked]
        if asked is None:
            assert orjson.loads(told)["data"][0]["embedding"] == packed(0.5, 0.25)


async def ask(vendor, raw: bytes, kind: str) -> bytes:
    """The answer to a request, or its error's text."""
    async with open_session(PRIVATE) as client:
        route = make_route([make_endpoint(f"{vendor.url}/v1", kind=kind)], kind="embedding")
        call = OPERATION.parse(raw, PRINCIPAL, uuid7())
        call.candidates = [Candidate(route, route.targets[0], route.name)]
        call.begin_attempt(call.candidates[0])
        try:
            return await pipeline.complete(call, collaborators(client))
        except AtriumError as exc:
            return str(exc.message).encode()


TOKENS = [[1, 2], [[1], [2]], ["a", [1]]]
WAY_OUT = "check_embedding_ctx_length=False"


def answer_for_all(body: dict) -> tuple[int, bytes]:
    count = len(body["input"]) if isinstance(body["input"][0], list | str) else 1
    return 200, orjson.dumps({"data": [{"embedding": [0.5]}] * count})


@pytest.mark.parametrize("kind", ["ollama", "lmstudio", "qwen", "mistral"])
@pytest.mark.parametrize("tokens", TOKENS)
async def test_who_sends_tokens_where_texts_are_taken_is_told_the_way_out(kind, tokens):
    async with running_vendor({"/v1/embeddings": answer_for_all}) as vendor:
        raw = orjson.dumps({"model": "ours", "input": tokens, "model_tokens": True})
        told = (await ask(vendor, raw, kind)).decode()
        assert "no arrays of tokens" in told and WAY_OUT in told and vendor.asked == []


@pytest.mark.parametrize("kind", ["openai", "vllm", "siliconflow", "openai_compatible"])
@pytest.mark.parametrize("tokens", TOKENS)
async def test_tokens_are_passed_on_where_they_may_be_meant(kind, tokens):
    async with running_vendor({"/v1/embeddings": answer_for_all}) as vendor:
        assert b'"embedding"' in await ask(vendor, orjson.dumps({"model": "ours", "input": tokens}), kind)
        assert vendor.bodies[0]["input"] == tokens


@pytest.mark.parametrize("tokens", TOKENS)
async def test_the_runtime_takes_tokens_of_its_own_model_alone(tokens):
    """Those that clients make for OpenAI's models would give vectors of other words."""
    async with running_vendor({"/v1/embeddings": answer_for_all}) as vendor:
        for said in ({}, {"model_tokens": False}, {"model_tokens": None}):
            raw = orjson.dumps({"model": "ours", "input": tokens} | said)
            told = (await ask(vendor, raw, "embedded")).decode()
            assert WAY_OUT in told and "“model_tokens”: true" in told and vendor.asked == []
        raw = orjson.dumps({"model": "ours", "input": tokens, "model_tokens": True})
        assert b'"embedding"' in await ask(vendor, raw, "embedded")
        (body,) = vendor.bodies
        assert body["input"] == tokens and "model_tokens" not in body


@pytest.mark.parametrize("usage", [{}, {"usage": None}, {"usage": {"prompt_tokens": 0, "total_tokens": 0}}])
def test_without_a_report_the_client_is_told_what_is_billed(usage):
    """Clients' types ask for it."""
    call = parse(input="some words to count")
    told = read(call, {"data": [{"embedding": [1.0]}], **usage})["usage"]
    assert told["prompt_tokens"] == told["total_tokens"] == billed_usage(call)[0].total_input > 0


@pytest.mark.parametrize(
    "answer",
    [
        {"data": [{"index": 1, "embedding": [2.0]}, {"index": 0, "embedding": [1.0]}]},
        {"data": [{"embedding": [1.0]}, {"embedding": [2.0]}]},
        {"embeddings": [[1.0], [2.0]]},
        {"data": [[1.0], [2.0]]},
        {"data": None, "embeddings": [[1.0], [2.0]]},
        {"data": [{"index": 0, "embedding": [1.0]}, {"index": 0, "embedding": [2.0]}]},
        {"data": [{"index": 2, "embedding": [2.0]}, {"index": 1, "embedding": [1.0]}]},
        {"data": [{"index": "1", "embedding": [2.0]}, {"index": "0", "embedding": [1.0]}]},
        {"data": [{"index": 0, "embedding": [1.0]}, {"embedding": [2.0]}]},
        {"data": [{"index": 1, "embedding": [[2.0]]}, {"index": 0, "embedding": [[1.0]]}]},
        [{"index": 1, "embedding": [[2.0]]}, {"index": 0, "embedding": [[1.0]]}],
        [[1.0], [2.0]],
        {"result": {"shape": [2, 1], "data": [[1.0], [2.0]]}, "success": True},
    ],
)
def test_vectors_belong_to_their_texts(answer):
    data = read(parse(input=["a", "b"]), answer)["data"]
    assert [one["embedding"] for one in data] == [[1.0], [2.0]] and [one["index"] for one in data] == [0, 1]


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"data": []},
        {"data": [{"embedding": [1.0]}]},  # two were asked for
        {"data": [{"index": 1, "embedding": [1.0]}, {"index": 1, "embedding": [1.0]}]},
        {"data": [{"index": 2, "embedding": [1.0]}, {"index": 3, "embedding": [1.0]}]},
        {"data": [{"embedding": [[1.0], [2.0]]}, {"embedding": [[1.0], [2.0]]}]},
        {"data": [{"embedding": []}, {"embedding": [1.0]}]},
        {"data": [{"embedding": ["a"]}, {"embedding": [1.0]}]},
        {"data": [{"embedding": "no base64"}, {"embedding": [1.0]}]},
        {"data": [{"embedding": "YWJj"}, {"embedding": [1.0]}]},
        {"data": ["a", 7]},
        [],
    ],
)
@pytest.mark.parametrize("form", ["float", "base64"])
def test_what_makes_no_sense_is_an_error(answer, form):
    call = parse(input=["a", "b"], encoding_format=form)
    with pytest.raises(UpstreamError):
        read(call, answer)
    assert billed_usage(call)[0].output_tokens == 0


NO_FLOATS = [b"1e39", b"1e400", b"-1e999", b"NaN", b"Infinity", b"null", b"true", b'"0.5"', b"1" * 400]


@pytest.mark.parametrize("form", ["float", "base64"])
@pytest.mark.parametrize("number", NO_FLOATS, ids=lambda number: number.decode()[:8])
def test_what_is_no_32_bit_float_is_no_number_of_a_vector(number, form):
    call = parse(input="a", encoding_format=form)
    with pytest.raises(UpstreamError):
        OPERATION.read_answer(call, b'{"data":[{"embedding":[0.5,%b]}]}' % number)


@pytest.mark.parametrize("form", ["float", "base64"])
@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_packed_numbers_are_finite_too(number, form):
    with pytest.raises(UpstreamError):
        read(parse(input="a", encoding_format=form), {"data": [{"embedding": packed(0.5, number)}]})


@pytest.mark.parametrize("form", ["float", "base64"])
@pytest.mark.parametrize("vectors", [[[1.0], [1.0, 2.0]], [packed(1.0, 2.0), packed(1.0)]])
def test_all_vectors_are_of_one_length(vectors, form):
    with pytest.raises(UpstreamError):
        read(parse(input=["a", "b"], encoding_format=form), {"data": [{"embedding": one} for one in vectors]})


def test_as_many_numbers_as_the_largest_models_give_are_read():
    """2,048 texts, which is what a request may hold, of 3,072 dimensions."""
    entry = b'{"embedding":[' + b",".join([b"0.25"] * 3_072) + b"]}"
    raw = b'{"data":[' + b",".join([entry] * 2_048) + b"]}"
    call = parse(input=["a"] * 2_048, encoding_format="base64")
    assert len(orjson.loads(OPERATION.read_answer(call, raw))["data"]) == 2_048


def test_a_length_that_the_model_cannot_give_is_said():
    with pytest.raises(InvalidInput) as caught:
        read(parse(input="a", dimensions=3), {"data": [{"embedding": [1.0, 2.0]}]})
    assert caught.value.param == "dimensions" and "2" in str(caught.value.message)


def test_the_most_input_has_room_for_what_a_server_puts_around_each_text():
    call = parse(input=["a"] * 2_048)
    route = make_route([make_endpoint("http://nowhere/v1")], kind="embedding")
    assert OPERATION.most_input_tokens(call, route) > 7 * 2_048


def test_the_most_input_is_the_window_for_each_text():
    call = parse(input=["word " * 100] * 3)
    route = make_route([make_endpoint("http://nowhere/v1")], kind="embedding", context_window=50)
    assert OPERATION.most_input_tokens(call, route) == 150


# -- from outside --------------------------------------------------------------------------------------------


@pytest.mark.scope(None)
def test_the_official_client_gets_vectors_and_they_are_billed(house):
    from tests.gateway.living import events_of
    from tests.live import TENANTS

    answer = house.client().embeddings.create(model="mock-embedding", input=["one two", "three"])
    assert [one.embedding for one in answer.data] == [vector_of("one two", 8), vector_of("three", 8)]
    assert answer.usage.prompt_tokens == 3
    floats = house.client().embeddings.create(
        model="mock-embedding", input="x", encoding_format="float", dimensions=4
    )
    assert floats.data[0].embedding == pytest.approx(vector_of("x", 4))
    event = events_of(TENANTS[0])[0]
    assert (event.endpoint, event.model, event.input_tokens, event.output_tokens) == (
        "embeddings",
        "mock-embedding",
        1,
        0,
    )


@pytest.mark.scope(None)
def test_a_model_of_another_kind_makes_no_vectors_and_an_embedder_does_not_chat(house):
    with pytest.raises(openai.NotFoundError, match="of the kind “chat”"):
        house.client().embeddings.create(model="mock", input="x")
    with pytest.raises(openai.NotFoundError):
        house.client().chat.completions.create(
            model="mock-embedding", messages=[{"role": "user", "content": "x"}]
        )


@pytest.mark.scope(None)
def test_vectors_come_at_once_for_many(house):
    async def run() -> None:
        async with house.async_client() as client:
            calls = [
                client.embeddings.create(model="mock-embedding", input=[f"t{n}"] * 32) for n in range(20)
            ]
            answers = await asyncio.gather(*calls)
            assert [len(one.data) for one in answers] == [32] * 20

    asyncio.run(run())
