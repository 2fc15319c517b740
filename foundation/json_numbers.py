"""Whole numbers of JSON that have no place in 64 bits: orjson reads them as floats, whose last digits are
others, and says nothing.

Covers: any such number outside of texts, however deep.
Does not cover: fractions and exponents, which every reader rounds.
"""

import json
import re
from typing import Any

MAX_NAME = 120  # characters of a name that callers make up
LEAST, MOST = -(2**63), 2**64 - 1
_AS_ZERO = bytes.maketrans(b"123456789", b"000000000")
_SO_MANY_DIGITS = b"0" * len(str(2**63))
_NUMBER = re.compile(rb"[\[:,\s-][0-9]{19}")  # also in a text: told apart by whoever reads it


def may_have_long_number(raw: bytes) -> bool:
    """False for nearly all JSON, after a look that costs a small part of a parser's."""
    return _SO_MANY_DIGITS in raw.translate(_AS_ZERO) and _NUMBER.search(raw) is not None


class _Long:
    """Stands where a number is too long."""


_HELD = (dict, list, _Long)


def _as_int(digits: str) -> Any:
    if len(digits) < len(_SO_MANY_DIGITS):
        return None
    is_short = len(digits) <= len(str(LEAST)) and LEAST <= int(digits) <= MOST
    return None if is_short else _Long()


def find_long_number(raw: bytes) -> str | None:
    """Where the first of them stands in valid JSON, such as `tools[0].maximum`, long names shortened; None
    where there is none. Raises RecursionError for values nested hundreds deep.
    """
    path = _find(json.loads(raw, parse_int=_as_int, strict=False))
    return None if path is None else "".join(map(_write_step, path)).removeprefix(".")


def _find(value: Any) -> list[str | int] | None:
    """The names and places that lead to it: what a place looks like is written for the one that is found,
    since names may be as long as the text, and many values stand under each.
    """
    if isinstance(value, _Long):
        return []
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        if isinstance(inner, _HELD) and (path := _find(inner)) is not None:
            return [step, *path]
    return None


def _write_step(step: str | int) -> str:
    return f"[{step}]" if isinstance(step, int) else f".{step[:MAX_NAME]}" if step else '.""'
