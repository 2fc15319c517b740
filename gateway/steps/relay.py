"""Step 8: the answer, passed on while it comes. Tokens are counted, nonsense becomes a clear error, and
the last frame waits for the bill.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing, contextmanager, suppress
from functools import partial
from typing import TypeVar

import aiohttp

from foundation.errors import AtriumError, UpstreamError
from foundation.told import gettext as _
from gateway.answers.decoding import decoder_of, is_encoded, read_decoded
from gateway.answers.empty import LastParts, NothingSaid, refuse_empty
from gateway.answers.estimate import estimate_tokens
from gateway.answers.idle import IdleWatch
from gateway.answers.refusals import note_pause
from gateway.answers.stream import AnswerEvents, Face
from gateway.answers.usage import PIECES_PER_TOKEN
from gateway.answers.whole import INVALID, is_page, page
from gateway.calls import Call, Chunk, Form
from gateway.errors import UpstreamTimeout

MAX_STREAM_BYTES = 256_000_000  # each token comes in an event of its own
SOME_PIECES = 256
YIELD_EVERY_BYTES = 65_536
SOME_EVENTS = 50_000  # that bring nothing: signs of life, ten a second for more than an hour
TEXTS = ("text/html", "text/plain")  # types of what proxies say, and of answers that are mislabelled
MAX_BYTES_AT_ONCE = 500_000  # what takes longer to read would hold up the streams of everybody else
SLOW = MAX_BYTES_AT_ONCE + 1  # as what counts to be checked by somebody's schema, however short it is
Read = Callable[[], Awaitable[bytes]]
R = TypeVar("R")
T = TypeVar("T")


async def read_answer(call: Call, response: aiohttp.ClientResponse) -> bytes:
    """The whole answer of a call that is not streamed, checked, with our name of the model.
    Raises UpstreamError, UpstreamTimeout; NothingSaid where nothing was written.
    """
    try:
        raw = await _read_all(call, response)
    except TimeoutError as exc:
        raise UpstreamTimeout(_("The model server stopped in the middle of its answer. Try again.")) from exc
    except aiohttp.ClientError as exc:
        raise UpstreamError(
            _("The model server broke the connection. Try again."), code="upstream_disconnected"
        ) from exc
    if is_page(raw):
        raise page(call)
    call.has_begun = True
    call.output_tokens_seen = estimate_tokens(len(raw))  # whatever it turns out to be
    try:
        size = SLOW if call.is_form_ours else len(raw)
        answer = await read_aside(partial(call.operation.read_answer, call, raw), size)
    except AtriumError as exc:
        _heed_head(call, response, exc)
        raise
    refuse_empty(call, [answer])
    return answer


async def read_aside(read: Callable[[], R], size: int) -> R:
    """What reading so many bytes gives; of many in a thread, and to its end: also of an answer that nobody
    waits for any longer the cost is known.
    """
    if size <= MAX_BYTES_AT_ONCE:
        return read()
    reading = asyncio.ensure_future(asyncio.to_thread(read))
    try:
        return await asyncio.shield(reading)
    except asyncio.CancelledError:
        await asyncio.wait([reading])
        reading.exception()
        raise


def _heed_head(call: Call, response: aiohttp.ClientResponse, error: AtriumError) -> None:
    """What the head of an answer says of an error in its body: when to ask again, and that a text which makes
    no sense is a proxy's, not a model's.
    """
    note_pause(call, error, response.headers)
    is_silent = call.first_token_s is None and call.usage is None
    if error.code == INVALID and is_silent and response.headers.get("Content-Type", "").startswith(TEXTS):
        call.was_refused = True


def _too_long(limit_bytes: int) -> UpstreamError:
    return UpstreamError(
        _("The model server's answer is longer than %(limit)s MB. Ask for less at once.")
        % {"limit": limit_bytes // 1_000_000},
        code="upstream_invalid_response",
    )


async def _read_all(call: Call, response: aiohttp.ClientResponse) -> bytes:
    if response.content.is_eof() and not is_encoded(response):  # it came with the headers
        return await response.content.read(-1)
    parts, size, most = [], 0, call.operation.max_answer_bytes
    with _watch(call, response) as watch:
        read = _reader(response, watch)
        while part := await read():
            if part.strip():  # white space is a sign of life, of servers that answer late
                watch.note_begin()
            parts.append(part)
            size += len(part)
            call.has_begun = True
            call.output_tokens_seen = estimate_tokens(size)
            if size > most * call.place.share:
                raise _too_long(most)
    return b"".join(parts)


def _watch(call: Call, response: aiohttp.ClientResponse) -> IdleWatch:
    """Headers may come long before the first token: until then, the limit is that of the first byte. What was
    waited for the headers is a part of it.

    Signs of life (comments, white space, who speaks) prolong that wait, since a server may think for minutes;
    but not where another candidate could answer.
    """
    endpoint, is_streamed = call.candidate.endpoint, call.wants_stream
    return IdleWatch(
        response.content,
        limit_s=endpoint.idle_timeout_s,
        first_s=endpoint.first_byte_timeout_s if is_streamed else endpoint.idle_timeout_s,
        total_s=call.attempt_left_s(),
        begins_within_s=call.first_byte_left_s() if call.has_next else math.inf,
        waited_s=call.attempt_waited_s() if is_streamed else 0.0,
    )


def _reader(response: aiohttp.ClientResponse, watch: IdleWatch) -> Read:
    if is_encoded(response):
        return partial(read_decoded, watch, decoder_of(response))
    return watch.read


async def relay(
    call: Call, response: aiohttp.ClientResponse, face: Face[T], most_bytes: int = 0
) -> AsyncGenerator[T]:
    """A streamed answer without its `[DONE]`, several events joined where several came. Nothing goes out
    before the answer has said something: until then another server may still give it.

    Raises UpstreamError or UpstreamTimeout where the stream breaks; what was relayed until then stands in the
    call. Raises NothingSaid where nothing was written.
    """
    events, last = AnswerEvents(call, face), LastParts[T](call)
    size = turns = 0
    most_bytes = most_bytes or MAX_STREAM_BYTES
    most_pieces = PIECES_PER_TOKEN * call.most_written + SOME_PIECES
    try:
        with _told_as_ours(call, response), _watch(call, response) as watch:
            read = _reader(response, watch)
            while not events.is_done and (chunk := await read()):
                size += len(chunk)
                if (
                    call.pieces_seen > most_pieces
                    or size > most_bytes
                    or events.seen > most_pieces + SOME_EVENTS
                ):
                    raise _endless()
                if events.is_plain and (passed := face.pass_on(call, chunk)) is not None:
                    yield passed
                    continue
                for part in last.pass_on(events.take(chunk)):
                    yield part
                events.set_watch(watch)
                if size // YIELD_EVERY_BYTES > turns:  # it may come faster than it is read
                    turns = size // YIELD_EVERY_BYTES
                    await asyncio.sleep(0)
        with _told_as_ours(call, response):
            if not (events.is_done or watch.is_over):
                for part in last.pass_on(await _rest_of(events)):
                    yield part
            for part in last.pass_on(events.conclude()):
                yield part
        for part in last.end():
            yield part
    finally:
        call.has_begun = events.has_begun
        if not call.was_refused:
            events.note_rest()


async def relay_checked(
    call: Call, form: Form, response: aiohttp.ClientResponse, face: Face[T]
) -> AsyncGenerator[T]:
    """A streamed answer whose form is ours to keep: it goes out when it is whole and was checked. Raises what
    `relay` and `form.conclude` do.
    """
    gathered, most = form.gather(), call.operation.max_answer_bytes
    with suppress(NothingSaid):
        async with aclosing(relay(call, response, gathered, most)) as answer:
            async for _part in answer:
                pass
    for event in await read_aside(partial(form.conclude, call, gathered), SLOW):
        if (written := face.write(Chunk(event, is_changed=True), b"")) is not None:
            yield written
    if (kept := face.end()) is not None:
        yield kept


async def _rest_of(events: AnswerEvents[T]) -> Iterable[T]:
    if events.whole_bytes > MAX_BYTES_AT_ONCE:
        return await read_aside(partial(list, events.end()), events.whole_bytes)
    return events.end()


def _endless() -> UpstreamError:
    return UpstreamError(
        _("The model server did not end its answer where it was told to. What arrived is kept."),
        code="upstream_endless",
    )


@contextmanager
def _told_as_ours(call: Call, response: aiohttp.ClientResponse) -> Iterator[None]:
    """Silence and a broken connection as errors of ours."""
    try:
        yield
    except AtriumError as exc:
        _heed_head(call, response, exc)
        raise
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
