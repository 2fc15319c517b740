"""Step 8: the answer, passed on while it comes. Tokens are counted, nonsense becomes a clear error, and
the last frame waits for the bill.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import aiohttp
import orjson
from django.utils.translation import gettext as _

from foundation.errors import AtriumError, UpstreamError
from foundation.json_bounds import has_more_values
from gateway.answers.deltas import DeltaShape
from gateway.answers.estimate import count_text_bytes, estimate_tokens
from gateway.answers.idle import IdleWatch
from gateway.answers.sse import DONE, EventReader, frame
from gateway.answers.usage import read_usage
from gateway.answers.whole import WholeAnswer, as_stream, nonsense, parse_answer, write_json
from gateway.calls import Call
from gateway.errors import UpstreamTimeout, as_error_object

MAX_ANSWER_BYTES = 32_000_000
MAX_STREAM_BYTES = 256_000_000  # each token comes in an event of its own
PIECES_PER_TOKEN, SOME_PIECES = 4, 256  # few servers send less than a token at a time
FRAMING_BYTES = 1_000  # more than an event has around its text
MAX_EVENT_VALUES = 20_000
MAX_SILENT_BYTES = 2_000_000  # comments and empty lines without an event between them


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
    answer = parse_answer(call, raw)
    if answer.get("model") != call.route.name:
        answer["model"] = call.route.name
        raw = write_json(answer)
    return raw


async def _read_all(call: Call, response: aiohttp.ClientResponse) -> bytes:
    if response.content.is_eof():  # it came with the headers
        return await response.content.read(-1)
    parts, size = [], 0
    with _watch(call, response) as watch:
        while part := await watch.read():
            parts.append(part)
            size += len(part)
            call.output_tokens_seen = estimate_tokens(size)
            if size > MAX_ANSWER_BYTES:
                raise nonsense()
    return b"".join(parts)


def _watch(call: Call, response: aiohttp.ClientResponse) -> IdleWatch:
    """Headers may come long before the first token: until then, the limit is that of the first byte."""
    endpoint = call.route.endpoint
    return IdleWatch(response.content, endpoint.idle_timeout_s, endpoint.first_byte_timeout_s)


async def relay(call: Call, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The frames of a streamed answer, several joined where several came, without `[DONE]`.

    Raises UpstreamError or UpstreamTimeout where the stream breaks; what was relayed until then stands in the
    call.
    """
    reader, shape = EventReader(), DeltaShape()
    size = silent_bytes = 0
    has_begun = is_done = False
    whole = WholeAnswer(MAX_ANSWER_BYTES)
    most_pieces = PIECES_PER_TOKEN * call.max_output_tokens + SOME_PIECES
    try:
        with _told_as_ours(), _watch(call, response) as watch:
            while chunk := await watch.read():
                size += len(chunk)
                if not has_begun and whole.take(chunk, reader.unread):
                    continue
                if call.pieces_seen > most_pieces or size > MAX_STREAM_BYTES:
                    raise UpstreamError(
                        _(
                            "The model server did not end its answer where it was told to. What arrived is "
                            "kept."
                        ),
                        code="upstream_endless",
                    )
                if not reader.has_rest and (swapped := shape.swap(chunk)) is not None:
                    call.note_piece(estimate_tokens(len(chunk) - shape.overhead))
                    yield swapped
                    continue
                events = reader.feed(chunk)
                has_begun = has_begun or bool(events)
                silent_bytes = 0 if events else silent_bytes + len(chunk)
                if silent_bytes > MAX_SILENT_BYTES:
                    raise nonsense()
                frames, is_done = _translate(call, shape, events)
                if frames:
                    yield frames
                if is_done:
                    return
        if whole.parts or (not has_begun and whole.take(b"", reader.unread)):
            answer = parse_answer(call, whole.text())
            is_done = True
            yield as_stream(call, answer)
            return
        frames, is_done = _translate(call, shape, reader.take_rest())
        if frames:
            yield frames
        if not is_done and call.finish_reason is None:
            raise UpstreamError(
                _("The model server ended its answer in the middle. What arrived is kept."),
                code="upstream_incomplete",
            )
    finally:
        if not is_done:
            _note_unread(call, len(whole.text()) or len(reader.unread) + reader.dropped_bytes)


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


def _translate(call: Call, shape: DeltaShape, events: list[bytes]) -> tuple[bytes, bool]:
    """(frames for the client, whether the stream is complete), and what the events say of the call."""
    frames: list[bytes] = []
    for data in events:
        if data == DONE:
            return b"".join(frames), True
        if ours := _read_event(call, shape, data):
            frames.append(ours)
    return b"".join(frames), False


def _read_event(call: Call, shape: DeltaShape, data: bytes) -> bytes:
    """The event's frame for the client, b"" if it gets none; what it says is noted in the call. Raises
    UpstreamError.
    """
    seen = call.pieces_seen
    try:
        if has_more_values(data, MAX_EVENT_VALUES):
            raise ValueError
        event = orjson.loads(data)
        if event.get("error"):
            _note_choices(call, event.get("choices") or [], len(data))
            call.note_usage(read_usage(event.get("usage")))
            call.was_refused = call.first_token_s is None and call.usage is None
            raise UpstreamError(
                _("The model server reported an error in the middle of its answer. What arrived is kept."),
                code="upstream_error",
            )
        text = _note_choices(call, event["choices"], len(data))
        is_wanted, is_changed = _adapt(call, event)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as exc:
        if call.pieces_seen == seen:
            _note_unread(call, len(data))
        raise nonsense() from exc
    if not is_wanted:
        return b""
    ours = frame(write_json(event) if is_changed else data)
    if text and event.get("usage") is None:
        shape.learn(frame(data), ours, text)
    return ours


def _note_choices(call: Call, choices: list[dict], most: int) -> str:
    """Count a piece of the answer, at most so many bytes; its text, if the event says nothing else."""
    if not choices:
        return ""
    if size := count_text_bytes(choices, most):
        call.note_piece(estimate_tokens(size))
    choice = choices[0]
    if (reason := choice.get("finish_reason")) is not None:
        call.finish_reason = reason
    delta = choice.get("delta") or {}
    text = delta.get("content")
    return text if reason is None and len(choices) == 1 and type(text) is str else ""


def _adapt(call: Call, event: dict) -> tuple[bool, bool]:
    """(whether the client gets the event, whether it was changed): the usage report is for us, unless it was
    asked for; the model's name is ours.
    """
    is_changed = False
    if event.get("usage") is not None:
        call.note_usage(read_usage(event["usage"]))
        if not call.wants_usage:
            if not event["choices"]:
                return False, False
            del event["usage"]
            is_changed = True
    if event.get("model") != call.route.name:
        event["model"] = call.route.name
        is_changed = True
    return True, is_changed


def error_frame(error: AtriumError) -> bytes:
    """The headers are gone: the client is told inside the stream."""
    return frame(orjson.dumps(as_error_object(error)))
