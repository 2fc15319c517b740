"""The events of a stream of texts: read like those of a chat, and written as texts."""

from typing import Any

from gateway.calls import Chunk
from gateway.operations.chat_completions.chunks import ChatChunkReader
from gateway.operations.completions.answer import in_texts


class TextChunkReader(ChatChunkReader):
    """See `gateway.calls.ChunkReader`."""

    def read(self, event: Any, size: int) -> Chunk | None:
        return _in_texts(super().read(event, size))

    def end(self, *, is_whole: bool) -> Chunk | None:
        return _in_texts(super().end(is_whole=is_whole))


def _in_texts(chunk: Chunk | None) -> Chunk | None:
    return None if chunk is None else Chunk(in_texts(chunk.event), is_changed=True)
