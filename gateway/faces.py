"""What becomes of the events of a stream: clients of `/v1` get them as frames (`Frames`), rooms of the
house as typed deltas (`Deltas`).
"""

from gateway.answers.deltas import DeltaShape
from gateway.answers.estimate import estimate_tokens
from gateway.answers.json_text import write_json
from gateway.answers.sse import frame
from gateway.answers.whole import nonsense
from gateway.calls import Call, Chunk
from gateway.deltas import Delta, DeltaReader


class Frames:
    """As server-sent events, for clients."""

    def __init__(self) -> None:
        self._shape = DeltaShape()

    def pass_on(self, call: Call, chunk: bytes) -> bytes | None:
        swapped = self._shape.swap(chunk)
        if swapped is not None:
            call.note_piece(estimate_tokens(len(chunk) - self._shape.overhead))
        return swapped

    def write(self, chunk: Chunk, data: bytes) -> bytes:
        try:
            ours = frame(write_json(chunk.event) if chunk.is_changed else data)
        except ValueError as exc:
            raise nonsense() from exc
        if chunk.text:
            self._shape.learn(frame(data), ours, chunk.text)
        return ours

    def end(self) -> None:
        return None

    def join(self, parts: list[bytes]) -> bytes:
        return b"".join(parts)


class Deltas:
    """As typed pieces, for the house."""

    def __init__(self) -> None:
        self._reader = DeltaReader()

    def pass_on(self, call: Call, chunk: bytes) -> None:
        return None

    def write(self, chunk: Chunk, data: bytes) -> list[Delta] | None:
        return list(self._reader.read(chunk.event)) or None

    def end(self) -> list[Delta] | None:
        return list(self._reader.end()) or None

    def join(self, parts: list[list[Delta]]) -> list[Delta]:
        return [delta for part in parts for delta in part]
