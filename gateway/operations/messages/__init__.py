"""`POST /v1/messages`: a conversation in Anthropic's dialect in, the next message out, whole or streamed. A
chat completion in all but its words: the same models, limits, holds and bills.
"""

from typing import Any
from uuid import UUID

from gateway.calls import Call, ClientFace, Operation, Principal
from gateway.operations.chat_completions import ChatCompletions
from gateway.operations.messages.answer import read_answer
from gateway.operations.messages.events import Events
from gateway.operations.messages.plain import as_plain
from gateway.operations.messages.request import parse_request

NAME = "messages"


class Messages(ChatCompletions):
    """See `gateway.calls.Operation`."""

    name = NAME

    def parse(self, raw: bytes, principal: Principal, request_id: UUID) -> Call:
        return parse_request(raw, principal, request_id, self)

    def write_body(self, call: Call, token_limit_name: str, *, asks_for_usage: bool) -> dict[str, Any]:
        body = super().write_body(call, token_limit_name, asks_for_usage=asks_for_usage)
        provider = call.candidate.provider
        if provider.takes_blocks:
            return body
        return as_plain(body, wants_thoughts=provider.wants_thoughts, takes_top_k=provider.takes_top_k)

    def read_answer(self, call: Call, raw: bytes) -> bytes:
        return read_answer(call, raw)

    def make_face(self, call: Call) -> ClientFace:
        return Events(call)


OPERATION: Operation = Messages()
