"""What becomes of the events of a stream in rooms of the house: typed deltas. Clients of `/v1` get bytes, by
the dialect of what they have called (gateway.calls.ClientFace).
"""

from gateway.calls import Call, Chunk
from gateway.deltas import Delta, DeltaReader


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
