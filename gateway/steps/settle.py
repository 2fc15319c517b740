"""Step 9: the exact bill into the ledger, durably, before the last byte leaves; also when the client has gone
or the provider failed.
"""

from gateway.answers.billed import billed_usage
from gateway.calls import Call
from gateway.steps.reserve import facts_of, highest_cost_of
from usage.ledger.bookings import LostAttempt, lost_cost
from usage.ledger.ledger import Ledger, Settlement
from usage.pricing import billed_cost


def lost_attempt(call: Call) -> LostAttempt:
    """The current attempt, which has failed, as the bill says it if another one follows: at what it would
    have cost alone.
    """
    usage, _is_estimated = billed_usage(call)
    return LostAttempt(
        upstream_model=call.candidate.upstream_name,
        connection_id=call.candidate.endpoint.id,
        error_code=call.attempt_error,
        latency_ms=int(call.attempt_waited_s() * 1000),
        usage=usage,
        cost=billed_cost(call.route.price, usage, highest_cost_of(call, call.route)),
    )


async def settle(call: Call, ledger: Ledger) -> None:
    """Book the call once. A caller who is cancelled meanwhile does not stop it: the ledger's lane owns the
    booking.
    """
    if call.is_settled or call.held is None:
        return
    call.is_settled = True
    usage, is_estimated = billed_usage(call)
    call.usage = usage
    call.is_estimated = is_estimated
    lost = lost_cost(call.attempts)
    call.cost = lost + billed_cost(call.route.price, usage, call.held - lost)
    first_token_ms = int((call.first_token_s - call.started_s) * 1000) if call.first_token_s else None
    settlement = Settlement(
        request_id=call.request_id,
        usage=usage,
        cost=call.cost,
        status=call.status,
        error_code=call.error_code,
        latency_ms=call.elapsed_ms(),
        first_token_ms=first_token_ms,
        estimated=call.is_estimated or bool(lost),
        answered=facts_of(call, call.candidate) if call.is_hold_moved else None,
        attempts=tuple(call.attempts),
        dropped_params=call.list_dropped(),
    )
    await ledger.settle(call.principal.tenant, settlement)
