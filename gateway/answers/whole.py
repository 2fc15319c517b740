"""An answer in one piece: what it says of the call, and the same as a stream."""

from typing import Any

import orjson
from django.utils.translation import gettext as _

from foundation.errors import UpstreamError
from foundation.json_bounds import has_more_values
from gateway.answers.estimate import count_text_bytes, estimate_tokens
from gateway.answers.sse import frame
from gateway.answers.usage import read_usage
from gateway.calls import Call

MAX_VALUES = 250_000  # more than the longest answer has with its log probabilities
MAX_CHOICES = 128
NOTHING = b" \t\r\n\xef\xbb\xbf"  # white space and the mark of UTF-8


class WholeAnswer:
    """Collects the bytes of an answer that comes in one piece where a stream was asked for."""

    def __init__(self, max_bytes: int) -> None:
        self.parts: list[bytes] = []
        self._bytes_left = max_bytes

    def take(self, chunk: bytes, before: bytes) -> bool:
        """Whether the chunk belongs to such an answer, whatever its content type says: it begins with JSON,
        a stream with the name of a field. `before` came unread ahead of it. Raises UpstreamError for one
        that is too long.
        """
        if not self.parts:
            chunk = (before + chunk).lstrip(NOTHING)
            if not chunk.startswith((b"{", b"[")):
                return False
        self.parts.append(chunk)
        self._bytes_left -= len(chunk)
        if self._bytes_left < 0:
            raise nonsense()
        return True

    def text(self) -> bytes:
        return b"".join(self.parts)


def nonsense() -> UpstreamError:
    return UpstreamError(
        _("The model server's answer makes no sense. Try again, or choose another model."),
        code="upstream_invalid_response",
    )


def write_json(value: dict[str, Any]) -> bytes:
    """Raises UpstreamError for what was read and cannot be written: values nested hundreds deep."""
    try:
        return orjson.dumps(value)
    except TypeError as exc:
        raise nonsense() from exc


def parse_answer(call: Call, raw: bytes) -> dict[str, Any]:
    """A whole answer; what it says is noted in the call. Raises UpstreamError."""
    if has_more_values(raw, MAX_VALUES):
        raise nonsense()
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
        if len(answer["choices"]) > MAX_CHOICES:
            raise nonsense()
    except (orjson.JSONDecodeError, KeyError, IndexError, TypeError, AttributeError) as exc:
        raise nonsense() from exc
    call.output_tokens_seen = 0  # the bytes counted while they came hold more than text
    if size := count_text_bytes(answer["choices"], len(raw)):
        call.note_piece(estimate_tokens(size))
    call.note_first_token()
    call.note_usage(usage)  # it came with the last piece
    return answer


def as_stream(call: Call, answer: dict[str, Any]) -> bytes:
    """The frames of an answer that came whole where a stream was asked for: some servers know no streams.
    Raises UpstreamError.
    """
    head: dict[str, Any] = {"object": "chat.completion.chunk", "model": call.route.name}
    head |= {name: answer[name] for name in ("id", "created", "system_fingerprint") if name in answer}
    try:
        choices = [
            {
                "index": choice.get("index", position),
                "delta": _as_delta(choice.get("message") or {}),
                "finish_reason": choice.get("finish_reason"),
            }
            for position, choice in enumerate(answer["choices"])
        ]
    except (TypeError, AttributeError) as exc:
        raise nonsense() from exc
    frames = frame(write_json({**head, "choices": choices}))
    if call.wants_usage and call.usage is not None:
        frames += frame(write_json({**head, "choices": [], "usage": answer["usage"]}))
    return frames


def _as_delta(message: dict[str, Any]) -> dict[str, Any]:
    tools = message.get("tool_calls")
    if not isinstance(tools, list):
        return message
    numbered = [{"index": number, **tool} for number, tool in enumerate(tools) if isinstance(tool, dict)]
    return {**message, "tool_calls": numbered}
