"""Places in the rail of the chat's pages. Each room registers its own in `<room>/places.py`.

    rail_place(group=RailGroup.WORK, order=10, url_name="prompts:chat-home", icon="message-circle",
               title=_("Chat"))

A place that the person may not see is not shown; `also` are further pages of the same place. What is a
person's own (usage, keys, profile) stands in the menu at the rail's foot instead: `RailGroup.OWN`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from itertools import groupby
from typing import Any

from django import template
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.module_loading import autodiscover_modules

register = template.Library()


class RailGroup(IntEnum):
    """Groups of places, from the top down; a line stands between them."""

    WORK = 1  # chat, use cases, knowledge, prompts, agents
    BUILD = 2  # data and training, evaluation, models
    RUN = 3  # the way to the administration
    OWN = 4  # in the person's menu, not in the rail


@dataclass(frozen=True, slots=True)
class RailPlace:
    """`icon`: a name of Lucide. `is_visible`: asked of the person; None: everybody sees it."""

    group: RailGroup
    order: int
    url_name: str
    icon: str
    title: str | Promise
    also: frozenset[str] = frozenset()
    is_visible: Callable[[Any], bool] | None = None


_places: dict[str, RailPlace] = {}


def rail_place(
    *,
    group: RailGroup,
    order: int,
    url_name: str,
    icon: str,
    title: str | Promise,
    also: tuple[str, ...] = (),
    is_visible: Callable[[Any], bool] | None = None,
) -> None:
    """Register a place; within its group, lower orders come first."""
    _places[url_name] = RailPlace(group, order, url_name, icon, title, frozenset(also), is_visible)


@cache
def _discover() -> None:
    autodiscover_modules("places")


def _list_visible(user: Any) -> Iterator[RailPlace]:
    _discover()
    for place in sorted(_places.values(), key=lambda place: (place.group, place.order)):
        if place.is_visible is None or place.is_visible(user):
            yield place


@register.simple_tag
def list_rail_groups(request: HttpRequest) -> list[list[dict[str, Any]]]:
    """The groups of the rail with the places that the person may see; none of them is empty."""
    places = (place for place in _list_visible(request.user) if place.group != RailGroup.OWN)
    return [
        [_show(place, request) for place in group]
        for _group, group in groupby(places, key=lambda place: place.group)
    ]


@register.simple_tag
def list_own_places(request: HttpRequest) -> list[dict[str, Any]]:
    """The places of the person's menu."""
    return [_show(place, request) for place in _list_visible(request.user) if place.group == RailGroup.OWN]


def _show(place: RailPlace, request: HttpRequest) -> dict[str, Any]:
    """`current` is the value of aria-current: the page itself, another page of this place, or empty."""
    view = request.resolver_match.view_name if request.resolver_match else ""
    return {
        "url": reverse(place.url_name),
        "icon": place.icon,
        "title": place.title,
        "current": "page" if view == place.url_name else "true" if view in place.also else "",
    }
