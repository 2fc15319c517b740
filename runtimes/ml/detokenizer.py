"""Turns generated tokens into text while they come: whole characters only,
and nothing from a stop string on.
"""

from collections.abc import Callable, Sequence

BROKEN = "\ufffd"  # what decoding gives for bytes that are not, or not yet, UTF-8
MAX_WINDOW_TOKENS = 32  # bounds the work per token when a model emits nothing but broken bytes


class Detokenizer:
    """Text of a growing list of tokens. A Chinese character may take three tokens: its text comes with the
    last of them.

    `decode` maps token ids to text. It is called with a short window that begins one piece early,
    since some tokenizers space tokens by their neighbours. Bytes that never become a character (a
    sampled model can do that) are left out.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str]):
        self._decode = decode
        self._window: list[int] = []
        self._context = 0  # tokens at the window's start that were whole and shown when it last moved
        self._given = 0  # characters of the window's text that were given out

    def push(self, token: int) -> str:
        """The text that became certain with this token, maybe empty. What is undecided at the end is half a
        character: drop it.
        """
        self._window.append(token)
        text = self._decode(self._window)
        certain = text.rstrip(BROKEN)
        new = certain[self._given :]
        self._given = max(self._given, len(certain))
        if len(certain) == len(text) or len(self._window) >= MAX_WINDOW_TOKENS:
            self._move_window()
        return new.replace(BROKEN, "")

    def _move_window(self) -> None:
        self._window = self._window[self._context :]
        self._context = len(self._window)
        self._given = len(self._decode(self._window))


class StopFinder:
    """Passes text on up to the first stop string, and holds back what could still become one."""

    def __init__(self, stop: Sequence[str]):
        self._stop = stop
        self._held = ""
        self.is_found = False

    def push(self, text: str) -> str:
        """The text that is safe to show now. After a stop string was found it is always empty."""
        if self.is_found:
            return ""
        text = self._held + text
        hits = [index for index in (text.find(string) for string in self._stop) if index >= 0]
        if hits:
            self.is_found = True
            self._held = ""
            return text[: min(hits)]
        keep = self._count_undecided(text)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def finish(self) -> str:
        """What was held back and did not become a stop string."""
        held = self._held
        self._held = ""
        return held

    def _count_undecided(self, text: str) -> int:
        """Length of the longest end of `text` that begins a stop string."""
        longest = max((len(string) for string in self._stop), default=1) - 1
        return next(
            (
                size
                for size in range(min(longest, len(text)), 0, -1)
                if any(string.startswith(text[-size:]) for string in self._stop)
            ),
            0,
        )
