"""Server-sent events as model servers send them (WHATWG HTML, section 9.2), cut out of a stream of bytes."""

from django.utils.translation import gettext as _

from foundation.errors import UpstreamError

MAX_EVENT_BYTES = 1_000_000
DONE = b"[DONE]"
NO_DATA = (b":", b"event:", b"id:", b"retry:", b"data:")  # a comment, and fields that may stand alone


class EventReader:
    """Feed it bytes; it gives the data of the events that are complete. Comments and other fields are
    dropped.
    """

    __slots__ = ("_rest", "dropped_bytes")

    def __init__(self) -> None:
        self._rest = b""
        self.dropped_bytes = 0  # of what is neither an event nor a comment

    @property
    def has_rest(self) -> bool:
        """Whether the beginning of an event waits for its end."""
        return bool(self._rest)

    def feed(self, chunk: bytes) -> list[bytes]:
        """The data of each complete event, several `data:` lines joined. Raises UpstreamError for an event
        without end.
        """
        if self._rest or b"\r" in chunk:
            chunk = self._rest + chunk
            if chunk.endswith(b"\r"):  # perhaps the first half of a line's end
                chunk, half = chunk[:-1], b"\r"
            else:
                half = b""
            chunk = chunk.replace(b"\r\n", b"\n")
        else:
            half = b""
        *events, rest = chunk.split(b"\n\n")
        self._rest = rest + half
        if len(self._rest) > MAX_EVENT_BYTES:
            raise UpstreamError(
                _("The model server sent an event of more than 1 MB. Try again, or choose another model."),
                code="upstream_invalid_response",
            )
        return [data for event in events if event and (data := self._take(event))]

    @property
    def unread(self) -> bytes:
        """What came and is no whole event."""
        return self._rest

    def take_rest(self) -> list[bytes]:
        """Data of an event that the end of the stream cut short of its empty line, if there is one."""
        rest, self._rest = self._rest, b""
        data = self._take(rest.removesuffix(b"\r"))
        return [data] if data else []

    def _take(self, event: bytes) -> bytes:
        data = _data_of(event)
        if not data and not event.lstrip().startswith(NO_DATA):
            self.dropped_bytes += len(event)
        return data


def _data_of(event: bytes) -> bytes:
    if event.startswith(b"data: ") and b"\n" not in event:
        return event[6:]
    lines = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
    return b"\n".join(lines)


def frame(data: bytes) -> bytes:
    return b"data: " + data + b"\n\n"
