"""S28: each fault of the mock's catalogue, streamed or not, for chat, messages and texts, for embeddings and
reranking, and at a provider of Anthropic's protocol, through the real `/v1`: a well-formed end within the
connection's limits, one bill, no hold, no socket, no secret.

`make test` meets each fault in two forms, in turn; `make proof` in all, three times, breaking answers at
other places.
"""

import asyncio
import contextlib
import json
import os
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Literal
from uuid import UUID

import aiohttp
import pytest
from anthropic.types import Message
from openai.types import Completion, CreateEmbeddingResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import BaseModel

from foundation.ids import uuid7
from gateway.operations.embeddings import MOST_AROUND_TEXT
from gateway.operations.rerank import MOST_AROUND_PAIR
from tests.doubles import MockLLM, running_mockllm
from tests.doubles.mock_faults import FAULTS, find_fault
from tests.gateway.speaking import assemble, read_events
from tests.live import TENANTS, House, house_with_bug

pytestmark = [pytest.mark.scope(None), pytest.mark.timeout(300)]
SLUG = TENANTS[1]
NIGHT = os.environ.get("ATRIUM_PROOF") == "night"
SEEDS, FORMS_OF_A_FAULT = (3, None) if NIGHT else (1, 2)
SECRET = "Zq7fR2mXw9LkT4vB8nYc"
LIMITS_S = {"connect_timeout_s": 1, "first_byte_timeout_s": 3, "idle_timeout_s": 2, "total_timeout_s": 8}
# An attempt that takes as long as it may is not repeated (gateway.steps.attempts): the limit, twice over
# for a busy machine.
HANGS_S = 2 * LIMITS_S["total_timeout_s"]
CLOSED_S, BOOKED_S = 5, 5
AT_ONCE = 12
# beside these, as they cost nobody any work
WAITING = {
    "hang-before-header",
    "hang-after-header",
    "hang-mid-stream",
    "hang-before-done",
    "open-after-done",
}
MAX_TOKENS = 16
# a stream of more pieces counts as endless (gateway.steps.relay), after the read that brought them: on a full
# machine one of 64 kB, of pieces of 100 bytes or more
MOST_TOKENS = 4 * MAX_TOKENS + 256 + 65_536 // 100
# So that a proper answer fits into the limits above, and into three attempts
USUAL = {"flaky": 2, "drip": 0, "drip-header": 5}
FURTHER = ["fault-echo-secret-400", "fault-echo-secret-403", "fault-echo-secret-500", "fault-429-0"]
BREAKING_AFTER_TOKENS = ["500-mid-stream", "hang-mid-stream", "reset-mid-stream", "cut-mid-stream"]
# What these report cannot be true, or is missing
INCREDIBLE = {f"{kind}-usage" for kind in ("no", "zero", "negative", "huge", "text", "float", "list")}
CHAT, EMBEDDINGS, RERANK, TEXTS = "chat/completions", "embeddings", "rerank", "completions"
MESSAGES = "messages"
MOST_AROUND = {EMBEDDINGS: MOST_AROUND_TEXT, RERANK: MOST_AROUND_PAIR}


class Relevance(BaseModel):
    index: int
    relevance_score: float


class Relevances(BaseModel):
    id: str
    model: str
    results: list[Relevance]
    usage: dict[str, int]


class TextChoice(BaseModel):
    index: int
    text: str
    finish_reason: str | None


class TextChunk(BaseModel):
    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[TextChoice]


SHAPES: dict[str, type[BaseModel]] = {
    CHAT: ChatCompletion,
    TEXTS: Completion,
    EMBEDDINGS: CreateEmbeddingResponse,
    RERANK: Relevances,
    MESSAGES: Message,
}
CHUNKS = {CHAT: ChatCompletionChunk, TEXTS: TextChunk}
# These break nothing but the chat's own shape
OF_THE_CHAT = {"cut-tool-call", "no-choices", "null-content", "thinks", "thinks-aloud", "cached-over-prompt"}
# and what else needs pieces of text, or an end of a stream in OpenAI's words
OF_TEXTS = {"nul", "split-utf8", "bad-utf8", "long-line", "over-cap", "held-back", "wrong-id", "half-error"}
OF_OPENAI = {
    "wrong-id",
    "double-done",
    "late-chunk",
    "no-done",
    "open-after-done",
    "zero-cost",
    "half-error",
    "malformed-sse",
}
OPENAI, ANTHROPIC = "openai_compatible", "anthropic"  # kinds of connections: what the mock is asked by
# the pool lets go of idle connections after a second instead of fifteen: what is left then is a leak
QUICK_POOL = 'import aiohttp; aiohttp.TCPConnector.__init__.__kwdefaults__["keepalive_timeout"] = 1.0\n'


@dataclass(frozen=True)
class Ask:
    """One call: a fault, and the way to meet it."""

    number: int
    model: str
    path: str
    is_streamed: bool
    kind: str = OPENAI

    @property
    def fault(self):
        return find_fault(self.model)[0]

    @property
    def name(self) -> str:
        """As the client calls the model."""
        return f"s28-{self.kind}-{self.path.partition('/')[0]}-{self.model}"

    def __str__(self) -> str:
        asked_by = ", Anthropic's protocol" if self.kind == ANTHROPIC else ""
        return f"{self.model} ({self.path}{', streamed' if self.is_streamed else ''}{asked_by})"

    def body(self) -> dict:
        text = f"call number {self.number}"
        if self.path == EMBEDDINGS:
            return {"model": self.name, "input": text}
        if self.path == RERANK:
            return {"model": self.name, "query": "number", "documents": [text]}
        options: dict = {"stream": True} if self.is_streamed else {}
        if self.is_streamed and self.path != MESSAGES:
            options["stream_options"] = {"include_usage": True}
        asked = {"prompt": text} if self.path == TEXTS else {"messages": [{"role": "user", "content": text}]}
        return {"model": self.name, "max_tokens": MAX_TOKENS, **asked, **options}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def request_id(self) -> UUID:
        return UUID(self.headers["x-request-id"].removeprefix("req_"))


def list_asks(seed: int, only: str = "") -> list[Ask]:
    """Every fault in every form, in an order of the seed's; `only`: those that are called that."""
    dice = random.Random(seed)
    numbers = dict(USUAL)
    if seed:
        numbers |= {name: dice.randrange(8) for name in BREAKING_AFTER_TOKENS}
    models = [f"fault-{name}" + (f"-{numbers[name]}" if name in numbers else "") for name in FAULTS]
    forms = [form for model in [*models, *FURTHER] for form in forms_of(model)]
    dice.shuffle(forms)
    asks = [Ask(number, *form) for number, form in enumerate(forms)]
    return [ask for ask in asks if only in str(ask)]


def forms_of(model: str) -> list[tuple]:
    """The ways in which a fault can be met."""
    fault = find_fault(model)[0]
    forms: list[tuple] = [
        (model, path, is_streamed) for path in (CHAT, MESSAGES) for is_streamed in (True, False)
    ]
    if fault.name not in OF_THE_CHAT:
        forms += [(model, TEXTS, True), (model, TEXTS, False)]
        if fault.name not in OF_OPENAI:
            forms += [(model, path, is_streamed, ANTHROPIC) for _, path, is_streamed in forms[:4]]
        if fault.name not in OF_TEXTS | OF_OPENAI:
            forms += [(model, EMBEDDINGS, False), (model, RERANK, False)]
    return forms


def sample(asks: list[Ask]) -> list[Ask]:
    """Of each fault so many forms, the next ones of the next fault."""
    if FORMS_OF_A_FAULT is None:
        return asks
    of_model: dict[str, list[Ask]] = {}
    for ask in sorted(asks, key=lambda ask: (ask.model, ask.path, ask.is_streamed, ask.kind)):
        of_model.setdefault(ask.model, []).append(ask)
    chosen = {
        forms[(FORMS_OF_A_FAULT * number + step) % len(forms)]
        for number, forms in enumerate(of_model.values())
        for step in range(FORMS_OF_A_FAULT)
    }
    return [ask for ask in asks if ask in chosen]


@pytest.fixture(scope="module")
def upstream(house, django_db_blocker) -> Iterator[MockLLM]:
    """A mock of its own behind connections of its own with short limits, as models of the tenant."""
    from models_registry.services import add_connection, remove_connection
    from tenants.context import tenant

    wanted = (some for seed in range(SEEDS) for some in (sample(list_asks(seed)), *asks_of_bugs(seed)))
    asks = {ask.name: ask for some in wanted for ask in some}
    options = {"secret": SECRET, "allow_private": True, **LIMITS_S}
    with (
        running_mockllm() as mock,
        django_db_blocker.unblock(),
        tenant(SLUG),
        contextlib.ExitStack() as stack,
    ):
        # several: a model that fails ten times in ten seconds at one connection is not asked there
        for kind, paths in (
            (OPENAI, (CHAT, EMBEDDINGS)),
            (OPENAI, (MESSAGES,)),
            (OPENAI, (RERANK, TEXTS)),
            (ANTHROPIC, (CHAT, MESSAGES)),
        ):
            name = f"s28 {kind} {paths[0]}"
            connection = add_connection(actor=None, name=name, kind=kind, base_url=mock.base_url, **options)
            stack.callback(remove_connection, actor=None, connection=connection, force=True)
            for path in paths:
                add_models(connection, [ask for ask in asks.values() if (ask.path, ask.kind) == (path, kind)])
        yield mock


def add_models(connection, asks: list[Ask]) -> None:
    """The first as the services write it, the others like it: one by one they take half a minute."""
    from models_registry.models import Model, ModelPrice
    from models_registry.services import add_model, set_model_price

    if not asks:
        return
    first, *others = asks
    kind = {EMBEDDINGS: "embedding", RERANK: "rerank"}.get(first.path, "chat")
    prices = {"output": Decimal(2)} if kind == "chat" else {}
    row = add_model(actor=None, connection=connection, name=first.name, upstream_name=first.model, kind=kind)
    price = set_model_price(actor=None, model=row, input=Decimal(1), **prices)

    def like(sample, **changes):
        values = {field.attname: getattr(sample, field.attname) for field in sample._meta.concrete_fields}
        return type(sample)(**{**values, "id": uuid7(), **changes})

    rows = [like(row, name=ask.name, upstream_name=ask.model) for ask in others]
    Model.objects.bulk_create(rows)
    ModelPrice.objects.bulk_create(like(price, model_id=one.pk) for one in rows)


async def put(session: aiohttp.ClientSession, house: House, ask: Ask) -> Answer:
    url = f"http://127.0.0.1:{house.port}/v1/{ask.path}"
    try:
        async with asyncio.timeout(HANGS_S), session.post(url, json=ask.body()) as response:
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status, headers, await response.read())
    except TimeoutError:
        raise AssertionError(f"{ask} hangs") from None


async def put_all(house: House, asks: list[Ask]) -> dict[Ask, Answer]:
    headers = {"Authorization": f"Bearer {house.keys[SLUG]}", "Host": "localhost"}
    connector = aiohttp.TCPConnector(limit=0)
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(ask: Ask) -> Answer:
        async with contextlib.nullcontext() if ask.fault.name in WAITING else gate:
            return await put(session, house, ask)

    async with aiohttp.ClientSession(headers=headers, connector=connector) as session:
        return dict(zip(asks, await asyncio.gather(*map(one, asks)), strict=True))


def read_error(ask: Ask, told: dict) -> None:
    """In the shape of the dialect that was asked in."""
    if ask.path == MESSAGES:
        assert set(told) == {"type", "error", "request_id"} and told["type"] == "error", f"{ask}"
        assert set(told["error"]) == {"type", "message"} and all(told["error"].values()), f"{ask}"
        return
    assert set(told) == {"error"} and set(told["error"]) == {"message", "type", "param", "code"}, f"{ask}"
    error = told["error"]
    assert error["message"] and isinstance(error["message"], str) and isinstance(error["type"], str), f"{ask}"


def read_end(ask: Ask, answer: Answer) -> str:
    """How the call ended for its client: "answer", or "error". AssertionError for what is not well-formed."""
    if answer.status != 200:
        assert 400 <= answer.status < 600 and answer.status != 500, f"{ask}: status {answer.status}"
        assert answer.headers["content-type"] == "application/json", f"{ask}"
        read_error(ask, json.loads(answer.raw))
        return "error"
    if not ask.is_streamed:
        whole = SHAPES[ask.path].model_validate_json(answer.raw, strict=True)
        assert whole.model == ask.name, f"{ask} tells the provider's name of the model"
        return "answer"
    assert answer.headers["content-type"].startswith("text/event-stream"), f"{ask}"
    return (read_messages if ask.path == MESSAGES else read_stream)(ask, answer.raw.decode())


def read_messages(ask: Ask, text: str) -> str:
    told = read_events(text.encode())
    assert told, f"{ask}: no end"
    if told[-1]["type"] == "error":
        read_error(ask, told[-1])
        assert "error" not in {event["type"] for event in told[:-1]}, f"{ask}: an error is the last event"
        return "error"
    try:
        message = Message.model_validate(assemble(told))
    except (ValueError, AssertionError) as exc:
        raise AssertionError(f"{ask}: no message, or no end: {exc}") from exc
    assert message.model == ask.name, f"{ask} tells the provider's name of the model"
    assert message.stop_reason, f"{ask}: no end"
    return "answer"


def read_stream(ask: Ask, text: str) -> str:
    *events, done, rest = text.split("\n\n")
    assert (done, rest) == ("data: [DONE]", ""), f"{ask} ends with {text[-80:]!r}"
    assert all(event.startswith("data: ") and "\n" not in event for event in events), f"{ask}: foreign lines"
    told = [json.loads(event.removeprefix("data: ")) for event in events]
    errors = [event for event in told if "error" in event]
    for event in told:
        if event not in errors:
            chunk = CHUNKS[ask.path].model_validate(event)
            assert chunk.model == ask.name, f"{ask} tells the provider's name of the model"
    if errors:
        assert told[-1:] == errors, f"{ask}: an error is the last event"
        read_error(ask, errors[0])
        return "error"
    reasons = [choice["finish_reason"] for event in told for choice in event["choices"]]
    assert any(reasons) or ask.fault.name == "no-choices", f"{ask}: no end"
    return "answer"


def check_end(ask: Ask, answer: Answer) -> str:
    end = read_end(ask, answer)
    allowed = ask.fault.ends
    assert allowed in ("either", end), f"{ask} ends with {end}: {answer.status} {answer.raw[:300]!r}"
    return end


def check_nothing_told(ask: Ask, answer: Answer, mock: MockLLM) -> None:
    """No byte that the client got tells the connection's key or where it leads."""
    told = repr(answer.headers).encode() + answer.raw
    pieces = [SECRET[place : place + 8] for place in range(len(SECRET) - 7)]
    for hidden in (*pieces, f":{mock.port}", "127.0.0.1", "169.254", "localhost"):
        assert hidden.encode() not in told, f"{ask} tells {hidden}"


def check_bill(ask: Ask, event, end: str, sent: dict | None) -> None:
    """`sent`: the mock's own books of the call."""
    used = event.used
    assert all(count > 0 for count in used.values()), f"{ask}: {used}"
    output = used.get("output", 0) + used.get("reasoning", 0)
    most = len(json.dumps(ask.body())) + MOST_AROUND.get(ask.path, 0)
    assert event.total_tokens - output <= most, f"{ask}: {used}"
    assert output <= MOST_TOKENS, f"{ask}: {used}"
    lost = sum(Decimal(one["cost"]) for one in event.attempts or [])  # each as it would have cost alone
    assert 0 <= lost <= 2 * (most + 2 * MOST_TOKENS) * Decimal("0.000001"), f"{ask} lost {event.attempts}"
    dearest = (event.total_tokens + output) * Decimal("0.000001")
    assert 0 <= event.cost - lost <= dearest, f"{ask} costs {event.cost} for {used}"
    assert event.status == ("ok" if end == "answer" else "error"), f"{ask} is booked as {event.status}"
    if end == "answer":
        is_credible = ask.fault.name not in INCREDIBLE
        if ask.fault.name == "text-usage" and ask.path in MOST_AROUND:
            is_credible = True  # the one number that counts there can be read
        assert event.estimated is not is_credible, f"{ask}: estimated is {event.estimated}"
        assert event.cost > 0 and (output > 0) is (ask.path not in MOST_AROUND), f"{ask}: {used}"
        is_counted = sent["usage"] is not None and ask.fault.name != "cached-over-prompt"
        if is_credible and ask.path not in MOST_AROUND and is_counted:
            assert event.total_tokens == sent["usage"]["total_tokens"], f"{ask}: {used}"


def check_bills(ends: dict[Ask, str], answers: dict[Ask, Answer], mock: MockLLM) -> None:
    from tenants.context import tenant
    from usage.models import Hold, UsageEvent

    sent = {text_of(entry): entry for entry in mock.ledger()}  # the last attempt of each
    with tenant(SLUG):
        wanted = {answer.request_id: ask for ask, answer in answers.items()}
        events = UsageEvent.objects.filter(request_id__in=wanted)
        until = time.monotonic() + BOOKED_S  # a bill that found the database busy is booked a little later
        while missing := set(wanted) - set(events.values_list("request_id", flat=True)):
            if time.monotonic() > until:
                break
            time.sleep(0.1)
        assert not missing, f"not booked: {', '.join(str(wanted[one]) for one in missing)}"
        assert len(events) == len(wanted), "one bill for each call"
        assert not Hold.objects.filter(pk__in=wanted).exists(), "something is still held"
    wrong = []
    for event in events:
        ask = wanted[event.request_id]
        try:
            check_bill(ask, event, ends[ask], sent.get(f"call number {ask.number}"))
        except AssertionError as exc:
            wrong.append(f"{ask}: {exc}"[:500])
    assert not wrong, "\n".join(wrong)


def text_of(entry: dict) -> str:
    body = entry["body"]
    if "messages" in body:
        return body["messages"][0]["content"]
    return body["documents"][0] if "documents" in body else body.get("input") or body["prompt"]


def count_sockets(pid: int, port: int) -> int:
    """The process's TCP sockets to a port of this machine."""
    links = []
    for name in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            links.append(str(name.readlink()))
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    inodes = {f"socket:[{row[9]}]" for row in rows if row[2].endswith(f":{port:04X}")}
    return len(inodes.intersection(links))


def check_all_closed(house: House, mock: MockLLM) -> None:
    end = time.monotonic() + CLOSED_S
    while (left := count_sockets(house.web.pid, mock.port)) and time.monotonic() < end:
        time.sleep(0.1)
    assert left == 0, f"{left} sockets are left open"
    assert {entry["outcome"] for entry in mock.ledger()} <= {"complete", "aborted", "client_closed"}


def prove(house: House, mock: MockLLM, bug: str = "", seed: int = 0, only: str = "") -> None:
    mock.reset()
    with house_with_bug(house, QUICK_POOL + bug) as running:
        asks = list_asks(seed, only) if only else sample(list_asks(seed))
        answers = asyncio.run(put_all(running, asks))
        ends, wrong = {}, []
        for ask, answer in answers.items():
            try:
                check_nothing_told(ask, answer, mock)
                ends[ask] = check_end(ask, answer)
            except (AssertionError, ValueError) as exc:
                wrong.append(f"{ask}: {exc}"[:500])
        assert not wrong, "\n".join(wrong)
        check_bills(ends, answers, mock)
        check_all_closed(running, mock)
        assert running.web.poll() is None
        after = running.post({"model": "mock", "messages": [{"role": "user", "content": "x"}]}, SLUG)
        assert after.status_code == 200, "the process lives on"


@pytest.mark.parametrize("seed", range(SEEDS))
def test_whatever_an_upstream_does_the_client_gets_an_end_and_the_books_are_right(house, upstream, seed):
    assert len(list_asks(seed)) > 650
    prove(house, upstream, seed=seed)


# -- planted bugs: what breaks, what asks for it, what the proof then says -----------------------------------

BUGS = {
    "nobody watches for silence": (
        "import gateway.answers.idle as i; i.IdleWatch._look = lambda watch: None",
        "fault-hang-after-header (chat/completions, streamed)",
        "hangs",
    ),
    "calls that failed are not booked": (
        "import gateway.steps.settle as s; real = s.settle\n"
        "async def settle(call, ledger):\n"
        "    if call.status != 'error': await real(call, ledger)\n"
        "s.settle = settle",
        "fault-reset-mid-stream",
        "not booked",
    ),
    "secrets pass": (
        "import gateway.answers.refusals as r; r.has_secret = lambda *_: False",
        "fault-echo-secret-mid-stream",
        "tells Zq7fR2mX",
    ),
    "addresses pass": (
        "import gateway.answers.refusals as r; r.hide_addresses = lambda text, endpoint: text",
        "fault-echo-address",
        "tells :",
    ),
    "reports are believed": (
        "import models_registry.providers.openai_compatible.usage as u; u.MOST_PLAUSIBLE_TOKENS = 10**20",
        "fault-huge-usage",
        "fault-huge-usage .*(status 500|ends with error)",
    ),
    "nobody closes": (
        "import gateway.steps.dispatch as d; kept = []; d._let_go = kept.append",
        "fault-open-after-done",
        "sockets are left open",
    ),
    "a stream just ends": (
        "import gateway.answers.frames as r; r.error_frame = lambda error: b''",
        "fault-cut-mid-stream",
        "no end",
    ),
    "an error in the middle of a message is left out": (
        "import gateway.operations.messages.events as e; e.error_event = lambda *_: b''",
        "fault-cut-mid-stream (messages, streamed)",
        "no end",
    ),
    "what fails is our fault": (
        "from foundation.errors import UpstreamError as e; e.http_status = 500",
        "fault-502",
        "status 500",
    ),
}


def asks_of_bugs(seed: int) -> Iterator[list[Ask]]:
    yield from (list_asks(seed, only) for _bug, only, _words in BUGS.values())


@pytest.mark.parametrize(("bug", "only", "words"), BUGS.values(), ids=BUGS)
def test_planted_bug_is_found_out(house, upstream, monkeypatch, bug, only, words):
    here = sys.modules[__name__]
    monkeypatch.setattr(here, "HANGS_S", LIMITS_S["first_byte_timeout_s"] + 1)
    for name in ("CLOSED_S", "BOOKED_S"):
        monkeypatch.setattr(here, name, 1)
    with pytest.raises(AssertionError, match=words):
        prove(house, upstream, bug, only=only)
