"""Continuations that begin with what they continue, as Mistral AI's do."""


class Echo:
    """Leaves the repetition out. While a continuation may still turn out to be one, it is held back."""

    def __init__(self, text: str = "") -> None:
        self._text = text
        self.begin_anew()

    def begin_anew(self) -> None:
        self._expected = self._text
        self._held = ""

    def pass_on(self, piece: str) -> str:
        """What is new, as far as that is known."""
        self._held += piece
        may_be_it = self._expected.startswith(self._held) and self._held != self._expected
        return "" if may_be_it else self.let_go()

    def let_go(self) -> str:
        """What was held back: no more is to come, or it is known."""
        held, expected = self._held, self._expected
        self._expected = ""
        self._held = ""
        return held.removeprefix(expected)
