"""`POST /v1/chat/completions`: a conversation in, the next message out, whole or streamed."""

from typing import Any
from uuid import UUID

from gateway.answers.estimate import estimate_tokens
from gateway.answers.frames import Frames
from gateway.answers.sse import MAX_EVENT_BYTES
from gateway.answers.usage import TEMPLATE_TOKENS
from gateway.calls import Call, ClientFace, Operation, Principal, StreamedOperation
from gateway.operations.body import parse_request
from gateway.operations.chat_completions.answer import as_chunks, parse_answer, read_answer
from gateway.operations.chat_completions.chunks import ChatChunkReader
from gateway.operations.chat_completions.form import JsonForm
from gateway.operations.chat_completions.request import check_body
from models_registry.kinds import ModelKind
from models_registry.providers.openai_compatible import CHAT_COMPLETIONS as NAME
from models_registry.routes import Route

DEFAULT_MAX_OUTPUT_TOKENS = 4_096
ASSUMED_WINDOW = 128_000  # of a model whose context window nobody has entered, for calls with media
TOKEN_LIMITS = ("max_tokens", "max_completion_tokens")
# Tokens that no byte of the request stands for: what a template says of itself (who it is, the date, how to
# think), and what is said about tools and forms: 264 to 530 at Anthropic, some 200 in templates of others.
AROUND_PROMPT, AROUND_TOOLS = 256, 768
SAY_MORE = frozenset({"tools", "functions", "response_format"})


class ChatCompletions:
    """See `gateway.calls.Operation`."""

    name = NAME
    upstream_name = NAME
    model_kind: str = ModelKind.CHAT
    input_name = "messages"
    max_answer_bytes = MAX_EVENT_BYTES
    divided = None

    @property
    def streamed(self) -> StreamedOperation:
        return self

    def parse(self, raw: bytes, principal: Principal, request_id: UUID) -> Call:
        """A checked call of these bytes. Raises InvalidInput."""
        return parse_request(raw, principal, request_id, self)

    def check(self, call: Call) -> None:
        """The same for a body that nobody sent as bytes. Raises InvalidInput."""
        check_body(call)

    def longest_answer(self, call: Call, route: Route) -> int:
        """In tokens: as asked, at most the model's limit; where nothing is asked, the model's default, as far
        as the window has room for it beside the prompt.
        """
        asked = call.asked_output_tokens
        limit = asked or route.default_max_output_tokens or DEFAULT_MAX_OUTPUT_TOKENS
        window = route.context_window
        if window and not asked and not call.has_media:
            window = max(window // 4, window - estimate_tokens(call.size_bytes) - TEMPLATE_TOKENS)
        return min(limit, route.max_output_tokens or limit, window or limit)

    def most_input_tokens(self, call: Call, route: Route) -> int:
        """Every byte a token (no tokenizer makes more) and what is put around them, at most the context
        window. Images and other media cost tokens that their bytes do not bound, so a call with any may fill
        the window.
        """
        window = route.context_window
        says_more = not SAY_MORE.isdisjoint(call.body) and any(map(call.body.get, SAY_MORE))
        around = AROUND_TOOLS if says_more else AROUND_PROMPT
        most = call.size_bytes + around
        if call.has_media:
            return window or max(ASSUMED_WINDOW, most)
        return min(most, window) if window else most

    def write_body(self, call: Call, token_limit_name: str, *, asks_for_usage: bool) -> dict[str, Any]:
        """OpenAI's request with a bounded answer and, for streams, the wish for a usage report. What is null
        is left out: it says nothing, and some servers refuse it.
        """
        body = {
            name: value for name, value in call.body.items() if value is not None and name not in TOKEN_LIMITS
        }
        body[token_limit_name] = call.max_output_tokens
        if isinstance(call.form, JsonForm):
            call.form.write(call, body)
        if call.wants_stream:
            body["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}
            if not asks_for_usage:
                del body["stream_options"]
        return body

    def read_answer(self, call: Call, raw: bytes) -> bytes:
        return read_answer(call, raw)

    def read_whole(self, call: Call, raw: bytes) -> list[dict[str, Any]]:
        return as_chunks(call, parse_answer(call, raw))

    def chunk_reader(self, call: Call) -> ChatChunkReader:
        return ChatChunkReader(call)

    def make_face(self, call: Call) -> ClientFace:
        return Frames(call)


OPERATION: Operation = ChatCompletions()
