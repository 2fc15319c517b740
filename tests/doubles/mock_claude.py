"""The mock's answers in Anthropic's Messages API: the same words, counts and faults of HTTP and of the wire.

Counts are those of `mock_answers`; nothing is read from a cache.
"""

from __future__ import annotations

from typing import Any

import orjson

from .mock_answers import DONE, Answer, mark
from .mock_http import Exchange
from .mock_speech import Speaker


def _event(kind: str, **fields: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps({"type": kind, **fields}))


def _usage(answer: Answer) -> Any:
    """Of a fault that reports no counts, what it reports."""
    if not isinstance(answer.usage, dict):
        return answer.usage
    return {
        "input_tokens": answer.usage["prompt_tokens"],
        "output_tokens": answer.usage["completion_tokens"],
    }


def _reason(answer: Answer) -> str:
    return "max_tokens" if answer.finish_reason == "length" else "end_turn"


def _message(answer: Answer, received_ns: int, **more: Any) -> dict[str, Any]:
    message = {"id": f"msg_{answer.id}", "type": "message", "role": "assistant", "model": answer.model}
    return message | {"system_fingerprint": mark(received_ns), "stop_sequence": None} | more


class MessageFrames:
    """Server-sent events of one streamed answer; see `mock_answers.Frames`."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer

    def opening(self, received_ns: int) -> bytes:
        usage = _usage(self.answer)
        usage = usage | {"output_tokens": 1} if isinstance(usage, dict) else usage
        message = _message(self.answer, received_ns, content=[], stop_reason=None, usage=usage)
        block = {"type": "text", "text": ""}
        return _event("message_start", message=message) + _event(
            "content_block_start", index=0, content_block=block
        )

    def token(self, piece: str) -> bytes:
        return (
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
            b'"delta":{"type":"text_delta","text":%b}}\n\n' % orjson.dumps(piece)
        )

    def closing(self, tail: bytes = DONE) -> bytes:
        delta = {"stop_reason": _reason(self.answer), "stop_sequence": None}
        usage = _usage(self.answer)
        usage = {"output_tokens": usage["output_tokens"]} if isinstance(usage, dict) else usage
        parts = [_event("content_block_stop", index=0), _event("message_delta", delta=delta, usage=usage)]
        return b"".join([*parts, _event("message_stop")]) + (b"" if tail == DONE else tail)


class MessageSpeaker(Speaker):
    """One answer as a message."""

    def __init__(self, exchange: Exchange, body: dict[str, Any], answer: Answer) -> None:
        super().__init__(exchange, body, answer)
        self.frames = MessageFrames(answer) if self.stream else None  # type: ignore[assignment]

    def written(self, received_ns: int) -> bytes:
        content = [{"type": "text", "text": "".join(self.answer.pieces)}]
        told = {"content": content, "stop_reason": _reason(self.answer), "usage": _usage(self.answer)}
        return orjson.dumps(_message(self.answer, received_ns, **told))
