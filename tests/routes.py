"""Every route of a kind of host, with the methods that its view answers."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.urls import URLPattern, URLResolver, get_resolver

TENANT, PLATFORM = "config.urls_tenant", "config.urls_platform"


@dataclass(frozen=True, order=True)
class Route:
    """`name` with its namespaces; `methods` is empty where the view itself does not say."""

    name: str
    pattern: str
    methods: tuple[str, ...] = ()


def list_routes(urlconf: str) -> list[Route]:
    """The routes of one kind of host, sorted by name."""
    return sorted(_walk(get_resolver(urlconf).url_patterns, "", ""))


def _walk(patterns, namespace: str, prefix: str) -> Iterator[Route]:
    for entry in patterns:
        path = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from _walk(
                entry.url_patterns, f"{namespace}{entry.namespace}:" if entry.namespace else namespace, path
            )
        elif isinstance(entry, URLPattern):
            yield Route(f"{namespace}{entry.name or path}", path, _methods(entry.callback))


def _methods(view) -> tuple[str, ...]:
    if hasattr(view, "actions"):  # a view set
        return tuple(sorted({method.upper() for method in view.actions} - {"HEAD"}))
    found = getattr(view, "cls", None) or getattr(view, "view_class", None)
    return (
        tuple(
            sorted(name.upper() for name in ("get", "post", "put", "patch", "delete") if hasattr(found, name))
        )
        if found
        else ()
    )
