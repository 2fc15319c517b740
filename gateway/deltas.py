"""An answer in typed pieces, for everybody inside the house. Wire formats live at the edges only.

Thoughts that a server writes into its text (`<think>…</think>`, where nobody told it apart) are reasoning
here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gateway.operations.chat_completions.parts import find_reasoning

OPEN_THOUGHT, CLOSE_THOUGHT = "<think>", "</think>"


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Reasoning:
    """A piece of what the model thinks before or between. Not sent back to it."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A piece of a tool call: `id` and `name` come with its first, `arguments` piece by piece."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class Finish:
    """Why the answer ended: stop, length, tool_calls, content_filter."""

    reason: str


Delta = Text | Reasoning | ToolCall | Finish


class DeltaReader:
    """The deltas in the chunks of one stream (first choice)."""

    def __init__(self) -> None:
        self._thoughts = Thoughts()

    def read(self, chunk: dict[str, Any]) -> Iterator[Delta]:
        """What a chunk in OpenAI's shape says."""
        for choice in chunk["choices"][:1]:
            delta = choice.get("delta") or {}
            if thought := find_reasoning(delta):
                yield Reasoning(thought)
            for name in ("content", "refusal"):
                if isinstance(text := delta.get(name), str) and text:
                    yield from self._thoughts.split(text)
            yield from _read_tools(delta.get("tool_calls"))
            if reason := choice.get("finish_reason"):
                yield from self._thoughts.end()
                yield Finish(reason)

    def end(self) -> Iterator[Delta]:
        """What was kept back because more might have come."""
        return self._thoughts.end()


def _read_tools(tools: Any) -> Iterator[Delta]:
    for position, tool in enumerate(tools if isinstance(tools, list) else ()):
        if not isinstance(tool, dict):
            continue
        function = tool.get("function")
        function = function if isinstance(function, dict) else {}
        index = tool.get("index")
        yield ToolCall(
            index=index if type(index) is int else position,
            id=str(tool.get("id") or ""),
            name=str(function.get("name") or ""),
            arguments=str(function.get("arguments") or ""),
        )


class Thoughts:
    """Tells thoughts in a text from the text: `<think>` opens them at the beginning of an answer only, so
    that an answer about the tag stays one. A tag may be cut anywhere.
    """

    def __init__(self) -> None:
        self._kept = ""
        self._is_open = False
        self._is_over = False  # the answer itself has begun
        self._has_ended = False  # thoughts came, and the white space behind them is no answer yet

    def split(self, piece: str) -> Iterator[Delta]:
        if self._is_over:
            yield Text(piece)
            return
        text = self._kept + piece
        self._kept = ""
        if not self._is_open:
            head = text.lstrip()
            if OPEN_THOUGHT.startswith(head[: len(OPEN_THOUGHT)]) and len(head) < len(OPEN_THOUGHT):
                self._kept = text
                return
            if not head.startswith(OPEN_THOUGHT):
                answer = head if self._has_ended else text
                self._is_over = bool(answer)
                if answer:
                    yield Text(answer)
                return
            self._is_open = True
            text = head[len(OPEN_THOUGHT) :]
        thought, tag, answer = text.partition(CLOSE_THOUGHT)
        if not tag:
            kept = _begun_tag(thought)
            self._kept = thought[len(thought) - kept :]
            thought = thought[: len(thought) - kept]
        if thought:
            yield Reasoning(thought)
        if tag:
            self._is_open = False
            self._has_ended = True
            answer = answer.lstrip()
            self._is_over = bool(answer)
            if answer:
                yield Text(answer)

    def end(self) -> Iterator[Delta]:
        kept = self._kept
        self._kept = ""
        if kept.strip():
            yield Reasoning(kept) if self._is_open else Text(kept)


def _begun_tag(text: str) -> int:
    """How many characters at the end may be the beginning of the closing tag."""
    sizes = range(min(len(text), len(CLOSE_THOUGHT) - 1), 0, -1)
    return next((size for size in sizes if CLOSE_THOUGHT.startswith(text[-size:])), 0)


def split_thoughts(text: str) -> tuple[str, str]:
    """(the answer, the thoughts) of a whole text."""
    thoughts = Thoughts()
    deltas = [*thoughts.split(text), *thoughts.end()]
    answer = "".join(delta.text for delta in deltas if isinstance(delta, Text))
    return answer, "".join(delta.text for delta in deltas if isinstance(delta, Reasoning))
