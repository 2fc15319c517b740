"""What travels through the pipeline: who calls, what they want, and what became of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from foundation.ids import uuid7
from gateway.trace import Trace
from usage.pricing import Usage

if TYPE_CHECKING:
    from models_registry.routes import Route

ALL_MODELS: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls: a key at `/v1`, or a person in the chat (then `key_id` is None)."""

    tenant: str
    user_id: UUID
    project_id: UUID
    key_id: UUID | None = None
    key_name: str = ""  # the key's 8 public characters
    model_names: frozenset[str] = ALL_MODELS  # empty: all
    requests_per_minute: int | None = None


@dataclass(slots=True)
class Call:
    """One call of a model, from the first byte of the request to the settled bill."""

    principal: Principal
    body: dict[str, Any]
    size_bytes: int  # of the request's body: no tokenizer makes more tokens of a text than it has bytes
    source: str = "api"
    endpoint: str = "chat.completions"
    request_id: UUID = field(default_factory=uuid7)
    started_s: float = field(default_factory=time.monotonic)
    trace: Trace | None = None  # the caller's, which goes on at the provider
    # filled by the steps
    route: Route = None  # type: ignore[assignment]  # set by resolve; no step before it reads it
    max_output_tokens: int = 0
    wants_stream: bool = False
    wants_usage: bool = False
    has_media: bool = False  # images, sound, files: their tokens cannot be bounded by the request's bytes
    held: Decimal | None = None
    was_dispatched: bool = False
    was_refused: bool = False  # the provider answered, and its answer was no: it charges nothing for that
    # events with a piece of the answer: bounds a stream without end, and counts nothing else
    pieces_seen: int = 0
    # estimated from the bytes of these pieces: the progress mark, and the bill where nobody counted better
    output_tokens_seen: int = 0
    usage: Usage | None = None  # what the provider reported
    is_usage_final: bool = False  # nothing of the answer came after the report
    is_estimated: bool = False
    finish_reason: str | None = None
    first_token_s: float | None = None
    status: str = "ok"
    error_code: str = ""
    error_message: str = ""
    is_settled: bool = False
    is_in_flight: bool = False  # counted by gateway.state.in_flight
    cost: Decimal = Decimal(0)
    # for the answer: rate limits, deprecation
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)

    def elapsed_ms(self) -> int:
        return int((time.monotonic() - self.started_s) * 1000)

    def note_piece(self, tokens: int) -> None:
        """A piece of the answer came, of so many tokens by estimate."""
        self.pieces_seen += 1
        self.output_tokens_seen += tokens
        self.is_usage_final = False
        self.note_first_token()

    def note_usage(self, usage: Usage | None) -> None:
        """The provider's report of the whole call so far; None, one that cannot be true, changes nothing.
        Reports grow with the answer: one that says less than the last takes nothing back.
        """
        if usage is None:
            return
        if self.usage is None or _count(usage) >= _count(self.usage):
            self.usage = usage
        self.is_usage_final = True

    def note_first_token(self) -> None:
        if self.first_token_s is None:
            self.first_token_s = time.monotonic()


def _count(usage: Usage) -> int:
    return usage.input_tokens + usage.cached_tokens + usage.output_tokens + usage.reasoning_tokens
