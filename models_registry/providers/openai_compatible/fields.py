"""Fields of OpenAI's that a provider does not know. What changes the meaning of an answer is refused before
it is asked (`refused_fields`); what is a wish goes unheeded, and the caller is told (`find_dropped`).
"""

from collections.abc import Iterable, Mapping
from typing import Any

LOGPROBS = frozenset({"logprobs", "logit_bias"})
SOUND = frozenset({"audio", "modalities"})  # as answers
PENALTIES = frozenset({"frequency_penalty", "presence_penalty"})
MEANS_AT_ZERO = frozenset({"seed", "temperature", "top_p", "top_k"})
TEXT_ALONE = ["text"]


def asks(body: Mapping[str, Any], name: str) -> bool:
    """Whether a field asks for anything: many clients send those of which they want nothing."""
    value = body.get(name)
    if value is None or value == TEXT_ALONE:
        return False
    return name in MEANS_AT_ZERO or bool(value)


def list_asked(body: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """Those of these fields that ask for something, in the order of their names."""
    return [name for name in sorted(names) if asks(body, name)]
