"""Step 8: the answer, passed on while it comes. Tokens are counted, nonsense becomes a clear error, and
the last frame waits for the bill.
"""

import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson
from django.utils.translation import gettext as _

from foundation.errors import AtriumError, UpstreamError
from gateway.answers.deltas import DeltaShape
from gateway.answers.estimate import count_text_bytes, estimate_tokens
from gateway.answers.idle import IdleWatch
from gateway.answers.sse import DONE, EventReader, frame
from gateway.calls import Call
from gateway.errors import UpstreamTimeout, as_error_object
from usage.pricing import Usage

MAX_ANSWER_BYTES = 32_000_000
MAX_STREAM_BYTES = 256_000_000  # each token comes in an event of its own
PIECES_PER_TOKEN, SOME_PIECES = 4, 256  # few servers send less than a token at a time
FRAMING_BYTES = 1_000  # more than an event has around its text
MOST_PLAUSIBLE_TOKENS = 10_000_000


def read_usage(reported: Any) -> Usage | None:
    """A provider's usage report in disjoint classes, or None if it is missing or cannot be true.

    Some count reasoning beside the completion instead of inside it, or tell of it in the total alone.
    """
    if not isinstance(reported, dict):
        return None
    prompt: Any = reported.get("prompt_tokens")
    completion: Any = reported.get("completion_tokens")
    cached = _detail(reported, "prompt_tokens_details", "cached_tokens")
    reasoning = _detail(reported, "completion_tokens_details", "reasoning_tokens")
    for number in (prompt, completion, cached, reasoning):
        if type(number) is not int or not 0 <= number <= MOST_PLAUSIBLE_TOKENS:
            return None
    if cached > prompt or not prompt + completion:
        return None
    if reasoning > completion:
        completion += reasoning
    total = reported.get("total_tokens")
    if type(total) is int and prompt + completion < total <= MOST_PLAUSIBLE_TOKENS:
        completion = total - prompt
    return Usage(prompt - cached, cached, completion - reasoning, reasoning)


def _detail(reported: dict, group: str, name: str) -> Any:
    details = reported.get(group)
    return (details.get(name) or 0) if isinstance(details, dict) else 0


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
    answer = _parse_answer(call, raw)
    if answer.get("model") != call.route.name:
        answer["model"] = call.route.name
        raw = orjson.dumps(answer)
    return raw


def _parse_answer(call: Call, raw: bytes) -> dict[str, Any]:
    """A whole answer; what it says is noted in the call. Raises UpstreamError."""
    try:
        answer = orjson.loads(raw)
        usage = read_usage(answer.get("usage"))
        call.note_usage(usage)  # also where the rest makes no sense
        if answer.get("error") and not answer.get("choices"):
            call.was_refused = usage is None
            raise UpstreamError(
                _("The model server reported an error. Try again, or choose another model."),
                code="upstream_error",
            )
        call.finish_reason = answer["choices"][0].get("finish_reason")
    except (orjson.JSONDecodeError, KeyError, IndexError, TypeError, AttributeError) as exc:
        raise _nonsense() from exc
    call.output_tokens_seen = 0  # the bytes counted while they came hold more than text
    if size := sum(map(count_text_bytes, answer["choices"])):
        call.note_piece(estimate_tokens(size))
    call.note_first_token()
    call.note_usage(usage)  # it came with the last piece
    return answer


def _as_stream(call: Call, answer: dict[str, Any]) -> bytes:
    """The frames of an answer that came whole where a stream was asked for: some servers know no streams."""
    head: dict[str, Any] = {"object": "chat.completion.chunk", "model": call.route.name}
    head |= {name: answer[name] for name in ("id", "created", "system_fingerprint") if name in answer}
    choices = [
        {
            "index": choice.get("index", position),
            "delta": _as_delta(choice.get("message") or {}),
            "finish_reason": choice.get("finish_reason"),
        }
        for position, choice in enumerate(answer["choices"])
    ]
    frames = frame(orjson.dumps({**head, "choices": choices}))
    if call.wants_usage and call.usage is not None:
        frames += frame(orjson.dumps({**head, "choices": [], "usage": answer["usage"]}))
    return frames


def _as_delta(message: dict[str, Any]) -> dict[str, Any]:
    tools = message.get("tool_calls")
    if not isinstance(tools, list):
        return message
    numbered = [{"index": number, **tool} for number, tool in enumerate(tools) if isinstance(tool, dict)]
    return {**message, "tool_calls": numbered}


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
                raise _nonsense()
    return b"".join(parts)


def _watch(call: Call, response: aiohttp.ClientResponse) -> IdleWatch:
    """Headers may come long before the first token: until then, the limit is that of the first byte."""
    endpoint = call.route.endpoint
    return IdleWatch(response.content, endpoint.idle_timeout_s, endpoint.first_byte_timeout_s)


def _nonsense() -> UpstreamError:
    return UpstreamError(
        _("The model server's answer makes no sense. Try again, or choose another model."),
        code="upstream_invalid_response",
    )


async def relay(call: Call, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The frames of a streamed answer, several joined where several came, without `[DONE]`.

    Raises UpstreamError or UpstreamTimeout where the stream breaks; what was relayed until then stands in the
    call.
    """
    reader, shape, size, is_done = EventReader(), DeltaShape(), 0, False
    most_pieces = PIECES_PER_TOKEN * call.max_output_tokens + SOME_PIECES
    try:
        with _watch(call, response) as watch:
            while chunk := await watch.read():
                size += len(chunk)
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
                frames, is_done = _translate(call, shape, reader.feed(chunk))
                if frames:
                    yield frames
                if is_done:
                    return
        if call.first_token_s is None and reader.unread.lstrip().startswith(b"{"):
            answer = _parse_answer(call, reader.unread)
            reader.forget_rest()
            yield _as_stream(call, answer)
            return
        frames, is_done = _translate(call, shape, [rest] if (rest := reader.rest()) else [])
        reader.forget_rest()
        if frames:
            yield frames
        if not is_done and call.finish_reason is None:
            raise UpstreamError(
                _("The model server ended its answer in the middle. What arrived is kept."),
                code="upstream_incomplete",
            )
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
    finally:
        # an event that never came whole may hold the whole answer
        unread = len(reader.unread) - FRAMING_BYTES
        if unread > 0 and not is_done:
            call.note_piece(estimate_tokens(unread))


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
    try:
        event = orjson.loads(data)
        if event.get("error"):
            _note_choices(call, event.get("choices") or [])
            call.note_usage(read_usage(event.get("usage")))
            call.was_refused = call.first_token_s is None and call.usage is None
            raise UpstreamError(
                _("The model server reported an error in the middle of its answer. What arrived is kept."),
                code="upstream_error",
            )
        text = _note_choices(call, event["choices"])
        is_wanted, is_changed = _adapt(call, event)
    except (orjson.JSONDecodeError, KeyError, IndexError, TypeError, AttributeError) as exc:
        raise _nonsense() from exc
    if not is_wanted:
        return b""
    ours = frame(orjson.dumps(event) if is_changed else data)
    if text and event.get("usage") is None:
        shape.learn(frame(data), ours, text)
    return ours


def _note_choices(call: Call, choices: list[dict]) -> str:
    """Count a piece of the answer; its text, if the event says nothing else."""
    if not choices:
        return ""
    if size := sum(map(count_text_bytes, choices)):
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


def usage_frame(call: Call, usage: Usage) -> bytes:
    """The last chunk a client asked for and the provider did not send."""
    prompt = usage.input_tokens + usage.cached_tokens
    completion = usage.output_tokens + usage.reasoning_tokens
    report = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    head = {
        "id": f"chatcmpl-{call.request_id.hex}",
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": call.route.name,
    }
    chunk: dict[str, Any] = {**head, "choices": [], "usage": report}
    return frame(orjson.dumps(chunk))


def error_frame(error: AtriumError) -> bytes:
    """The headers are gone: the client is told inside the stream."""
    return frame(orjson.dumps(as_error_object(error)))
