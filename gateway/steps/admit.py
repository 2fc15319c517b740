"""Step 3: is there room for this call now? Requests per minute by plan and by key; the answer's
`x-ratelimit-*` headers.
"""

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from foundation.errors import QuotaExceeded
from gateway.calls import Call
from gateway.state.limits import Limiter, Verdict
from gateway.state.snapshot import TenantSnapshot

KEY_RULE = gettext_noop("This API key may make %(limit)s requests per minute.")
PLAN_RULE = gettext_noop("Your organisation's plan allows %(limit)s requests per minute.")


async def admit(call: Call, snapshot: TenantSnapshot, limiter: Limiter) -> None:
    """Count the call. Raises QuotaExceeded (`rate_limit_exceeded`) with the seconds to wait."""
    principal, counters, rules = call.principal, [], []
    if principal.requests_per_minute and principal.key_name:
        counters.append((f"{principal.tenant}:rpm:key:{principal.key_name}", principal.requests_per_minute))
        rules.append(KEY_RULE)
    if snapshot.requests_per_minute:
        counters.append((f"{principal.tenant}:rpm:tenant", snapshot.requests_per_minute))
        rules.append(PLAN_RULE)
    if counters:
        verdict = await limiter.admit(*counters)
        _judge(call, verdict, rules[verdict.tightest])


def _judge(call: Call, verdict: Verdict, rule: str) -> None:
    call.headers = [
        (b"x-ratelimit-limit-requests", b"%d" % verdict.limit),
        (b"x-ratelimit-remaining-requests", b"%d" % verdict.remaining),
        (b"x-ratelimit-reset-requests", b"%.1fs" % verdict.reset_s),
    ]
    if not verdict.is_admitted:
        wait_s = max(1, round(verdict.reset_s + 0.5))
        message = (
            _(rule) % {"limit": verdict.limit} + " " + _("Try again in %(seconds)s s.") % {"seconds": wait_s}
        )
        raise QuotaExceeded(message, code="rate_limit_exceeded", retry_after_s=wait_s)
