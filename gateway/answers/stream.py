"""The events of one streamed answer, and how it ends. Nonsense becomes a clear error; what it may have
held is counted.
"""

import math
from collections.abc import Iterator
from typing import Any, Generic, Protocol, TypeVar

from foundation.errors import AtriumError, UpstreamError
from foundation.json_bounds import has_more_values
from foundation.told import gettext as _
from gateway.answers.empty import as_failure
from gateway.answers.events import (
    find_spoken_error,
    is_aside,
    is_done,
    mend_chunk,
    says_something,
    split_events,
)
from gateway.answers.idle import IdleWatch
from gateway.answers.json_text import load_json
from gateway.answers.loss import FRAMING_BYTES, Losses
from gateway.answers.refusals import fault_in_answer
from gateway.answers.sse import MAX_EVENT_BYTES, EventReader
from gateway.answers.whole import WholeAnswer, as_openais, is_page, nonsense, page
from gateway.calls import Call, Chunk, streamed_of
from models_registry.providers.openai_compatible.errors import ProviderError, find_error

MAX_EVENT_VALUES = 20_000
MAX_SILENT_BYTES = 2_000_000  # comments and empty lines without an event between them
# What may follow the reason for the end: the report, and after that the mark of the end. Some servers then
# keep the connection open, and some send signs of life for ever.
AFTER_FINISH_S, AFTER_USAGE_S = 5.0, 1.0
T = TypeVar("T")


class Face(Protocol[T]):
    """What becomes of the events of a stream."""

    def pass_on(self, call: Call, chunk: bytes) -> T | None:
        """What goes out for bytes that are one event which needs no reading; None if they need it."""

    def write(self, chunk: Chunk, data: bytes) -> T | None:
        """What goes out for an event that was read; None if nothing does."""

    def end(self) -> T | None:
        """What was kept back because more might have come; None if nothing was."""

    def join(self, parts: list[T]) -> T:
        """What several go out as."""


class AnswerEvents(Generic[T]):
    """The events of one answer: cut out of its bytes, read, and turned into what goes out."""

    def __init__(self, call: Call, face: Face[T]) -> None:
        self._call = call
        self._face = face
        self._events = EventReader()
        self._operation = streamed_of(call)
        self._chunks = self._operation.chunk_reader(call)
        self._whole = WholeAnswer(MAX_EVENT_BYTES)
        self._has_begun = False
        self._silent_bytes = 0
        self._skipped_bytes = 0
        self._losses = Losses(call)
        self._watch_set_for: object = None  # how far the answer had come
        self._held: list[T] = []  # what came before the answer said anything
        self.seen = 0
        self.has_said = False  # anything but who speaks
        self.is_done = False

    @property
    def is_plain(self) -> bool:
        """Whether the next chunk may be an event that needs no reading."""
        return self._has_begun and self._call.finish_reason is None and not self._events.has_rest

    @property
    def has_begun(self) -> bool:
        """Whether anything came but signs of life."""
        return self._has_begun or self.unread_bytes > 0

    @property
    def whole_bytes(self) -> int:
        """Of an answer in one piece that was collected so far."""
        return sum(map(len, self._whole.parts))

    @property
    def unread_bytes(self) -> int:
        """What makes no sense so far, or has not come whole."""
        return len(self._whole.text()) or self._events.rest_bytes + self._events.dropped_bytes

    def take(self, chunk: bytes) -> Iterator[T]:
        """What goes out for these bytes."""
        if self._may_be_none:
            if not self._whole.parts and is_page(self._events.unread + chunk):
                raise page(self._call)
            if self._whole.take(chunk, self._events.unread):
                return
        events = self._events.feed(chunk)
        self.seen += len(events)
        self._has_begun = self._has_begun or bool(events)
        self._silent_bytes = 0 if events else self._silent_bytes + len(chunk)
        if self._silent_bytes > MAX_SILENT_BYTES and self._events.rest_bytes < self._silent_bytes // 2:
            raise nonsense()
        yield from self._hold(self._translate(events))

    def end(self) -> Iterator[T]:
        """What goes out for what is left at the end of the bytes."""
        call = self._call
        if self._whole.parts or (self._may_be_none and self._whole.take(b"", self._events.unread)):
            chunks = self._operation.read_whole(call, self._whole.text())
            self.is_done = self.has_said = True
            parts = [self._face.write(Chunk(event, is_changed=True), b"") for event in chunks]
            yield self._face.join([part for part in parts if part])
            return
        yield from self._hold(self._translate(self._events.take_rest()))
        if (kept := self._face.end()) is not None:
            yield kept

    def set_watch(self, watch: IdleWatch) -> None:
        """By what has come. An answer with several choices ends with the last; one whose server tells the
        reason with each piece at a report in an event of its own, or when nothing has come for long, and then
        in the middle unless it was the first piece.
        """
        call, chunks = self._call, self._chunks
        if call.first_token_s is not None:
            watch.note_begin()
        progress = (call.pieces_seen, call.usage, chunks.is_end_doubtful)
        if call.finish_reason is None or progress == self._watch_set_for or call.answer_count > 1:
            return
        self._watch_set_for = progress
        if not chunks.is_end_doubtful:
            watch.note_end(AFTER_USAGE_S if call.is_usage_final else AFTER_FINISH_S)
        elif chunks.has_gone_on:
            watch.note_more()
        else:
            watch.note_end(math.inf)

    def conclude(self) -> Iterator[T]:
        """What goes out when nothing more comes. Raises UpstreamError for an end that is none: in the middle,
        or before anything was said.
        """
        call = self._call
        has_output = self._has_output
        self.has_said = self.has_said or call.finish_reason is not None  # it may still be to tell
        is_lost = self._events.dropped_bytes or (self._skipped_bytes and not self.has_said)
        if is_lost and not has_output:
            raise nonsense()  # what made no sense was the answer
        if call.finish_reason is None and not (self.is_done and (has_output or self.has_said)):
            raise incomplete()
        if call.answer_count > 1 and self._chunks.has_open_end and not self.is_done:
            raise incomplete()  # one of several has ended, and another was cut
        if self.has_said:
            last = self._chunks.end(is_whole=self.is_done)
            written = self._face.write(last, b"") if last else None
            yield from self._hold(iter((written,) if written else ()))

    @property
    def _may_be_none(self) -> bool:
        """Whether what came may be no stream at all. The long beginning of an event is one, and is not copied
        and looked at again with each piece of its rest.
        """
        return not self._has_begun and self._events.rest_bytes <= FRAMING_BYTES

    @property
    def _has_output(self) -> bool:
        call = self._call
        return call.first_token_s is not None or (call.usage is not None and call.usage.total_output > 0)

    def _hold(self, parts: Iterator[T]) -> Iterator[T]:
        for part in parts:
            self._held.append(part)
            if self.has_said:
                yield self._face.join(self._held)
                self._held.clear()

    def _translate(self, events: list[bytes]) -> Iterator[T]:
        """What was good goes out before an error that came with it is raised."""
        call = self._call
        parts: list[T] = []
        try:
            for data in split_events(events):
                if self.is_done:
                    self._read_late(data)
                    continue
                if is_done(data):
                    self.is_done = True
                    self.has_said = self.has_said or self._has_output
                    if self._losses.events and (call.finish_reason is None or self._chunks.has_open_end):
                        raise incomplete()  # the reason may have been in what was lost
                    continue
                if is_aside(data):
                    self._skip(data)
                    continue
                if part := self._read(data):
                    parts.append(part)
        except AtriumError:
            if (kept := self._face.end()) is not None:
                parts.append(kept)
            if parts:
                yield self._face.join(parts)
            raise
        if parts:
            yield self._face.join(parts)

    def _read_late(self, data: bytes) -> None:
        """What came with the mark of the end, behind it: a report of usage counts still."""
        call = self._call
        if call.usage is not None or has_more_values(data, MAX_EVENT_VALUES):
            return
        try:
            event = as_openais(call, load_json(data))
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            return
        if isinstance(event, dict):
            call.note_usage(call.candidate.provider.read_usage(event))

    def _skip(self, data: bytes) -> None:
        if (error := find_spoken_error(data)) is not None:
            raise self._fault(error)
        self._skipped_bytes += len(data)
        if self._skipped_bytes > MAX_SILENT_BYTES:
            raise nonsense()

    def _read(self, data: bytes) -> T | None:
        """What goes out for an event; what it says is noted in the call. Raises UpstreamError."""
        call = self._call
        seen = call.pieces_seen
        try:
            if has_more_values(data, MAX_EVENT_VALUES):
                raise ValueError("too many values")
            event = as_openais(call, load_json(data))
            is_mended = mend_chunk(event)
            error = find_error(event) if isinstance(event, dict) else None
            chunk = self._read_piece(event, len(data))
            if self._losses.events and self._chunks.has_calls:
                raise ValueError("what was lost may have been a call, or its beginning")
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as exc:
            if self._losses.may_lose(data, seen, has_calls=self._chunks.has_calls):
                self._losses.lose(data, seen)
                return None
            if call.pieces_seen == seen:
                self._losses.note_unread(len(data))
            raise nonsense() from exc
        if error is None:
            if chunk is None:
                return None
            chunk.is_changed |= is_mended
            self.has_said = self.has_said or says_something(chunk.event)
            return self._face.write(chunk, data)
        raise self._fault(error)

    def _read_piece(self, event: Any, size: int) -> Chunk | None:
        """As the operation reads it."""
        call = self._call
        pieces, tokens = call.pieces_seen, call.output_tokens_seen
        chunk = self._chunks.read(event, size)
        if call.pieces_seen > pieces:
            self._losses.note_read(size, call.output_tokens_seen - tokens)
        return chunk

    def note_rest(self) -> None:
        """Count what never came whole, or was no event, where the answer has not ended."""
        if not self.is_done:
            self._losses.note_unread(self.unread_bytes)

    def _fault(self, error: ProviderError) -> AtriumError:
        call = self._call
        call.was_refused = call.first_token_s is None and call.usage is None
        has_begun = call.first_token_s is not None
        return as_failure(call, fault_in_answer(error, call.candidate.endpoint, has_begun=has_begun))


def incomplete() -> UpstreamError:
    return UpstreamError(
        _("The model server ended its answer in the middle. What arrived is kept."),
        code="upstream_incomplete",
    )
