"""A stream where an answer in one piece was asked for, put together: some servers know nothing else, and some
proxies turn it on for everybody. Events, objects one to a line, or a list of them.
"""

import re
from collections.abc import Iterable
from typing import Any

from foundation.errors import AtriumError
from foundation.json_bounds import has_more_values
from gateway.answers.json_text import load_or_none, write_json
from gateway.answers.sse import frame
from gateway.answers.stream import AnswerEvents
from gateway.answers.usage import usage_body
from gateway.answers.whole import NOTHING, nonsense
from gateway.calls import Call, Chunk

FIELD = re.compile(rb"(?:data|event|id|retry)?:", re.IGNORECASE)  # how a stream of events begins
MAX_EVENTS = 500_000
APART = {"role", "tool_calls"}  # what is not joined with what came before


def as_events(raw: bytes, max_values: int) -> bytes | None:
    """The bytes as server-sent events, where they are a stream of any form; None for anything else. Raises
    UpstreamError for more values or lines than an answer has.
    """
    begin = raw.lstrip(NOTHING)
    if FIELD.match(begin):
        return raw
    if begin.startswith(b"["):
        listed = _load(begin, max_values)
        if isinstance(listed, list) and listed and all(isinstance(one, dict) for one in listed):
            return b"".join(frame(write_json(one)) for one in listed)
        return None
    line, _, rest = begin.partition(b"\n")
    if rest.lstrip(NOTHING).startswith((b"{", b"[DONE]")) and isinstance(_load(line, max_values), dict):
        if begin.count(b"\n") > MAX_EVENTS:
            raise nonsense()
        return b"".join(frame(one) for one in begin.split(b"\n") if one.strip())
    return None


def _load(raw: bytes, max_values: int) -> Any:
    if has_more_values(raw, max_values):
        raise nonsense()
    return load_or_none(raw)


def assemble(call: Call, events: bytes) -> dict[str, Any]:
    """The answer that a stream makes. Raises UpstreamError for one that breaks off, or reports an error."""
    if events.count(b"\n") > 2 * MAX_EVENTS:
        raise nonsense()
    by_bytes, call.output_tokens_seen = call.output_tokens_seen, 0  # its pieces are counted by themselves
    gathered = Gathered()
    reader = AnswerEvents(call, gathered)
    try:
        exhaust(reader.take(events))
        exhaust(() if reader.is_done else reader.end())
        exhaust(reader.conclude())
    except AtriumError:
        if not call.pieces_seen:
            call.output_tokens_seen = by_bytes
        raise
    return gathered.whole(call)


def exhaust(parts: Iterable[Any]) -> None:
    for _part in parts:
        pass


class Gathered:
    """The face of a stream that nobody sees yet: the answer that its chunks make, joined as they come. An
    event takes a kilobyte, its piece of text a few bytes.
    """

    def __init__(self) -> None:
        self._answer: dict[str, Any] = {}
        self._choices: dict[int, _Choice] = {}

    def pass_on(self, call: Call, chunk: bytes) -> None:
        return None

    def write(self, chunk: Chunk, data: bytes) -> bool:
        event = chunk.event
        if not event.get("choices"):
            return True
        for choice in event["choices"]:
            self._choices.setdefault(choice["index"], _Choice()).add(choice)
        self._answer = {**event, **self._answer}  # as its first event says
        return True

    def end(self) -> None:
        return None

    def join(self, parts: list[bool]) -> bool:
        return True

    def whole(self, call: Call) -> dict[str, Any]:
        choices, answer = self._choices, dict(self._answer)
        answer["choices"] = [choices[index].whole(index) for index in sorted(choices)]
        answer.pop("usage", None)
        if call.usage is not None:
            answer["usage"] = usage_body(call.usage)
        return answer


class _Choice:
    """One choice, piece by piece. Texts are joined at the end: thousands of them come."""

    def __init__(self) -> None:
        self._message: dict[str, Any] = {}
        self._texts: dict[str, list[str]] = {}
        self._calls: dict[int, dict[str, Any]] = {}
        self._arguments: dict[int, list[str]] = {}
        self._thoughts: dict[int, dict[str, Any]] = {}  # signed ones, each of texts in pieces
        self._rest: dict[str, Any] = {}  # beside the delta: log probabilities
        self._reason: str | None = None

    def add(self, choice: dict[str, Any]) -> None:
        for name, value in choice["delta"].items():
            if isinstance(value, str) and name not in APART:
                self._texts.setdefault(name, []).append(value)
            elif name == "thinking_blocks" and isinstance(value, list):
                self._add_thoughts(value)
            elif value is not None and name != "tool_calls":
                _join(self._message, name, value)
        for piece in choice["delta"].get("tool_calls") or ():
            self._add_call(piece)
        self._reason = choice.get("finish_reason") or self._reason
        for name, value in choice.items():
            if name not in ("index", "delta", "finish_reason") and value is not None:
                _join(self._rest, name, value)

    def _add_call(self, piece: dict[str, Any]) -> None:
        number, function = piece["index"], piece.get("function") or {}
        call = self._calls.setdefault(number, {"function": {}})
        self._arguments.setdefault(number, []).append(function.get("arguments") or "")
        call["function"] |= {name: value for name, value in function.items() if name != "arguments"}
        call |= {name: value for name, value in piece.items() if name not in ("index", "function")}

    def _add_thoughts(self, pieces: list[Any]) -> None:
        for piece in pieces:
            thought = self._thoughts.setdefault(piece["index"], {})
            for name, value in piece.items():
                if name == "type":
                    thought[name] = value
                elif isinstance(value, str):
                    thought.setdefault(name, []).append(value)

    def whole(self, index: int) -> dict[str, Any]:
        message = {"role": "assistant", "content": None, **self._message}
        message |= {name: "".join(texts) for name, texts in self._texts.items()}
        if self._thoughts:
            message["thinking_blocks"] = [
                _whole_thought(self._thoughts[one]) for one in sorted(self._thoughts)
            ]
        for number, call in self._calls.items():
            call["function"]["arguments"] = "".join(self._arguments[number])
        if self._calls:
            message["tool_calls"] = [self._calls[number] for number in sorted(self._calls)]
        return {"index": index, "message": message, "finish_reason": self._reason, **self._rest}


def _whole_thought(pieces: dict[str, Any]) -> dict[str, Any]:
    return {name: "".join(value) if isinstance(value, list) else value for name, value in pieces.items()}


def _join(whole: dict[str, Any], name: str, value: Any) -> None:
    """Lists grow, objects are filled, and of everything else the last counts."""
    before = whole.get(name)
    if isinstance(before, list) and isinstance(value, list):
        before.extend(value)
    elif isinstance(before, dict) and isinstance(value, dict):
        for inner, what in value.items():
            _join(before, inner, what)
    else:
        whole[name] = value
