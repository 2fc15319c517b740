"""Bars over time with the same figures as a table: what `usage/_bar_chart.html` and the cards draw."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from foundation.spacing import label_value

HEIGHT, WIDTH = 200, 20  # of the plot and of one bar's place, in the units of the drawing
Number = int | Decimal


def round_up(value: int) -> int:
    """The next of 1, 2, 5, 10, 20, 50, … that is not below the value: the top of an axis. 0 for 0."""
    if value <= 0:
        return 0
    power = 10 ** (len(str(value)) - 1)
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value)


@dataclass(frozen=True, slots=True)
class Series:
    """One kind of figure; `style` is its class in chart.css."""

    style: str
    label: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One instant of the axis. `values` are the parts by series, the topmost first; `cells` its line in the
    table, without any where nothing is to be told.
    """

    name: str
    title: str
    values: Sequence[Number]
    cells: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """A rectangle of a bar, measured from the ground."""

    style: str
    y: int
    height: int


@dataclass(frozen=True, slots=True)
class FiguresTable:
    """What `usage/_figures_table.html` draws: the first of each line names it, the others are figures."""

    head: Sequence[str]
    lines: Sequence[Sequence[str]]

    @property
    def rows(self) -> list[tuple[str, list[tuple[str, str]]]]:
        """(what the line is about, its (name of the column, figure))."""
        return [(line[0], list(zip(self.head[1:], line[1:], strict=True))) for line in self.lines]


@dataclass(frozen=True, slots=True)
class BarChart:
    """`key` names the heading's element; `ticks` are the axis' figures from the top to zero; `top` is what
    the plot's height stands for, 0 where there is nothing to draw.
    """

    key: str
    description: str
    top: Number
    ticks: Sequence[str]
    bars: Sequence[Bar]
    series: Sequence[Series]
    head: Sequence[str] = ()

    @property
    def width(self) -> int:
        return WIDTH * len(self.bars)

    @property
    def has_legend(self) -> bool:
        return len(self.series) > 1

    @property
    def columns(self) -> list[tuple[int, Bar, list[Part]]]:
        """(where it stands, the bar, its parts)."""
        return [(WIDTH * place, bar, self._parts(bar)) for place, bar in enumerate(self.bars)]

    @property
    def table(self) -> FiguresTable:
        """The same figures, the latest first."""
        return FiguresTable(self.head, [bar.cells for bar in reversed(self.bars) if bar.cells])

    def _parts(self, bar: Bar) -> list[Part]:
        heights = [
            round(HEIGHT * max(value, 0) / self.top) if self.top else 0 for value in reversed(bar.values)
        ]
        grounds = accumulate(heights, initial=0)
        styles = [series.style for series in reversed(self.series)]
        return [Part(*part) for part in zip(styles, grounds, heights, strict=False)]


def answered_and_failed() -> list[Series]:
    return [Series("series-1", _("Answered")), Series("series-bad", _("Failed"))]


def bar_of_calls(*, name: str, title: str, cell: str, calls: int, errors: int) -> Bar:
    """A bar of calls, with those that failed at its foot."""
    text = ngettext("%(calls)s call", "%(calls)s calls", calls) % {"calls": intcomma(calls)}
    if errors:
        text = _("%(calls)s, %(errors)s failed") % {"calls": text, "errors": intcomma(errors)}
    return Bar(
        name=name,
        title=label_value(title, text),
        values=(calls - errors, errors),
        cells=[cell, intcomma(calls), intcomma(errors)] if calls else (),
    )


@dataclass(frozen=True, slots=True)
class Share:
    """One line of `usage/cards/shares.html`; `value` is what its bar shows."""

    label: str
    value: Number
    calls: int
    cost: Decimal
    currency: str
