"""The table of `/v1`: every room registers its routes in a module `v1.py` of its own, as it does its cards.

    @route("GET", "models/{model:path}")
    async def model(request: Request, model: str) -> None: ...

A name in braces takes one segment of the path, `{name:path}` all that follows.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from django.utils.module_loading import autodiscover_modules

View = Callable[..., Awaitable[None]]
_PLACE = re.compile(r"\{(\w+)(:path)?\}")


@dataclass(slots=True)
class Route:
    """A path below `/v1/`, and what answers it by method."""

    template: str
    pattern: re.Pattern[str]
    views: dict[str, View] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """As it is told to people."""
        return f"/v1/{self.template.replace(':path}', '}')}"

    @property
    def methods(self) -> list[str]:
        """Whoever may read may ask for the head alone."""
        return sorted(self.views.keys() | ({"HEAD"} if "GET" in self.views else set()))

    def find_view(self, method: str) -> View | None:
        return self.views.get("GET" if method == "HEAD" else method)


_routes: dict[str, Route] = {}


def route(method: str, template: str) -> Callable[[View], View]:
    """Register a view. Raises ValueError for a method that has one already."""

    def register(view: View) -> View:
        entry = _routes.setdefault(template, Route(template, _compile(template)))
        if method in entry.views:
            raise ValueError(f"{method} {template} has a view already.")
        entry.views[method] = view
        return view

    return register


def _compile(template: str) -> re.Pattern[str]:
    parts, end = [], 0
    for place in _PLACE.finditer(template):
        name, is_rest = place.groups()
        parts += [re.escape(template[end : place.start()]), f"(?P<{name}>{'.+' if is_rest else '[^/]+'})"]
        end = place.end()
    return re.compile("".join(parts) + re.escape(template[end:]), re.DOTALL)


@cache
def _discover() -> None:
    autodiscover_modules("v1")


def find_route(path: str) -> tuple[Route, dict[str, Any]] | None:
    """The route of a path below `/v1/`, and what stands in its places."""
    _discover()
    if (found := _routes.get(path)) is not None:
        return found, {}
    for entry in _routes.values():
        if match := entry.pattern.fullmatch(path):
            return entry, match.groupdict()
    return None


def find_similar(path: str) -> Route | None:
    """The route that a path below `/v1/` which has none probably means: it holds it whole, or is a part of it
    (`chat/completions/chat/completions`, `v2/embeddings`, `completions`).
    """
    written = f"/{path}/"
    for entry in list_routes():
        route = f"/{entry.template}/"
        if "{" not in route and (route in written or written in route):
            return entry
    return None


def list_routes() -> list[Route]:
    """All of them, in the order of their paths."""
    _discover()
    return sorted(_routes.values(), key=lambda entry: entry.template)
