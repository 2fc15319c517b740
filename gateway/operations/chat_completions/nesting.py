"""How deep JSON stands that comes in pieces: whether a call's arguments are whole, or were cut."""

import re

_MARK = re.compile(r'\\.?|["{}\[\]]', re.DOTALL)
_STEPS = {"{": (1, 0), "}": (-1, 0), "[": (0, 1), "]": (0, -1)}


class Nesting:
    """Of one text. Each character of it is read once, and not before somebody asks: with the pieces of some
    answers somebody asks after each.
    """

    __slots__ = ("_begin", "_braces", "_brackets", "_in_string", "_is_escaped", "_unread")

    def __init__(self) -> None:
        self._unread: list[str] = []
        self._begin = ""  # the first character that is not white space
        self._braces = self._brackets = 0  # that are open
        self._in_string = False
        self._is_escaped = False  # the last piece ended in a backslash

    def add(self, piece: str) -> None:
        self._unread.append(piece)

    @property
    def is_whole(self) -> bool:
        """Whether it is an object that has ended."""
        self._read()
        return self._begin == "{" and not (self._in_string or self._braces or self._brackets)

    @property
    def is_cut(self) -> bool:
        """Whether it is an object that ends in its middle."""
        self._read()
        return self._begin == "{" and (self._in_string or self._braces > 0 or self._brackets > 0)

    def _read(self) -> None:
        piece = "".join(self._unread)
        self._unread.clear()
        if not self._begin:
            self._begin = piece.lstrip()[:1]
        if not piece or self._begin != "{":
            return
        start, self._is_escaped = int(self._is_escaped), False
        for found in _MARK.finditer(piece, start):
            mark = found[0]
            if self._in_string and mark[0] == "\\":
                self._is_escaped = mark == "\\"
            elif mark[-1] == '"':
                self._in_string = not self._in_string
            elif not self._in_string:
                braces, brackets = _STEPS.get(mark[-1], (0, 0))
                self._braces += braces
                self._brackets += brackets
