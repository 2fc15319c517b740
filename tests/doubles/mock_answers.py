"""What the mock model says: tokens, usage and their bytes, a function of the request alone.

The rules of counting, which tests may rely on:

* `prompt_tokens`: each message counts one, plus one for every whitespace-separated word of its text parts.
  Tools count nothing.
* `completion_tokens`: the number of pieces sent, times `n`. A smaller `max_tokens` or `max_completion_tokens`
  cuts the answer.
* piece 0 is `w0`, piece i is ` w<i>`.

Model names (`<x>` are whole numbers):

    mock                                         8 tokens at once
    mock-slow-<ms>                               8 tokens after ms
    mock-tokens-<n>-<gap ms>[-<first ms>]        n tokens, gap apart, the first after `first` (default: gap)
    mock-usage-<in>-<cached>-<out>-<reasoning>   reports exactly that; sends out minus reasoning tokens
    mock-echo                                    the last user message, word by word
    mock-tool                                    a call of the first tool given; then its answer as text
    mock-vision                                  what it sees on the one picture that it is sent (mock_vision)
    mock-json[-late|-never]                      `{"name": "w0", "count": 1}`; late: only once it is told that
                                                 its first answer, words, is wrong; never: words
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import orjson

from .mock_vision import say_of

DEFAULT_TOKENS = 8
MARK_WIDTH = 19  # digits of a time in nanoseconds
JSON_PIECES = ('{"name"', ': "w0"', ', "count"', ": 1", "}")
TOOL_PIECE = 8  # characters of a tool call's arguments per token
PLAIN = frozenset(
    {
        *("mock", "mock-echo", "mock-vision", "mock-tool"),
        *("mock-json", "mock-json-late", "mock-json-never"),
    }
)
EXAMPLES = (
    "mock",
    "mock-slow-50",
    "mock-tokens-20-5",
    "mock-tokens-200-5-20",
    "mock-usage-100-20-30-10",
    "mock-echo",
    "mock-tool",
    "mock-json",
    "mock-json-late",
    "mock-json-never",
    "mock-embedding",
    "mock-rerank",
)
DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class Script:
    """What a model name asks for. Times in seconds."""

    kind: str = "text"
    tokens: int = DEFAULT_TOKENS
    first_s: float = 0.0
    gap_s: float = 0.0
    usage: tuple[int, int, int, int] | None = None  # input, cached, output, reasoning


@dataclass(slots=True)
class Answer:
    """One answer before it has a form on the wire. `usage` None leaves it out."""

    id: str
    model: str
    created: int
    pieces: Sequence[str]
    finish_reason: str
    usage: dict[str, Any] | None
    choices: int = 1
    tool: str | None = None
    script: Script = field(default_factory=Script)


@lru_cache(maxsize=4096)
def find_script(model: str) -> Script | None:
    """The script behind a model name, None for an unknown one."""
    if model in PLAIN:
        return Script(kind=model[5:] or "text")
    if match := re.fullmatch(r"mock-slow-(\d+)", model):
        return Script(first_s=int(match[1]) / 1000)
    if match := re.fullmatch(r"mock-tokens-(\d+)-(\d+)(?:-(\d+))?", model):
        count, gap_ms, first_ms = int(match[1]), int(match[2]), int(match[3] or match[2])
        return Script(tokens=count, first_s=first_ms / 1000, gap_s=gap_ms / 1000)
    if match := re.fullmatch(r"mock-usage-(\d+)-(\d+)-(\d+)-(\d+)", model):
        numbers = (int(match[1]), int(match[2]), int(match[3]), int(match[4]))
        return Script(tokens=max(0, numbers[2] - numbers[3]), usage=numbers)
    return None


@lru_cache(maxsize=64)
def word_pieces(count: int) -> tuple[str, ...]:
    """The first `count` tokens of the endless text `w0 w1 w2 …`."""
    return tuple(f" w{i}" if i else "w0" for i in range(count))


def text_of(message: dict[str, Any]) -> str:
    """The text of a message, its parts joined by a space."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    return " ".join(part.get("text") or "" for part in content or () if isinstance(part, dict))


def count_prompt_tokens(messages: list[dict[str, Any]]) -> int:
    """One per message and one per word: see the rules above."""
    return sum(1 + len(text_of(message).split()) for message in messages)


def usage_of(prompt: int, completion: int, *, cached: int = 0, reasoning: int = 0) -> dict[str, Any]:
    """A usage block in OpenAI's shape: cached is part of the prompt, reasoning part of the completion."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }


def _tool_arguments(tool: dict[str, Any], text: str) -> str:
    """Arguments that fit the tool's schema by type: the user's text, 1, true, [] or {}."""
    properties = tool.get("parameters", {}).get("properties", {})
    samples: dict[str, Any] = {"integer": 1, "number": 1, "boolean": True, "array": [], "object": {}}
    return orjson.dumps(
        {name: samples.get(spec.get("type"), text) for name, spec in properties.items()}
    ).decode()


def _say(script: Script, body: dict[str, Any]) -> tuple[Sequence[str], str | None]:
    """Pieces of the answer, and the name of the tool they are the arguments of."""
    messages = body.get("messages") or []
    if script.kind == "echo":
        users = [message for message in messages if message.get("role") == "user"]
        words = text_of(users[-1]).split() if users else []
        return [f" {word}" if i else word for i, word in enumerate(words)], None
    if script.kind == "tool" and body.get("tools") and (messages or [{}])[-1].get("role") != "tool":
        tool = body["tools"][0].get("function", {})
        text = _tool_arguments(tool, text_of(messages[-1]) if messages else "")
        return [text[i : i + TOOL_PIECE] for i in range(0, len(text), TOOL_PIECE)], tool.get("name", "")
    if script.kind == "tool" and messages and messages[-1].get("role") == "tool":
        return ["Tool said:", *(f" {word}" for word in text_of(messages[-1]).split())], None
    if script.kind == "vision":
        return say_of(body), None
    if script.kind.startswith("json"):
        was_corrected = len(messages) > 1 and messages[-2].get("role") == "assistant"
        if script.kind == "json" or (script.kind == "json-late" and was_corrected):
            return JSON_PIECES, None
    return word_pieces(script.tokens), None


def compose(script: Script, body: dict[str, Any], serial: int) -> Answer:
    """The answer of one request."""
    pieces, tool = _say(script, body)
    cap = body.get("max_completion_tokens", body.get("max_tokens"))
    finish = "tool_calls" if tool is not None else "stop"
    if isinstance(cap, int) and 0 <= cap < len(pieces):
        pieces, finish = pieces[:cap], "length"
    choices = body.get("n") or 1
    if script.usage:
        prompt, cached, completion, reasoning = script.usage
        usage = usage_of(prompt, completion, cached=cached, reasoning=reasoning)
    else:
        usage = usage_of(count_prompt_tokens(body.get("messages") or []), len(pieces) * choices)
    return Answer(
        id=f"chatcmpl-mock{serial}",
        model=body["model"],
        created=int(time.time()),
        pieces=pieces,
        finish_reason=finish,
        usage=usage,
        choices=choices,
        tool=tool,
        script=script,
    )


def mark(received_ns: int) -> str:
    """`system_fingerprint` with the mock's own time on it (CLOCK_MONOTONIC): what is left of a client's
    latency is the way's.
    """
    return f"mock_{received_ns:0{MARK_WIDTH}}_{time.monotonic_ns():0{MARK_WIDTH}}"


def completion_bytes(answer: Answer, received_ns: int) -> bytes:
    """The whole answer as one JSON object."""
    text = "".join(answer.pieces)
    if answer.tool is None:
        message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
    else:
        call = {
            "id": f"call_{answer.id[14:]}",
            "type": "function",
            "function": {"name": answer.tool, "arguments": text},
        }
        message = {"role": "assistant", "content": None, "refusal": None, "tool_calls": [call]}
    body: dict[str, Any] = {
        "id": answer.id,
        "object": "chat.completion",
        "created": answer.created,
        "model": answer.model,
        "choices": [
            {"index": i, "message": message, "logprobs": None, "finish_reason": answer.finish_reason}
            for i in range(answer.choices)
        ],
        "system_fingerprint": mark(received_ns),
    }
    if answer.usage is not None:
        body["usage"] = answer.usage
    return orjson.dumps(body)


class Frames:
    """Server-sent events of one streamed answer. Built from fixed bytes,
    since this is the mock's hot path.
    """

    def __init__(self, answer: Answer, *, include_usage: bool) -> None:
        self.answer = answer
        self.include_usage = include_usage
        self._head = (
            b'data: {"id":"%b","object":"chat.completion.chunk","created":%d,"model":%b,"system_fingerprint":'
            % (
                answer.id.encode(),
                answer.created,
                orjson.dumps(answer.model),
            )
        )
        self._end = b',"usage":null}\n\n' if include_usage else b"}\n\n"

    def event(self, index: int, delta: bytes, finish: bytes = b"null", fingerprint: bytes = b"null") -> bytes:
        """One chunk of one choice; `delta` and `finish` are JSON."""
        choice = b'%b,"choices":[{"index":%d,"delta":%b,"logprobs":null,"finish_reason":%b}]' % (
            fingerprint,
            index,
            delta,
            finish,
        )
        return self._head + choice + self._end

    def opening(self, received_ns: int) -> bytes:
        """The role of every choice (and the tool's name), with the mark of the mock's own time."""
        delta: dict[str, Any] = {"role": "assistant", "content": "", "refusal": None}
        if self.answer.tool is not None:
            function = {"name": self.answer.tool, "arguments": ""}
            call = {"index": 0, "id": f"call_{self.answer.id[14:]}", "type": "function", "function": function}
            delta = {"role": "assistant", "content": None, "tool_calls": [call]}
        fingerprint = orjson.dumps(mark(received_ns))
        return b"".join(
            self.event(i, orjson.dumps(delta), fingerprint=fingerprint) for i in range(self.answer.choices)
        )

    def token(self, piece: str) -> bytes:
        """One token for every choice."""
        text = orjson.dumps(piece)
        delta = (
            b'{"content":%b}' % text
            if self.answer.tool is None
            else b'{"tool_calls":[{"index":0,"function":{"arguments":%b}}]}' % text
        )
        if self.answer.choices == 1:
            return self.event(0, delta)
        return b"".join(self.event(i, delta) for i in range(self.answer.choices))

    def closing(self, tail: bytes = DONE) -> bytes:
        """Finish reasons, the usage chunk if the request asked for it, and `[DONE]`."""
        finish = orjson.dumps(self.answer.finish_reason)
        parts = [self.event(i, b"{}", finish) for i in range(self.answer.choices)]
        if self.include_usage and self.answer.usage is not None:
            parts.append(
                self._head + b'null,"choices":[],"usage":' + orjson.dumps(self.answer.usage) + b"}\n\n"
            )
        return b"".join(parts) + tail
