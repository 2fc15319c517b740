"""What people call the classes of usage.quantities, and how amounts and prices of them read."""

from collections.abc import Mapping
from decimal import Decimal

from django import template
from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from foundation.amounts import show_price
from foundation.spacing import join_texts, label_value, listed
from usage.pricing import Price, without_inherited
from usage.quantities import CLASSES, EACH, INPUT, MILLION_TOKENS, OUTPUT, SECOND, Quantities

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
    "knowledge": pgettext_lazy("source of a call", "knowledge"),
}
OPERATIONS: dict[str, str | Promise] = {
    "chat.completions": gettext_lazy("chat"),
    "completions": gettext_lazy("text completion"),
    "embeddings": gettext_lazy("embedding"),
    "rerank": gettext_lazy("reranking"),
}
# what a call failed of, by its code; others stand as they are written
ERRORS: dict[str, str | Promise] = {
    "insufficient_quota": gettext_lazy("budget used up"),
    "rate_limit_exceeded": gettext_lazy("limit reached"),
    "upstream_rate_limited": gettext_lazy("limit of the provider reached"),
    "upstream_timeout": gettext_lazy("no answer in time"),
    "upstream_unreachable": gettext_lazy("model server not reached"),
    "upstream_disconnected": gettext_lazy("connection to the model server lost"),
    "upstream_error": gettext_lazy("error of the model server"),
    "upstream_broken_form": gettext_lazy("answer not in the form that was asked for"),
    "host_not_found": gettext_lazy("model server not reached"),
    "content_filter": gettext_lazy("refused by a rule"),
    "data_policy": gettext_lazy("not allowed by the data policy"),
    "context_length_exceeded": gettext_lazy("too long for the model"),
    "model_not_found": gettext_lazy("no such model"),
    "model_retired": gettext_lazy("model retired"),
    "overloaded": gettext_lazy("platform overloaded"),
    "internal_error": gettext_lazy("failure in the platform"),
}
PER: dict[int, str | Promise] = {
    MILLION_TOKENS: gettext_lazy("per million tokens"),
    EACH: pgettext_lazy("price", "each"),
    SECOND: gettext_lazy("per second"),
}
register = template.Library()


def say_error(code: str) -> str:
    """What a call failed of, in words."""
    return str(ERRORS.get(code, code)) or "–"


def show_quantities(quantities: Quantities) -> str:
    """“input 12, output 5”, in the order of the classes; "" for nothing."""
    return listed(join_texts((LABELS[name], _figure(name, quantities[name]))) for name in _known(quantities))


@register.filter
def say_price(price: Price, has_output: bool = True) -> str:
    """`{{ model.price|say_price }}` in every template: what a model costs, in a few words. Free is only what
    somebody said is free. `has_output`: whether it writes at all.
    """
    if price.is_unset:
        return _("no price set")
    if price.is_free:
        return _("free of charge")
    own = without_inherited(price.amounts)
    if not own.keys() <= {*INPUT, *OUTPUT} or "input" not in own:
        return show_prices({name: str(amount) for name, amount in own.items()}, price.currency)
    shown = {name: show_price(price.amounts.get(name), price.currency) for name in ("input", "output")}
    if "output" not in own or not has_output:
        return _("%(input)s per million tokens") % shown
    return _("%(input)s in, %(output)s out per million tokens") % shown


def show_prices(snapshot: Mapping[str, str], currency: str = "") -> str:
    """The prices of a snapshot, those for the same number of units together."""
    groups: dict[int, list[str]] = {}
    for name in _known(snapshot):
        price = join_texts((LABELS[name], show_price(Decimal(snapshot[name]), currency)))
        groups.setdefault(CLASSES[name].per, []).append(price)
    return "; ".join(label_value(PER[per], listed(prices)) for per, prices in groups.items())


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
