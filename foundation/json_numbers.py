"""Whole numbers of JSON that have no place in 64 bits: orjson reads them as floats, whose last digits are
others, and says nothing.

Covers: any such number outside of texts, however deep.
Does not cover: fractions and exponents, which every reader rounds.
"""

import json
import re
from typing import Any

LEAST, MOST = -(2**63), 2**64 - 1
_AS_ZERO = bytes.maketrans(b"123456789", b"000000000")
_SO_MANY_DIGITS = b"0" * len(str(2**63))
_NUMBER = re.compile(rb"[\[:,\s-][0-9]{19}")  # also in a text: told apart by whoever reads it


def may_have_long_number(raw: bytes) -> bool:
    """False for nearly all JSON, after a look that costs a small part of a parser's."""
    return _SO_MANY_DIGITS in raw.translate(_AS_ZERO) and _NUMBER.search(raw) is not None


class _Long:
    """Stands where a number is too long."""


def _as_int(digits: str) -> Any:
    number = int(digits) if len(digits) <= len(str(LEAST)) else MOST + 1
    return number if LEAST <= number <= MOST else _Long()


def find_long_number(raw: bytes) -> str:
    """Where the first of them stands in valid JSON, such as `tools[0].maximum`; "" where there is none."""
    value = json.loads(raw, parse_int=_as_int, strict=False)
    left: list[tuple[str, Any]] = [("", value)]
    while left:
        place, value = left.pop()
        if isinstance(value, _Long):
            return place
        if isinstance(value, dict):
            left += [(f"{place}.{name}" if place else name, one) for name, one in value.items()][::-1]
        elif isinstance(value, list):
            left += [(f"{place}[{number}]", one) for number, one in enumerate(value)][::-1]
    return ""
