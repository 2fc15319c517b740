"""What can be counted in a call and billed: classes, each in whole units. Imports no Django.

A class with a parent is a part of it that has a name of its own: read from the cache, input is still input.
Classes are disjoint where they are counted, so a call's quantities add up. To add a class, add its line here.
"""

from collections.abc import Mapping
from dataclasses import dataclass

# class → how much, zeros left out; below zero in corrections only
Quantities = Mapping[str, int]

MILLION_TOKENS, EACH, SECOND = 1_000_000, 1, 1_000
COST_PLACES = 12  # NUMERIC(24, 12)


@dataclass(frozen=True, slots=True)
class QuantityClass:
    """`per`: how many units a price is for, a power of ten: one unit then costs a whole number of the
    ledger's 12th places, so no bill is ever rounded.
    """

    name: str
    parent: str | None
    per: int

    @property
    def price_places(self) -> int:
        """How many decimal places a price may have. Tokens: 6, images: 12, milliseconds: 9."""
        return COST_PLACES - len(str(self.per)) + 1


CLASSES = {
    one.name: one
    for one in (
        QuantityClass("input", None, MILLION_TOKENS),  # not from the cache
        QuantityClass("cached", "input", MILLION_TOKENS),
        QuantityClass("cache_write", "input", MILLION_TOKENS),
        QuantityClass("input_audio", "input", MILLION_TOKENS),
        QuantityClass("output", None, MILLION_TOKENS),  # without reasoning
        QuantityClass("reasoning", "output", MILLION_TOKENS),
        QuantityClass("output_audio", "output", MILLION_TOKENS),
        QuantityClass("images", None, EACH),
        QuantityClass("audio_ms", None, SECOND),  # milliseconds, priced per second
        QuantityClass("gpu_ms", None, SECOND),
    )
}


def _family(root: str) -> tuple[str, ...]:
    """A root class and all that descends from it, parents first."""
    found = [root]
    for name in found:
        found += [one.name for one in CLASSES.values() if one.parent == name]
    return tuple(found)


INPUT, OUTPUT = _family("input"), _family("output")
TOKENS = INPUT + OUTPUT
SOUND = frozenset({"input_audio", "output_audio"})
# class → the one of the four older counts in which it is counted
_OLDER = (
    dict.fromkeys(INPUT, "input_tokens")
    | dict.fromkeys(OUTPUT, "output_tokens")
    | {"cached": "cached_tokens", "reasoning": "reasoning_tokens"}
)


def total(quantities: Quantities, classes: tuple[str, ...]) -> int:
    """How much of these classes together."""
    return sum(quantities.get(name, 0) for name in classes)


def add(one: Quantities, other: Quantities) -> dict[str, int]:
    return _without_zeros({name: one.get(name, 0) + other.get(name, 0) for name in {**one, **other}})


def subtract(one: Quantities, other: Quantities) -> dict[str, int]:
    """What has to be added to `other` to make `one` of it."""
    return _without_zeros({name: one.get(name, 0) - other.get(name, 0) for name in {**one, **other}})


def four_counts(quantities: Quantities) -> dict[str, int]:
    """The tokens in the four counts that are older than the classes: each class counts in the nearest of
    them, so that these too add up to all tokens.
    """
    counts = {"input_tokens": 0, "cached_tokens": 0, "output_tokens": 0, "reasoning_tokens": 0}
    for name, count in quantities.items():
        if name in _OLDER:
            counts[_OLDER[name]] += count
    return counts


def _without_zeros(quantities: Quantities) -> dict[str, int]:
    return {name: count for name, count in quantities.items() if count}
