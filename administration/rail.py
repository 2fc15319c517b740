"""Places in the rail of the chat's pages. Each room registers its own in `<room>/places.py`.

    rail_place(order=10, url_name="prompts:chat-home", icon="message-circle", title=_("Chat"))

A place that the person may not see is not shown; `also` are further pages of the same place.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from django import template
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.module_loading import autodiscover_modules

register = template.Library()


@dataclass(frozen=True, slots=True)
class RailPlace:
    """`icon`: a name of Lucide. `is_visible`: asked of the person; None: everybody sees it."""

    order: int
    url_name: str
    icon: str
    title: str | Promise
    also: frozenset[str] = frozenset()
    is_visible: Callable[[Any], bool] | None = None


_places: dict[str, RailPlace] = {}


def rail_place(
    *,
    order: int,
    url_name: str,
    icon: str,
    title: str | Promise,
    also: tuple[str, ...] = (),
    is_visible: Callable[[Any], bool] | None = None,
) -> None:
    """Register a place; lower orders come first."""
    _places[url_name] = RailPlace(order, url_name, icon, title, frozenset(also), is_visible)


@cache
def _discover() -> None:
    autodiscover_modules("places")


@register.simple_tag
def list_rail_places(request: HttpRequest) -> list[dict[str, Any]]:
    """The places that the person may see, each with its address and whether the page belongs to it."""
    _discover()
    view = request.resolver_match.view_name if request.resolver_match else ""
    shown = [
        place for place in _places.values() if place.is_visible is None or place.is_visible(request.user)
    ]
    return [
        {
            "url": reverse(place.url_name),
            "icon": place.icon,
            "title": place.title,
            "is_current": view == place.url_name or view in place.also,
        }
        for place in sorted(shown, key=lambda place: place.order)
    ]
