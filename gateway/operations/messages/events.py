"""A stream as Anthropic's clients read it: blocks one after the other, each begun, told piece by piece and
closed; at the end the reason and the usage that was billed.

Pieces of text that differ from the last in nothing else pass unread, as they do for OpenAI's clients
(gateway.answers.deltas).

OpenAI's servers may tell several calls at once, piece by piece, and a block that was closed is not gone on
with: while the arguments of a call are not whole, whatever else is told waits, each call's pieces together.
Whatever a server sends, each piece is put off once at most, and read once. Arguments that cannot become JSON
any more, when a part of them has gone out, end the stream with an error: clients read them as they come.
"""

from collections import deque
from typing import Any

from foundation.errors import AtriumError, UpstreamError
from foundation.told import gettext as _
from gateway.answers.deltas import KEY, DeltaShape, pass_unread
from gateway.answers.whole import nonsense
from gateway.calls import Call, Chunk
from gateway.operations.chat_completions.parts import find_reasoning
from gateway.operations.messages.answer import END, name_answer, name_end, usage_body, write_event
from gateway.operations.messages.arguments import Outgoing
from gateway.operations.messages.errors import error_event
from usage.pricing import Usage

Step = tuple[str, Any]  # thought, thinking, text or call, and a piece of it
MOST_WAITING = 200_000  # some 20 MB
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
        self._calls: set[int] = set()  # the numbers of those that have begun
        self._unnamed: dict[int, list[dict[str, Any]]] = {}  # the pieces of calls whose names have not come
        self._call_open = -1  # the number of the one whose block is open
        self._arguments = Outgoing()  # of that, so far
        self._waiting: deque[tuple[str, list[Any]]] = deque()  # what comes behind it: a kind, and its pieces
        self._later: dict[int, list[dict[str, Any]]] = {}  # those of calls, by their numbers
        self._waiting_pieces = 0
        self._thought = -1  # the number of the thought that was told last
        self._end: tuple[str, str | None] = (END, None)

    def pass_on(self, call: Call, chunk: bytes) -> bytes | None:
        return None if self._shape is None else pass_unread(call, chunk, self._shape)

    def write(self, chunk: Chunk, data: bytes) -> bytes | None:
        parts: list[bytes] = [] if self._has_begun else [self._begin(chunk.event)]
        try:
            for choice in chunk.event["choices"][:1]:
                self._tell(choice.get("delta") or {}, parts)
                if choice.get("finish_reason"):
                    self._end = name_end(choice)
                    self._check_named()
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
        takes_blocks = self._call.candidate.provider.takes_blocks  # they are of its own shape
        thoughts = delta.get("thinking_blocks") if takes_blocks else None
        if thoughts and isinstance(thoughts, list):
            for piece in thoughts:
                self._take(("thought", piece), parts)
        elif thought := find_reasoning(delta):
            self._take(("thinking", thought), parts)
        for name in ("content", "refusal"):
            if isinstance(text := delta.get(name), str) and text:
                self._take(("text", text), parts)
        for call in delta.get("tool_calls") or ():
            self._take(("call", call), parts)

    def _take(self, step: Step, parts: list[bytes]) -> None:
        kind, said = step
        goes_on = kind == "call" and said["index"] == self._call_open
        if self._open != "tool_use" or goes_on or self._arguments.is_whole:
            self._tell_step(step, parts)
            if self._waiting and self._arguments.is_whole:
                self._tell_waiting(parts)
        else:
            self._put_off(step)

    def _put_off(self, step: Step) -> None:
        kind, said = step
        self._count_waiting()
        if kind == "call" and said["index"] in self._later:
            self._later[said["index"]].append(said)
            return
        if self._waiting and self._waiting[-1][0] == kind != "call":
            self._waiting[-1][1].append(said)
            return
        pieces = [said]
        self._waiting.append((kind, pieces))
        if kind == "call":
            self._later[said["index"]] = pieces

    def _count_waiting(self) -> None:
        self._waiting_pieces += 1
        if self._waiting_pieces > MOST_WAITING:
            raise ValueError("a call is never whole")

    def _tell_waiting(self, parts: list[bytes], *, is_end: bool = False) -> None:
        """In its order, up to a call that may go on."""
        while self._waiting:
            kind, pieces = self._waiting.popleft()
            self._waiting_pieces -= len(pieces)
            for piece in pieces if kind == "thought" else [_join(kind, pieces)]:
                self._tell_step((kind, piece), parts)
            if kind == "call":
                del self._later[pieces[0]["index"]]
                if not (is_end or self._arguments.is_whole):
                    return

    def _tell_step(self, step: Step, parts: list[bytes]) -> None:
        kind, said = step
        if kind == "call":
            self._tell_call(said, parts)
        elif kind == "thought":
            self._tell_thought(said, parts)
        else:
            self._open_block(kind, parts)
            parts.append(self._piece(**{"type": f"{kind}_delta", kind: said}))

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
        if number != self._call_open or self._open != "tool_use":
            if number in self._calls:  # it was whole, or there was no more to come
                return
            pieces = self._unnamed.setdefault(number, [])
            pieces.append(call)
            if not (isinstance(name := function.get("name"), str) and name):
                self._count_waiting()  # it comes behind the id at some, or behind the arguments
                return
            self._waiting_pieces -= len(pieces) - 1
            call = _join("call", self._unnamed.pop(number))
            function = call["function"]
            named = {"id": call.get("id") or "", "name": function["name"]}
            self._start({"type": "tool_use", **named, "input": {}}, parts)
            self._calls.add(number)
            self._call_open = number
            self._arguments = Outgoing()
        if arguments := function.get("arguments"):
            try:
                told = self._arguments.add(arguments)
            except ValueError as exc:
                raise _no_json() from exc
            if told:
                parts.append(self._piece(type="input_json_delta", partial_json=told))

    def _check_named(self) -> None:
        """A call without a name is left out beside others. Raises ValueError where there is no other."""
        if self._unnamed and not (self._calls or self._waiting):
            raise ValueError("nobody can tell what is called")

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
        if self._open == "tool_use" and (rest := self._arguments.end()):
            parts.append(self._piece(type="input_json_delta", partial_json=rest))
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
        self._tell_waiting(parts, is_end=True)
        self._close(parts)
        reason, sequence = self._end
        delta = {"stop_reason": reason, "stop_sequence": sequence}
        usage = usage_body(self._call.usage or Usage())
        parts += [write_event("message_delta", delta=delta, usage=usage), write_event("message_stop")]
        return b"".join(parts)


def _no_json() -> UpstreamError:
    return UpstreamError(
        _("The model called a tool with arguments that are no JSON. What arrived is kept. Try again."),
        code="upstream_invalid_response",
    )


def _join(kind: str, pieces: list[Any]) -> Any:
    """Those that waited, as one: texts, or pieces of one call."""
    if kind != "call":
        return "".join(pieces)
    functions = [one["function"] for one in pieces if isinstance(one.get("function"), dict)]
    names = (one.get("name") for one in functions)
    name = next((one for one in names if isinstance(one, str) and one), "")
    arguments = "".join(one.get("arguments") or "" for one in functions)
    return {**pieces[0], "function": {"name": name, "arguments": arguments}}
