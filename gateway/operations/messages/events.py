"""A stream as Anthropic's clients read it: blocks one after the other, each begun, told piece by piece and
closed; at the end the reason and the usage that was billed.

Pieces of text that differ from the last in nothing else pass unread, as they do for OpenAI's clients
(gateway.answers.deltas).
"""

from typing import Any

from foundation.errors import AtriumError
from gateway.answers.deltas import KEY, DeltaShape
from gateway.answers.estimate import estimate_tokens
from gateway.answers.whole import nonsense
from gateway.calls import Call, Chunk
from gateway.operations.chat_completions.parts import find_reasoning
from gateway.operations.messages.answer import END, name_answer, name_end, usage_body, write_event
from gateway.operations.messages.errors import error_event
from usage.pricing import Usage

TEXT_KEY = b'"text":'
START, DELTA, STOP = "content_block_start", "content_block_delta", "content_block_stop"
EMPTY: dict[str, dict[str, Any]] = {
    "text": {"type": "text", "text": ""},
    "thinking": {"type": "thinking", "thinking": "", "signature": ""},
}


class Events:
    """See `gateway.calls.ClientFace`."""

    heartbeat = write_event("ping")

    def __init__(self, call: Call) -> None:
        self._call = call
        self._shape: DeltaShape | None = None  # of pieces of the text that is open
        self._has_begun = False
        self._open = ""  # the kind of the block that is open
        self._place = -1  # of the last block
        self._calls: dict[int, int] = {}  # the number of a call → the place of its block
        self._thought = -1  # the number of the thought that was told last
        self._end: tuple[str, str | None] = (END, None)

    def pass_on(self, call: Call, chunk: bytes) -> bytes | None:
        shape = self._shape
        if shape is None:
            return None
        chunk = call.candidate.provider.bare_event(chunk)
        swapped = shape.swap(chunk)
        if swapped is not None:
            call.note_piece(estimate_tokens(len(chunk) - shape.overhead))
        return swapped

    def write(self, chunk: Chunk, data: bytes) -> bytes | None:
        parts: list[bytes] = [] if self._has_begun else [self._begin(chunk.event)]
        try:
            for choice in chunk.event["choices"][:1]:
                self._tell(choice.get("delta") or {}, parts)
                if choice.get("finish_reason"):
                    self._end = name_end(choice)
        except ValueError as exc:
            raise nonsense() from exc
        if chunk.text and self._shape is not None and len(parts) == 1:
            theirs = self._call.candidate.provider.bare_event(b"data: " + data + b"\n\n")
            self._shape.learn(theirs, parts[-1], chunk.text)
        return b"".join(parts) or None

    def _begin(self, event: dict[str, Any]) -> bytes:
        """What is known of the prompt so far: most providers count it at the end."""
        self._has_begun = True
        message: dict[str, Any] = {
            "id": name_answer(self._call, event.get("id")),
            "type": "message",
            "role": "assistant",
            "model": self._call.told_name,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage_body(self._call.usage or Usage()),
        }
        return write_event("message_start", message=message)

    def _tell(self, delta: dict[str, Any], parts: list[bytes]) -> None:
        thoughts = delta.get("thinking_blocks")
        if isinstance(thoughts, list):
            for piece in thoughts:
                self._tell_thought(piece, parts)
        elif thought := find_reasoning(delta):
            self._open_block("thinking", parts)
            parts.append(self._piece(type="thinking_delta", thinking=thought))
        for name in ("content", "refusal"):
            if isinstance(text := delta.get(name), str) and text:
                self._open_block("text", parts)
                parts.append(self._piece(type="text_delta", text=text))
        for call in delta.get("tool_calls") or ():
            self._tell_call(call, parts)

    def _tell_thought(self, piece: dict[str, Any], parts: list[bytes]) -> None:
        if piece["index"] != self._thought:
            self._close(parts)
            self._thought = piece["index"]
        if piece.get("type") == "redacted_thinking":
            self._start({"type": "redacted_thinking", "data": str(piece.get("data") or "")}, parts)
            return
        self._open_block("thinking", parts)
        for name in ("thinking", "signature"):
            if isinstance(text := piece.get(name), str) and text:
                parts.append(self._piece(**{"type": f"{name}_delta", name: text}))

    def _tell_call(self, call: dict[str, Any], parts: list[bytes]) -> None:
        function = call.get("function")
        function = function if isinstance(function, dict) else {}
        number = call["index"]
        if number not in self._calls:
            named = {"id": call.get("id") or "", "name": function.get("name") or ""}
            self._start({"type": "tool_use", **named, "input": {}}, parts)
            self._calls[number] = self._place
        if arguments := function.get("arguments"):
            place = self._calls[number]
            piece = {"type": "input_json_delta", "partial_json": arguments}
            parts.append(write_event(DELTA, index=place, delta=piece))

    def _piece(self, **delta: str) -> bytes:
        return write_event(DELTA, index=self._place, delta=delta)

    def _open_block(self, kind: str, parts: list[bytes]) -> None:
        if self._open != kind:
            self._start(EMPTY[kind], parts)
            their_key = self._call.candidate.provider.text_key or KEY
            self._shape = DeltaShape(their_key, TEXT_KEY) if kind == "text" else None

    def _start(self, block: dict[str, Any], parts: list[bytes]) -> None:
        self._close(parts)
        self._place += 1
        self._open = block["type"]
        parts.append(write_event(START, index=self._place, content_block=block))

    def _close(self, parts: list[bytes]) -> None:
        if self._open:
            parts.append(write_event(STOP, index=self._place))
        self._open = ""
        self._shape = None

    def end(self) -> None:
        return None

    def join(self, parts: list[bytes]) -> bytes:
        return b"".join(parts)

    def close(self, failure: AtriumError | None) -> bytes:
        """The last events, when the bill is durable."""
        if failure is not None:
            return error_event(failure, self._call.request_id)
        parts: list[bytes] = [] if self._has_begun else [self._begin({})]
        self._close(parts)
        reason, sequence = self._end
        delta = {"stop_reason": reason, "stop_sequence": sequence}
        usage = usage_body(self._call.usage or Usage())
        parts += [write_event("message_delta", delta=delta, usage=usage), write_event("message_stop")]
        return b"".join(parts)
