"""Arguments of a call as they come piece by piece, for clients that read them at once: JSON so far, or an
error before a piece goes out that makes them none. What is none from its beginning (a list, a text, Python's
way of writing) goes out whole under NO_JSON, as in whole answers: the model that wrote it can be told so.

Covers: what cannot be the beginning of a JSON object; bare control characters in texts, which are escaped.
Does not cover: halves of emojis in escapes, names that come twice.
"""

import json
import re
from enum import Enum, auto

from gateway.answers.json_text import write_json

MOST_DEPTH = 200  # what Anthropic's client for Python reads
NO_JSON = "INVALID_JSON"  # as Anthropic's own description names arguments that are none
MOST_WORD = 400  # characters of a number
_PLAIN = re.compile(r'[^"\\\x00-\x1f]+')
_SPACE = re.compile(r"[ \t\r\n]+")
_WORD = re.compile(r"[-+.\w]+")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
_BEGUN = re.compile(r"-?(?:(?:0|[1-9]\d*)(?:\.\d*)?(?:(?<=\d)[eE][+-]?\d*)?)?", re.ASCII)
_ESCAPE = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')
_BEGUN_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?")
_NAMES = ("true", "false", "null")


class _Awaited(Enum):
    OBJECT = auto()
    NAME = auto()
    NAME_OR_END = auto()
    COLON = auto()
    VALUE = auto()
    VALUE_OR_END = auto()
    NEXT = auto()  # a comma, or the end of what holds it
    NOTHING = auto()


_VALUES = (_Awaited.VALUE, _Awaited.VALUE_OR_END)
_NAMED = (_Awaited.NAME, _Awaited.NAME_OR_END)


class Arguments:
    """Of one call. Each character is read once, but for the beginning of a word or an escape."""

    __slots__ = ("_awaited", "_escape", "_in_string", "_open", "_word")

    def __init__(self) -> None:
        self._awaited = _Awaited.OBJECT
        self._open: list[str] = []  # what closes those that are open
        self._in_string = False
        self._escape = self._word = ""  # that has begun

    @property
    def is_whole(self) -> bool:
        """Whether the object has ended."""
        return self._awaited is _Awaited.NOTHING

    @property
    def has_begun(self) -> bool:
        """Whether more has come than the mark with which every object begins."""
        return self._in_string or self._awaited not in (_Awaited.OBJECT, _Awaited.NAME_OR_END)

    def add(self, piece: str) -> str:
        """The piece as it goes out. Raises ValueError where the arguments cannot become JSON any more."""
        written, at = [], 0
        while at < len(piece):
            if self._in_string:
                at, said = self._read_string(piece, at)
            else:
                start, at = at, self._read_outside(piece, at)
                said = piece[start:at]
            written.append(said)
        return "".join(written)

    def _read_string(self, piece: str, at: int) -> tuple[int, str]:
        """Up to where, and what goes out for it."""
        if self._escape or piece[at] == "\\":
            self._escape += piece[at]
            if _ESCAPE.fullmatch(self._escape):
                self._escape = ""
            elif not _BEGUN_ESCAPE.fullmatch(self._escape):
                raise ValueError("an escape that JSON does not know")
            return at + 1, piece[at]
        if plain := _PLAIN.match(piece, at):
            return plain.end(), plain[0]
        if piece[at] != '"':
            return at + 1, json.dumps(piece[at])[1:-1]
        self._in_string = False
        self._awaited = _Awaited.COLON if self._awaited in _NAMED else _Awaited.NEXT
        return at + 1, '"'

    def _read_outside(self, piece: str, at: int) -> int:
        """Up to where."""
        if found := _WORD.match(piece, at):
            self._word += found[0]
            self._check_word()
            return found.end()
        if self._word:
            self._end_word()
        if found := _SPACE.match(piece, at):
            return found.end()
        self._read_mark(piece[at])
        return at + 1

    def _check_word(self) -> None:
        word = self._word
        is_begun = _BEGUN.fullmatch(word) or any(name.startswith(word) for name in _NAMES)
        if self._awaited not in _VALUES or len(word) > MOST_WORD or not is_begun:
            raise ValueError("a word that JSON does not know")

    def _end_word(self) -> None:
        if self._word not in _NAMES and not _NUMBER.fullmatch(self._word):
            raise ValueError("a word that JSON does not know")
        self._word = ""
        self._awaited = _Awaited.NEXT

    def _read_mark(self, mark: str) -> None:
        awaited = self._awaited
        if mark == '"' and awaited in (*_VALUES, *_NAMED):
            self._in_string = True
        elif (mark == "{" and awaited in (*_VALUES, _Awaited.OBJECT)) or (mark == "[" and awaited in _VALUES):
            self._open.append("}" if mark == "{" else "]")
            self._awaited = _Awaited.NAME_OR_END if mark == "{" else _Awaited.VALUE_OR_END
            if len(self._open) > MOST_DEPTH:
                raise ValueError("nested too deep")
        elif mark == ":" and awaited is _Awaited.COLON:
            self._awaited = _Awaited.VALUE
        elif mark == "," and awaited is _Awaited.NEXT:
            self._awaited = _Awaited.NAME if self._open[-1] == "}" else _Awaited.VALUE
        elif self._open and mark == self._open[-1] and self._may_end(mark):
            self._open.pop()
            self._awaited = _Awaited.NEXT if self._open else _Awaited.NOTHING
        else:
            raise ValueError("a mark where JSON has none")

    def _may_end(self, mark: str) -> bool:
        empty = _Awaited.NAME_OR_END if mark == "}" else _Awaited.VALUE_OR_END
        return self._awaited in (_Awaited.NEXT, empty)


class Outgoing:
    """Arguments of one call as they go out."""

    __slots__ = ("_held", "_is_json", "_read")

    def __init__(self) -> None:
        self._read = Arguments()
        self._held: list[str] = []  # what every object begins with, or all where it is no JSON
        self._is_json = True

    @property
    def is_whole(self) -> bool:
        return self._is_json and self._read.is_whole

    def add(self, piece: str) -> str:
        """What goes out now. Raises ValueError where what went out cannot become JSON any more."""
        is_told = self._read.has_begun
        if self._is_json:
            try:
                piece = self._read.add(piece)
            except ValueError:
                if is_told:
                    raise
                self._is_json = False
        self._held.append(piece)
        return self._give() if self._is_json and self._read.has_begun else ""

    def end(self) -> str:
        """What goes out when no more comes. Raises ValueError for what cannot be written."""
        held = self._give()
        return held if self._is_json or not held else write_json({NO_JSON: held}).decode()

    def _give(self) -> str:
        held, self._held = "".join(self._held), []
        return held
