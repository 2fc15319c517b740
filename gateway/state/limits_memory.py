"""What gateway.state.limits_script does, for this process's share of each limit, while Valkey is away."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from gateway.bounds import LEASE, Bound, Bounds
from gateway.state.limits_script import SLOT_MS, SLOTS, Answer, slot_at


class MemoryCounters:
    """`held`: how many calls this process has in work, by counter."""

    def __init__(self, held: Mapping[str, int]) -> None:
        self._held = held
        self._counts: dict[str, dict[int, int]] = defaultdict(dict)

    def count(self, groups: Mapping[tuple[Bounds, int], list], now_ms: int, processes: int) -> list[Answer]:
        """The answers to these groups of (limits, tokens), in their order."""
        taken: dict[str, int] = defaultdict(int)  # calls at once that groups before took
        return [
            self._count(bounds, tokens, len(waiters), now_ms, max(1, processes), taken)
            for (bounds, tokens), waiters in groups.items()
        ]

    def _count(
        self, bounds: Bounds, tokens: int, asked: int, now_ms: int, processes: int, taken: dict[str, int]
    ) -> Answer:
        weights = [tokens if bound.is_of_tokens else 1 for bound in bounds]
        rooms = [
            max(1, bound.amount // processes) - self._used(bound, now_ms) - taken[bound.key]
            for bound in bounds
        ]
        fitting = [room // weight for room, weight in zip(rooms, weights, strict=True) if weight]
        admitted = max(0, min([asked, *fitting]))
        answer = [admitted]
        for bound, weight, room in zip(bounds, weights, rooms, strict=True):
            self._take(bound, now_ms, admitted * weight, taken)
            left = room - admitted * weight
            answer += [
                left,
                self._reset_ms(bound, now_ms),
                self._wait_ms(bound, now_ms, processes, weight, weight - left) if admitted < asked else 0,
            ]
        return answer

    def give_back(self, bound: Bound, taken_ms: int, amount: int) -> None:
        """Of tokens that were taken at that moment."""
        slot, counts = slot_at(bound.kind, taken_ms), self._counts[bound.key]
        if slot in counts:
            counts[slot] = max(0, counts[slot] - amount)

    def _recent(self, bound: Bound, now_ms: int) -> dict[int, int]:
        counts, first = self._counts[bound.key], slot_at(bound.kind, now_ms) - SLOTS[bound.kind]
        for slot in [slot for slot in counts if slot <= first]:
            del counts[slot]
        return counts

    def _used(self, bound: Bound, now_ms: int) -> int:
        if bound.kind == LEASE:
            return self._held.get(bound.key, 0)
        return sum(self._recent(bound, now_ms).values())

    def _take(self, bound: Bound, now_ms: int, amount: int, taken: dict[str, int]) -> None:
        if not amount:
            return
        if bound.kind == LEASE:
            taken[bound.key] += amount
        else:
            counts, slot = self._counts[bound.key], slot_at(bound.kind, now_ms)
            counts[slot] = counts.get(slot, 0) + amount

    def _reset_ms(self, bound: Bound, now_ms: int) -> int:
        if bound.kind == LEASE:
            return 0
        oldest = min(self._recent(bound, now_ms), default=slot_at(bound.kind, now_ms))
        return _end_ms(bound.kind, oldest) - now_ms

    def _wait_ms(self, bound: Bound, now_ms: int, processes: int, weight: int, over: int) -> int:
        if over <= 0:
            return 0
        if weight > bound.amount:
            return -1
        if bound.kind == LEASE or weight > max(1, bound.amount // processes):
            return 1_000  # a call ends, or Valkey comes back
        return _wait_for(over, sorted(self._recent(bound, now_ms).items()), bound.kind) - now_ms


def _wait_for(over: int, counts: Iterable[tuple[int, int]], kind: str) -> int:
    """The moment at which so much has fallen out."""
    end_ms = 0
    for slot, count in counts:
        over -= count
        end_ms = _end_ms(kind, slot)
        if over <= 0:
            break
    return end_ms


def _end_ms(kind: str, slot: int) -> int:
    """When a slot falls out of its window."""
    return (slot + SLOTS[kind]) * SLOT_MS[kind]
