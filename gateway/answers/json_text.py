"""JSON as model servers write it: with a byte order mark, broken UTF-8, or an emoji cut into two halves."""

import json
import re
from math import isfinite
from typing import Any

import orjson

from foundation.json_numbers import may_have_long_number
from foundation.texts import mend_text

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
MAX_MENDED_CHARS = 1_000_000
# Texts stay as they are; one that does not end goes to the end, else each quote of it would be tried again.
COMMA_TOO_MANY = re.compile(r'("[^"\\]*+(?:\\.[^"\\]*+)*+"?)|,(\s*+[}\]])', re.DOTALL)
BEHIND = re.compile(r"[\s\0]*+(?:(?:data:)?\s*+\[DONE\])?[\s\0]*+")  # what may follow a whole answer


def load_json(raw: bytes) -> Any:
    """Read strictly where that goes, else tolerantly: then texts may hold halves of surrogate pairs
    (`join_halves`). Whole numbers keep all their digits. Raises ValueError for what is no JSON.
    """
    if not may_have_long_number(raw):
        try:
            return orjson.loads(raw)
        except orjson.JSONDecodeError:
            pass
    text = raw.removeprefix(BYTE_ORDER_MARK).decode("utf-8", "replace").strip(" \t\r\n\0")
    try:
        return _load_tolerantly(text)  # bare tabs and the like
    except RecursionError as exc:
        raise ValueError("nested too deep") from exc


def load_or_none(raw: bytes | str) -> Any:
    """The same; None for what is no JSON."""
    try:
        return load_json(raw.encode("utf-8", "replace") if isinstance(raw, str) else raw)
    except ValueError:
        return None


def as_number(index: Any) -> int | None:
    """A whole number, which some servers write as a text."""
    if isinstance(index, str) and index.isascii() and index.isdigit() and len(index) < 10:
        return int(index)
    return index if type(index) is int else None


def _load_tolerantly(text: str) -> Any:
    try:
        value, end = _READER.raw_decode(text)
    except json.JSONDecodeError:
        if len(text) > MAX_MENDED_CHARS or (mended := COMMA_TOO_MANY.sub(r"\1\2", text)) == text:
            raise
        value, end = _READER.raw_decode(mended)
        text = mended
    if not BEHIND.fullmatch(text, end):
        raise ValueError("something else follows")
    return value


def _no_number(name: str) -> None:
    """NaN and infinities are no JSON, and no client reads them: as if nothing stood there."""


_READER = json.JSONDecoder(strict=False, parse_constant=_no_number)


def write_json(value: Any) -> bytes:
    """Raises ValueError for what was read and cannot be written: values nested hundreds deep."""
    try:
        return orjson.dumps(value)
    except TypeError as exc:
        if not any(word in str(exc) for word in ("surrogates", "64-bit")):
            raise ValueError("it cannot be written") from exc
    try:  # a number of any length, where orjson ends at 64 bits
        return json.dumps(_mend(value), ensure_ascii=False, separators=(",", ":")).encode()
    except (TypeError, RecursionError) as exc:
        raise ValueError("it cannot be written") from exc


def _mend(value: Any) -> Any:
    """The value with a U+FFFD for each half that has lost its other one, and null for what is no number."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, str):
        return mend_text(value)
    if isinstance(value, list):
        return [_mend(inner) for inner in value]
    if isinstance(value, dict):
        return {mend_text(name): _mend(inner) for name, inner in value.items()}
    return value


class Halves:
    """Joins texts that come in pieces: a piece may end in the first half of a surrogate pair, whose second
    half begins the next one.
    """

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[object, str] = {}

    def join(self, place: object, piece: str) -> str:
        """The piece that can be passed on. `place` tells the texts of one stream from each other."""
        if not self._kept and (piece.isascii() or not piece):
            return piece
        text = self._kept.pop(place, "") + piece
        if text and "\ud800" <= text[-1] <= "\udbff":
            self._kept[place] = text[-1]
            text = text[:-1]
        return mend_text(text)

    @property
    def is_empty(self) -> bool:
        return not self._kept

    def take_rest(self, place: object) -> str:
        """What stands for a half whose other one never came."""
        return "\ufffd" if self._kept.pop(place, "") else ""
