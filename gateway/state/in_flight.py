"""How many calls this process has in work at once: of one caller, of one tenant, of all. Whoever comes beyond
that waits a moment in line, where tenants are taken in turn, each with one call, however many of its calls
wait; where the line is full, or the moment over, a call is sent away before work starts.

A tenant may have no more calls than there are places free (Choudhury and Hahne 1998, dynamic queue length
thresholds): one that is alone has half of them, two have a third each, and whoever comes always finds as much
room as each of those who are there has.

Guards against: a client that opens streams without end, tenants that take the process, and with it the
connections to a server they share, from the others; more work than the machine can do.
Does not cover: sums over several processes, and what somebody may have by a limit (gateway.state.limits);
callers with too many calls of their own, who do not wait.
Places are not taken back: after a rush of newcomers a tenant above its share keeps it until its calls end.
"""

import asyncio
from collections import Counter, deque

from foundation.errors import AtriumError, QuotaExceeded, Unavailable
from foundation.told import gettext as _
from gateway.calls import Call

OF_CALLER, OF_ALL = 250, 2_000
RETRY_AFTER_S = 1
PATIENCE_S = 5.0
# Those that wait hold their requests' bodies: a tenth of those in work at most, and of one tenant a part.
MAX_LINE, MAX_LINE_OF_TENANT = 200, 50


_Waiting = tuple[asyncio.Future[None], Call]  # in line


class InFlight:
    """The calls in work. `leave` may be told a call twice, and one that never entered."""

    def __init__(self) -> None:
        self._all = 0
        self._by_name: Counter[str] = Counter()
        self._line: dict[str, deque[_Waiting]] = {}  # tenant → its calls; the tenant whose turn is next first

    async def come_in(self, call: Call) -> None:
        """As `enter`, once there is a place, if that is soon."""
        tenant = call.principal.tenant
        if tenant not in self._line:
            try:
                self.enter(call)
                return
            except AtriumError:
                if not self._may_wait(call):
                    raise
        elif not self._may_wait(call):
            raise _overloaded()
        waiting = asyncio.get_running_loop().create_future(), call
        self._line.setdefault(tenant, deque()).append(waiting)
        try:
            async with asyncio.timeout(PATIENCE_S):
                await waiting[0]
        except TimeoutError:
            self._leave_line(tenant, waiting)
            if not call.is_in_flight:
                self.enter(call)  # tells why not
        except BaseException:
            self._leave_line(tenant, waiting)
            self.leave(call)
            raise

    def enter(self, call: Call) -> None:
        """Raises QuotaExceeded (`too_many_calls`) for a caller or tenant with too many calls in work,
        Unavailable (`overloaded`) for everyone.
        """
        free = OF_ALL - self._all
        if free <= 0:
            raise _overloaded()
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
            if self._line:
                self._let_in()

    def _may_wait(self, call: Call) -> bool:
        caller, tenant = _names(call)
        length = sum(map(len, self._line.values()))
        theirs = len(self._line.get(tenant, ()))
        return self._by_name[caller] < OF_CALLER and length < MAX_LINE and theirs < MAX_LINE_OF_TENANT

    def _let_in(self) -> None:
        """As many as there are places for; each tenant that got one comes behind all others that wait."""
        for tenant in list(self._line):
            ours = self._line[tenant]
            while ours and ours[0][0].done():  # it is leaving the line just now
                ours.popleft()
            if ours:
                future, call = ours[0]
                try:
                    self.enter(call)
                except AtriumError:
                    continue
                ours.popleft()
                future.set_result(None)
            del self._line[tenant]
            if ours:
                self._line[tenant] = ours

    def _leave_line(self, tenant: str, waiting: _Waiting) -> None:
        ours = self._line.get(tenant)
        if ours is not None and waiting in ours:
            ours.remove(waiting)
            if not ours:
                del self._line[tenant]

    def _count(self, call: Call, change: int) -> None:
        self._all += change
        for name in _names(call):
            self._by_name[name] += change
            if not self._by_name[name]:
                del self._by_name[name]


def _overloaded() -> Unavailable:
    return Unavailable(
        _("The server has as many calls in work as it can do. Try again in a moment."),
        code="overloaded",
        retry_after_s=RETRY_AFTER_S,
    )


def _names(call: Call) -> tuple[str, str]:
    principal = call.principal
    caller = f"{principal.tenant}/{principal.key_name or principal.user_id}"
    return caller, principal.tenant
