"""How many tokens an answer has by its bytes, where the provider does not
count them or is not heard to the end.

Events are not tokens: providers put one token or two hundred into one, and call their text by
different names. So all text of an event counts, whatever its field is called, four bytes to a token
and at least one token to a piece.
"""

from typing import Any

BYTES_PER_TOKEN = 4
# names and places, written by the server
NO_TEXT = frozenset({"role", "id", "call_id", "type", "index", "object", "finish_reason"})


def estimate_tokens(size: int) -> int:
    """Tokens of a piece of so many bytes: at least one."""
    return max(1, size // BYTES_PER_TOKEN)


def count_text_bytes(value: Any) -> int:
    """The bytes (UTF-8) of all text in a delta or message: content and its parts, reasoning,
    refusals, arguments, whatever comes next.
    """
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode("utf-8", "surrogatepass"))
    if isinstance(value, list):
        return sum(map(count_text_bytes, value))
    if isinstance(value, dict):
        return sum(count_text_bytes(inner) for name, inner in value.items() if name not in NO_TEXT)
    return 0
