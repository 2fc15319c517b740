"""Events of a stream that make no sense: which of them an answer goes on without, and what that costs."""

import logging
import re

from gateway.answers.estimate import BYTES_PER_TOKEN, estimate_tokens
from gateway.calls import Call

logger = logging.getLogger(__name__)

FRAMING_BYTES = 1_000  # more than an event has around its text, while none of this answer was read
MOST_LOST_EVENTS = 16  # in an answer that goes on
# Of an event that makes no sense: without it the rest would mean something else.
NOT_TO_LOSE = re.compile(rb"(?:tool|function)[_-]?call|error", re.IGNORECASE)
# Of a request: a program reads what these ask for, and acts by it.
READ_BY_PROGRAMS = ("tools", "functions", "response_format", "structured_outputs")


class Losses:
    """Of one answer."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._framing_bytes = FRAMING_BYTES  # around the text of the last event that had any
        self.events = 0

    def note_read(self, size: int, tokens: int) -> None:
        """An event of so many bytes had a piece of so many tokens: what was around its text is taken for what
        is around that of others.
        """
        self._framing_bytes = max(0, size - BYTES_PER_TOKEN * tokens)

    def may_lose(self, data: bytes, pieces_before: int, *, has_calls: bool) -> bool:
        """Whether the answer goes on without an event that makes no sense: where it has begun, is not mostly
        nonsense, and is text for people. What a program reads would be something else without one of its
        pieces. An answer that has lost one calls no tools any more, and its end is not made up.
        """
        is_for_programs = any(self._call.body.get(name) for name in READ_BY_PROGRAMS)
        if is_for_programs or has_calls or NOT_TO_LOSE.search(data):
            return False
        return self.events < min(MOST_LOST_EVENTS, pieces_before - self.events)

    def lose(self, data: bytes, pieces_before: int) -> None:
        call = self._call
        self.events += 1
        if call.pieces_seen == pieces_before:  # it may have held a piece of the answer
            call.note_piece(estimate_tokens(len(data) - self._framing_bytes))
        logger.warning(
            "request %s: an event of %d bytes makes no sense; the answer of %s goes on without it",
            call.request_id,
            len(data),
            call.candidate.endpoint.kind,
        )

    def note_unread(self, size: int) -> None:
        """Count the bytes of what makes no sense: it may hold the whole answer."""
        if size > self._framing_bytes:
            self._call.note_piece(estimate_tokens(size - self._framing_bytes))
