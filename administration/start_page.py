"""Cards: what an administration's start page is made of. Each room registers its own in `<room>/cards.py`.

    @card(site="service", order=10, permission="usage.view_usageevent", template="usage/cards/today.html")
    def today(request) -> dict: ...

A card answers one question. It is built only for people who hold its permission; None leaves it out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.module_loading import autodiscover_modules
from django.utils.safestring import SafeString

Build = Callable[[HttpRequest], dict | None]
WIDTHS = ("third", "half", "two-thirds", "full")


@dataclass(frozen=True, slots=True)
class Card:
    name: str
    site: str
    order: int
    permission: str
    template: str
    width: str
    build: Build


@dataclass(frozen=True, slots=True)
class RenderedCard:
    name: str
    width: str
    html: SafeString


_cards: dict[tuple[str, str], Card] = {}


def card(
    *, site: str, order: int, permission: str, template: str, width: str = "half"
) -> Callable[[Build], Build]:
    """Register a function that gives a card's context. `site` is `service` or `system`; lower orders come
    first.
    """
    if width not in WIDTHS:
        raise ValueError(f"A card's width is one of {', '.join(WIDTHS)}.")

    def register(build: Build) -> Build:
        name = f"{build.__module__.split('.')[0]}-{build.__name__.replace('_', '-')}"
        _cards[site, name] = Card(name, site, order, permission, template, width, build)
        return build

    return register


@cache
def _discover() -> None:
    autodiscover_modules("cards")


def list_cards(site: str, user) -> list[Card]:
    """The cards of a site that the person may see, in their order."""
    _discover()
    found = [entry for entry in _cards.values() if entry.site == site and user.has_perm(entry.permission)]
    return sorted(found, key=lambda entry: (entry.order, entry.name))


def render_cards(site: str, request: HttpRequest) -> list[RenderedCard]:
    """The cards of a site as HTML, for its start page."""
    rendered = []
    for entry in list_cards(site, request.user):
        context = entry.build(request)
        if context is not None:
            rendered.append(
                RenderedCard(
                    entry.name,
                    entry.width,
                    render_to_string(entry.template, context | {"card": entry}, request),
                )
            )
    return rendered
