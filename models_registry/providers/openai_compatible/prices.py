"""What a catalogue says that a model costs, as OpenRouter writes it: US dollars for a single token, as texts.

Covers: tokens read, read from the cache, written to it, heard, thought and written. Left out: what has no
number ("-1", a router whose price depends on who answers), what costs something for each request beside its
tokens, and numbers that are no texts: other servers write them for a million tokens, or in other currencies.
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
MOST = Decimal(10_000)  # a million tokens; no model costs more, and what is more is written for another unit
SMALLEST = Decimal(1).scaleb(-CLASSES["input"].price_places)
_NUMBER = re.compile(r"\d{1,9}(?:\.\d{1,24})?(?:[eE]-\d{1,2})?")


def read_price(entry: dict[str, Any]) -> Price | None:
    """Of an entry of a list of models; None where it names none that could be billed."""
    pricing = entry.get("pricing")
    if not isinstance(pricing, dict) or _per_million(pricing.get("request", "0")) != 0:
        return None
    amounts = {ours: _per_million(pricing.get(theirs)) for theirs, ours in NEEDED.items()}
    amounts |= {ours: _per_million(pricing.get(theirs)) or None for theirs, ours in PARTS.items()}
    if None in (amounts["input"], amounts["output"]) or max(filter(None, amounts.values()), default=0) > MOST:
        return None
    return Price(CURRENCY, **amounts)


def _per_million(text: Any) -> Decimal | None:
    """Rounded up to as many places as a price may have: nobody pays less than the provider asks."""
    if not isinstance(text, str) or not _NUMBER.fullmatch(text):
        return None
    return (Decimal(text) * MILLION_TOKENS).quantize(SMALLEST, ROUND_UP)
