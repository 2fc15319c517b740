"""How many tokens an answer has by its bytes, where the provider does not count them or is not heard to the
end.

Events are not tokens: providers put one token or two hundred into one, and call their text by different
names. So all text of an event counts, whatever its field is called, four bytes to a token and at least one
token to a piece. Text that stands there twice, under two names, counts once.

Does not cover: what a provider thinks and never sends; it is known from its report alone.
"""

from collections.abc import Iterable
from itertools import chain
from typing import Any

BYTES_PER_TOKEN = 4
MAX_VALUES, MAX_DEPTH = 20_000, 64
PRIME = 2**61 - 1
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
        "native_finish_reason",
        "stop_reason",
        "matched_stop",
        "content_filter_results",
        "logprobs",
        "data",
        "b64_json",
        "signature",
        "url",
    }
)
ARGUMENTS = "arguments"  # of a tool: whatever stands in them was written by the model


def estimate_tokens(size: int) -> int:
    """Tokens of a piece of so many bytes: at least one."""
    return max(1, size // BYTES_PER_TOKEN)


class _TooMuch(Exception):
    """More values, or deeper ones, than an answer has any need of."""


def count_text_bytes(choices: Any, most: int) -> int:
    """The bytes (UTF-8) of all text in choices, deltas or messages: content and its parts, reasoning,
    refusals, arguments, whatever comes next. No more than `most`, the bytes they came in; that itself for an
    answer of too many or too deep values, which nobody walks through while others wait.
    """
    if (text := _find_only_text(choices)) is not None:
        return min(most, len(text.encode("utf-8", "surrogatepass")))
    try:
        return min(most, _Walk().measure(choices, depth=0, is_argument=False)[0])
    except _TooMuch:
        return most


def _find_only_text(choices: Any) -> str | None:
    """The text of a choice that says nothing else, as most do; None where there may be more to measure."""
    if type(choices) is not list or len(choices) != 1 or type(choices[0]) is not dict:
        return None
    said = [value for name, value in choices[0].items() if value and name not in NO_TEXT]
    if len(said) != 1 or type(said[0]) is not dict:
        return None
    texts = [value for name, value in said[0].items() if value and name not in NO_TEXT]
    return texts[0] if len(texts) == 1 and type(texts[0]) is str else None


class _Walk:
    """Goes through the values once, whatever their shape."""

    def __init__(self) -> None:
        self._values_left = MAX_VALUES

    def measure(self, value: Any, *, depth: int, is_argument: bool) -> tuple[int, int]:
        """(size, fingerprint) of all text in it: once where two names of one object say the same, in the same
        or other pieces; a list has as many as it has.
        """
        self._values_left -= 1
        if self._values_left < 0 or depth > MAX_DEPTH:
            raise _TooMuch
        if isinstance(value, str):
            return _measure_text(value)
        if isinstance(value, list):
            return _join(self.measure(inner, depth=depth + 1, is_argument=is_argument) for inner in value)
        if isinstance(value, dict):
            return self._measure_object(value, depth, is_argument)
        return _measure_text(str(value)) if is_argument and value is not None else (0, 0)

    def _measure_object(self, value: dict[str, Any], depth: int, is_argument: bool) -> tuple[int, int]:
        said = dict.fromkeys(
            self.measure(inner, depth=depth + 1, is_argument=is_argument or name == ARGUMENTS)
            for name, inner in value.items()
            if is_argument or name not in NO_TEXT
        )
        names = map(_measure_text, value) if is_argument else ()
        return _join(chain(names, said))


def _measure_text(text: str) -> tuple[int, int]:
    written = text.encode("utf-8", "surrogatepass")
    return len(written), int.from_bytes(written) % PRIME


def _join(parts: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """Size and fingerprint of texts one behind the other, from those of each."""
    size = fingerprint = 0
    for length, print_of_part in parts:
        size += length
        fingerprint = (fingerprint * pow(256, length, PRIME) + print_of_part) % PRIME
    return size, fingerprint
