"""`POST /v1/rerank`: a question and documents in, how relevant each is out, the most relevant first."""

from typing import Any
from uuid import UUID

from gateway.calls import Call, Operation, Principal
from gateway.operations.body import parse_request
from gateway.operations.rerank.answer import read_answer
from gateway.operations.rerank.request import check_body, write_body
from models_registry.kinds import ModelKind
from models_registry.providers.openai_compatible import RERANK as NAME
from models_registry.routes import Route

MOST_AROUND_PAIR = (
    64  # tokens: marks of beginning and end, and the instructions of rerankers that are prompted
)


class Rerank:
    """See `gateway.calls.Operation`. Nothing is written, so nothing but input is held and billed."""

    name = NAME
    upstream_name = NAME
    model_kind: str = ModelKind.RERANK
    input_name = "documents"
    max_answer_bytes = 48_000_000  # many servers send the documents back, of which a request holds 10 MB
    streamed = None
    divided = None

    def parse(self, raw: bytes, principal: Principal, request_id: UUID) -> Call:
        return parse_request(raw, principal, request_id, self)

    def check(self, call: Call) -> None:
        check_body(call)

    def longest_answer(self, call: Call, route: Route) -> int:
        return 0

    def most_input_tokens(self, call: Call, route: Route) -> int:
        """Every byte a token and what a server puts around each pair of question and document, at most the
        context window for each.
        """
        most, window = call.size_bytes + MOST_AROUND_PAIR * call.text_count, route.context_window
        return min(most, window * call.text_count) if window else most

    def write_body(self, call: Call, token_limit_name: str, *, asks_for_usage: bool) -> dict[str, Any]:
        return write_body(call)

    def read_answer(self, call: Call, raw: bytes) -> bytes:
        return read_answer(call, raw)


OPERATION: Operation = Rerank()
