"""Step 9: the exact bill into the ledger, durably, before the last byte leaves; also when the client has gone
or the provider failed.
"""

from gateway.answers.usage import estimate_input_tokens
from gateway.calls import Call
from gateway.errors import AccessEnded, UpstreamTimeout
from gateway.steps.reserve import facts_of, highest_cost_of
from usage.ledger.bookings import LostAttempt, lost_cost
from usage.ledger.ledger import Ledger, Settlement
from usage.pricing import Usage, billed_cost
from usage.quantities import Quantities, add

NOTHING = Usage()
CUT = frozenset({UpstreamTimeout.code, AccessEnded.code})  # errors with which we leave an answer


def billed_usage(call: Call) -> tuple[Usage, bool]:
    """(what is billed of the current attempt, whether it is an estimate).

    The provider's report, if it came after the last piece of the answer; if more came after it, or it counts
    nothing where something was seen, the greater of what it says and what was seen. Without a report what was
    seen, and where an answer in one piece was left before it came, by the client, by our own patience or at
    the end of a right, as much as it may have written. Nothing if the provider refused or was never
    reached. A report that counts nothing of what was sent is filled up with the estimate of that. Of a call
    that went out in parts each is billed so.
    """
    if call.parts:
        bills = [billed_usage(part) for part in call.parts]
        quantities: Quantities = {}
        for usage, _is_estimated in bills:
            quantities = add(quantities, usage.quantities)
        return Usage.of(quantities), any(is_estimated for _usage, is_estimated in bills)
    if call.usage is not None:
        usage, is_estimated = _with_output_seen(call, call.usage)
        if not usage.total_input:
            return usage.having(input=estimate_input_tokens(call)), True
        return usage, is_estimated
    if not call.was_dispatched or call.was_refused:
        return NOTHING, False
    error_code = call.attempt_error or call.error_code
    is_cut = error_code in CUT or (call.status == "cancelled" and not error_code)
    if is_cut and not call.wants_stream:
        return Usage(estimate_input_tokens(call), 0, call.max_output_tokens, 0), True
    return Usage(estimate_input_tokens(call), 0, _seen(call), 0), True


def _with_output_seen(call: Call, usage: Usage) -> tuple[Usage, bool]:
    """The report, its output no less than what was seen where it is not the last word on that."""
    is_credible = usage.output_tokens + usage.reasoning_tokens > 0 or call.output_tokens_seen == 0
    if call.is_usage_final and is_credible:
        return usage, False
    unseen = max(0, _seen(call) - usage.total_output)
    return usage.having(output=usage.quantities.get("output", 0) + unseen), True


def _seen(call: Call) -> int:
    """Output tokens by estimate: no more than were allowed, unless more pieces came."""
    return min(call.output_tokens_seen, max(call.max_output_tokens, call.pieces_seen))


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
    )
    await ledger.settle(call.principal.tenant, settlement)
