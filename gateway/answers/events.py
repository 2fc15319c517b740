"""What stands in a stream beside its chunks, and what is nearly a chunk: told apart and mended before it is
read.
"""

import re
from typing import Any

from gateway.answers.json_text import load_json
from models_registry.providers.openai_compatible.errors import ProviderError, read_error

DONE_MARKS = (b"[DONE]", b"DONE", b'{"DONE":TRUE}', b'{"DONE": TRUE}')
FIELD = b"data:"
SPOKEN_ERROR = re.compile(rb'[\s"\[]*(?:error\b|internal server error|traceback)', re.IGNORECASE)
HELD = ("choices", "data", "embeddings")
ENVELOPES = ("data", "output", "result", "response", "body")
MESSAGE = ("role", "content", "tool_calls", "thinking", "reasoning", "reasoning_content", "refusal", "images")
MOST_ASIDE_BYTES = 256  # a sign of life is short; more may be the answer itself


def is_done(data: bytes) -> bool:
    """Whether an event's data says that the answer is over, with white space or quotes around it too."""
    return len(data) <= MOST_ASIDE_BYTES and data.strip(b' \t\r\n"').upper() in DONE_MARKS


def is_aside(data: bytes) -> bool:
    """Whether it is no chunk and holds none: `null`, `[]`, `"ping"`, `ping`, `: a comment`. An object, or a
    piece of one, is none of these.
    """
    if len(data) > MOST_ASIDE_BYTES:
        return False
    may_be = not data.startswith(b"[") or data.strip() == b"[]" or SPOKEN_ERROR.match(data)
    return bool(may_be) and b"{" not in data and b"}" not in data


def split_events(events: list[bytes]) -> list[bytes]:
    """The events, each by itself: no empty line may have set them apart, and one may stand in another's data,
    of frameworks that frame what is framed.
    """
    for data in events:
        if b"\n" in data or data[:5] == FIELD:
            return [one for event in events for one in _split(event)]
    return events


def _split(data: bytes) -> list[bytes]:
    if data[:5] != FIELD:
        try:
            load_json(data)
            return [data]  # written over several lines
        except ValueError:
            pass
    lines = (line.strip() for line in data.split(b"\n"))
    return [said for line in lines if (said := line.removeprefix(FIELD).strip())]


def find_spoken_error(data: bytes) -> ProviderError | None:
    """The error that a server tells in plain words where an event belongs."""
    return read_error(data.strip(b' "')) if SPOKEN_ERROR.match(data) else None


def mend_answer(answer: Any) -> Any:
    """A whole answer whose choices stand elsewhere than OpenAI's: in an envelope, in an object instead of a
    list, or a bare message (Ollama, Anthropic).
    """
    if isinstance(answer, list) and answer:
        return {"data": answer}  # vectors
    if not isinstance(answer, dict):
        return answer
    choices = answer.get("choices")
    if isinstance(choices, list):
        return {**answer, "choices": [choice for choice in choices if choice is not None]}
    if isinstance(choices, dict) and choices:
        is_one = not choices.keys().isdisjoint(("message", "text", "delta"))
        return {**answer, "choices": [choices] if is_one else list(choices.values())}
    for name in ENVELOPES:
        inner = answer.get(name)
        if isinstance(inner, dict) and any(isinstance(inner.get(held), list | dict) for held in HELD):
            return mend_answer({**_without(answer, name), **inner})
    message = answer if answer.get("role") == "assistant" else answer.get("message")
    if isinstance(message, dict) and not message.keys().isdisjoint(("content", "tool_calls")):
        reason = answer.get("done_reason") or answer.get("stop_reason")
        kept = {name: message[name] for name in MESSAGE if name in message}
        return {**_without(answer, "message"), "choices": [{"message": kept, "finish_reason": reason}]}
    return answer


def _without(answer: dict[str, Any], left_out: str) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != left_out}


def mend_chunk(event: Any) -> bool:
    """Bring what servers write for nothing, or for a text, into OpenAI's shape, in place. Whether anything
    was changed.
    """
    choices = event.get("choices") if isinstance(event, dict) else None
    if choices == {}:
        event["choices"] = None
        return True
    if not isinstance(choices, list):
        return False
    is_changed = False
    if None in choices:
        choices = [choice for choice in choices if choice is not None]
        event["choices"] = choices or None
        is_changed = True
    for choice in choices:
        if isinstance(choice, dict) and "delta" in choice:
            is_changed |= _mend_delta(choice)
    return is_changed


def _mend_delta(choice: dict[str, Any]) -> bool:
    delta = choice["delta"]
    if isinstance(delta, str):
        choice["delta"] = {"content": delta}
        return True
    if delta == []:
        choice["delta"] = {}
        return True
    content = delta.get("content") if isinstance(delta, dict) else None
    if isinstance(content, list) and None in content:
        delta["content"] = [part for part in content if part is not None]
        return True
    return False


def says_something(event: dict[str, Any]) -> bool:
    """Whether a chunk is more than the announcement of who speaks."""
    for choice in event["choices"]:
        delta = choice["delta"] if "delta" in choice else {"text": choice.get("text")}
        if choice.get("finish_reason") or any(delta[name] for name in delta if name != "role"):
            return True
    return bool(event.get("usage"))
