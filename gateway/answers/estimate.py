"""How many tokens an answer has by its bytes, where the provider does not count them or is not heard to the
end.

Events are not tokens: providers put one token or two hundred into one, and call their text by different
names. So all text of an event counts, whatever its field is called, four bytes to a token and at least one
token to a piece. Text that stands there twice, under two names, counts once.

Does not cover: what a provider thinks and never sends; it is known from its report alone.
"""

from typing import Any

BYTES_PER_TOKEN = 4
# Names and places that the server writes, what repeats the text token by token, and sounds and pictures
NO_TEXT = frozenset(
    {
        "role",
        "id",
        "call_id",
        "type",
        "index",
        "object",
        "finish_reason",
        "logprobs",
        "data",
        "b64_json",
        "url",
    }
)
ARGUMENTS = "arguments"  # of a tool: whatever stands in them was written by the model


def estimate_tokens(size: int) -> int:
    """Tokens of a piece of so many bytes: at least one."""
    return max(1, size // BYTES_PER_TOKEN)


def count_text_bytes(choice: Any) -> int:
    """The bytes (UTF-8) of all text in a choice, delta or message: content and its parts, reasoning,
    refusals, arguments, whatever comes next.
    """
    return sum(map(_size_of, _texts(choice)))


def _texts(value: Any, *, is_argument: bool = False) -> list[str]:
    """The texts in it, once where two names of one object say the same; a list has as many as it has."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [text for inner in value for text in _texts(inner, is_argument=is_argument)]
    if isinstance(value, dict):
        said: dict[str, list[str]] = {}
        for name, inner in value.items():
            if is_argument or name not in NO_TEXT:
                texts = _texts(inner, is_argument=is_argument or name == ARGUMENTS)
                said.setdefault("".join(texts), texts)
        names = list(value) if is_argument else []
        return [*names, *(text for texts in said.values() for text in texts)]
    return [str(value)] if is_argument and value is not None else []


def _size_of(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
