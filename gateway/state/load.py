"""How much work each endpoint of a model has from this process, and whose turn is next.

An order over a model's endpoints has two sources. Calls that begin alike prefer the same endpoint, where the
beginning is still in memory (weighted rendezvous hashing: Thaler and Ravishankar 1998, with -w/ln h by
Schindelhauer and Schomaker 2005). All others take turns by weight (nginx's smooth weighted round-robin).
Either way an endpoint is passed over, for the one whose turn it is, while it has clearly more in work than
its share (Mirrokni, Thorup and Zadimoghaddam 2018, consistent hashing with bounded loads), or got more calls
than its turn allows.

Does not cover: what other processes send to the same endpoints. Each spreads its own calls evenly, and so
does their sum; which endpoint a beginning prefers is the same in all of them.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from uuid import UUID

from gateway.calls import Call
from gateway.work import EndpointLoad
from models_registry.routes import Candidate

SPREAD = 1.25  # so many times its share of the calls in work may an endpoint have
FREE_PLACES = 4  # with fewer in work no endpoint is full: servers answer some at once without anybody's harm
MAX_LEAD = 8.0  # calls that an endpoint of average weight may be ahead of its turn, or behind
MAX_KNOWN = 20_000  # endpoints; those without work are forgotten first
_MASK = (1 << 64) - 1


class Load:
    """The calls in work of one process by endpoint."""

    def __init__(self) -> None:
        self._all: dict[tuple[UUID, str], EndpointLoad] = {}

    def move(self, call: Call) -> None:
        """The call is at its candidate now, and nowhere else."""
        load = self._of(call.candidate)
        if load is not call.load:
            self.leave(call)
            call.load = load
            load.in_work += 1

    def leave(self, call: Call) -> None:
        """Safe for one that is nowhere."""
        if call.load is not None:
            call.load.in_work -= 1
            call.load = None

    def arrange(self, candidates: Sequence[Candidate], beginning: int | None) -> list[Candidate]:
        """Endpoints of one model with weights above 0, in the order in which a call tries them. It is the
        first one's turn then.
        """
        if len(candidates) < 2:
            return list(candidates)
        group = _Group(candidates, [self._of(one) for one in candidates])
        order = group.by_turn()
        if beginning is not None:
            nearest = group.by_distance(beginning)
            first = nearest[0] if group.may_have(nearest[0], instead_of=order[0]) else order[0]
            order = [first, *(number for number in nearest if number != first)]
        group.take_turn(order[0])
        return [candidates[number] for number in order]

    def _of(self, candidate: Candidate) -> EndpointLoad:
        name = candidate.endpoint.id, candidate.upstream_name
        found = self._all.get(name)
        if found is None:
            if len(self._all) >= MAX_KNOWN:
                self._all = {name: one for name, one in self._all.items() if one.in_work}
            found = self._all[name] = EndpointLoad()
        return found


class _Group:
    """The endpoints among which one is chosen, by their numbers."""

    def __init__(self, candidates: Sequence[Candidate], loads: list[EndpointLoad]) -> None:
        self._candidates = candidates
        self._loads = loads
        weights = sum(one.target.weight for one in candidates)
        self._shares = [one.target.weight / weights for one in candidates]
        everything = sum(load.in_work for load in loads) + 1
        self._is_full = [
            load.in_work >= max(FREE_PLACES, math.ceil(SPREAD * share * everything))
            for load, share in zip(loads, self._shares, strict=True)
        ]

    def by_turn(self) -> list[int]:
        """Those that are full come last, the one with least in work first."""

        def standing(number: int) -> tuple[bool, float]:
            load, share = self._loads[number], self._shares[number]
            is_full = self._is_full[number]
            return is_full, load.in_work / share if is_full else load.lead - share

        return sorted(range(len(self._loads)), key=standing)

    def by_distance(self, beginning: int) -> list[int]:
        distances = [_distance(one, beginning) for one in self._candidates]
        return sorted(range(len(distances)), key=distances.__getitem__)

    def may_have(self, wanted: int, *, instead_of: int) -> bool:
        """Whether an endpoint has room, is not too far ahead, and the one whose turn it is not too far
        behind.
        """
        ahead = self._loads[wanted].lead + 1 - self._shares[wanted]
        behind = self._shares[instead_of] - self._loads[instead_of].lead
        is_even = ahead <= self._max_lead(wanted) and behind < self._max_lead(instead_of)
        return is_even and not self._is_full[wanted]

    def take_turn(self, chosen: int) -> None:
        """Who hangs is owed no more than the lead that others may have, and is not flooded when it answers
        again; what it missed beyond that was the turn of all.
        """
        missed = 0.0
        for number, (load, share) in enumerate(zip(self._loads, self._shares, strict=True)):
            load.lead -= share
            beyond = -self._max_lead(number) - load.lead
            if beyond > 0:
                load.lead += beyond
                missed += beyond
        self._loads[chosen].lead += 1
        if missed:
            for load, share in zip(self._loads, self._shares, strict=True):
                load.lead -= missed * share

    def _max_lead(self, number: int) -> float:
        """In calls: of a lighter endpoint fewer, and at least the one whose turn it is."""
        return max(1.0, MAX_LEAD * self._shares[number] * len(self._shares))


def _distance(candidate: Candidate, beginning: int) -> float:
    """Of an endpoint from a beginning: the nearest is each with the share of its weight."""
    mixed = (beginning ^ _seed(candidate.endpoint.id, candidate.upstream_name)) * 0x9E3779B97F4A7C15 & _MASK
    mixed = (mixed ^ mixed >> 32) * 0xD6E8FEB86659FD93 & _MASK
    return -math.log(((mixed ^ mixed >> 32) + 1) / (_MASK + 2)) / candidate.target.weight


@lru_cache(maxsize=MAX_KNOWN)
def _seed(endpoint_id: UUID, upstream_name: str) -> int:
    return int.from_bytes(blake2b(endpoint_id.bytes + upstream_name.encode(), digest_size=8).digest())
