"""Step 8: the answer, passed on while it comes. Tokens are counted, nonsense becomes a clear error, and
the last frame waits for the bill.

One reader for all: clients of `/v1` get its events as frames (`Frames`), rooms of the house as typed deltas
(`Deltas`).
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Generic, Protocol, TypeVar

import aiohttp
import orjson
from django.utils.translation import gettext as _

from foundation.errors import AtriumError, UpstreamError
from foundation.json_bounds import has_more_values
from gateway.answers.decoding import Decoder, is_encoded, read_decoded
from gateway.answers.deltas import DeltaShape
from gateway.answers.estimate import estimate_tokens
from gateway.answers.events import is_aside, is_done, mend_chunk, says_something
from gateway.answers.idle import IdleWatch
from gateway.answers.json_text import load_json, write_json
from gateway.answers.refusals import fault_in_answer
from gateway.answers.sse import MAX_EVENT_BYTES, EventReader, frame
from gateway.answers.whole import WholeAnswer, as_openais, nonsense
from gateway.calls import Call, Chunk, ChunkReader
from gateway.deltas import Delta, DeltaReader
from gateway.errors import UpstreamTimeout, as_error_object
from models_registry.providers.openai_compatible.errors import find_error

MAX_STREAM_BYTES = 256_000_000  # each token comes in an event of its own
PIECES_PER_TOKEN, SOME_PIECES = 4, 256  # few servers send less than a token at a time
FRAMING_BYTES = 1_000  # more than an event has around its text
YIELD_EVERY_BYTES = 65_536
SOME_EVENTS = 50_000  # that bring nothing: signs of life, ten a second for more than an hour
MAX_EVENT_VALUES = 20_000
MAX_BYTES_AT_ONCE = 500_000  # what takes longer to read would hold up the streams of everybody else
MAX_SILENT_BYTES = 2_000_000  # comments and empty lines without an event between them
# What may follow the reason for the end: the report, and after that the mark of the end. Some servers then
# keep the connection open, and some send signs of life for ever.
AFTER_FINISH_S, AFTER_USAGE_S = 5.0, 1.0
Read = Callable[[], Awaitable[bytes]]
T = TypeVar("T")


class Face(Protocol[T]):
    """What becomes of the events of a stream."""

    def pass_on(self, call: Call, chunk: bytes) -> T | None:
        """What goes out for bytes that are one event which needs no reading; None if they need it."""

    def write(self, chunk: Chunk, data: bytes) -> T | None:
        """What goes out for an event that was read; None if nothing does."""

    def join(self, parts: list[T]) -> T:
        """What several go out as."""


class Frames:
    """As server-sent events, for clients."""

    def __init__(self, *, must_read: bool = False) -> None:
        self._shape = DeltaShape()
        self._must_read = must_read  # an adapter, guard or validator has to see every event

    def pass_on(self, call: Call, chunk: bytes) -> bytes | None:
        swapped = self._shape.swap(chunk)
        if swapped is not None:
            call.note_piece(estimate_tokens(len(chunk) - self._shape.overhead))
        return swapped

    def write(self, chunk: Chunk, data: bytes) -> bytes:
        try:
            ours = frame(write_json(chunk.event) if chunk.is_changed else data)
        except ValueError as exc:
            raise nonsense() from exc
        if chunk.text and not self._must_read:
            self._shape.learn(frame(data), ours, chunk.text)
        return ours

    def join(self, parts: list[bytes]) -> bytes:
        return b"".join(parts)


class Deltas:
    """As typed pieces, for the house."""

    def __init__(self) -> None:
        self._reader = DeltaReader()

    def pass_on(self, call: Call, chunk: bytes) -> None:
        return None

    def write(self, chunk: Chunk, data: bytes) -> list[Delta] | None:
        return list(self._reader.read(chunk.event)) or None

    def join(self, parts: list[list[Delta]]) -> list[Delta]:
        return [delta for part in parts for delta in part]


async def read_answer(call: Call, response: aiohttp.ClientResponse) -> bytes:
    """The whole answer of a call that is not streamed, checked, with our name of the model.
    Raises UpstreamError, UpstreamTimeout.
    """
    try:
        raw = await _read_all(call, response)
    except TimeoutError as exc:
        raise UpstreamTimeout(_("The model server stopped in the middle of its answer. Try again.")) from exc
    except aiohttp.ClientError as exc:
        raise UpstreamError(
            _("The model server broke the connection. Try again."), code="upstream_disconnected"
        ) from exc
    call.output_tokens_seen = estimate_tokens(len(raw))  # whatever it turns out to be
    if len(raw) > MAX_BYTES_AT_ONCE:
        return await asyncio.to_thread(call.operation.read_answer, call, raw)
    return call.operation.read_answer(call, raw)


def _too_long(limit_bytes: int) -> UpstreamError:
    return UpstreamError(
        _("The model server's answer is longer than %(limit)s MB. Ask for less at once.")
        % {"limit": limit_bytes // 1_000_000},
        code="upstream_invalid_response",
    )


async def _read_all(call: Call, response: aiohttp.ClientResponse) -> bytes:
    if response.content.is_eof() and not is_encoded(response):  # it came with the headers
        return await response.content.read(-1)
    parts, size = [], 0
    with _watch(call, response) as watch:
        watch.note_begin()
        read = _reader(response, watch)
        while part := await read():
            parts.append(part)
            size += len(part)
            call.output_tokens_seen = estimate_tokens(size)
            if size > call.operation.max_answer_bytes:
                raise _too_long(call.operation.max_answer_bytes)
    return b"".join(parts)


def _watch(call: Call, response: aiohttp.ClientResponse) -> IdleWatch:
    """Headers may come long before the first token: until then, the limit is that of the first byte."""
    endpoint = call.candidate.endpoint
    return IdleWatch(
        response.content,
        limit_s=endpoint.idle_timeout_s,
        first_s=endpoint.first_byte_timeout_s,
        total_s=endpoint.total_timeout_s,
    )


def _reader(response: aiohttp.ClientResponse, watch: IdleWatch) -> Read:
    if is_encoded(response):
        return partial(read_decoded, watch, Decoder(response.headers["Content-Encoding"]))
    return watch.read


async def relay(call: Call, response: aiohttp.ClientResponse, face: Face[T]) -> AsyncGenerator[T]:
    """A streamed answer without its `[DONE]`, several events joined where several came. Nothing goes out
    before the answer has said something: until then another server may still give it.

    Raises UpstreamError or UpstreamTimeout where the stream breaks; what was relayed until then stands in the
    call.
    """
    stream = _Stream(call, face)
    most_pieces = PIECES_PER_TOKEN * call.max_output_tokens + SOME_PIECES
    size = turns = 0
    held: list[T] = []
    try:
        with _told_as_ours(), _watch(call, response) as watch:
            read = _reader(response, watch)
            while chunk := await read():
                size += len(chunk)
                is_endless = stream.events_seen > most_pieces + SOME_EVENTS
                if is_endless or call.pieces_seen > most_pieces or size > MAX_STREAM_BYTES:
                    raise _endless()
                if stream.is_plain and (passed := face.pass_on(call, chunk)) is not None:
                    yield passed
                    continue
                for part in stream.take(chunk):
                    held.append(part)
                    if stream.has_said:
                        yield face.join(held)
                        held.clear()
                stream.tell(watch)
                if size // YIELD_EVERY_BYTES > turns:  # it may come faster than it is read
                    turns = size // YIELD_EVERY_BYTES
                    await asyncio.sleep(0)
                if stream.is_done:
                    break
        for part in () if stream.is_done or watch.is_over else stream.end():
            held.append(part)
            if stream.has_said:
                yield face.join(held)
                held.clear()
        stream.check_end()
    finally:
        if not stream.is_done:
            _note_unread(call, stream.unread_bytes)


def _endless() -> UpstreamError:
    return UpstreamError(
        _("The model server did not end its answer where it was told to. What arrived is kept."),
        code="upstream_endless",
    )


class _Stream(Generic[T]):
    """The events of one answer: cut out of its bytes, read, and turned into what goes out."""

    def __init__(self, call: Call, face: Face[T]) -> None:
        self._call = call
        self._face = face
        self._events = EventReader()
        self._chunks: ChunkReader = call.operation.chunk_reader(call)
        self._whole = WholeAnswer(MAX_EVENT_BYTES)
        self._has_begun = False
        self._silent_bytes = 0
        self._skipped_bytes = 0
        self._told: object = None
        self.events_seen = 0
        self.has_said = False  # anything but who speaks
        self.is_done = False

    @property
    def is_plain(self) -> bool:
        """Whether the next chunk may be an event that needs no reading."""
        return self._has_begun and not self._events.has_rest and self._call.finish_reason is None

    @property
    def unread_bytes(self) -> int:
        """What makes no sense so far, or has not come whole."""
        return len(self._whole.text()) or self._events.rest_bytes + self._events.dropped_bytes

    def take(self, chunk: bytes) -> Iterator[T]:
        """What goes out for these bytes."""
        if not self._has_begun and self._is_whole(chunk):
            return
        events = self._events.feed(chunk)
        self.events_seen += len(events)
        self._has_begun = self._has_begun or bool(events)
        self._silent_bytes = 0 if events else self._silent_bytes + len(chunk)
        if self._silent_bytes > MAX_SILENT_BYTES and self._events.rest_bytes < self._silent_bytes // 2:
            raise nonsense()
        yield from self._translate(events)

    def tell(self, watch: IdleWatch) -> None:
        """What the watch must know of what has come. An answer with several choices ends with the last."""
        call = self._call
        if call.first_token_s is not None:
            watch.note_begin()
        told = (call.pieces_seen, call.usage)
        if call.finish_reason is None or told == self._told or call.body.get("n") not in (None, 1):
            return
        self._told = told
        watch.note_end(AFTER_USAGE_S if call.is_usage_final else AFTER_FINISH_S)

    def _is_whole(self, chunk: bytes) -> bool:
        """Whether it belongs to an answer in one piece. A long beginning of an event is none."""
        if not self._whole.parts and self._events.rest_bytes > FRAMING_BYTES:
            return False
        return self._whole.take(chunk, self._events.unread)

    def end(self) -> Iterator[T]:
        """What goes out for what is left at the end of the bytes."""
        call = self._call
        if self._whole.parts or (not self._has_begun and self._is_whole(b"")):
            chunks = call.operation.read_whole(call, self._whole.text())
            self.is_done = self.has_said = True
            parts = [self._face.write(Chunk(event, is_changed=True), b"") for event in chunks]
            yield self._face.join([part for part in parts if part])
            return
        yield from self._translate(self._events.take_rest())

    def check_end(self) -> None:
        """Raises UpstreamError for an end that is none: in the middle, or before anything was said."""
        call = self._call
        has_output = self._has_output
        is_lost = self._events.dropped_bytes or (self._skipped_bytes and not self.has_said)
        if is_lost and not has_output:
            raise nonsense()  # what made no sense was the answer
        if call.finish_reason is None and not (self.is_done and (has_output or self.has_said)):
            raise UpstreamError(
                _("The model server ended its answer in the middle. What arrived is kept."),
                code="upstream_incomplete",
            )

    @property
    def _has_output(self) -> bool:
        call = self._call
        return call.first_token_s is not None or (call.usage is not None and call.usage.total_output > 0)

    def _translate(self, events: list[bytes]) -> Iterator[T]:
        """What was good goes out before an error that came with it is raised."""
        parts: list[T] = []
        try:
            for data in events:
                if is_done(data):
                    self.is_done = True
                    self.has_said = self.has_said or self._has_output
                    if self.has_said and (last := self._chunks.end()):
                        parts += [part for part in [self._face.write(last, b"")] if part]
                    break
                if is_aside(data):
                    self._skip(data)
                    continue
                if part := self._read(data):
                    parts.append(part)
        except AtriumError:
            if parts:
                yield self._face.join(parts)
            raise
        if parts:
            yield self._face.join(parts)

    def _skip(self, data: bytes) -> None:
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
            chunk = self._chunks.read(event, len(data))
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as exc:
            if call.pieces_seen == seen:
                _note_unread(call, len(data))
            raise nonsense() from exc
        if error is None:
            if chunk is None:
                return None
            chunk.is_changed |= is_mended
            self.has_said = self.has_said or says_something(chunk.event)
            return self._face.write(chunk, data)
        call.was_refused = call.first_token_s is None and call.usage is None
        raise fault_in_answer(error, call.candidate.endpoint, has_begun=call.first_token_s is not None)


@contextmanager
def _told_as_ours() -> Iterator[None]:
    """Silence and a broken connection as errors of ours."""
    try:
        yield
    except TimeoutError as exc:
        raise UpstreamTimeout(
            _("The model server stopped in the middle of its answer. What arrived is kept."),
            code="upstream_idle",
        ) from exc
    except aiohttp.ClientError as exc:
        message = _(
            "The model server broke the connection in the middle of its answer. What arrived is kept."
        )
        raise UpstreamError(message, code="upstream_disconnected") from exc


def _note_unread(call: Call, size: int) -> None:
    """Count the bytes of what makes no sense, or never came whole: it may hold the whole answer."""
    if size > FRAMING_BYTES:
        call.note_piece(estimate_tokens(size - FRAMING_BYTES))


def error_frame(error: AtriumError) -> bytes:
    """The headers are gone: the client is told inside the stream."""
    return frame(orjson.dumps(as_error_object(error)))
