"""Step 6: hold the highest possible cost, durably, before anything is sent.

Highest possible: more input tokens than any provider can count, plus the longest answer allowed, as
often as answers are asked for, at the dearest of the candidates that may come to answer.
"""

from collections.abc import Iterable
from decimal import Decimal

from foundation.errors import InvalidInput, QuotaExceeded
from foundation.told import gettext as _
from gateway.answers.usage import estimate_input_tokens
from gateway.calls import Call
from models_registry.routes import Candidate, Route
from usage.labels import LABELS
from usage.ledger.bookings import TENANT_SUBJECT, CallFacts, HoldRequest
from usage.ledger.ledger import Ledger
from usage.pricing import UnpricedClass, highest_cost

CAP_REACHED = "cap_reached"


def highest_price(call: Call) -> Decimal:
    """The most that the call can cost, whichever candidate answers. Raises InvalidInput
    (`model_not_priced`).
    """
    if len(call.candidates) == 1:
        return highest_cost_of(call, call.candidates[0].route)
    return max(highest_cost_of(call, route) for route in _routes(call.candidates))


def _routes(candidates: Iterable[Candidate]) -> Iterable[Route]:
    return {candidate.route.model_id: candidate.route for candidate in candidates}.values()


def highest_cost_of(call: Call, route: Route) -> Decimal:
    """The most that an attempt at this model can cost. Raises InvalidInput (`model_not_priced`)."""
    most_input = call.operation.most_input_tokens(call, route)
    most_written = call.longest_answer(route) * call.answer_count
    try:
        return highest_cost(route.price, most_input, most_written, has_sound=call.has_sound)
    except UnpricedClass as exc:
        raise _unpriced(route.name, exc) from None


def keep_affordable(call: Call) -> None:
    """Leave out the candidates that could cost more than was set for the call. Raises QuotaExceeded
    (`cap_reached`) where none is left, InvalidInput (`model_not_priced`).
    """
    most = call.most_cost
    if most is None:
        return
    dear = {route.model_id for route in _routes(call.candidates) if highest_cost_of(call, route) > most}
    affordable = [one for one in call.candidates if one.route.model_id not in dear]
    if not affordable:
        told = _("This call could cost more than is left of what was set for it.")
        raise QuotaExceeded(told, code=CAP_REACHED)
    call.candidates = affordable


async def reserve(call: Call, ledger: Ledger) -> None:
    """Write the hold, which is the dispatch mark too: the next step sends. Raises QuotaExceeded
    (`insufficient_quota`), InvalidInput (`model_not_priced`), Unavailable.
    """
    principal = call.principal
    amount = highest_price(call)
    subjects = {"tenant": TENANT_SUBJECT, "project": principal.project_id, "user": principal.user_id}
    if principal.key_id:
        subjects["key"] = principal.key_id
    request = HoldRequest(
        request_id=call.request_id,
        amount=amount,
        subjects=subjects,
        input_tokens_estimate=estimate_input_tokens(call),
        facts=facts_of(call, call.candidate),
    )
    await ledger.reserve(principal.tenant, request)
    call.held = amount


def _unpriced(model: str, missing: UnpricedClass) -> InvalidInput:
    return InvalidInput(
        _("The model “%(model)s” has prices, but none for “%(what)s”. Ask an administrator to enter one.")
        % {"model": model, "what": LABELS[missing.name]},
        code="model_not_priced",
        param="model",
    )


def facts_of(call: Call, candidate: Candidate) -> CallFacts:
    """What the usage event will say of the call if this candidate answers, kept with the hold in case this
    process dies.
    """
    route = candidate.route
    return CallFacts(
        source=call.source,
        model=route.name,
        model_id=route.model_id,
        endpoint=call.operation.name,
        connection_id=candidate.endpoint.id,
        upstream_model=candidate.upstream_name,
        price=route.price,
        trace_id=call.trace.trace_id if call.trace else "",
    )
