"""What a catalogue says that a model costs, as OpenRouter writes it: US dollars for a single token, as texts.

Covers: tokens read, read from the cache, written to it, heard, thought and written. An entry that asks for
anything else beside them (a request, an image, a search) has no price here, as what none of these counts
would be free: nobody is to pay less than the provider asks. Neither has what has no number ("-1", a router
whose price depends on who answers), nor numbers that are no texts: other servers write them for a million
tokens, or in other currencies.
"""

import re
from decimal import ROUND_UP, Decimal
from typing import Any

from usage.pricing import Price
from usage.quantities import CLASSES, MILLION_TOKENS

CURRENCY = "USD"
NEEDED = {"prompt": "input", "completion": "output"}
# Zero says that nothing is charged beside what they are a part of.
PARTS = {
    "input_cache_read": "cached",
    "input_cache_write": "cache_write",
    "audio": "input_audio",
    "internal_reasoning": "reasoning",
}
KNOWN = NEEDED | PARTS
MOST = Decimal(10_000)  # a million tokens; no model costs more, and what is more is written for another unit
SMALLEST_PRICE = Decimal(1).scaleb(-CLASSES["input"].price_places)
_NUMBER = re.compile(r"\d{1,9}(?:\.\d{1,24})?(?:[eE]-\d{1,2})?")


def read_price(entry: dict[str, Any]) -> Price | None:
    """Of an entry of a list of models; None where it names none that could be billed whole."""
    pricing = entry.get("pricing")
    if not isinstance(pricing, dict):
        return None
    asked = {name: amount for name, amount in pricing.items() if name in NEEDED or not _is_nothing(amount)}
    if not NEEDED.keys() <= asked.keys() <= KNOWN.keys():
        return None
    read = {KNOWN[name]: _per_million(amount) for name, amount in asked.items()}
    amounts = {name: amount for name, amount in read.items() if amount is not None}
    if amounts.keys() != read.keys() or max(amounts.values()) > MOST:
        return None
    return Price(CURRENCY, **amounts)


def names_amounts(entry: dict[str, Any]) -> bool:
    """Whether it asks for anything at all, also in a way that `read_price` does not take over."""
    pricing = entry.get("pricing")
    return isinstance(pricing, dict) and not all(map(_is_nothing, pricing.values()))


def _is_nothing(amount: Any) -> bool:
    return amount in (None, "", 0) or _per_million(amount) == 0


def _per_million(text: Any) -> Decimal | None:
    """Rounded up to as many places as a price may have."""
    if not isinstance(text, str) or not _NUMBER.fullmatch(text):
        return None
    return (Decimal(text) * MILLION_TOKENS).quantize(SMALLEST_PRICE, ROUND_UP)
