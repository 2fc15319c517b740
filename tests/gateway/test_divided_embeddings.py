"""More texts than a provider takes at once: several requests, and one answer and one bill for the caller."""

import asyncio
import base64
import contextlib
import struct
from decimal import Decimal
from uuid import uuid4

import orjson
import pytest

from foundation.egress import PRIVATE
from foundation.egress.data_plane import open_session
from foundation.errors import AtriumError
from foundation.ids import uuid7
from gateway import pipeline
from gateway.answers.billed import billed_usage
from gateway.calls import Call, Principal
from gateway.operations.embeddings import OPERATION
from gateway.operations.embeddings.request import MAX_TEXTS
from gateway.steps.divide import MOST_AT_ONCE
from models_registry.providers.table import PROVIDERS
from models_registry.routes import Candidate
from tests.doubles import cohere
from tests.doubles.vendor import running_vendor
from tests.gateway.calling import OpenBooks, collaborators, make_endpoint, make_route

PRINCIPAL = Principal("acme", uuid4(), uuid4())
PATH = "/v1/embeddings"
TEXTS = [f"text {number}" for number in range(25)]


def make_call(*endpoints, texts=TEXTS, **body) -> Call:
    raw = orjson.dumps({"model": "ours", "input": texts, **body})
    call = OPERATION.parse(raw, PRINCIPAL, uuid7())
    route = make_route(list(endpoints), kind="embedding")
    call.candidates = [Candidate(route, target) for target in route.targets]
    call.begin_attempt(call.candidates[0])
    call.held = Decimal(1)
    return call


def vectors(body: dict) -> tuple[int, bytes]:
    """As DashScope answers: at most ten, and the last first, as servers that work in parallel may."""
    texts = body["input"]
    if len(texts) > 10:
        message = "batch size is invalid, it should not be larger than 10.: input.contents"
        return 400, orjson.dumps({"error": {"message": message, "code": "InvalidParameter"}})
    data = [{"index": index, "embedding": [number_of(text), 0.5]} for index, text in enumerate(texts)]
    usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
    return 200, orjson.dumps({"data": data[::-1], "usage": usage})


def number_of(text: str) -> float:
    return float(text.split()[-1])


class Books(OpenBooks):
    """Knows what was booked too."""

    def __init__(self) -> None:
        super().__init__()
        self.settled: list = []

    async def settle(self, _slug: str, settlement) -> None:
        self.settled.append(settlement)


async def ask(call: Call, books: Books | None = None) -> bytes:
    async with open_session(PRIVATE) as client:
        return await pipeline.complete(call, collaborators(client, ledger=books or Books()))


def numbers(answer: bytes) -> list[tuple[int, float]]:
    return [(one["index"], one["embedding"][0]) for one in orjson.loads(answer)["data"]]


async def test_all_texts_have_their_vectors_and_the_call_one_bill():
    books = Books()
    async with running_vendor({PATH: vectors}) as vendor:
        answer = await ask(make_call(make_endpoint(f"{vendor.url}/v1", kind="qwen")), books)
    assert sorted(len(body["input"]) for body in vendor.bodies) == [5, 10, 10]
    assert numbers(answer) == [(number, float(number)) for number in range(25)]
    told = orjson.loads(answer)
    assert told["usage"] == {"prompt_tokens": 25, "total_tokens": 25} and told["model"] == "ours"
    assert told["object"] == "list" and {one["object"] for one in told["data"]} == {"embedding"}
    (booked,) = books.settled
    assert booked.usage.total_tokens == booked.usage.total_input == 25
    assert not booked.estimated and booked.attempts == () and booked.status == "ok"


@pytest.mark.parametrize("count", [11, 96, 97, MAX_TEXTS])
@pytest.mark.parametrize("kind", [kind for kind, one in PROVIDERS.items() if one.most_texts])
async def test_no_request_has_more_than_a_kind_takes(kind, count):
    def answer(body: dict) -> tuple[int, bytes]:
        texts = body.get("texts") or body["input"]
        assert len(texts) <= PROVIDERS[kind].most_texts
        if kind == "cohere":
            return cohere.answer_vectors(body)
        return 200, orjson.dumps({"data": [[number_of(text)] for text in texts]})

    async with running_vendor({PATH: answer, "/v2/embed": answer}) as vendor:
        version = "v2" if kind == "cohere" else "v1"
        texts = [f"text {number}" for number in range(count)]
        call = make_call(make_endpoint(f"{vendor.url}/{version}", kind=kind), texts=texts)
        told = numbers(await ask(call))
    assert [index for index, _number in told] == list(range(count))
    if kind != "cohere":
        assert [number for _index, number in told] == [float(number) for number in range(count)]
    assert len(vendor.asked) == -(-count // PROVIDERS[kind].most_texts)


@pytest.mark.parametrize(
    ("kind", "texts"), [("qwen", TEXTS[:10]), ("qwen", "text 1"), ("openai_compatible", TEXTS)]
)
async def test_what_fits_goes_out_as_it_is(kind, texts):
    def answer(body: dict) -> tuple[int, bytes]:
        return 200, orjson.dumps({"data": [[0.5]] * (len(texts) if isinstance(texts, list) else 1)})

    async with running_vendor({PATH: answer}) as vendor:
        await ask(make_call(make_endpoint(f"{vendor.url}/v1", kind=kind), texts=texts))
        assert [body["input"] for body in vendor.bodies] == [texts]


async def test_arrays_of_tokens_are_texts_and_one_array_is_one():
    def answer(body: dict) -> tuple[int, bytes]:
        is_one = isinstance(body["input"][0], int)
        return 200, orjson.dumps({"data": [[0.5]] * (1 if is_one else len(body["input"]))})

    async with running_vendor({PATH: answer}) as vendor:
        endpoint = make_endpoint(f"{vendor.url}/v1", kind="siliconflow")
        await ask(make_call(endpoint, texts=[7] * 100))
        assert [body["input"] for body in vendor.bodies] == [[7] * 100]
        await ask(make_call(endpoint, texts=[[7, 8]] * 33))
        assert [len(body["input"]) for body in vendor.bodies[1:]] == [32, 1]


async def test_the_form_is_that_which_was_asked_for():
    async with running_vendor({PATH: vectors}) as vendor:
        endpoint = make_endpoint(f"{vendor.url}/v1", kind="qwen")
        answer = orjson.loads(await ask(make_call(endpoint, encoding_format="base64")))
    packed = [base64.b64decode(one["embedding"]) for one in answer["data"]]
    assert [struct.unpack("<2f", one)[0] for one in packed] == [float(number) for number in range(25)]


async def test_the_first_part_goes_alone_and_then_a_few_at_a_time():
    now = most = 0
    together = asyncio.Barrier(MOST_AT_ONCE)

    async def answer(body: dict) -> tuple[int, bytes]:
        nonlocal now, most
        now, most = now + 1, max(most, now + 1)
        if "text 0" in body["input"]:
            assert len(vendor.asked) == 1
        else:
            await together.wait()
        now -= 1
        return vectors(body)

    texts = [f"text {number}" for number in range(10 * (1 + 2 * MOST_AT_ONCE))]
    async with running_vendor({PATH: answer}) as vendor:
        answered = await ask(make_call(make_endpoint(f"{vendor.url}/v1", kind="qwen"), texts=texts))
    assert most == MOST_AT_ONCE and len(numbers(answered)) == len(texts)


# -- failures ------------------------------------------------------------------------------------------------


def refusing(number: int, status: int):
    """A vendor's answer that refuses the text of this number."""

    def answer(body: dict) -> tuple[int, bytes]:
        if f"text {number}" in body["input"]:
            return status, orjson.dumps({"error": {"message": "no"}})
        return vectors(body)

    return answer


@pytest.mark.parametrize(("status", "code"), [(400, "invalid_request"), (401, "upstream_auth")])
async def test_what_is_wrong_with_all_of_them_is_said_by_the_first_and_free(status, code):
    async with running_vendor({PATH: refusing(0, status)}) as vendor:
        call = make_call(make_endpoint(f"{vendor.url}/v1", kind="qwen"))
        with pytest.raises(AtriumError):
            await ask(call)
    assert len(vendor.asked) == 1 and call.usage.total_tokens == 0 and not call.is_estimated


async def test_another_endpoint_is_asked_where_the_first_part_was_refused():
    books = Books()
    async with running_vendor({PATH: refusing(0, 500)}) as ill, running_vendor({PATH: vectors}) as fine:
        ways = [make_endpoint(f"{one.url}/v1", kind="qwen") for one in (ill, fine)]
        answer = await ask(make_call(*ways), books)
    assert len(numbers(answer)) == 25 and (len(ill.asked), len(fine.asked)) == (1, 3)
    assert books.settled[0].usage.total_input == 25 and len(books.settled[0].attempts) == 1


@pytest.mark.parametrize("status", [400, 429, 500])
async def test_the_first_failure_ends_the_call_and_what_was_answered_is_billed(status):
    books = Books()
    async with running_vendor({PATH: refusing(10, status)}) as vendor:
        call = make_call(make_endpoint(f"{vendor.url}/v1", kind="qwen"), texts=TEXTS[:20])
        with pytest.raises(AtriumError):
            await ask(call, books)
    assert len(vendor.asked) == 2, "nothing is bought twice"
    (booked,) = books.settled
    assert (booked.usage.total_input, booked.estimated, booked.status) == (10, False, "error")


async def test_no_part_begins_after_a_failure():
    async def answer(body: dict) -> tuple[int, bytes]:
        if not {"text 0", "text 10"}.intersection(body["input"]):
            await asyncio.Event().wait()
        return refusing(10, 400)(body)

    texts = [f"text {number}" for number in range(10 * (2 + 2 * MOST_AT_ONCE))]
    async with running_vendor({PATH: answer}) as vendor:
        with pytest.raises(AtriumError):
            await ask(make_call(make_endpoint(f"{vendor.url}/v1", kind="qwen"), texts=texts))
        assert len(vendor.asked) <= 1 + MOST_AT_ONCE


@pytest.mark.parametrize("leaves", [True, False], ids=["the client leaves", "no answer in time"])
async def test_a_part_on_its_way_costs_what_it_would_have_cost(leaves):
    was_asked = asyncio.Event()

    async def answer(body: dict) -> tuple[int, bytes]:
        if "text 10" in body["input"]:
            was_asked.set()
            await asyncio.Event().wait()
        return vectors(body)

    async with running_vendor({PATH: answer}) as vendor:
        limits = {} if leaves else {"total_timeout_s": 0.5}
        endpoint = make_endpoint(f"{vendor.url}/v1", kind="qwen", **limits)
        call = make_call(endpoint, texts=TEXTS[:20])
        asking = asyncio.ensure_future(ask(call))
        await was_asked.wait()
        if leaves:
            asking.cancel()
        with contextlib.suppress(AtriumError, asyncio.CancelledError):
            await asking
    assert asking.cancelled() == leaves and len(vendor.asked) == 2
    lost = len(orjson.dumps(TEXTS[10:20])) / 3.5
    assert 10 + int(lost) <= call.usage.total_input <= 10 + lost + 1 and call.is_estimated
    assert call.usage.total_output == 0


async def test_vectors_of_several_lengths_are_no_answer():
    def answer(body: dict) -> tuple[int, bytes]:
        length = 2 if "text 0" in body["input"] else 3
        return 200, orjson.dumps({"data": [[0.5] * length] * len(body["input"])})

    async with running_vendor({PATH: answer}) as vendor:
        call = make_call(make_endpoint(f"{vendor.url}/v1", kind="qwen"))
        with pytest.raises(AtriumError) as caught:
            await ask(call)
    assert caught.value.code == "upstream_invalid_response"
    assert billed_usage(call)[0].total_input > 0, "they were made"
