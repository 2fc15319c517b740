"""What people call the classes of usage.quantities, and how amounts and prices of them read."""

from collections.abc import Mapping
from decimal import Decimal

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from foundation.amounts import show_money
from usage.quantities import CLASSES, EACH, MILLION_TOKENS, SECOND, Quantities

LABELS: dict[str, str | Promise] = {
    "input": gettext_lazy("input"),
    "cached": gettext_lazy("cached input"),
    "cache_write": gettext_lazy("input written to the cache"),
    "input_audio": gettext_lazy("audio input"),
    "output": gettext_lazy("output"),
    "reasoning": gettext_lazy("reasoning"),
    "output_audio": gettext_lazy("audio output"),
    "images": gettext_lazy("images"),
    "audio_ms": gettext_lazy("audio"),
    "gpu_ms": gettext_lazy("GPU time"),
}
# what is written on bills: who asked, and what for; others stand as they are written
SOURCES: dict[str, str | Promise] = {
    "api": pgettext_lazy("source of a call", "API"),
    "chat": pgettext_lazy("source of a call", "chat"),
}
OPERATIONS: dict[str, str | Promise] = {
    "chat.completions": gettext_lazy("chat"),
    "embeddings": gettext_lazy("embedding"),
}
PER: dict[int, str | Promise] = {
    MILLION_TOKENS: gettext_lazy("per million tokens"),
    EACH: pgettext_lazy("price", "each"),
    SECOND: gettext_lazy("per second"),
}


def show_quantities(quantities: Quantities) -> str:
    """“input 12, output 5”, in the order of the classes; "" for nothing."""
    return ", ".join(f"{LABELS[name]} {_figure(name, quantities[name])}" for name in _known(quantities))


def show_prices(snapshot: Mapping[str, str], currency: str = "") -> str:
    """The prices of a snapshot, those for the same number of units together."""
    groups: dict[int, list[str]] = {}
    for name in _known(snapshot):
        price = f"{LABELS[name]} {show_money(Decimal(snapshot[name]), currency)}"
        groups.setdefault(CLASSES[name].per, []).append(price)
    return "; ".join(
        _("%(per)s: %(prices)s") % {"per": PER[per], "prices": ", ".join(prices)}
        for per, prices in groups.items()
    )


def label_of_price(name: str) -> str | Promise:
    """With what the price is for, where that is not a million tokens."""
    if CLASSES[name].per == MILLION_TOKENS:
        return LABELS[name]
    return format_lazy("{label} ({per})", label=LABELS[name], per=PER[CLASSES[name].per])


def _known(found: Mapping[str, object]) -> list[str]:
    return [name for name in CLASSES if name in found]


def _figure(name: str, count: int) -> str:
    if CLASSES[name].per == SECOND:
        return f"{number_format(Decimal(count) / SECOND)} s"
    return str(intcomma(count))
