"""`POST /v1/embeddings`: texts in, one vector for each out."""

from typing import Any
from uuid import UUID

from gateway.calls import Call, DividedOperation, Operation, Principal
from gateway.operations.body import MAX_TOKENS, parse_request
from gateway.operations.embeddings.answer import read_answer
from gateway.operations.embeddings.division import divide, join
from gateway.operations.embeddings.request import check_body, write_body
from models_registry.kinds import ModelKind
from models_registry.providers.openai_compatible import EMBEDDINGS as NAME
from models_registry.routes import Route

MOST_AROUND_TEXT = 16  # tokens: marks of beginning and end, instructions


class Embeddings:
    """See `gateway.calls.Operation`. Nothing is written, so nothing but input is held and billed."""

    name = NAME
    upstream_name = NAME
    model_kind: str = ModelKind.EMBEDDING
    input_name = "input"
    max_answer_bytes = 192_000_000  # as many numbers as `MAX_VALUES`, each written with 24 signs
    streamed = None

    @property
    def divided(self) -> DividedOperation:
        return self

    def parse(self, raw: bytes, principal: Principal, request_id: UUID) -> Call:
        return parse_request(raw, principal, request_id, self, more_numbers=MAX_TOKENS)

    def check(self, call: Call) -> None:
        check_body(call)

    def longest_answer(self, call: Call, route: Route) -> int:
        return 0

    def most_input_tokens(self, call: Call, route: Route) -> int:
        """Every byte a token and what a server puts around each text, at most the context window for each."""
        most, window = call.size_bytes + MOST_AROUND_TEXT * call.text_count, route.context_window
        return min(most, window * call.text_count) if window else most

    def write_body(self, call: Call, token_limit_name: str, *, asks_for_usage: bool) -> dict[str, Any]:
        return write_body(call)

    def divide(self, call: Call, most: int) -> list[Call]:
        return divide(call, most)

    def join(self, call: Call, answers: list[bytes]) -> bytes:
        return join(call, answers)

    def read_answer(self, call: Call, raw: bytes) -> bytes:
        return read_answer(call, raw)


OPERATION: Operation = Embeddings()
