"""Relevances: every form of documents in, the greatest first out, whatever the server sends."""

from decimal import Decimal
from uuid import uuid4

import orjson
import pytest
from asgiref.sync import sync_to_async

from foundation.errors import InvalidInput, QuotaExceeded, UpstreamError
from foundation.ids import uuid7
from gateway.answers.billed import billed_usage
from gateway.calls import Principal
from gateway.operations.rerank import MOST_AROUND_PAIR, OPERATION
from gateway.operations.rerank.errors import COHERES
from gateway.operations.rerank.request import MAX_DOCUMENTS
from models_registry.routes import Candidate
from tests.doubles.cohere import answer_relevances
from tests.doubles.vendor import running_vendor
from tests.gateway.calling import make_endpoint, make_route
from tests.gateway.connecting import connected
from tests.gateway.living import ONE, events_of
from usage.pricing import Usage

pytestmark = pytest.mark.scope(None)
PRINCIPAL = Principal("acme", uuid4(), uuid4())
QUERY = "red green"
DOCUMENTS = ["blue", {"text": "red green", "title": "T"}, "red"]


def parse(**body):
    call = OPERATION.parse(
        orjson.dumps({"model": "ours", "query": QUERY, "documents": DOCUMENTS, **body}), PRINCIPAL, uuid7()
    )
    route = make_route([make_endpoint("http://nowhere/v1")], kind="rerank")
    call.begin_attempt(Candidate(route, route.targets[0], route.name))
    return call


def read(call, answer) -> dict:
    call.was_dispatched = True
    return orjson.loads(OPERATION.read_answer(call, orjson.dumps(answer)))


def scores(*pairs, name="relevance_score") -> list[dict]:
    return [{"index": index, name: score} for index, score in pairs]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"query": None}, "query"),
        ({"query": ""}, "query"),
        ({"query": 7}, "query"),
        ({"documents": None}, "documents"),
        ({"documents": []}, "documents"),
        ({"documents": "a"}, "documents"),
        ({"documents": ["a", 7]}, "documents[1]"),
        ({"documents": ["a", {"title": "x"}]}, "documents[1]"),
        ({"documents": ["a"] * (MAX_DOCUMENTS + 1)}, "documents"),
        ({"top_n": 0}, "top_n"),
        ({"top_n": "2"}, "top_n"),
        ({"return_documents": "yes"}, "return_documents"),
    ],
)
def test_what_is_wrong_is_named(body, param):
    with pytest.raises(InvalidInput) as caught:
        parse(**body)
    assert caught.value.param == param


def test_what_goes_out_are_texts_and_no_more_than_there_are():
    call = parse(top_n=9, return_documents=True, max_chunks_per_doc=4, user=None)
    written = OPERATION.write_body(call, "", asks_for_usage=False)
    assert written == {
        "model": "ours",
        "query": QUERY,
        "documents": ["blue", "red green", "red"],
        "top_n": 3,
    }


def test_the_question_is_held_for_with_each_document():
    short, long = parse(), parse(query=QUERY * 100)
    more = len(QUERY) * 99
    assert long.size_bytes - short.size_bytes == 3 * more
    route = make_route([make_endpoint("http://nowhere/v1")], kind="rerank", context_window=64)
    assert OPERATION.most_input_tokens(long, route) == 3 * 64
    assert OPERATION.most_input_tokens(short, short.route) == short.size_bytes + 3 * MOST_AROUND_PAIR


@pytest.mark.parametrize(
    "answer",
    [
        {"results": scores((1, 0.9), (0, 0.1), (2, 0.5))},
        {"results": scores((0, 0.1), (1, 0.9), (2, 0.5), name="score")},
        {"data": scores((0, 0.1), (1, 0.9), (2, 0.5))},
        scores((0, 0.1), (2, 0.5), (1, 0.9), name="score"),
        {"results": scores(("1", 0.9), ("0", 0.1), ("2", 0.5))},
    ],
    ids=["cohere", "infinity", "voyage", "a list", "places as texts"],
)
def test_the_most_relevant_comes_first(answer):
    told = read(parse(), answer)
    assert [(one["index"], one["relevance_score"]) for one in told["results"]] == [
        (1, 0.9),
        (2, 0.5),
        (0, 0.1),
    ]
    assert told["model"] == "ours" and "document" not in told["results"][0]


def test_documents_come_back_as_they_were_sent_and_no_more_than_asked_for():
    told = read(parse(return_documents=True, top_n=2), {"results": scores((0, 0.1), (1, 0.9), (2, 0.5))})
    assert [one["document"] for one in told["results"]] == [DOCUMENTS[1], {"text": "red"}]


@pytest.mark.parametrize(
    "results",
    [
        [],
        None,
        [7],
        scores((3, 0.5)),
        scores((-1, 0.5)),
        scores((0, 0.5), (0, 0.4)),
        scores((0, "high")),
        scores((0, True)),
        scores((0, None)),
        [{"index": 0}],
        [{"relevance_score": 0.5}],
        scores((0, 0.1), (1, 0.1), (2, 0.1), (3, 0.1)),
    ],
)
def test_what_is_no_judgement_of_these_documents_is_told_as_such(results):
    with pytest.raises(UpstreamError) as caught:
        read(parse(), {"results": results})
    assert caught.value.code == "upstream_invalid_response"


@pytest.mark.parametrize("number", [b"1e999", b"9" * 400, b"NaN"])
def test_relevances_are_finite(number):
    call = parse()
    with pytest.raises(UpstreamError):
        OPERATION.read_answer(call, b'{"results":[{"index":0,"relevance_score":%b}]}' % number)


@pytest.mark.parametrize(
    "report",
    [
        {"usage": {"prompt_tokens": 41, "total_tokens": 41}},
        {"usage": {"total_tokens": 41}},
        {"meta": {"billed_units": {"input_tokens": 41, "output_tokens": 0}}},
        {"meta": {"tokens": {"input_tokens": 41}}},
        {"tokens": {"input_tokens": 40, "output_tokens": 1}},
    ],
    ids=["vllm", "jina", "siliconflow", "siliconflow, older", "what is written counts as read"],
)
def test_what_was_read_is_billed_wherever_it_is_told(report):
    call = parse()
    told = read(call, {"results": scores((0, 0.5)), **report})
    assert billed_usage(call) == (Usage(41), False)
    assert told["usage"] == {"prompt_tokens": 41, "total_tokens": 41}


def test_searches_are_billed_by_what_was_read():
    call = parse()
    told = read(call, {"results": scores((0, 0.5)), "meta": {"billed_units": {"search_units": 1}}})
    usage, is_estimated = billed_usage(call)
    assert is_estimated and usage.total_output == 0
    assert told["usage"]["prompt_tokens"] == usage.total_input > 0


def ask(house, **body):
    given = {"model": "mock-rerank", "query": QUERY, "documents": DOCUMENTS, **body}
    return house.post(given, path="rerank")


def test_documents_are_ranked_through_the_house_and_billed(house):
    answer = ask(house, return_documents=True, top_n=2)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert [one["index"] for one in told["results"]] == [1, 2]
    assert told["results"][0] == {"index": 1, "relevance_score": 1.0, "document": DOCUMENTS[1]}
    assert told["usage"] == {"prompt_tokens": 10, "total_tokens": 10}
    event = events_of(ONE)[0]
    assert (event.endpoint, event.input_tokens, event.output_tokens, event.estimated, event.status) == (
        "rerank",
        10,
        0,
        False,
        "ok",
    )
    (sent,) = [entry["body"] for entry in house.mock.ledger() if entry["body"].get("top_n") == 2][-1:]
    assert sent["documents"] == ["blue", "red green", "red"] and "return_documents" not in sent


@pytest.mark.parametrize(
    ("model", "path", "address"),
    [
        ("mock-rerank", "chat/completions", "/v1/rerank"),
        ("mock", "rerank", "/v1/chat/completions"),
        ("mock-embedding", "rerank", "/v1/embeddings"),
    ],
)
def test_a_model_of_another_kind_says_where_it_is_called(house, model, path, address):
    body = {"model": model, "query": "q", "documents": ["d"], "messages": [{"role": "user", "content": "x"}]}
    answer = house.post(body, path=path)
    assert answer.status_code == 404 and address in answer.json()["error"]["message"]


def test_errors_name_the_place(house):
    error = ask(house, documents=["a", 7]).json()["error"]
    assert error["param"] == "documents[1]" and error["type"] == "invalid_request_error"


async def test_cohere_is_asked_in_its_own_words(house):
    async with (
        running_vendor({"/v2/rerank": answer_relevances}) as vendor,
        connected("cohere", f"{vendor.url}/v2", {"rerank-v3.5": "rerank"}, input=Decimal(1)),
    ):
        body = {"model": "rerank-v3.5", "query": QUERY, "documents": DOCUMENTS, "user": "u"}
        answer = await sync_to_async(house.post)({**body, "return_documents": True}, path="rerank")
    assert answer.status_code == 200, answer.text
    assert [one["index"] for one in answer.json()["results"]] == [2, 1, 0]
    assert vendor.bodies[0].keys() == {"model", "query", "documents"}
    (event,) = await sync_to_async(events_of)(ONE)
    assert event.estimated and event.cost > 0 and event.model == "rerank-v3.5"


def test_an_empty_budget_is_not_asked_again_by_coheres_clients():
    assert COHERES.status_of(QuotaExceeded("empty", code="insufficient_quota")) == 402
    assert COHERES.status_of(QuotaExceeded("busy", code="rate_limit_exceeded")) == 429
