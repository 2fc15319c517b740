"""What stands in a stream beside its chunks, and what is nearly a chunk: told apart and mended before it is
read.
"""

from typing import Any

DONE_MARKS = (b"[DONE]", b"DONE")
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
    may_be = not data.startswith(b"[") or data.strip() == b"[]"
    return may_be and b"{" not in data and b"}" not in data


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
        delta = choice["delta"]
        if choice.get("finish_reason") or any(delta[name] for name in delta if name != "role"):
            return True
    return bool(event.get("usage"))
