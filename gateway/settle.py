"""Step 9: the exact bill into the ledger, durably, before the last byte leaves; also when the client has gone or the provider failed."""

from gateway.calls import Call
from gateway.reserve import estimate_input_tokens
from usage.ledger.ledger import Ledger, Settlement
from usage.pricing import Usage, cost

NOTHING = Usage(0, 0, 0, 0)


def billed_usage(call: Call) -> tuple[Usage, bool]:
    """(what is billed, whether it is an estimate): the provider's report, else what was seen; nothing if it refused or was never reached."""
    if call.usage is not None:
        return call.usage, False
    if not call.was_dispatched or call.was_refused:
        return NOTHING, False
    return Usage(estimate_input_tokens(call), 0, call.output_tokens_seen, 0), True


async def settle(call: Call, ledger: Ledger) -> None:
    """Book the call once. A caller who is cancelled meanwhile does not stop it: the ledger's lane owns the booking."""
    if call.is_settled or call.held is None:
        return
    call.is_settled = True
    usage, call.is_estimated = billed_usage(call)
    call.usage, call.cost = usage, cost(call.route.price, usage)
    first_token_ms = int((call.first_token_s - call.started_s) * 1000) if call.first_token_s else None
    settlement = Settlement(request_id=call.request_id, usage=usage, cost=call.cost, status=call.status, error_code=call.error_code,
                            latency_ms=call.elapsed_ms(), first_token_ms=first_token_ms, estimated=call.is_estimated)  # fmt: skip
    await ledger.settle(call.principal.tenant, settlement)
