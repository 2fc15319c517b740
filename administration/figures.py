"""Columns that rooms above add to the list of tenants, such as calls and cost: one query each for the rows of
a page.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise

Load = Callable[[list[str]], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Figure:
    name: str
    description: str | Promise
    load: Load  # slugs of a page → slug → what the column shows


_figures: dict[str, Figure] = {}


def tenant_figure(description: str | Promise) -> Callable[[Load], Load]:
    """Register a column of the list of tenants."""

    def register(load: Load) -> Load:
        _figures[load.__name__] = Figure(load.__name__, description, load)
        return load

    return register


def list_columns() -> list[Callable]:
    """The columns, as `list_display` takes them."""
    return [_column(figure) for figure in _figures.values()]


def _column(figure: Figure) -> Callable:
    def show(row) -> Any:
        return getattr(row, "figures", {}).get(figure.name, "–")

    show.short_description = figure.description
    show.__name__ = figure.name
    return show


def load_figures(rows: list) -> None:
    """Give each tenant of a page its `figures`."""
    slugs = [row.slug for row in rows]
    loaded = {name: figure.load(slugs) for name, figure in _figures.items()}
    for row in rows:
        row.figures = {name: values.get(row.slug, "–") for name, values in loaded.items()}
