"""What OpenAI's clients get of a stream: its events, an error in the middle, the end."""

import orjson

from foundation.errors import AtriumError
from gateway.answers.deltas import KEY, DeltaShape, pass_unread
from gateway.answers.json_text import write_json
from gateway.answers.sse import DONE, frame
from gateway.answers.usage import usage_frame
from gateway.answers.whole import nonsense
from gateway.calls import Call, Chunk
from gateway.errors import as_error_object


def error_frame(error: AtriumError) -> bytes:
    """The headers are gone: the client is told inside the stream."""
    return frame(orjson.dumps(as_error_object(error)))


class Frames:
    """See `gateway.calls.ClientFace`."""

    heartbeat = b": still at work\n\n"

    def __init__(self, call: Call) -> None:
        self._call = call
        self._provider = call.candidate.provider
        self._shape = DeltaShape(self._provider.text_key or KEY)

    def pass_on(self, call: Call, chunk: bytes) -> bytes | None:
        return pass_unread(call, chunk, self._shape)

    def write(self, chunk: Chunk, data: bytes) -> bytes:
        try:
            ours = frame(write_json(chunk.event) if chunk.is_changed else data)
        except ValueError as exc:
            raise nonsense() from exc
        if chunk.text:
            self._shape.learn(self._provider.bare_event(frame(data)), ours, chunk.text)
        return ours

    def end(self) -> None:
        return None

    def join(self, parts: list[bytes]) -> bytes:
        return b"".join(parts)

    def close(self, failure: AtriumError | None) -> bytes:
        call = self._call
        if failure is not None:
            return error_frame(failure) + frame(DONE)
        told = usage_frame(call, call.usage) if call.wants_usage and call.usage is not None else b""
        return told + frame(DONE)
