"""Server-sent events as model servers send them (WHATWG HTML, section 9.2), cut out of a stream of bytes."""

import re

import orjson

from foundation.errors import UpstreamError
from foundation.json_bounds import has_more_values
from foundation.told import gettext as _
from gateway.answers.json_text import BYTE_ORDER_MARK

MAX_EVENT_BYTES = 32_000_000  # pictures come in one event; a whole answer is as long at most
DONE = b"[DONE]"
NO_DATA = (b":", b"event:", b"id:", b"retry:", b"data:")  # a comment, and fields that may stand alone
END = b"\n\n"
FIELD_BYTES = 6  # of the longest of these
# What pieces of answers are made of. Fields of unknown names may stand in events, and say nothing; but one
# with these words was a piece where its name may be what is left of `data`, or its value is one by itself.
OF_ANSWERS = re.compile(rb'"(?:choices|delta|content|tool_calls|function_call|finish_reason|error)"')
FIELD_NAME = re.compile(rb"[A-Za-z][\w.-]*\Z")
LEFT_OF_DATA = re.compile(rb"d?a?t?a?\Z", re.IGNORECASE)
MAX_FIELD_VALUES = 1_000  # in a value that is looked into; one with more is taken for a piece
INDENT = b" \t\0\xef\xbb\xbf"  # before a field's name: white space, a sign of life, a mark before each event
NOTHING_SAID = (b"", b"{}", b"null")


class EventReader:
    """Feed it bytes; it gives the data of the events that are complete. Comments and other fields are
    dropped, and so is a byte order mark at the beginning; but an event without data that was a piece of an
    answer comes as it is.
    """

    __slots__ = ("_has_begun", "_rest", "dropped_bytes")

    def __init__(self) -> None:
        self._rest = bytearray()
        self._has_begun = False
        self.dropped_bytes = 0  # of what is neither an event nor a comment

    @property
    def has_rest(self) -> bool:
        """Whether the beginning of an event waits for its end."""
        return bool(self._rest)

    def feed(self, chunk: bytes) -> list[bytes]:
        """The data of each complete event, several `data:` lines joined. Raises UpstreamError for an event
        without end.
        """
        rest = self._rest
        searched = max(0, len(rest) - len(END))
        if rest or b"\r" in chunk or not self._has_begun:
            rest += chunk
            if not self._has_begun and not self._begin():
                return []
            chunk = self._take_lines(searched)
        *events, tail = chunk.split(END)
        rest += tail
        if len(rest) > MAX_EVENT_BYTES:
            raise UpstreamError(
                _("The model server sent an event of more than %(limit)s MB. Choose another model.")
                % {"limit": MAX_EVENT_BYTES // 1_000_000},
                code="upstream_invalid_response",
            )
        return [data for event in events if event and (data := self._take(event))]

    def _begin(self) -> bool:
        """Drop the mark; False while only its beginning has come."""
        if BYTE_ORDER_MARK.startswith(self._rest):
            return False
        self._has_begun = True
        if self._rest.startswith(BYTE_ORDER_MARK):
            del self._rest[: len(BYTE_ORDER_MARK)]
        return True

    def _take_lines(self, searched: int) -> bytes:
        """What is to be cut into events now, with \\n at the ends of its lines. Nothing where the rest still
        has no end: a large event in many pieces is not walked through again for each of them.
        """
        rest = self._rest
        if b"\r" in memoryview(rest)[searched:].tobytes():
            half = b"\r" if rest.endswith(b"\r") else b""  # perhaps the first half of a line's end
            whole = bytes(rest[: len(rest) - len(half)]).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            rest[:] = whole + half
            searched = 0
        end = rest.rfind(END, searched)
        if end < 0:
            return b""
        ready = bytes(rest[: end + len(END)])
        del rest[: end + len(END)]
        return ready

    @property
    def rest_bytes(self) -> int:
        return len(self._rest)

    @property
    def unread(self) -> bytes:
        """What came and is no whole event."""
        return bytes(self._rest)

    def take_rest(self) -> list[bytes]:
        """Data of an event that the end of the stream cut short of its empty line, if there is one."""
        rest = bytes(self._rest)
        self._rest.clear()
        data = self._take(rest.removesuffix(b"\r"))
        return [data] if data else []

    def _take(self, event: bytes) -> bytes:
        data = _data_of(event)
        if data or _is_silent(event):
            return data
        if any(map(_may_be_piece, event.split(b"\n"))):
            return event
        self.dropped_bytes += len(event)
        return b""


def _data_of(event: bytes) -> bytes:
    if event.startswith(b"data: ") and b"\n" not in event:
        return event[6:]
    said: list[bytes] = []
    is_error = is_end = False
    for line in (line.lstrip(INDENT) for line in event.split(b"\n")):
        name, value = line[:6].lower(), line[6:]
        if name.startswith(b"data:"):
            said.append(line[5:].removeprefix(b" "))
        elif name == b"event:":
            is_error, is_end = value.strip().lower() == b"error", value.strip().lower() == b"done"
        elif name == b"error:":  # llama.cpp's
            said.append(value.strip())
            is_error = True
    data = b"\n".join(said)
    if is_error:
        return _as_error(data)
    return DONE if is_end and data.strip() in NOTHING_SAID else data


def _as_error(data: bytes) -> bytes:
    """What an event says that is called an error, in the shape in which errors are known by themselves."""
    try:
        told = orjson.loads(data)
    except orjson.JSONDecodeError:
        told = data.decode("utf-8", "replace").strip()
    if isinstance(told, dict) and told.get("error"):
        return data
    return orjson.dumps({"error": told or {"type": "error"}})


def _is_silent(event: bytes) -> bool:
    """Whether it has nothing but comments, and fields that may stand alone."""
    return all(map(_is_silent_line, event.split(b"\n")))


def _is_silent_line(line: bytes) -> bool:
    line = line.lstrip(INDENT)
    return not line or line[:FIELD_BYTES].lower().startswith(NO_DATA)


def _may_be_piece(line: bytes) -> bool:
    """Whether a line without data was a piece of an answer, or an error in its place."""
    if _is_silent_line(line) or not OF_ANSWERS.search(line):
        return False
    name, _colon, value = line.lstrip(INDENT).partition(b":")
    if not FIELD_NAME.match(name) or LEFT_OF_DATA.match(re.sub(rb"\W", b"", name)):
        return True
    if has_more_values(value, MAX_FIELD_VALUES):
        return True
    try:
        said = orjson.loads(value)
    except orjson.JSONDecodeError:
        return False
    is_object = isinstance(said, dict)
    return is_object and ("choices" in said or "message" in said or said.get("error") is not None)


def frame(data: bytes) -> bytes:
    return b"data: " + data + b"\n\n"
