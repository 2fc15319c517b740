"""The limits that bind a call, and what the counters say to it (gateway.state.limits)."""

from dataclasses import dataclass

from tenants.measures import TOKENS, Measure

# how a measure is counted: in slots of a minute or of a day, or by who has how many in work
MINUTE, DAY, LEASE = "m", "d", "c"
KINDS: dict[str, str] = {
    Measure.REQUESTS_PER_MINUTE: MINUTE,
    Measure.TOKENS_PER_MINUTE: MINUTE,
    Measure.TOKENS_PER_DAY: DAY,
    Measure.CALLS_AT_ONCE: LEASE,
}


class Bound:
    """A limit as the hot path needs it. `key` names its counter and begins with the tenant. Compared by
    identity: the same row loaded twice counts in one counter all the same.
    """

    __slots__ = ("amount", "is_of_tokens", "key", "kind", "level", "measure")

    def __init__(self, level: str, measure: str, amount: int, key: str) -> None:
        self.level = level
        self.measure = measure
        self.amount = amount
        self.key = key
        self.kind = KINDS[measure]
        self.is_of_tokens = measure in TOKENS


Bounds = tuple[Bound, ...]


@dataclass(slots=True)
class Verdict:
    """Whether one call was admitted; for each of its limits what is left and in how many seconds the oldest
    that it counts falls out. `wait_s`: per limit, until there is room for this call; None: never.
    """

    bounds: Bounds
    tokens: int
    is_admitted: bool
    left: list[int]
    reset_s: list[float]
    wait_s: list[float | None]
    taken_ms: int
    is_in_memory: bool

    def weight(self, index: int) -> int:
        return self.tokens if self.bounds[index].is_of_tokens else 1

    @property
    def refusing(self) -> int:
        """The place of the limit that keeps the call out longest."""
        full = [index for index in range(len(self.bounds)) if self.left[index] < self.weight(index)]

        def wait_of(index: int) -> float:
            wait_s = self.wait_s[index]
            return float("inf") if wait_s is None else wait_s

        return max(full, key=wait_of)

    def tightest(self, measures: frozenset[Measure]) -> int | None:
        """The place of the limit of these measures of which the least is left."""
        places = [index for index, bound in enumerate(self.bounds) if bound.measure in measures]
        return min(places, key=lambda index: self.left[index], default=None)
