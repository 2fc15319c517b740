"""Step 4: is there room for this call now? All limits that bind it are asked at once, and it counts in all of
them or in none. At its end its place and the tokens it did not use are given back.
"""

from django.utils.translation import gettext_noop

from foundation.errors import QuotaExceeded
from foundation.told import gettext as _
from gateway.answers.usage import estimate_input_tokens
from gateway.bounds import Bounds, Verdict
from gateway.calls import Call, Principal
from gateway.state.limits import Limiter
from gateway.state.snapshot import TenantSnapshot
from tenants.measures import TOKENS, Measure, say_limit

REQUESTS = frozenset({Measure.REQUESTS_PER_MINUTE})
WHOSE = {
    "key": gettext_noop("The limit of this API key"),
    "maker": gettext_noop("The limit of the API key that made this one"),
    "user": gettext_noop("Your own limit"),
    "project": gettext_noop("The limit of this project"),
    "tenant": gettext_noop("The limit of your organisation"),
    "plan": gettext_noop("The limit of your organisation's plan"),
    "model": gettext_noop("The limit of this model"),
}


async def admit(call: Call, snapshot: TenantSnapshot, limiter: Limiter) -> None:
    """Count the call; one without candidates (its model does not exist) as a request only. Limits of tokens
    bound the answer where the caller does not. Raises QuotaExceeded (`rate_limit_exceeded`), with the
    seconds to wait where waiting helps.
    """
    bounds = snapshot.bounds_of(call.principal, call.route if call.candidates else None)
    if not call.candidates:
        bounds = _of_requests(bounds)
    if not bounds:
        return
    rooms = [bound.amount for bound in bounds if bound.is_of_tokens]
    verdict = await limiter.admit(bounds, _most_tokens(call, min(rooms)) if rooms else 0)
    call.headers += _headers(verdict)
    if not verdict.is_admitted:
        raise _refusal(call, verdict)
    call.admitted = verdict


async def admit_unread(
    principal: Principal, snapshot: TenantSnapshot, limiter: Limiter
) -> list[tuple[bytes, bytes]]:
    """Count a request of which no call became, since its body could not be taken; gives the headers for its
    answer. Raises QuotaExceeded.
    """
    bounds = _of_requests(snapshot.bounds_of(principal, None))
    if not bounds:
        return []
    verdict = await limiter.admit(bounds)
    if not verdict.is_admitted:
        refusal = _reached(verdict)
        refusal.headers = _headers(verdict)
        raise refusal
    return _headers(verdict)


def _of_requests(bounds: Bounds) -> Bounds:
    return tuple(bound for bound in bounds if bound.measure in REQUESTS)


def give_back(call: Call, limiter: Limiter) -> None:
    """The call is over, however it ended. Again changes nothing."""
    if call.admitted is None:
        return
    verdict, call.admitted = call.admitted, None
    limiter.give_back(verdict, _used_tokens(call))


def _used_tokens(call: Call) -> int:
    """As billed, with the attempts that were lost; nothing of a call that was never sent."""
    usage = call.usage
    if usage is None or not call.is_settled:
        return 0
    return usage.total_tokens + sum(one.usage.total_tokens for one in call.attempts)


def _most_tokens(call: Call, room: int) -> int:
    """The input by estimate, and the longest answers that a candidate may give. Answers that only we bound
    get at most half of what the input leaves of the `room`: else no call that names no bound could pass a
    small limit, or one would have to wait until the one before has fallen out.
    """
    given, count = estimate_input_tokens(call), call.answer_count
    longest = max(call.longest_answer(one.route) for one in call.candidates)
    half = (room - given) // (2 * count)
    if not call.asked_output_tokens and longest > half > 0:
        longest = call.most_output_tokens = half
    return given + longest * count


def _headers(verdict: Verdict) -> list[tuple[bytes, bytes]]:
    headers = []
    for name, measures in ((b"requests", REQUESTS), (b"tokens", TOKENS)):
        place = verdict.tightest(measures)
        if place is not None:
            headers += [
                (b"x-ratelimit-limit-" + name, b"%d" % verdict.bounds[place].amount),
                (b"x-ratelimit-remaining-" + name, b"%d" % max(0, verdict.left[place])),
                (b"x-ratelimit-reset-" + name, b"%.1fs" % verdict.reset_s[place]),
            ]
    return headers


def _refusal(call: Call, verdict: Verdict) -> QuotaExceeded:
    if verdict.wait_s[verdict.refusing] is None:
        whose, how_much = _say_refusing(verdict)
        call.headers.append((b"x-should-retry", b"false"))  # clients of OpenAI's repeat every other 429
        message = (
            _(
                "%(whose)s is %(how_much)s. This call alone may use %(tokens)s tokens: shorten it, or lower "
                "“max_tokens”."
            )
            if call.asked_output_tokens
            else _("%(whose)s is %(how_much)s. This call alone may use %(tokens)s tokens: shorten it.")
        ) % {"whose": whose, "how_much": how_much, "tokens": verdict.tokens}
        return QuotaExceeded(message, code="rate_limit_exceeded")
    return _reached(verdict)


def _reached(verdict: Verdict) -> QuotaExceeded:
    """Of a limit in which there is room again later."""
    whose, how_much = _say_refusing(verdict)
    seconds = max(1, round((verdict.wait_s[verdict.refusing] or 0) + 0.5))
    message = _("%(whose)s is reached: %(how_much)s.") % {"whose": whose, "how_much": how_much}
    again = _("Try again in %(seconds)s s.") % {"seconds": seconds}
    return QuotaExceeded(message + " " + again, code="rate_limit_exceeded", retry_after_s=seconds)


def _say_refusing(verdict: Verdict) -> tuple[str, str]:
    """Whose the limit is that keeps the call out, and what it allows."""
    bound = verdict.bounds[verdict.refusing]
    return _(WHOSE[bound.level]), say_limit(bound.measure, bound.amount)
