"""An answer while it is being written: its parts in the order in which they come."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from prompts.models import Message, Part

TEXT, REASONING, CITATION = Part.Kind.TEXT, Part.Kind.REASONING, Part.Kind.CITATION


@dataclass(slots=True)
class Piece:
    """A part as it stands, without the message it belongs to."""

    kind: Part.Kind
    text: str
    duration_ms: int | None = None
    data: dict[str, Any] = field(default_factory=dict)


def pieces_of(message: Message) -> list[Piece]:
    """What an answer says already, to be gone on with. What it cites is told anew at its end."""
    return [
        Piece(Part.Kind(part.kind), part.text, part.duration_ms, part.data)
        for part in message.parts.all()
        if part.kind != CITATION
    ]


def text_of(pieces: Iterable[Piece]) -> str:
    return "".join(piece.text for piece in pieces if piece.kind == TEXT)


def reasoning_of(pieces: Iterable[Piece]) -> str:
    return "\n\n".join(piece.text for piece in pieces if piece.kind == REASONING)


class Draft:
    """Takes pieces in; keeps which parts are not saved yet. Text and reasoning may take turns."""

    def __init__(self, pieces: Sequence[Piece] = (), clock: Callable[[], float] = time.monotonic) -> None:
        self.pieces = list(pieces)
        self._earlier = [replace(piece) for piece in pieces]
        self._clock = clock
        self._first_s: float | None = None  # when this attempt's first piece came
        self._began_s: float | None = None  # when the reasoning that is under way did
        self._unsaved_from = len(self.pieces)

    @property
    def text(self) -> str:
        return text_of(self.pieces)

    @property
    def reasoning(self) -> str:
        return reasoning_of(self.pieces)

    def add_text(self, text: str) -> None:
        self.end_reasoning()
        self._add(TEXT, text)

    def add_reasoning(self, text: str) -> None:
        """The reasoning takes from its first piece to whatever follows."""
        if self._began_s is None:
            self._began_s = self._clock()
            self.pieces.append(Piece(REASONING, ""))
        self._add(REASONING, text)

    def add_step(self, kind: Part.Kind, data: dict[str, Any]) -> None:
        """What was done before the model was asked: it stays, whatever becomes of the answer's text."""
        for pieces in (self.pieces, self._earlier):
            pieces.append(Piece(kind, "", data=data))

    def end_reasoning(self) -> None:
        if self._began_s is not None:
            self.pieces[-1].duration_ms = round((self._clock() - self._began_s) * 1000)
            self._began_s = None

    def take_back_text(self) -> None:
        """All text of this attempt was reasoning, from its first piece on."""
        thought = self.text.removeprefix(text_of(self._earlier))
        self.pieces = [replace(piece) for piece in self._earlier]
        self._unsaved_from = 0
        self._began_s = None
        self.add_reasoning(thought)
        self._began_s = self._first_s

    def unsaved(self) -> tuple[int, list[Piece]]:
        """The ordinal of the first part that is not saved as it stands, and all from there on."""
        return self._unsaved_from, [replace(piece) for piece in self.pieces[self._unsaved_from :]]

    def note_saved(self) -> None:
        """Only the last part still grows."""
        self._unsaved_from = max(0, len(self.pieces) - 1)

    def _add(self, kind: Part.Kind, text: str) -> None:
        if self._first_s is None:
            self._first_s = self._clock()
        if not self.pieces or self.pieces[-1].kind != kind:
            self.pieces.append(Piece(kind, ""))
        self.pieces[-1].text += text
        self._unsaved_from = min(self._unsaved_from, len(self.pieces) - 1)
