"""An answer in JSON for the house's own work, in one piece: the way of `gateway.run`, for workers.

    pending = start_json(payer, model, messages, form, source="knowledge", most_tokens=2_000)
    value = pending.wait(run.check)  # None: the model gave no JSON

Rights, data policies, limits and the bill are those of any call. A model that keeps no schema by itself is
told of it, and corrected once (`chat_completions.form`).
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import orjson

from gateway import pipeline
from gateway.answers.broken import BrokenForm
from gateway.calls import Call
from gateway.loop import GatewayLoop
from gateway.operations import chat_completions
from gateway.operations.body import check_model
from gateway.operations.chat_completions.finish import STOP
from gateway.vectors import Payer, Pending, act_as, snapshot_of


def start_json(
    payer: Payer,
    model: str,
    messages: Sequence[dict[str, Any]],
    form: dict[str, Any],
    *,
    source: str,
    most_tokens: int,
    most_cost: Decimal | None = None,
) -> Pending:
    """`form`: the value of `response_format`. `most_tokens`: of the answer. `most_cost`: a call that could
    cost more is not sent (QuotaExceeded, `cap_reached`). Waiting raises AtriumError as `/v1` does, but for an
    answer that is no such JSON, was cut or refused: that is None.
    """
    body: dict[str, Any] = {
        "model": model,
        "messages": list(messages),
        "response_format": form,
        "max_tokens": most_tokens,
    }

    async def work(gateway: GatewayLoop, note: Callable[[Call], object]) -> Any:
        principal = await act_as(payer, gateway)
        snapshot = await snapshot_of(principal.tenant, gateway)
        operation = chat_completions.OPERATION
        size_bytes = len(orjson.dumps(body))
        call = Call(principal, dict(body), size_bytes, operation, source, most_cost=most_cost)
        check_model(call.body)
        operation.check(call)
        await pipeline.prepare(call, snapshot, gateway)
        try:
            answer = orjson.loads(await pipeline.complete(call, gateway))
        except BrokenForm:
            return None
        finally:
            note(call)
        return _read(answer["choices"][0])

    return Pending(work)


def _read(choice: dict[str, Any]) -> Any:
    text = choice["message"].get("content")
    if choice["finish_reason"] != STOP or not isinstance(text, str):
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
