"""Prices, a call's quantities and the one function that turns them into money: behind every estimate, hold,
quote and bill. Imports no Django.
"""

import logging
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from usage.quantities import CLASSES, COST_PLACES, INPUT, OUTPUT, SOUND, Quantities

logger = logging.getLogger(__name__)

MAX_PRICE = Decimal(1_000_000)
TOKEN_CLASSES = ("input", "cached", "output", "reasoning")  # whose price every snapshot has that has any
SMALLEST = Decimal(1).scaleb(-COST_PLACES)  # of the ledger
_ZERO = Decimal(0)
_READ, _WRITTEN = frozenset(INPUT), frozenset(OUTPUT)


class UnpricedClass(ValueError):
    """A class is used that has neither a price of its own nor an ancestor with one."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no price for “{name}”, nor for what it is a part of.")
        self.name = name


class Price:
    """Money for so many units of each class as `CLASSES` says, in one currency. Without any amount everything
    is free of charge; else a class without one costs what its parent costs. Immutable.

    The four classes of a chat's call by their places or names, others by their names; None: no price of its
    own. Raises ValueError for what cannot be a price.
    """

    def __init__(
        self,
        currency: str,
        input: Decimal | None = None,
        cached: Decimal | None = None,
        output: Decimal | None = None,
        reasoning: Decimal | None = None,
        **others: Decimal | None,
    ) -> None:
        given = {"input": input, "cached": cached, "output": output, "reasoning": reasoning, **others}
        own = {name: _checked(name, amount) for name, amount in given.items() if amount is not None}
        self.currency = currency
        amounts = with_parents(own)
        self.amounts: Mapping[str, Decimal] = MappingProxyType(amounts)
        # what one unit of each class costs, in the ledger's smallest unit (10⁻¹² of the currency)
        self.units = {
            name: int(amount.scaleb(CLASSES[name].price_places)) for name, amount in amounts.items()
        }
        self._highest: dict[tuple[str, bool], int] = {}
        self._hash = hash((currency, frozenset(amounts.items())))

    def __eq__(self, other: object) -> bool:
        """Equal prices charge the same for everything."""
        if not isinstance(other, Price):
            return NotImplemented
        return self.currency == other.currency and self.amounts == other.amounts

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"Price({self.currency!r}, {dict(self.amounts)!r})"

    @property
    def is_free(self) -> bool:
        return not any(self.amounts.values())

    @property
    def is_unset(self) -> bool:
        """Nobody said what it costs, not even that it is free."""
        return not self.amounts

    @property
    def input(self) -> Decimal | None:
        """What a million tokens cost, for whoever shows prices in short; None where tokens have no price."""
        return self.amounts.get("input") if self.amounts else _ZERO

    @property
    def output(self) -> Decimal | None:
        return self.amounts.get("output") if self.amounts else _ZERO

    def highest(self, family: tuple[str, ...], has_sound: bool) -> int:
        """What a token costs in the dearest class of INPUT or OUTPUT. Raises UnpricedClass."""
        found = self._highest.get((family[0], has_sound))
        if found is None:
            if self.amounts and family[0] not in self.amounts:
                raise UnpricedClass(family[0])
            wanted = (name for name in family if has_sound or name not in SOUND)
            found = max(self.units.get(name, 0) for name in wanted)
            self._highest[family[0], has_sound] = found
        return found

    def snapshot(self) -> dict[str, str]:
        """The price as JSON can keep it beside the bill; `from_snapshot` is its inverse. Classes that cost
        what their parent costs are left out, but for the four that were always there: whoever reads snapshots
        finds them.
        """
        amounts = self.amounts or dict.fromkeys(TOKEN_CLASSES, _ZERO)
        kept = without_inherited(amounts)
        return {"currency": self.currency} | {
            name: write_amount(amount)
            for name, amount in amounts.items()
            if name in kept or name in TOKEN_CLASSES
        }

    @classmethod
    def from_snapshot(cls, snapshot: Mapping[str, Any]) -> "Price":
        """Raises ValueError if the snapshot is not one, whatever it is instead."""
        try:
            amounts = {name: Decimal(amount) for name, amount in snapshot.items() if name != "currency"}
            return cls(snapshot["currency"], **amounts)
        except (AttributeError, KeyError, TypeError, ArithmeticError) as exc:
            raise ValueError("This is no price.") from exc


def write_amount(amount: Decimal) -> str:
    """Without an exponent and without zeros at its end."""
    return f"{amount.normalize():f}"


def _checked(name: str, amount: Decimal) -> Decimal:
    if name not in CLASSES:
        raise ValueError(f"There is nothing called {name!r} to have a price.")
    if not isinstance(amount, Decimal) or not amount.is_finite() or not 0 <= amount <= MAX_PRICE:
        raise ValueError(f"The price of {name} must be a Decimal from 0 to {MAX_PRICE}, not {amount!r}.")
    places = CLASSES[name].price_places
    if amount != round(amount, places):
        raise ValueError(f"The price of {name} has at most {places} decimal places, not {amount}.")
    return amount


def with_parents(own: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """The amounts of all classes that have one: their own, or their parent's."""
    amounts: dict[str, Decimal] = {}
    for name, one in CLASSES.items():  # parents come first
        amount = own.get(name, amounts.get(one.parent) if one.parent else None)
        if amount is not None:
            amounts[name] = amount
    return amounts


def without_inherited(amounts: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Only what a class does not get from its parent anyway; `with_parents` gives back the rest."""
    found = with_parents(amounts)
    return {
        name: amount
        for name, amount in amounts.items()
        if (parent := CLASSES[name].parent) is None or amount != found.get(parent)
    }


class Usage:
    """What a call used, in disjoint classes; zeros are left out. Immutable.

    The four classes of a chat's call by their places or names, others by the names of `CLASSES`; `of` takes
    them all from a mapping. Raises ValueError for an unknown class or a count below zero.
    """

    __slots__ = ("_counts", "_total_input", "_total_output")

    def __init__(
        self,
        input_tokens: int = 0,
        cached_tokens: int = 0,
        output_tokens: int = 0,
        reasoning_tokens: int = 0,
        **others: int,
    ) -> None:
        counts = {}
        if input_tokens:
            counts["input"] = input_tokens
        if cached_tokens:
            counts["cached"] = cached_tokens
        if output_tokens:
            counts["output"] = output_tokens
        if reasoning_tokens:
            counts["reasoning"] = reasoning_tokens
        if others:
            counts |= {name: count for name, count in others.items() if count or name not in CLASSES}
        self._keep(counts)

    @classmethod
    def of(cls, quantities: Quantities) -> "Usage":
        usage = cls.__new__(cls)
        usage._keep({name: count for name, count in quantities.items() if count or name not in CLASSES})
        return usage

    def _keep(self, counts: dict[str, int]) -> None:
        read = written = 0
        for name, count in counts.items():
            if name not in CLASSES:
                raise ValueError(f"There is nothing called {name!r} to be counted.")
            if type(count) is not int or count < 0:
                raise ValueError(f"Counts are whole and never negative: {counts}.")
            if name in _READ:
                read += count
            elif name in _WRITTEN:
                written += count
        self._counts = counts
        self._total_input = read
        self._total_output = written

    def having(self, **counts: int) -> "Usage":
        """The same, but for the classes named here."""
        return Usage.of({**self._counts, **counts})

    @property
    def quantities(self) -> Quantities:
        return MappingProxyType(self._counts)

    def __eq__(self, other: object) -> bool:
        return self._counts == other._counts if isinstance(other, Usage) else NotImplemented

    def __hash__(self) -> int:
        return hash(frozenset(self._counts.items()))

    def __repr__(self) -> str:
        return f"Usage.of({self._counts})"

    @property
    def total_input(self) -> int:
        """Tokens read, whichever way they were counted."""
        return self._total_input

    @property
    def total_output(self) -> int:
        """Tokens written."""
        return self._total_output

    @property
    def total_tokens(self) -> int:
        return self._total_input + self._total_output

    @property
    def input_tokens(self) -> int:
        """All input but what was read from the cache."""
        return self.total_input - self._counts.get("cached", 0)

    @property
    def cached_tokens(self) -> int:
        return self._counts.get("cached", 0)

    @property
    def output_tokens(self) -> int:
        """All output but reasoning."""
        return self.total_output - self._counts.get("reasoning", 0)

    @property
    def reasoning_tokens(self) -> int:
        return self._counts.get("reasoning", 0)


def cost(price: Price, usage: Usage) -> Decimal:
    """What this usage costs at this price, exact to the last of 12 decimal places; in the price's currency.
    Raises UnpricedClass where the price has other classes only.
    """
    units, amount = price.units, 0
    if not units:
        return _ZERO
    try:
        for name, count in usage._counts.items():
            amount += count * units[name]
    except KeyError:
        raise UnpricedClass(name) from None
    return Decimal(amount) * SMALLEST


def billed_cost(price: Price, usage: Usage, held: Decimal) -> Decimal:
    """The cost of what was used; what was held for it, where the provider counts in a class without a price:
    a bill must be bookable, and is never 0 for that.
    """
    try:
        return cost(price, usage)
    except UnpricedClass as exc:
        logger.error("what was held is billed: %s", exc)
        return held


def highest_cost(price: Price, input_tokens: int, output_tokens: int, *, has_sound: bool = True) -> Decimal:
    """The most that so many tokens can cost, whatever classes the provider will count them in; those of sound
    only where it is heard or asked for. Raises UnpricedClass.
    """
    units = 0
    if input_tokens:
        units += input_tokens * price.highest(INPUT, has_sound)
    if output_tokens:
        units += output_tokens * price.highest(OUTPUT, has_sound)
    return Decimal(units) * SMALLEST
