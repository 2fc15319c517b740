"""An answer in typed pieces, for everybody inside the house. Wire formats live at the edges only.

Thoughts that a server writes into its text (`<think>…</think>` and its like, where nobody told them apart)
are reasoning here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gateway.operations.chat_completions.parts import find_reasoning

OPEN_THOUGHT, CLOSE_THOUGHT = "<think>", "</think>"
TAGS = {  # that open thoughts, and what closes them
    OPEN_THOUGHT: CLOSE_THOUGHT,
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    "<reasoning>": "</reasoning>",
    "[THINK]": "[/THINK]",  # Mistral's Magistral
    "◁think▷": "◁/think▷",  # Kimi
    "<|channel|>analysis<|message|>": "<|channel|>final<|message|>",  # gpt-oss
}


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Reasoning:
    """A piece of what the model thinks before or between. Not sent back to it."""

    text: str


@dataclass(frozen=True, slots=True)
class TextWasReasoning:
    """All text until now was thought: it is told so late by some models. Throw it away."""


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


Delta = Text | Reasoning | TextWasReasoning | ToolCall | Finish


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
    """Tells thoughts in a text from the text: a tag opens them at the beginning of an answer only, so that an
    answer about the tag stays one. A tag may be cut anywhere.

    Templates of DeepSeek and QwQ write the opening tag into the prompt: then a closing one alone, at the end
    of its line, says that all before it was thought. Inside code it is text.
    """

    def __init__(self) -> None:
        self._kept = ""
        self._close = ""  # of the thought that is open
        self._is_over = False  # the answer itself has begun
        self._has_ended = False  # thoughts came, and the white space behind them is no answer yet
        self._watches = True  # for a closing tag without its opening one
        self._ticks = 0  # of what was told as text: odd inside code
        self._tail = ""  # its last characters

    def split(self, piece: str) -> Iterator[Delta]:
        if self._is_over and not self._watches:
            yield Text(piece)
            return
        text = self._kept + piece
        self._kept = ""
        if self._is_over:
            yield from self._watch(text)
            return
        if not self._close:
            head = text.lstrip()
            if any(len(head) < len(tag) and tag.startswith(head) for tag in TAGS):
                self._kept = text
                return
            opening = next((tag for tag in TAGS if head.startswith(tag)), None)
            if opening is None:
                yield from self._begin_answer(head if self._has_ended else text)
                return
            self._close = TAGS[opening]
            self._watches = False
            text = head[len(opening) :]
        yield from self._think(text)

    def _begin_answer(self, answer: str) -> Iterator[Delta]:
        self._is_over = bool(answer)
        if answer:
            yield from self._watch(answer)

    def _think(self, text: str) -> Iterator[Delta]:
        thought, tag, answer = text.partition(self._close)
        if not tag:
            kept = _begun_tag(thought, self._close)
            self._kept = thought[len(thought) - kept :]
            thought = thought[: len(thought) - kept]
        if thought:
            yield Reasoning(thought)
        if tag:
            self._close = ""
            self._has_ended = True
            yield from self._begin_answer(answer.lstrip())

    def _watch(self, text: str) -> Iterator[Delta]:
        """Text of the answer, unless a closing tag says that it was none."""
        if not self._watches or "<" not in text:
            yield from self._pass_text(text)
            return
        before, tag, rest = text.partition(CLOSE_THOUGHT)
        begun = _begun_tag(before, CLOSE_THOUGHT) if not tag else 0
        if not rest.strip(" "):  # what follows the tag, or the rest of it, is still to come
            self._kept = text[len(before) - begun :]
            yield from self._pass_text(before[: len(before) - begun])
            return
        self._watches = False
        if rest.lstrip(" ")[0] not in "\r\n" or self._is_quoted(before):
            yield Text(text)
            return
        if self._tail:
            yield TextWasReasoning()
        if before:
            yield Reasoning(before)
        self._has_ended = True
        yield from self._begin_answer(rest.lstrip())

    def _pass_text(self, text: str) -> Iterator[Delta]:
        if not text:
            return
        self._watches = self._watches and OPEN_THOUGHT not in self._tail + text
        self._ticks += text.count("`")
        self._tail = (self._tail + text)[-len(CLOSE_THOUGHT) :]
        yield Text(text)

    def _is_quoted(self, before: str) -> bool:
        """Whether a closing tag behind this stands in code, or speaks of its opening one."""
        line = (self._tail + before).rpartition("\n")[2]
        is_indented = bool(line) and not line.strip() and len(line.expandtabs()) >= 4
        is_in_code = (self._ticks + before.count("`")) % 2 == 1
        return is_indented or is_in_code or OPEN_THOUGHT in self._tail + before

    def end(self) -> Iterator[Delta]:
        kept = self._kept
        self._kept = ""
        if kept.strip():
            yield Reasoning(kept) if self._close else Text(kept)


def _begun_tag(text: str, tag: str) -> int:
    """How many characters at the end may be the beginning of the closing tag."""
    sizes = range(min(len(text), len(tag) - 1), 0, -1)
    return next((size for size in sizes if tag.startswith(text[-size:])), 0)
