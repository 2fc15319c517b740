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
from gateway.operations.embeddings import OPERATION, Embeddings, answer
from gateway.operations.embeddings.request import MAX_TEXTS
from gateway.request import retry_header
from gateway.steps import attempts
from gateway.steps.attempts import MAX_OF_ONE
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
    raw = orjson.dumps({"model": "nick", "input": texts, **body})
    call = OPERATION.parse(raw, PRINCIPAL, uuid7())
    route = make_route(list(endpoints), kind="embedding")
    call.candidates = [Candidate(route, target, "nick") for target in route.targets]
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


async def ask(call: Call, books: OpenBooks | None = None) -> bytes:
    async with open_session(PRIVATE) as client:
        return await pipeline.complete(call, collaborators(client, ledger=books or OpenBooks()))


def numbers(answer: bytes) -> list[tuple[int, float]]:
    return [(one["index"], one["embedding"][0]) for one in orjson.loads(answer)["data"]]


async def test_all_texts_have_their_vectors_and_the_call_one_bill():
    books = OpenBooks()
    async with running_vendor({PATH: vectors}) as vendor:
        answer = await ask(make_call(make_endpoint(f"{vendor.url}/v1", kind="qwen")), books)
    assert sorted(len(body["input"]) for body in vendor.bodies) == [5, 10, 10]
    assert numbers(answer) == [(number, float(number)) for number in range(25)]
    told = orjson.loads(answer)
    assert told["usage"] == {"prompt_tokens": 25, "total_tokens": 25} and told["model"] == "nick"
    assert told["object"] == "list" and {one["object"] for one in told["data"]} == {"embedding"}
    (booked,) = books.bills
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


@pytest.mark.parametrize(
    ("status", "code"), [(400, "upstream_invalid_request"), (401, "upstream_credentials")]
)
async def test_what_is_wrong_with_all_of_them_is_said_by_the_first_and_free(status, code):
    async with running_vendor({PATH: refusing(0, status)}) as vendor:
        call = make_call(make_endpoint(f"{vendor.url}/v1", kind="qwen"))
        with pytest.raises(AtriumError) as caught:
            await ask(call)
    assert caught.value.code == code
    assert len(vendor.asked) == 1 and call.usage.total_tokens == 0 and not call.is_estimated


async def cut(_body: dict) -> tuple[int, bytes]:
    """Closes the connection: a handler that is cancelled has no answer."""
    raise asyncio.CancelledError


async def say_nothing(_body: dict) -> tuple[int, bytes]:
    return await asyncio.Event().wait()


def talk_nonsense(_body: dict) -> tuple[int, bytes]:
    return 200, b'{"data": 7}'


LOST = [cut, say_nothing, talk_nonsense]
FIRST_TEN, SECOND_TEN = (  # tokens, by estimate
    int(len(orjson.dumps(TEXTS[first : first + 10])) / 3.5) + 1 for first in (0, 10)
)


@pytest.mark.parametrize(("answer", "lost"), [(refusing(0, 500), 0), *((one, FIRST_TEN) for one in LOST)])
async def test_another_endpoint_is_asked_where_the_first_part_failed(answer, lost):
    books = OpenBooks()
    async with running_vendor({PATH: answer}) as ill, running_vendor({PATH: vectors}) as fine:
        limits = {"total_timeout_s": 0.3} if answer is say_nothing else {}
        first = make_endpoint(f"{ill.url}/v1", kind="qwen", **limits)
        answered = await ask(make_call(first, make_endpoint(f"{fine.url}/v1", kind="qwen")), books)
    assert len(numbers(answered)) == 25 and (len(ill.asked), len(fine.asked)) == (1, 3)
    (booked,) = books.bills
    assert booked.usage.total_input == 25 and [one.usage.total_input for one in booked.attempts] == [lost]


async def test_a_first_part_that_was_paid_for_is_not_bought_elsewhere():
    def answer(body: dict) -> tuple[int, bytes]:
        return 200, orjson.dumps({"data": 7, "usage": {"prompt_tokens": 8, "total_tokens": 8}})

    books = OpenBooks()
    async with running_vendor({PATH: answer}) as ill, running_vendor({PATH: vectors}) as fine:
        ways = [make_endpoint(f"{one.url}/v1", kind="qwen") for one in (ill, fine)]
        with pytest.raises(AtriumError):
            await ask(make_call(*ways), books)
    assert not fine.asked and (books.bills[0].usage.total_input, books.bills[0].estimated) == (8, False)


async def test_who_leaves_before_the_next_attempt_pays_for_the_lost_part_once(monkeypatch):
    monkeypatch.setattr(attempts, "PAUSES_S", (3, 3))
    books = OpenBooks()
    async with running_vendor({PATH: cut}) as vendor:
        call = make_call(make_endpoint(f"{vendor.url}/v1", kind="qwen"))
        asking = asyncio.ensure_future(ask(call, books))
        while not call.attempts:
            await asyncio.sleep(0.005)
        asking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asking
    (booked,) = books.bills
    assert [one.usage.total_input for one in booked.attempts] == [FIRST_TEN]
    assert booked.usage.total_tokens == 0


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_part_that_is_refused_is_sent_again_and_no_other(status):
    def answer(body: dict) -> tuple[int, bytes]:
        is_first_time = [one["input"] for one in vendor.bodies].count(body["input"]) == 1
        return refusing(10, status)(body) if is_first_time else vectors(body)

    books = OpenBooks()
    async with running_vendor({PATH: answer}) as vendor:
        answered = await ask(make_call(make_endpoint(f"{vendor.url}/v1", kind="qwen")), books)
    assert [index for index, _number in numbers(answered)] == list(range(25))
    assert sorted(body["input"][0] for body in vendor.bodies) == ["text 0", "text 10", "text 10", "text 20"]
    (booked,) = books.bills
    assert (booked.usage.total_input, booked.estimated, booked.attempts) == (25, False, ())


def nonsense_later(body: dict) -> tuple[int, bytes]:
    return vectors(body) if "text 0" in body["input"] else talk_nonsense(body)


async def cut_later(body: dict) -> tuple[int, bytes, dict]:
    """On a connection of its own: one that was kept would be tried once more."""
    return *(vectors(body) if "text 0" in body["input"] else await cut(body)), {"Connection": "close"}


@pytest.mark.parametrize(
    ("answer", "asked", "lost"),
    [
        (refusing(10, 400), 2, 0),
        (refusing(10, 429), 1 + MAX_OF_ONE, 0),
        (nonsense_later, 2, SECOND_TEN),
        (cut_later, 2, SECOND_TEN),
    ],
    ids=["invalid", "busy for good", "nonsense", "cut"],
)
async def test_a_later_failure_ends_the_call_and_what_was_answered_is_billed(answer, asked, lost):
    books = OpenBooks()
    async with running_vendor({PATH: answer}) as vendor:
        call = make_call(make_endpoint(f"{vendor.url}/v1", kind="qwen"), texts=TEXTS[:20])
        with pytest.raises(AtriumError) as caught:
            await ask(call, books)
    assert len(vendor.asked) == asked, "nothing is bought twice"
    (booked,) = books.bills
    assert (booked.usage.total_input, booked.estimated, booked.status) == (10 + lost, bool(lost), "error")
    assert retry_header(call, caught.value) == [(b"x-should-retry", b"false")]


@pytest.mark.parametrize("advice", [{"Retry-After": "60"}, {"X-Should-Retry": "false"}])
async def test_nor_is_a_part_repeated_against_the_providers_word(advice):
    def answer(body: dict) -> tuple[int, bytes, dict]:
        return *refusing(10, 429)(body), advice

    async with running_vendor({PATH: answer}) as vendor:
        with pytest.raises(AtriumError):
            await ask(make_call(make_endpoint(f"{vendor.url}/v1", kind="qwen"), texts=TEXTS[:20]))
    assert len(vendor.asked) == 2


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


@pytest.mark.parametrize(("padding", "is_fine"), [(250_000, True), (400_000, False)])
async def test_all_parts_together_may_be_as_long_as_one_answer(monkeypatch, padding, is_fine):
    monkeypatch.setattr(Embeddings, "max_answer_bytes", 600_000)
    await check_bound(lambda body: (200, vectors(body)[1] + b" " * padding), is_fine)


@pytest.mark.parametrize(("length", "is_fine"), [(25, True), (40, False)])
async def test_all_parts_together_may_have_as_many_values_as_one_answer(monkeypatch, length, is_fine):
    monkeypatch.setattr(answer, "MAX_VALUES", 600)
    vector = [0.5] * length
    await check_bound(lambda body: (200, orjson.dumps({"data": [vector] * len(body["input"])})), is_fine)


async def check_bound(said, is_fine: bool) -> None:
    async with running_vendor({PATH: said}) as vendor:
        call = make_call(make_endpoint(f"{vendor.url}/v1", kind="qwen"), texts=TEXTS[:20])
        if is_fine:
            assert [index for index, _number in numbers(await ask(call))] == list(range(20))
            return
        with pytest.raises(AtriumError) as caught:
            await ask(call)
    assert caught.value.code == "upstream_invalid_response" and len(vendor.asked) == 1
