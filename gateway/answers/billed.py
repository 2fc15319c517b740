"""What is billed of an answer: what its provider reports, or what was seen of it."""

from gateway.answers.usage import estimate_input_tokens
from gateway.calls import Call
from gateway.errors import AccessEnded, UpstreamTimeout
from usage.pricing import Usage
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
        return Usage(estimate_input_tokens(call), 0, call.most_written, 0), True
    return Usage(estimate_input_tokens(call), 0, _seen(call), 0), True


def _with_output_seen(call: Call, usage: Usage) -> tuple[Usage, bool]:
    """The report, its output no less than what was seen where it is not the last word on that."""
    is_credible = usage.output_tokens + usage.reasoning_tokens > 0 or _seen(call) == 0
    if call.is_usage_final and is_credible:
        return usage, False
    unseen = max(0, _seen(call) - usage.total_output)
    return usage.having(output=usage.quantities.get("output", 0) + unseen), True


def _seen(call: Call) -> int:
    """Output tokens by estimate: no more than were allowed, unless more pieces came. Where none is to be
    written what came is the prompt.
    """
    if not call.max_output_tokens:
        return 0
    return min(call.output_tokens_seen, max(call.most_written, call.pieces_seen))
