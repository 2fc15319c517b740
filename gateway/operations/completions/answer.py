"""Continued texts: read like a chat's answer, whose servers and faults they share, and written as texts."""

from typing import Any

from gateway.answers.json_text import write_json
from gateway.answers.usage import TEXT_COMPLETION, head_of
from gateway.answers.whole import nonsense
from gateway.calls import Call
from gateway.operations.chat_completions.answer import as_chunks, parse_answer

CHAT_ONLY = frozenset({"message", "delta", "text"})


def read_answer(call: Call, raw: bytes) -> bytes:
    """The answer as the client gets it. Raises UpstreamError, InvalidInput."""
    answer = parse_answer(call, raw)
    choices = [as_text(choice, choice["message"]) for choice in answer["choices"]]
    head = head_of(call, answer)
    try:
        return write_json({**answer, **head, "object": TEXT_COMPLETION, "choices": choices})
    except ValueError as exc:
        raise nonsense() from exc


def read_whole(call: Call, raw: bytes) -> list[dict[str, Any]]:
    """The events of an answer that came whole where a stream was asked for."""
    return [in_texts(event) for event in as_chunks(call, parse_answer(call, raw))]


def in_texts(event: dict[str, Any]) -> dict[str, Any]:
    """A chunk of a chat's answer as one of texts."""
    choices = [as_text(choice, choice["delta"]) for choice in event["choices"]]
    return {**event, "object": TEXT_COMPLETION, "choices": choices}


def as_text(choice: dict[str, Any], message: dict[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in choice.items() if name not in CHAT_ONLY}
    return {"text": message.get("content") or "", "logprobs": None, **rest}
