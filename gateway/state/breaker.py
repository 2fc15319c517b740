"""Which candidates of a tenant are left alone for a while, each by itself.

Closed to all: one that fails again and again (no connection, a broken answer, status 5xx), ten times in ten
seconds. One call may try after a pause.

Resting, which means asked only where nobody else is: one that let us wait in vain several times in a row,
however far apart, for as long as the last wait was; one that asked to be left alone; and one that takes no
request as the connection is set up (a dead key, no credit). A rest ends by time; that after waits in vain by
an answer too. All of it ends at once where the connection was changed.

Refusals of a single request are none of these. A server that is closed is asked by us meanwhile
(gateway.probes): if it answers, a call may try before the pause is over.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

from foundation.errors import UpstreamError
from foundation.told import gettext as _
from gateway.calls import Call
from models_registry.routes import Candidate, Endpoint

FAILURES = 10  # in a row
WITHIN_S = 10.0
PAUSE_S = 10.0
SLOW_FAILURES = 3  # in a row: each has cost a caller the whole limit
MAX_SLOW_REST_S = 120.0
MAX_ASKED_REST_S = 300.0  # a server's word; limits may be raised meanwhile
MISFIT_REST_S = 30.0
SLOW = frozenset({"upstream_timeout", "upstream_idle", "upstream_unreachable"})
ILL = SLOW | {
    "upstream_disconnected",
    "upstream_error",
    "upstream_invalid_response",
}
# With `Retry-After`: busy, or away for a moment.
ASKING = frozenset({"upstream_rate_limited", "upstream_error"})
# What only an administrator can change, here or at the provider.
MISFIT = frozenset({"upstream_credentials", "upstream_quota", "upstream_region", "upstream_not_found"})


@dataclass(slots=True)
class _Circuit:
    endpoint: Endpoint  # as it was: another key or address is another server
    failed_s: list[float] = field(default_factory=list)  # the last failures in a row
    open_until_s: float = 0.0
    slow_failures: int = 0  # of those in a row
    slow_rest_s: float = 0.0  # how long it rests for these, and again when one tries
    slow_until_s: float = 0.0
    rests_until_s: float = 0.0

    def clear(self) -> None:
        """It has answered."""
        self.failed_s.clear()
        self.slow_failures = 0
        self.open_until_s = self.slow_rest_s = self.slow_until_s = 0.0


class Breaker:
    """The circuits of one process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._circuits: dict[tuple[str, UUID, str, str], _Circuit] = {}
        self._clock = clock

    def wait_s(self, call: Call, candidate: Candidate) -> float:
        """For how long the candidate is closed to all; 0 if it may be tried."""
        circuit = self._find(call, candidate)
        return max(0.0, circuit.open_until_s - self._clock()) if circuit else 0.0

    def is_ready(self, call: Call, candidate: Candidate) -> bool:
        """Whether it is neither closed nor resting."""
        circuit = self._find(call, candidate)
        if circuit is None:
            return True
        return max(circuit.open_until_s, circuit.slow_until_s, circuit.rests_until_s) <= self._clock()

    def begin(self, call: Call) -> None:
        """A call goes to its candidate now. After a pause, one may try; the next pause begins with it."""
        circuit = self._find(call, call.candidate)
        if circuit is None:
            return
        if circuit.open_until_s:
            circuit.open_until_s = self._clock() + PAUSE_S
        if circuit.slow_rest_s:
            circuit.slow_until_s = self._clock() + circuit.slow_rest_s

    def note(self, call: Call, error_code: str) -> None:
        """How an attempt ended that was sent to the call's candidate: with an error, or with ""."""
        now_s, circuit = self._clock(), self._find(call, call.candidate)
        rest_s = _rest_s(call, error_code)
        if circuit is None:
            if error_code not in ILL and not rest_s:
                return
            circuit = _Circuit(call.candidate.endpoint)
            self._circuits[_name(call, call.candidate)] = circuit
        if rest_s:
            circuit.rests_until_s = max(circuit.rests_until_s, now_s + rest_s)
        if error_code in ILL:
            _note_failure(circuit, now_s)
            if error_code in SLOW:
                _note_slow(circuit, now_s, call.attempt_waited_s())
        else:
            circuit.clear()
            if circuit.rests_until_s <= now_s:
                del self._circuits[_name(call, call.candidate)]

    def list_ill(self) -> dict[Endpoint, bool]:
        """The endpoints that were closed and have answered no call since; of each whether it is closed now.
        Who only rests is helped by time alone.
        """
        now_s = self._clock()
        ill: dict[Endpoint, bool] = {}
        for circuit in self._circuits.values():
            if circuit.open_until_s:
                ill[circuit.endpoint] = ill.get(circuit.endpoint, False) or circuit.open_until_s > now_s
        return ill

    def let_try(self, endpoint: Endpoint) -> None:
        """It gave a sign of life: the next call may try, as after the pause, of each tenant and model one. No
        rest after waits in vain ends by it: servers that hang list their models still.
        """
        now_s = self._clock()
        for circuit in self._circuits.values():
            if circuit.endpoint == endpoint:
                circuit.open_until_s = min(circuit.open_until_s, now_s)

    def _find(self, call: Call, candidate: Candidate) -> _Circuit | None:
        """None too where what is known is of the connection as it was before a change."""
        if not self._circuits:  # all are well, as nearly always
            return None
        circuit = self._circuits.get(_name(call, candidate))
        return circuit if circuit is not None and circuit.endpoint == candidate.endpoint else None


def _rest_s(call: Call, error_code: str) -> float:
    if error_code in ASKING:
        return min(call.asked_pause_s or 0.0, MAX_ASKED_REST_S)
    return MISFIT_REST_S if error_code in MISFIT else 0.0


def _note_failure(circuit: _Circuit, now_s: float) -> None:
    circuit.failed_s = [*circuit.failed_s[1 - FAILURES :], now_s]
    is_often = len(circuit.failed_s) == FAILURES and now_s - circuit.failed_s[0] <= WITHIN_S
    if circuit.open_until_s or is_often:
        circuit.open_until_s = now_s + PAUSE_S


def _note_slow(circuit: _Circuit, now_s: float, waited_s: float) -> None:
    circuit.slow_failures += 1
    if circuit.slow_failures >= SLOW_FAILURES:
        circuit.slow_rest_s = min(max(waited_s, PAUSE_S), MAX_SLOW_REST_S)
        circuit.slow_until_s = now_s + circuit.slow_rest_s


def resting(wait_s: float) -> UpstreamError:
    """Every candidate is closed to all."""
    seconds = max(1, round(wait_s + 0.5))
    message = _(
        "The model server has failed many times in a row and is left alone for a moment. Try again "
        "in %(seconds)s s, or choose another model."
    )
    return UpstreamError(message % {"seconds": seconds}, code="upstream_unavailable", retry_after_s=seconds)


def _name(call: Call, candidate: Candidate) -> tuple[str, UUID, str, str]:
    """Apart for each tenant: requests of one that make a shared server fail must not close it to the others.
    And for each operation: who counts tokens may be unable to answer.
    """
    asked = call.operation.upstream_name
    return call.principal.tenant, candidate.endpoint.id, candidate.upstream_name, asked
