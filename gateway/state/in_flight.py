"""How many calls this process has in work at once: of one caller, of one tenant, of all. Whoever comes beyond
that is sent away before work starts.

A tenant may have no more calls than there are places free (Choudhury and Hahne 1998, dynamic queue length
thresholds): one that is alone has half of them, two have a third each, and whoever comes always finds as much
room as each of those who are there has.

Guards against: a client that opens streams without end, tenants that take the process, and with it the
connections to a server they share, from the others; more work than the machine can do.
Does not cover: sums over several processes, and what somebody may have by a limit (gateway.state.limits).
Places are not taken back: after a rush of newcomers a tenant above its share keeps it until its calls end.
"""

from collections import Counter
from collections.abc import Iterator

from foundation.errors import QuotaExceeded, Unavailable
from foundation.told import gettext as _
from gateway.calls import Call

OF_CALLER, OF_ALL = 250, 2_000
RETRY_AFTER_S = 1


class InFlight:
    """The calls in work. `leave` may be told a call twice, and one that never entered."""

    def __init__(self) -> None:
        self._all = 0
        self._by_name: Counter[str] = Counter()

    def enter(self, call: Call) -> None:
        """Raises QuotaExceeded (`too_many_calls`) for a caller or tenant with too many calls in work,
        Unavailable (`overloaded`) for everyone.
        """
        free = OF_ALL - self._all
        if free <= 0:
            raise Unavailable(
                _("The server has as many calls in work as it can do. Try again in a moment."),
                code="overloaded",
                retry_after_s=RETRY_AFTER_S,
            )
        for name, limit in zip(_names(call), (OF_CALLER, free), strict=True):
            count = self._by_name[name]
            if count >= limit:
                message = _("%(limit)s calls are in work at once already. Wait until one of them ends.") % {
                    "limit": count
                }
                raise QuotaExceeded(message, code="too_many_calls", retry_after_s=RETRY_AFTER_S)
        call.is_in_flight = True
        self._count(call, 1)

    def leave(self, call: Call) -> None:
        if call.is_in_flight:
            call.is_in_flight = False
            self._count(call, -1)

    def _count(self, call: Call, change: int) -> None:
        self._all += change
        for name in _names(call):
            self._by_name[name] += change
            if not self._by_name[name]:
                del self._by_name[name]


def _names(call: Call) -> Iterator[str]:
    principal = call.principal
    yield f"{principal.tenant}/{principal.key_name or principal.user_id}"
    yield principal.tenant
