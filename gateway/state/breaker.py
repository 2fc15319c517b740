"""A circuit breaker for each candidate of a tenant: one that fails again and again is left alone for a while;
callers go to another, or hear at once that it is away.

Counted: what says that the server is ill (no connection, no answer in time, a broken answer, status 5xx).
Refusals of a single request are not.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

from django.utils.translation import gettext as _

from foundation.errors import UpstreamError
from gateway.calls import Call
from models_registry.routes import Candidate

FAILURES = 10  # in a row
WITHIN_S = 10.0
PAUSE_S = 10.0
ILL = frozenset(
    {
        "upstream_unreachable",
        "upstream_timeout",
        "upstream_idle",
        "upstream_disconnected",
        "upstream_error",
        "upstream_invalid_response",
    }
)


@dataclass(slots=True)
class _Circuit:
    failed_s: list[float] = field(default_factory=list)  # the last failures in a row
    open_until_s: float = 0.0


class Breaker:
    """The circuits of one process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._circuits: dict[tuple[str, UUID, str], _Circuit] = {}
        self._clock = clock

    def wait_s(self, call: Call, candidate: Candidate) -> float:
        """For how long the candidate is left alone; 0 if it may be tried."""
        circuit = self._circuits.get(_name(call, candidate))
        if circuit is None or not circuit.open_until_s:
            return 0.0
        return max(0.0, circuit.open_until_s - self._clock())

    def begin(self, call: Call) -> None:
        """A call goes to its candidate now. After a pause, one may try; the next pause begins with it."""
        circuit = self._circuits.get(_name(call, call.candidate))
        if circuit is not None and circuit.open_until_s:
            circuit.open_until_s = self._clock() + PAUSE_S

    def note(self, call: Call, error_code: str) -> None:
        """How an attempt ended that was sent to the call's candidate: with an error, or with ""."""
        name = _name(call, call.candidate)
        if error_code not in ILL:
            self._circuits.pop(name, None)
            return
        circuit = self._circuits.setdefault(name, _Circuit())
        now_s = self._clock()
        circuit.failed_s = [*circuit.failed_s[1 - FAILURES :], now_s]
        if circuit.open_until_s or (
            len(circuit.failed_s) == FAILURES and now_s - circuit.failed_s[0] <= WITHIN_S
        ):
            circuit.open_until_s = now_s + PAUSE_S


def resting(wait_s: float) -> UpstreamError:
    """Every candidate is left alone."""
    seconds = max(1, round(wait_s + 0.5))
    message = _(
        "The model server has failed many times in a row and is left alone for a moment. Try again "
        "in %(seconds)s s, or choose another model."
    )
    return UpstreamError(message % {"seconds": seconds}, code="upstream_unavailable", retry_after_s=seconds)


def _name(call: Call, candidate: Candidate) -> tuple[str, UUID, str]:
    """Apart for each tenant: requests of one that make a shared server
    fail must not close it to the others.
    """
    return call.principal.tenant, candidate.endpoint.id, candidate.upstream_name
