"""What S28 looks at afterwards: how each call ended, what was told, its bill, the sockets."""

import contextlib
import json
import time
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Literal
from uuid import UUID

from anthropic.types import Message
from openai.types import Completion, CreateEmbeddingResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import BaseModel

from gateway.operations.embeddings import MOST_AROUND_TEXT
from gateway.operations.rerank import MOST_AROUND_PAIR
from tests.doubles import MockLLM
from tests.gateway.speaking import assemble, read_events
from tests.live import TENANTS, House
from tests.proof.misbehaving import CHAT, EMBEDDINGS, MAX_TOKENS, MESSAGES, RERANK, TEXTS, Ask

SLUG = TENANTS[1]
SECRET = "Zq7fR2mXw9LkT4vB8nYc"
CLOSED_S, BOOKED_S = 5, 5
# a stream of more pieces counts as endless (gateway.steps.relay), after the read that brought them: on a full
# machine one of 64 kB, of pieces of 100 bytes or more
MOST_TOKENS = 4 * MAX_TOKENS + 256 + 65_536 // 100
# What these report cannot be true, or is missing
INCREDIBLE = {f"{kind}-usage" for kind in ("no", "zero", "negative", "huge", "text", "float", "list")}
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


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def request_id(self) -> UUID:
        return UUID(self.headers["x-request-id"].removeprefix("req_"))


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
