"""The common case of a stream: one event after the other that differs from the last only in its piece of
text.

Once such an event was parsed, the bytes before and after its text are known. A later one with the same bytes
around its text says the same of everything else, so it is passed on without a parser, with our bytes around
the text (the model's name may differ).

Guards against: text that could end its JSON string or hide what follows. Quotes, backslashes, control
characters and broken UTF-8 go to the parser.
"""

from gateway.answers.estimate import estimate_tokens
from gateway.answers.sse import END
from gateway.calls import Call

KEY = b'"content":'
MOST_VAIN_LESSONS = 8  # a provider whose every event differs (padding, counters) is not worth more


class DeltaShape:
    """The bytes around the text of a stream's events, with `data: ` and the empty line: the provider's, and
    ours. The keys: of the member that is the text.
    """

    __slots__ = ("_head", "_key", "_our_head", "_our_key", "_our_tail", "_shortest", "_tail", "_vain_lessons")

    def __init__(self, key: bytes = KEY, our_key: bytes = KEY) -> None:
        self._key = key
        self._our_key = our_key
        self._head = b""
        self._tail = b""
        self._our_head = b""
        self._our_tail = b""
        # an event of this length has a piece of text of at least one byte; 0: nothing learnt
        self._shortest = 0
        self._vain_lessons = 0

    @property
    def overhead(self) -> int:
        """The bytes around the text of an event of this shape."""
        return self._shortest - 1

    def learn(self, event: bytes, ours: bytes, text: str) -> None:
        """Remember an event that was parsed: as it came, as it was passed on, and its text."""
        if self._vain_lessons == MOST_VAIN_LESSONS:
            return
        self._vain_lessons += 1
        piece = f'"{text}"'.encode("utf-8", "replace")
        theirs, mine = _split(event, piece, self._key), _split(ours, piece, self._our_key)
        if theirs and mine:
            self._head = theirs[0]
            self._tail = theirs[1]
            self._our_head = mine[0]
            self._our_tail = mine[1]
            self._shortest = len(self._head) + len(self._tail) + 1

    def swap(self, chunk: bytes) -> bytes | None:
        """What to pass on for a chunk that is one event of the known shape; None if it needs the parser.
        Nothing may be left from earlier chunks.
        """
        if (
            not self._shortest
            or len(chunk) < self._shortest
            or not (chunk.startswith(self._head) and chunk.endswith(self._tail))
        ):
            return None
        text = chunk[len(self._head) : -len(self._tail)]
        if b'"' in text or b"\\" in text or not _is_printable(text):
            return None
        self._vain_lessons = 0
        return b"%b%b%b" % (self._our_head, text, self._our_tail)


def pass_unread(call: Call, chunk: bytes, shape: DeltaShape) -> bytes | None:
    """What goes out for whole events of the known shape, which are noted in the call: one, or several where
    they come faster than they are read. None if any of them needs the parser.
    """
    bare_event = call.candidate.provider.bare_event
    if chunk.find(END, 0, -len(END)) < 0:
        chunk = bare_event(chunk)
        swapped = shape.swap(chunk)
        if swapped is not None:
            call.note_piece(estimate_tokens(len(chunk) - shape.overhead))
        return swapped
    *events, rest = chunk.split(END)
    if rest:
        return None
    passed = []
    for place, event in enumerate(events):
        events[place] = bare_event(event + END)
        if (swapped := shape.swap(events[place])) is None:
            return None
        passed.append(swapped)
    for event in events:
        call.note_piece(estimate_tokens(len(event) - shape.overhead))
    return b"".join(passed)


def _split(event: bytes, piece: bytes, key: bytes) -> tuple[bytes, bytes] | None:
    """What stands before and after the text of an event; None unless its place is certain."""
    place = event.find(key)
    if place < 0 or event.find(key, place + 1) >= 0:
        return None
    place += len(key)
    place += event.startswith(b" ", place)
    if not event.startswith(piece, place):
        return None
    return event[: place + 1], event[place + len(piece) - 1 :]


def _is_printable(text: bytes) -> bool:
    try:
        return text.decode().isprintable()
    except UnicodeDecodeError:
        return False
