"""`response_format`: models that keep a schema are handed it, and others are held to it. The schemas
themselves: test_json_schemas.py.
"""

import asyncio
import json
import tracemalloc
from contextlib import suppress
from decimal import Decimal

import openai
import orjson
import pydantic
import pytest

from foundation.errors import InvalidInput, QuotaExceeded
from gateway.answers.billed import billed_usage
from gateway.answers.usage import estimate_input_tokens
from gateway.calls import Chunk
from gateway.operations.chat_completions import ChatCompletions
from gateway.operations.chat_completions.assembly import Gathered
from gateway.steps.reserve import highest_price
from tests.gateway.asking import ask, serving
from tests.gateway.bills import Bills
from tests.gateway.calling import OpenBooks, call_of, make_endpoint, make_route
from tests.gateway.living import HELLO, ONE, events_of
from tests.gateway.parsing import parse
from tests.gateway.schemas import ENDLESS, PLACE, SCHEMA, of, required
from tests.gateway.streaming import DONE, END, event, usage_event
from usage.pricing import Price

pytestmark = pytest.mark.scope(None)
GOOD = '{"name": "w0", "count": 1}'
BAD = '{"name": "w0"}'


# -- asking --------------------------------------------------------------------------------------------------


def answer(text: str, reason: str = "stop", **more) -> tuple[int, object]:
    message = {"role": "assistant", "content": text or None, **more}
    choice = {"index": 0, "message": message, "finish_reason": reason}
    report = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    return 200, {"choices": [choice], "usage": report}


def streamed(text: str) -> tuple[int, object]:
    pieces = b"".join(event({"content": text[place : place + 4]}) for place in range(0, len(text), 4))
    return 200, pieces + END + usage_event(5) + DONE


def calling(url: str, wanted, *, stream: bool, kind: str = "siliconflow", capabilities=(), messages=None):
    """A call of a server that keeps no schema, unless its kind or the model's capabilities say so."""
    price = Price("EUR", input=Decimal(1), output=Decimal(1))
    route = make_route([make_endpoint(url, kind=kind)], price=price, capabilities=frozenset(capabilities))
    checked = parse(response_format=wanted, **({"messages": messages} if messages else {}))
    call = call_of(route, stream=stream, **{"messages": checked.body["messages"], "response_format": wanted})
    call.form, call.size_bytes = checked.form, checked.size_bytes
    return call


def told(*answers, wanted=None, stream: bool = False, **more):
    """The call, the text that came, and what the server was asked."""

    async def run():
        async with serving(*answers) as server:
            call = calling(server.url, wanted or of(SCHEMA), stream=stream, **more)
            return call, await ask(call), server.seen

    return asyncio.run(run())


def text_of(said: bytes, *, stream: bool) -> str:
    if not stream:
        return orjson.loads(said)["choices"][0]["message"]["content"]
    chunks = [orjson.loads(line[6:]) for line in said.split(b"\n") if line.startswith(b"data: {")]
    return "".join(one["choices"][0]["delta"].get("content") or "" for one in chunks if one["choices"])


def saying(text: str, *, stream: bool) -> tuple[int, object]:
    return streamed(text) if stream else answer(text)


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_keeps_the_schema_passes_at_once(stream):
    call, said, seen = told(saying(f"Sure: {GOOD}", stream=stream), stream=stream)
    assert text_of(said, stream=stream) == GOOD
    (sent,) = seen
    assert sent["response_format"] == {"type": "json_object"}, "the most that this provider keeps"
    system, question = sent["messages"]
    assert system["role"] == "system" and orjson.dumps(SCHEMA).decode() in system["content"]
    assert question == {"role": "user", "content": "hi"} and call.attempts == []


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_breaks_it_goes_back_once_and_both_are_paid(stream):
    call, said, seen = told(saying(BAD, stream=stream), saying(GOOD, stream=stream), stream=stream)
    assert text_of(said, stream=stream) == GOOD
    *earlier, wrong, correction = seen[1]["messages"]
    assert earlier == seen[0]["messages"] and wrong == {"role": "assistant", "content": BAD}
    assert correction["role"] == "user" and "'count' is a required property" in correction["content"]
    (lost,) = call.attempts
    assert lost.error_code == "upstream_broken_form" and lost.usage.total_tokens > 0 and lost.cost > 0
    assert billed_usage(call)[0].total_tokens > 0


@pytest.mark.parametrize("stream", [False, True])
def test_one_that_breaks_it_twice_is_an_error_and_nobody_is_asked_again(stream):
    call, said, seen = told(saying(BAD, stream=stream), stream=stream)
    assert said == b"upstream_broken_form", "as a status of its own: nothing has gone out"
    assert len(seen) == 2 and call.status == "error" and len(call.attempts) == 1


def test_a_stream_that_waits_for_its_check_takes_no_more_than_its_text():
    """Events as objects took a kilobyte each: one long answer, or eight at once, took the process."""
    event_of = json.dumps({"id": "c", "choices": [{"index": 0, "delta": {"content": "%d"}}]})
    gathered = Gathered()
    tracemalloc.start()
    for number in range(10_000):
        gathered.write(Chunk(json.loads(event_of % number), is_changed=True), b"")
    size, _peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < 2_000_000


def test_a_stream_that_waits_for_its_check_is_no_longer_than_an_answer(monkeypatch):
    monkeypatch.setattr(ChatCompletions, "max_answer_bytes", 10_000)
    pieces = [event({"content": "x" * 100}) for _number in range(200)]
    _call, said, _seen = told((200, b"".join([*pieces, END, DONE])), stream=True)
    assert said == b"upstream_endless"


def test_the_hold_covers_the_second_try_before_it_is_sent():
    async def run():
        books = OpenBooks()
        async with serving(answer(BAD), answer(GOOD)) as server:
            call = calling(server.url, of(SCHEMA), stream=False)
            before = call.size_bytes
            await ask(call, ledger=books)
            return call, before, books.followed

    call, before, (followed,) = asyncio.run(run())
    assert call.size_bytes >= before + len(BAD), "what was said is read again"
    assert followed.amount > call.attempts[0].cost and followed.attempts == tuple(call.attempts)


@pytest.mark.parametrize("no", [QuotaExceeded("no", code="insufficient_quota"), asyncio.CancelledError()])
def test_a_second_try_that_is_not_sent_leaves_the_bill_of_the_first_alone(no):
    async def run():
        books = Bills(no)
        async with serving((200, {"choices": answer(BAD)[1]["choices"]})) as server:
            call = calling(server.url, of(SCHEMA), stream=False)
            call.held, tokens = highest_price(call), estimate_input_tokens(call)
            with suppress(asyncio.CancelledError):
                await ask(call, ledger=books)
            return books, tokens, server.seen

    books, tokens, seen = asyncio.run(run())
    (bill,) = books.bills
    assert len(seen) == len(books.followed) == 1 and not bill.attempts
    assert bill.usage.input_tokens == tokens


@pytest.mark.parametrize("text", ["{", '{"name": "w'])
def test_an_answer_that_was_cut_says_so_itself(text):
    _call, said, seen = told(answer(text, reason="length"))
    (choice,) = orjson.loads(said)["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == (text, "length") and len(seen) == 1


def test_the_system_message_is_gone_on_with():
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]
    _call, _said, seen = told(answer(GOOD), messages=messages)
    system, question = seen[0]["messages"]
    assert system["content"].startswith("Be brief.\n\n") and question["content"] == "hi"


@pytest.mark.parametrize(
    ("kind", "capabilities", "wanted", "sent"),
    [
        ("vllm", (), of(SCHEMA), of(SCHEMA)),
        ("ollama", (), of(SCHEMA), of(SCHEMA)),
        ("openai_compatible", ("json_schema",), of(SCHEMA), of(SCHEMA)),
        ("openai_compatible", (), {"type": "json_object"}, {"type": "json_object"}),
        ("embedded", (), {"type": "json_object"}, None),
        ("embedded", (), of(SCHEMA), None),
        ("lmstudio", (), {"type": "json_object"}, None),
    ],
)
def test_who_keeps_a_form_is_asked_for_it_and_others_in_words(kind, capabilities, wanted, sent):
    _call, said, seen = told(answer(GOOD), wanted=wanted, kind=kind, capabilities=capabilities)
    assert seen[0].get("response_format") == sent
    assert (len(seen[0]["messages"]) == 1) is (sent is not None)
    assert text_of(said, stream=False) == GOOD


@pytest.mark.parametrize("kind", ["openai", "azure", "mistral"])
def test_a_form_that_is_vouched_for_is_not_checked_and_its_stream_is_not_held_back(kind):
    _call, said, seen = told(streamed(BAD), wanted=of(SCHEMA, strict=True), stream=True, kind=kind)
    assert text_of(said, stream=True) == BAD and said.count(b'"content"') > 2 and len(seen) == 1


CLAIMS = [("vllm", True), ("vllm", False), ("openai", False), ("azure", False), ("mistral", False)]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("kind", "strict"), CLAIMS)
@pytest.mark.parametrize("bad", [BAD, 'Here {as asked}: {"n": 3}', f"{GOOD}\n{GOOD}", ""])
def test_who_only_says_that_it_keeps_a_schema_is_checked_and_asked_again(kind, strict, bad, stream):
    wanted = of(SCHEMA, strict=strict)
    first = saying(bad, stream=stream) if bad else answer("", reasoning_content="Hm.")
    _call, said, seen = told(first, saying(GOOD, stream=stream), wanted=wanted, stream=stream, kind=kind)
    assert text_of(said, stream=stream) == GOOD
    *earlier, correction = seen[1]["messages"]
    assert seen[1]["response_format"] == seen[0]["response_format"] == wanted
    assert earlier[: len(seen[0]["messages"])] == seen[0]["messages"]
    assert "That is wrong" in correction["content"]


def test_an_answer_that_a_server_took_for_a_thought_is_told_as_one():
    _call, said, seen = told(answer("", reasoning_content=GOOD), kind="vllm")
    assert text_of(said, stream=False) == GOOD and len(seen) == 1
    assert "reasoning_content" not in orjson.loads(said)["choices"][0]["message"]


def test_a_schema_that_cannot_be_checked_passes_where_the_server_keeps_it():
    _call, said, seen = told(answer("{}"), wanted=of(ENDLESS), kind="vllm")
    assert text_of(said, stream=False) == "{}" and len(seen) == 1


def test_a_schema_that_cannot_be_checked_is_the_callers():
    _call, said, seen = told(answer("{}"), wanted=of(ENDLESS))
    assert said == InvalidInput.code.encode() and len(seen) == 1


# -- through the house ---------------------------------------------------------------------------------------


class Thing(pydantic.BaseModel):
    name: str
    count: int


@pytest.mark.parametrize(("model", "attempts"), [("mock-json", 1), ("mock-json-late", 2)])
def test_the_official_client_parses_answers_of_models_that_keep_no_schema(house, model, attempts):
    answer = house.client().chat.completions.with_raw_response.parse(
        model=model, messages=HELLO, response_format=Thing
    )
    assert answer.headers["x-atrium-attempts"] == str(attempts)
    assert answer.parse().choices[0].message.parsed == Thing(name="w0", count=1)
    event = events_of(ONE)[0]
    assert event.status == "ok" and len(event.attempts or []) == attempts - 1


def test_streams_are_parsed_too(house):
    with house.client().chat.completions.stream(
        model="mock-json-late", messages=HELLO, response_format=Thing
    ) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.parsed == Thing(name="w0", count=1)


def test_a_model_that_never_keeps_it_is_told_as_that(house):
    with pytest.raises(openai.APIStatusError) as caught:
        house.client().chat.completions.create(
            model="mock-json-never", messages=HELLO, response_format=of(SCHEMA)
        )
    assert caught.value.status_code == 502 and caught.value.code == "upstream_broken_form"
    assert caught.value.response.headers["x-should-retry"] == "false", "both answers are paid for"
    event = events_of(ONE)[0]
    assert event.status == "error" and event.total_tokens > 0 and len(event.attempts) == 1


def test_a_schema_that_nobody_can_keep_is_refused_before_anybody_is_asked(house):
    before = len(house.mock.ledger())
    answer = house.post({"model": "mock", "messages": HELLO, "response_format": of(required(False))})
    assert answer.status_code == 400 and answer.json()["error"]["param"] == f"{PLACE}.properties.a"
    assert len(house.mock.ledger()) == before
