"""`POST /v1/completions`: texts in, how each goes on out, whole or streamed. The elder sister of chat
completions, for models that continue texts (docs/decisions/0016): no template stands around the prompt, so
nothing is translated for providers that know chats alone.
"""

from typing import Any
from uuid import UUID

from gateway.answers.frames import Frames
from gateway.answers.sse import MAX_EVENT_BYTES
from gateway.calls import Call, ClientFace, Operation, Principal, StreamedOperation
from gateway.operations.body import MAX_TOKENS, parse_request
from gateway.operations.completions.answer import read_answer, read_whole
from gateway.operations.completions.chunks import TextChunkReader
from gateway.operations.completions.request import check_body, write_body
from models_registry.kinds import ModelKind
from models_registry.providers.openai_compatible import COMPLETIONS as NAME
from models_registry.routes import Route

DEFAULT_MAX_TOKENS = 16  # OpenAI's and vLLM's, where a request names none


class Completions:
    """See `gateway.calls.Operation`."""

    name = NAME
    upstream_name = NAME
    model_kind: str = ModelKind.CHAT
    input_name = "prompt"
    max_answer_bytes = MAX_EVENT_BYTES
    divided = None

    @property
    def streamed(self) -> StreamedOperation:
        return self

    def parse(self, raw: bytes, principal: Principal, request_id: UUID) -> Call:
        return parse_request(raw, principal, request_id, self, more_numbers=MAX_TOKENS)

    def check(self, call: Call) -> None:
        check_body(call)

    def longest_answer(self, call: Call, route: Route) -> int:
        """In tokens, of each of the answers; 0 where the prompt alone is to come back (`echo`)."""
        asked = call.body.get("max_tokens")
        asked = DEFAULT_MAX_TOKENS if asked is None else asked
        return min(asked, route.max_output_tokens or asked, route.context_window or asked)

    def most_input_tokens(self, call: Call, route: Route) -> int:
        """Every byte a token, at most the context window for each prompt."""
        window = route.context_window
        return min(call.size_bytes, window * call.text_count) if window else call.size_bytes

    def write_body(self, call: Call, token_limit_name: str, *, asks_for_usage: bool) -> dict[str, Any]:
        return write_body(call, asks_for_usage=asks_for_usage)

    def read_answer(self, call: Call, raw: bytes) -> bytes:
        return read_answer(call, raw)

    def read_whole(self, call: Call, raw: bytes) -> list[dict[str, Any]]:
        return read_whole(call, raw)

    def chunk_reader(self, call: Call) -> TextChunkReader:
        return TextChunkReader(call)

    def make_face(self, call: Call) -> ClientFace:
        return Frames(call)


OPERATION: Operation = Completions()
