"""Between steps 6 and 8: which candidate is tried, and what follows one that failed before the first byte.

Another endpoint of the model at once; the same one again after a pause with jitter, or the one that the
server asks for; then the models that stand in. What the caller did wrong, and what has begun or was charged
for, is not tried again.
"""

import asyncio
import random
from collections.abc import Callable

from foundation.errors import AtriumError, UpstreamError
from gateway.answers.refusals import UpstreamBusy
from gateway.calls import Call
from gateway.errors import UpstreamTimeout
from gateway.state.breaker import Breaker, resting
from gateway.steps.resolve import MAX_ATTEMPTS
from models_registry.routes import Candidate

MAX_OF_ONE = 3
LAST_BEGIN_S = 1_800  # no attempt begins later: a call ends long before the ledger takes it for forgotten
PAUSES_S = (0.15, 0.6)  # before the second and the third attempt at one endpoint, more or less half of it
MAX_PAUSE_S = 5.0  # a server that wants to be left alone for longer is
MAX_ALL_PAUSES_S = 10.0
# Nothing was begun, or the server says that it cannot at the moment: the next moment may be better.
AGAIN = frozenset(
    {"upstream_unreachable", "upstream_disconnected", "upstream_error", "upstream_rate_limited"}
)
UPSTREAMS = (UpstreamError, UpstreamTimeout, UpstreamBusy)
Jitter = Callable[[float, float], float]


def choose_first(call: Call, breaker: Breaker) -> None:
    """Begin with the first candidate that is not left alone. Raises UpstreamError (`upstream_unavailable`) if
    every one is.
    """
    waits_s = []
    for position, candidate in enumerate(call.candidates):
        wait_s = breaker.wait_s(call, candidate)
        if not wait_s:
            call.candidates = call.candidates[position:]
            call.begin_attempt(candidate)
            return
        waits_s.append(wait_s)
    raise resting(min(waits_s))


class Attempts:
    """What follows the first one. `follow` makes the next candidate the call's."""

    def __init__(self, call: Call, breaker: Breaker, jitter: Jitter = random.uniform) -> None:
        self._call = call
        self._breaker = breaker
        self._jitter = jitter
        self._waiting = list(call.candidates[1:])
        self._of_one = 1  # attempts at the current candidate
        self._count = 1
        self._paused_s = 0.0

    async def follow(self, error: AtriumError) -> bool:
        """Whether another attempt follows one that ended with this error; then it is the current one, and
        its pause is over.
        """
        call = self._call
        has_cost = call.usage is not None or call.first_token_s is not None
        is_late = call.elapsed_ms() > LAST_BEGIN_S * 1_000
        if has_cost or is_late or self._count >= MAX_ATTEMPTS or not isinstance(error, UPSTREAMS):
            return False
        candidate = self._take()
        pause_s = 0.0 if candidate else self._pause_s(error)
        if pause_s is None:
            return False
        call.was_refused = True  # who leaves in the pause pays nothing for what was lost
        self._count += 1
        self._of_one = 1 if candidate else self._of_one + 1
        self._paused_s += pause_s
        await asyncio.sleep(pause_s)
        call.lose_attempt(error.code)
        call.begin_attempt(candidate or call.candidate)
        return True

    def _take(self) -> Candidate | None:
        """The next one that is not left alone."""
        while self._waiting:
            candidate = self._waiting.pop(0)
            if not self._breaker.wait_s(self._call, candidate):
                return candidate
        return None

    def _pause_s(self, error: AtriumError) -> float | None:
        """How long to wait before the same candidate is asked again; None: it is not."""
        if error.code not in AGAIN or self._of_one >= MAX_OF_ONE:
            return None
        pause_s = PAUSES_S[self._of_one - 1] * self._jitter(0.5, 1.5)
        asked_s = error.asked_pause_s if isinstance(error, UpstreamBusy) else error.retry_after_s
        pause_s = max(pause_s, asked_s or 0.0)
        if pause_s > MAX_PAUSE_S or self._paused_s + pause_s > MAX_ALL_PAUSES_S:
            return None
        return None if self._breaker.wait_s(self._call, self._call.candidate) else pause_s
