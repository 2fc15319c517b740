"""Prices, token counts and the one function that turns them into money: behind every estimate, hold,
quote and bill. Imports no Django.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

# per million tokens: one token then costs a whole number of the ledger's 12th places, so no bill is ever
# rounded
PRICE_PLACES = 6
COST_PLACES = 12  # NUMERIC(24, 12)
MAX_PRICE = Decimal(1_000_000)
TOKEN_CLASSES = ("input", "cached", "output", "reasoning")


@dataclass(frozen=True)
class Price:
    """Money per million tokens of each class, with at most 6 decimal places. Raises ValueError for what
    cannot be a price.
    """

    currency: str
    input: Decimal
    cached: Decimal
    output: Decimal
    reasoning: Decimal

    def __post_init__(self) -> None:
        for name in TOKEN_CLASSES:
            value = getattr(self, name)
            if not isinstance(value, Decimal) or not value.is_finite() or not 0 <= value <= MAX_PRICE:
                raise ValueError(
                    f"The price per million {name} tokens must be a Decimal from 0 to {MAX_PRICE}, not "
                    f"{value!r}."
                )
            if value != round(value, PRICE_PLACES):
                raise ValueError(
                    f"The price per million {name} tokens has at most {PRICE_PLACES} decimal places, not "
                    f"{value}."
                )

    @cached_property
    def units(self) -> tuple[int, int, int, int]:
        """The price of one token of each class, in the ledger's smallest unit (10⁻¹² of the currency)."""
        units = (int(getattr(self, name).scaleb(PRICE_PLACES)) for name in TOKEN_CLASSES)
        return tuple(units)  # type: ignore[return-value]

    def snapshot(self) -> dict[str, str]:
        """The price as JSON can keep it beside the bill; `from_snapshot` is its inverse."""
        return {"currency": self.currency} | {name: f"{getattr(self, name):f}" for name in TOKEN_CLASSES}

    @classmethod
    def from_snapshot(cls, snapshot: Mapping[str, Any]) -> "Price":
        """Raises KeyError or ValueError if the snapshot is not one."""
        return cls(snapshot["currency"], *(Decimal(snapshot[name]) for name in TOKEN_CLASSES))


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call in disjoint classes: `input_tokens` excludes the cached ones,
    `output_tokens` the reasoning ones.
    """

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0

    def __post_init__(self) -> None:
        if (
            self.input_tokens < 0
            or self.cached_tokens < 0
            or self.output_tokens < 0
            or self.reasoning_tokens < 0
        ):
            raise ValueError(f"Token counts are never negative: {self}.")


def cost(price: Price, usage: Usage) -> Decimal:
    """What this usage costs at this price, exact to the last of 12
    decimal places; in the price's currency.
    """
    per_input, per_cached, per_output, per_reasoning = price.units
    units = (
        usage.input_tokens * per_input
        + usage.cached_tokens * per_cached
        + usage.output_tokens * per_output
        + usage.reasoning_tokens * per_reasoning
    )
    return Decimal(units).scaleb(-COST_PLACES)


def highest_cost(price: Price, input_tokens: int, output_tokens: int) -> Decimal:
    """The most that so many tokens can cost, whatever classes the provider will count them in."""
    per_input, per_cached, per_output, per_reasoning = price.units
    return Decimal(
        input_tokens * max(per_input, per_cached) + output_tokens * max(per_output, per_reasoning)
    ).scaleb(-COST_PLACES)
