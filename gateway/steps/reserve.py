"""Step 6: hold the highest possible cost, durably, before anything is sent.

Highest possible: every byte of the request a token (no tokenizer makes more), at most the context window,
plus the longest answer allowed. Images and other media cost tokens that their bytes do not bound, so a
call with any holds the whole window.
"""

from gateway.calls import Call
from usage.ledger.bookings import TENANT_SUBJECT, CallFacts, HoldRequest
from usage.ledger.ledger import Ledger
from usage.pricing import highest_cost

DEFAULT_MAX_OUTPUT_TOKENS = 4_096
ASSUMED_WINDOW = 128_000  # of a model whose context window nobody has entered, for calls with media
BYTES_PER_TOKEN_ESTIMATE = 3.5  # typical for German and English; used only where a provider reports nothing


def set_output_limit(call: Call) -> None:
    """The longest answer this call may get: as asked, at most the model's limit; where nothing is asked, the
    model's default.
    """
    route, body = call.route, call.body
    asked = body.get("max_completion_tokens") or body.get("max_tokens")
    limit = asked or route.default_max_output_tokens or DEFAULT_MAX_OUTPUT_TOKENS
    call.max_output_tokens = min(limit, route.max_output_tokens or limit, route.context_window or limit)


def most_input_tokens(call: Call) -> int:
    """More input tokens than the provider can possibly count."""
    window = call.route.context_window
    if call.has_media:
        return window or max(ASSUMED_WINDOW, call.size_bytes)
    return min(call.size_bytes, window) if window else call.size_bytes


def estimate_input_tokens(call: Call) -> int:
    """A plausible number of input tokens, for bills without the provider's count."""
    estimate = int(call.size_bytes / BYTES_PER_TOKEN_ESTIMATE) + 1
    window = call.route.context_window
    return min(estimate, window) if window else estimate


async def reserve(call: Call, ledger: Ledger) -> None:
    """Write the hold, which is the dispatch mark too: the next step sends. Raises QuotaExceeded
    (`insufficient_quota`), Unavailable.
    """
    set_output_limit(call)
    route, principal = call.route, call.principal
    amount = highest_cost(route.price, most_input_tokens(call), call.max_output_tokens)
    subjects = {"tenant": TENANT_SUBJECT, "project": principal.project_id, "user": principal.user_id}
    if principal.key_id:
        subjects["key"] = principal.key_id
    request = HoldRequest(
        request_id=call.request_id,
        amount=amount,
        subjects=subjects,
        input_tokens_estimate=estimate_input_tokens(call),
        facts=facts_of(call),
    )
    await ledger.reserve(principal.tenant, request)
    call.held = amount


def facts_of(call: Call) -> CallFacts:
    """What the usage event will say of the call, kept with the hold in case this process dies."""
    route = call.route
    return CallFacts(
        source=call.source,
        model=route.name,
        model_id=route.model_id,
        endpoint=call.endpoint,
        connection_id=route.endpoint.id,
        upstream_model=route.upstream_name,
        price=route.price,
        trace_id=call.trace.trace_id if call.trace else "",
    )
