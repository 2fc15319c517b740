"""Between steps 6 and 8: which candidate is tried, and what follows one that failed before the first byte.

Another endpoint of the model at once; the same one again after a pause with jitter, or the one that the
server asks for, unless bytes of its answer came; then the models that stand in. What the caller did wrong,
and what has begun or was charged for by a report, is not tried again, but for an answer in which nothing was
written; what is too long for a model goes to the stand-ins with more room alone. An answer that
does not keep the form which we hold it to goes back to its model, once.

What a lost attempt may have cost is part of the bill (docs/decisions/0013): the hold is raised to cover it
and the next attempt before that is sent, or none follows. So the books also know who is asked, if this
process dies. All attempts share one time limit, of which one has no more than half while another candidate
waits.
"""

import asyncio
import logging
import random
from collections.abc import Callable

from foundation.errors import AtriumError, UpstreamError
from gateway.answers.broken import BrokenForm
from gateway.answers.empty import EmptyAnswer
from gateway.answers.refusals import UpstreamBusy
from gateway.answers.usage import TEMPLATE_TOKENS, estimate_input_tokens
from gateway.calls import Call
from gateway.errors import UpstreamTimeout
from gateway.state.breaker import Breaker, resting
from gateway.steps.choose import MAX_ATTEMPTS
from gateway.steps.reserve import facts_of, highest_cost_of
from gateway.steps.settle import lost_attempt
from models_registry.routes import Candidate
from usage.ledger.bookings import LostAttempt, NextAttempt, lost_cost
from usage.ledger.ledger import Ledger

logger = logging.getLogger(__name__)

MAX_OF_ONE = 3
PAUSES_S = (0.15, 0.6)  # before the second and the third attempt at one endpoint, more or less half of it
MAX_PAUSE_S = 5.0  # a server that wants to be left alone for longer is
MAX_ALL_PAUSES_S = 10.0
# Nothing was begun, or the server says that it cannot at the moment: the next moment may be better.
AGAIN = frozenset(
    {"upstream_unreachable", "upstream_disconnected", "upstream_error", "upstream_rate_limited"}
)
AROUND_CORRECTION = 1_000  # bytes: the reason, and the frames of two messages
TOO_LONG = "context_length_exceeded"
UPSTREAMS = (UpstreamError, UpstreamTimeout, UpstreamBusy)
Jitter = Callable[[float, float], float]


def choose_first(call: Call, breaker: Breaker) -> None:
    """Begin with the first candidate that is not left alone, else with one that only rests. Raises
    UpstreamError (`upstream_unavailable`) if every one is closed.
    """
    waits_s = [breaker.wait_s(call, candidate) for candidate in call.candidates]
    if all(waits_s):
        raise resting(min(waits_s))

    def standing(candidate: Candidate) -> tuple[bool, bool]:
        return breaker.wait_s(call, candidate) > 0, not breaker.is_ready(call, candidate)

    if len(call.candidates) > 1:
        call.candidates = sorted(call.candidates, key=standing)
    call.begin_attempt(call.candidates[0])


def has_more_room(call: Call, candidate: Candidate) -> bool:
    """Whether a candidate's window is known to be larger than that of the model that is asked now; where
    nobody knows that one, whether it holds what the request is taken for.
    """
    window, known = candidate.route.context_window, call.route.context_window
    if not window:
        return False
    return window > (known or estimate_input_tokens(call) + TEMPLATE_TOKENS)


class Attempts:
    """What follows the first one. `follow` makes the next candidate the call's."""

    def __init__(self, call: Call, breaker: Breaker, ledger: Ledger, jitter: Jitter = random.uniform) -> None:
        self._call = call
        self._breaker = breaker
        self._ledger = ledger
        self._jitter = jitter
        self._waiting = list(call.candidates[1:])
        self._of_one = 1  # attempts at the current candidate
        self._count = 1
        self._paused_s = 0.0
        call.has_next = self._find(is_ready=True) is not None

    async def follow(self, error: AtriumError) -> bool:
        """Whether another attempt follows one that ended with this error; then it is the current one, and
        its pause is over.
        """
        call = self._call
        call.attempt_error = error.code
        if isinstance(error, BrokenForm):
            return await self._let_correct(error)
        has_cost = call.usage is not None or call.first_token_s is not None
        if (has_cost and not isinstance(error, EmptyAnswer)) or self._count >= MAX_ATTEMPTS:
            return False
        if error.code == TOO_LONG:
            self._waiting = [candidate for candidate in self._waiting if has_more_room(call, candidate)]
        elif not isinstance(error, UPSTREAMS):
            return False
        candidate = self._find(is_ready=True)
        pause_s = 0.0 if candidate else self._pause_s(error)
        if pause_s is None and (candidate := self._find(is_ready=False)):
            pause_s = 0.0
        if pause_s is None or pause_s >= call.left_s():
            return False
        lost, following = lost_attempt(call), candidate or call.candidate
        if not await self._is_covered(lost, following):
            return False
        if candidate:
            self._waiting.remove(candidate)
        call.lose_attempt(lost)
        self._count += 1
        self._of_one = 1 if candidate else self._of_one + 1
        self._paused_s += pause_s
        await asyncio.sleep(pause_s)
        call.has_next = self._count < MAX_ATTEMPTS and self._find(is_ready=True) is not None
        call.begin_attempt(following)
        return True

    async def _let_correct(self, error: BrokenForm) -> bool:
        """Whether the model is asked once more, with what it said and what is wrong with it."""
        call, correction = self._call, error.correction
        if call.correction is not None or self._count >= MAX_ATTEMPTS or call.left_s() <= 0:
            return False
        lost, size_bytes, is_covered = lost_attempt(call), call.size_bytes, False
        call.correction = correction
        call.size_bytes += len(correction.text.encode()) + AROUND_CORRECTION
        try:
            is_covered = await self._is_covered(lost, call.candidate)
        finally:
            if not is_covered:  # the first answer's bill is of what was sent for it
                call.correction, call.size_bytes = None, size_bytes
        if not is_covered:
            return False
        call.lose_attempt(lost)
        self._count += 1
        self._of_one += 1
        call.begin_attempt(call.candidate)
        return True

    async def _is_covered(self, lost: LostAttempt, following: Candidate) -> bool:
        """Whether the hold covers what was lost and the next attempt, and names who is asked now."""
        call = self._call
        if following is call.candidate and not lost.cost:
            return True
        attempts = (*call.attempts, lost)
        amount = lost_cost(attempts) + highest_cost_of(call, following.route)
        if call.most_cost is not None and amount > call.most_cost:
            return False
        facts = facts_of(call, following)
        call.is_hold_moved = True
        try:
            await self._ledger.follow(
                call.principal.tenant, NextAttempt(call.request_id, amount, facts, attempts)
            )
        except AtriumError as exc:
            logger.info("no further attempt at call %s: %s", call.request_id, exc.code)
            return False
        if call.held is not None:
            call.held = max(call.held, amount)
        return True

    def _find(self, *, is_ready: bool) -> Candidate | None:
        """The next one that is not left alone, or else the next that only rests."""
        for candidate in self._waiting:
            if self._breaker.is_ready(self._call, candidate) if is_ready else not self._wait_s(candidate):
                return candidate
        return None

    def _wait_s(self, candidate: Candidate) -> float:
        return self._breaker.wait_s(self._call, candidate)

    def _pause_s(self, error: AtriumError) -> float | None:
        """How long to wait before the same candidate is asked again; None: it is not."""
        call = self._call
        if call.has_begun and not call.was_refused:
            return None
        pause_s = find_pause_s(call, error, self._of_one, self._jitter(0.5, 1.5))
        if pause_s is None or self._paused_s + pause_s > MAX_ALL_PAUSES_S:
            return None
        return None if self._wait_s(call.candidate) else pause_s


def find_pause_s(call: Call, error: AtriumError, tries: int, jitter: float) -> float | None:
    """How long to wait after so many tries at one server before the next; None: this error is no reason for
    one, or the server wants a longer pause than a caller has.
    """
    if error.code not in AGAIN or tries >= MAX_OF_ONE or not call.may_ask_again:
        return None
    pause_s = PAUSES_S[tries - 1] * jitter
    if error.retry_after_s:
        pause_s = max(pause_s, call.asked_pause_s or 0.0)
    return pause_s if pause_s <= MAX_PAUSE_S else None
