"""What travels through the pipeline: who calls, what they want, and what became of it."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from accounts.grants import Holder, holders_of
from foundation.errors import AtriumError
from foundation.ids import uuid7
from gateway.bounds import Bounds, Verdict
from gateway.trace import Trace
from gateway.work import EndpointLoad
from usage.ledger.bookings import LostAttempt
from usage.pricing import Usage

if TYPE_CHECKING:
    from models_registry.routes import Candidate, Route

ALL_MODELS: frozenset[str] = frozenset()
NO_GROUPS: frozenset[int] = frozenset()
PLAIN_NAME = re.compile(r"[\w.-]{1,60}", re.ASCII)
MOST_DROPPED = 32  # of the names that callers give fields, in an answer's head and in a bill
CLIENT_WAITS_S = 600.0  # for an answer in one piece, by the usual setting of OpenAI's clients


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls: a key at `/v1`, or a person in the chat (then `key_id` is None)."""

    tenant: str
    user_id: UUID
    project_id: UUID
    key_id: UUID | None = None
    key_name: str = ""  # the key's 8 public characters
    model_names: frozenset[str] = ALL_MODELS  # empty: all
    group_ids: frozenset[int] = NO_GROUPS  # the person's roles; a key acts in its person's
    bounds: Bounds = ()  # the limits of the key and of the person
    data_policy: str = ""  # of what is read for it: documents may go to fewer places than the rest

    @property
    def holders(self) -> frozenset[Holder]:
        """All as whom it acts, for rights of use (accounts.grants)."""
        return holders_of(self.user_id, self.group_ids, self.project_id)


@dataclass(frozen=True, slots=True)
class Place:
    """Of a part in the whole call: the number of its first text, and how much of all the texts it has, and so
    may have of the answer.
    """

    first: int = 0
    share: float = 1.0


WHOLE = Place()


@dataclass(slots=True)
class Chunk:
    """An event of a stream in OpenAI's shape. `text`: all that it says, where it says nothing but a piece of
    the first choice's text; later events may then differ in that alone.
    """

    event: dict[str, Any]
    is_changed: bool
    text: str = ""


class ChunkReader(Protocol):
    """Reads the events of one stream in their order, and notes in the call what they say."""

    @property
    def has_calls(self) -> bool:
        """Whether a tool's call has begun, or an end was told that only a call has."""

    @property
    def has_open_end(self) -> bool:
        """Whether a choice has begun of which nobody has told why it ended."""

    @property
    def is_end_doubtful(self) -> bool:
        """Whether the answer may go on although a reason was told: that came with a piece, and perhaps does
        with each.
        """

    @property
    def has_gone_on(self) -> bool:
        """Whether a piece came behind a reason."""

    def read(self, event: Any, size: int) -> Chunk | None:
        """What an event of so many bytes says to the client; None if that is nothing. Raises ValueError for
        what makes no sense.
        """

    def end(self, *, is_whole: bool) -> Chunk | None:
        """What the client is still to be told at the end. `is_whole`: the server says that its answer is
        complete.
        """


class ClientFace(Protocol):
    """What becomes of the events of one stream for its client: bytes (gateway.answers.stream.Face)."""

    heartbeat: bytes  # what is sent while nothing comes

    def pass_on(self, call: Call, chunk: bytes) -> bytes | None:
        """What goes out for bytes that are one event which needs no reading; None if they need it."""

    def write(self, chunk: Chunk, data: bytes) -> bytes | None:
        """What goes out for an event that was read; None if nothing does."""

    def end(self) -> bytes | None:
        """What was kept back because more might have come; None if nothing was."""

    def join(self, parts: list[bytes]) -> bytes:
        """What several go out as."""

    def close(self, failure: AtriumError | None) -> bytes:
        """The last bytes, when the bill is durable. `failure`: how the answer ended in the middle."""


class StreamedOperation(Protocol):
    """What reads and writes the streams of an operation that has any."""

    def read_whole(self, call: Call, raw: bytes) -> list[dict[str, Any]]:
        """The events of an answer that came whole where a stream was asked for. Raises UpstreamError,
        InvalidInput.
        """

    def chunk_reader(self, call: Call) -> ChunkReader:
        """What reads the events of this call's stream."""

    def make_face(self, call: Call) -> ClientFace:
        """What writes them for the client."""


class DividedOperation(Protocol):
    """What makes several requests of one whose provider takes fewer texts at once."""

    def divide(self, call: Call, most: int) -> list[Call]:
        """The call as several of at most so many texts each, in their order."""

    def join(self, call: Call, answers: list[bytes]) -> bytes:
        """The answer of all from those of the parts, as `read_answer` has given them; what they used is noted
        in the call. Raises UpstreamError.
        """


class Form(Protocol):
    """What an answer is to be like, where it may be we who hold its model to it."""

    @property
    def is_known(self) -> bool:
        """Whether `verify` takes no time."""

    def verify(self) -> None:
        """Whether it is a form at all, which may take long to tell. Raises InvalidInput."""

    def is_ours_to_keep(self, candidate: Candidate) -> bool:
        """Whether neither this model nor its server keeps it by itself."""

    def is_ours_to_check(self, candidate: Candidate) -> bool:
        """The same, or they say that they do, and nobody vouches for it."""

    def check(self, call: Call, answer: dict[str, Any]) -> None:
        """Bring a whole answer into this form, in place, where that is ours. Raises BrokenForm,
        InvalidInput.
        """

    def gather(self) -> Any:
        """What takes the events of a stream (gateway.answers.stream.Face) while nobody sees them."""

    def conclude(self, call: Call, gathered: Any) -> list[dict[str, Any]]:
        """Those of a stream that has ended, checked, as the chunks that go out. Raises what `check` does."""


@dataclass(frozen=True, slots=True)
class Correction:
    """Of an answer that did not keep its form: what it said, and what is wrong with it, for its model."""

    text: str
    reason: str


class Operation(Protocol):
    """An endpoint of `/v1` that calls a model: what it reads, and what it answers (gateway.operations)."""

    name: str  # as bills say it
    upstream_name: str  # of what providers are asked for, as their paths are looked up
    model_kind: str
    input_name: str  # of the field that holds what is read
    max_answer_bytes: int  # of an answer in one piece, as the provider sends it

    @property
    def streamed(self) -> StreamedOperation | None:
        """None: it answers in one piece only."""

    @property
    def divided(self) -> DividedOperation | None:
        """None: it goes out as it is."""

    def parse(self, raw: bytes, principal: Principal, request_id: UUID) -> Call:
        """A checked call of a request's bytes. Raises InvalidInput."""

    def check(self, call: Call) -> None:
        """The same for a body that nobody sent as bytes. Raises InvalidInput."""

    def longest_answer(self, call: Call, route: Route) -> int:
        """In output tokens; 0 where nothing is written."""

    def most_input_tokens(self, call: Call, route: Route) -> int:
        """More input tokens than the provider can possibly count."""

    def write_body(self, call: Call, token_limit_name: str, *, asks_for_usage: bool) -> dict[str, Any]:
        """The request in OpenAI's shape. `asks_for_usage`: the server takes the wish for a report."""

    def read_answer(self, call: Call, raw: bytes) -> bytes:
        """A whole answer as the client gets it; what it says is noted in the call. Raises UpstreamError,
        InvalidInput.
        """


def streamed_of(call: Call) -> StreamedOperation:
    """What reads and writes the streams of a call. Raises TypeError where its operation has none."""
    if call.operation.streamed is None:
        raise TypeError(f"{call.operation.name} has no streams")
    return call.operation.streamed


@dataclass(slots=True)
class Call:
    """One call of a model, from the first byte of the request to the settled bill."""

    principal: Principal
    body: dict[str, Any]
    size_bytes: int  # of the request's body: no tokenizer makes more tokens of a text than it has bytes
    operation: Operation
    source: str = "api"
    request_id: UUID = field(default_factory=uuid7)
    started_s: float = field(default_factory=time.monotonic)
    trace: Trace | None = None  # the caller's, which goes on at the provider
    most_cost: Decimal | None = None  # it is not sent where it could cost more than whoever asks has set
    # filled by the steps
    candidates: Sequence[Candidate] = ()  # in the order in which they are tried
    candidate: Candidate = None  # type: ignore[assignment]  # set by resolve; no step before it reads it
    max_output_tokens: int = 0
    most_output_tokens: int = 0  # by limits of tokens, where the caller bounds no answer; 0: no such limit
    wants_stream: bool = False
    wants_usage: bool = False
    answer_head: dict[str, Any] = field(default_factory=dict)  # what all chunks of its stream begin with
    report: dict[str, Any] | None = None  # the provider's event with what was used, for a client that asked
    text_count: int = 1  # each of which may fill the context window
    answer_count: int = 1  # each of which may be as long as one: what is held, and what may come
    has_media: bool = False  # images, sound, files: their tokens cannot be bounded by the request's bytes
    has_sound: bool = False  # it is heard or asked for: its tokens cost many times those of text
    form: Form | None = None  # of its answer
    correction: Correction | None = None  # of the first answer, which broke it
    left_out: Sequence[str] = ()  # fields of the request that go to no provider (gateway.operations.body)
    dropped: Sequence[str] = ()  # those that this one does not know: wishes, about which the caller is told
    held: Decimal | None = None
    attempts: list[LostAttempt] = field(default_factory=list)  # those that were lost
    attempt_started_s: float = 0.0
    has_next: bool = False  # another candidate waits, and is not left alone
    attempt_error: str = ""  # how the current one ended, while the call goes on
    may_ask_again: bool = True  # the server did not say that the same will fail once more
    asked_pause_s: float | None = None  # for which the server wants to be left alone
    parts: list[Call] = field(default_factory=list)  # the requests it is sent as, where one is not enough
    place: Place = WHOLE  # of one of these
    is_hold_moved: bool = False  # it may name another candidate than the one that is asked
    was_dispatched: bool = False
    has_begun: bool = False  # bytes of an answer came
    was_refused: bool = False  # the provider answered, and its answer was no: it charges nothing for that
    # events with a piece of the answer: bounds a stream without end, and counts nothing else
    pieces_seen: int = 0
    # estimated from the bytes of these pieces: the progress mark, and the bill where nobody counted better
    output_tokens_seen: int = 0
    usage: Usage | None = None  # what the provider reported
    has_report_of_nothing: bool = False  # the provider says that it read and wrote no token
    is_usage_final: bool = False  # nothing of the answer came after the report
    is_estimated: bool = False
    finish_reason: str | None = None
    first_token_s: float | None = None
    status: str = "ok"
    error_code: str = ""
    error_message: str = ""
    is_settled: bool = False
    is_in_flight: bool = False  # counted by gateway.state.in_flight
    load: EndpointLoad | None = None  # of the endpoint where it is in work, counted by gateway.state.load
    admitted: Verdict | None = None  # counted by gateway.state.limits, until it is given back
    cost: Decimal = Decimal(0)
    # for the answer: rate limits, deprecation
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)

    @property
    def route(self) -> Route:
        """The model that answers, or is asked at the moment."""
        return self.candidate.route

    @property
    def told_name(self) -> str:
        """Of the model that answers, in the answer itself: as the caller, or the model that it stands in for,
        named it. A key that is bound to an alias need know no other name.
        """
        return self.candidate.asked_name

    @property
    def asked_output_tokens(self) -> int:
        """The bound of the answer that the caller named; 0: none."""
        return self.body.get("max_completion_tokens") or self.body.get("max_tokens") or 0

    def longest_answer(self, route: Route) -> int:
        """In output tokens; 0 where nothing is written."""
        longest = self.operation.longest_answer(self, route)
        return min(longest, self.most_output_tokens or longest)

    @property
    def is_form_ours(self) -> bool:
        """Whether it is we who check the current candidate's answer by the form that was asked for."""
        return self.form is not None and self.form.is_ours_to_check(self.candidate)

    @property
    def most_written(self) -> int:
        """Output tokens of the current attempt's answers, all together."""
        return self.max_output_tokens * self.answer_count

    def elapsed_ms(self) -> int:
        return int((time.monotonic() - self.started_s) * 1000)

    def left_s(self) -> float:
        """Until the call must be over: all its attempts together have the largest limit of its candidates."""
        total_s = max([one.target.endpoint.total_timeout_s for one in self.candidates])
        return total_s - self._since_s(self.started_s)

    def attempt_left_s(self) -> float:
        """Until the current attempt must be over."""
        return min(
            self.candidate.endpoint.total_timeout_s - self._since_s(self.attempt_started_s), self.left_s()
        )

    def turn_left_s(self) -> float:
        """Until the current attempt must have begun to answer, so that another can: where one waits, half of
        what the call had left when this one was sent; an answer in one piece, half of what its client waits.
        """
        if not self.has_next:
            return self.attempt_left_s()
        waited_s = self.attempt_waited_s()
        had_s = self.left_s() + waited_s
        if not self.wants_stream:
            had_s = min(had_s, CLIENT_WAITS_S - (self.attempt_started_s - self.started_s))
        return min(had_s / 2 - waited_s, self.attempt_left_s())

    def first_byte_left_s(self) -> float:
        """Until the current attempt must have begun to answer: streams with the first piece of text, others
        with what begins their only one, and that comes with the headers or soon after.
        """
        turn_s = self.turn_left_s()
        if not self.wants_stream:
            return turn_s
        return min(self.candidate.endpoint.first_byte_timeout_s - self.attempt_waited_s(), turn_s)

    def attempt_waited_s(self) -> float:
        return self._since_s(self.attempt_started_s)

    @staticmethod
    def _since_s(moment_s: float) -> float:
        return time.monotonic() - moment_s

    def list_dropped(self) -> list[str]:
        """Names of the request's fields that whoever is asked was not told, as an answer's head and the bill
        say them. Callers may name a field anything.
        """
        if not self.left_out and not self.dropped:
            return []
        names = sorted({*self.left_out, *self.dropped})
        return [name for name in names if PLAIN_NAME.fullmatch(name)][:MOST_DROPPED]

    def begin_attempt(self, candidate: Candidate) -> None:
        """What was noted of an earlier attempt is forgotten: nothing of it has reached the client."""
        self.candidate = candidate
        self.max_output_tokens = self.longest_answer(candidate.route)
        self.attempt_started_s = time.monotonic()
        self.attempt_error = ""
        self.dropped = ()
        self.was_dispatched = self.was_refused = self.has_begun = False
        self.may_ask_again = True
        self.asked_pause_s = None
        self.parts = []
        self.pieces_seen = self.output_tokens_seen = 0
        self.usage = None
        self.is_usage_final = self.has_report_of_nothing = False
        self.answer_head = {}
        self.report = None
        self.finish_reason = None
        self.first_token_s = None

    def lose_attempt(self, lost: LostAttempt) -> None:
        """Write down the current attempt, which another one follows. Nothing of it is billed but what that
        says.
        """
        self.attempts.append(lost)
        self.was_dispatched = False
        self.parts = []

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
        if self.usage is None or usage.total_tokens >= self.usage.total_tokens:
            self.usage = usage
        self.is_usage_final = True

    def note_first_token(self) -> None:
        if self.first_token_s is None:
            self.first_token_s = time.monotonic()
