"""Columns of lists that look the same everywhere."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from django.contrib.humanize.templatetags.humanize import intcomma, naturaltime
from django.utils import timezone
from django.utils.formats import date_format, get_format
from django.utils.functional import Promise
from django.utils.html import format_html

from foundation.spacing import cjk_spaced


class Badge(NamedTuple):
    """What a column with `label=` shows: `key` gives the colour. Where no label is drawn (the page of one
    row), the text stands alone.
    """

    key: Any
    text: str | Promise

    def __str__(self) -> str:
        return str(self.text)


class TwoLines(list[str]):
    """What a column with `header=True` shows: a line and a smaller one. On a row's own page: both in one."""

    def __str__(self) -> str:
        return " · ".join(filter(None, self))


def ago(field: str, description: str | Promise) -> Callable[[Any], str]:
    """How long ago a time was, with the exact instant on hover."""

    def show(row: Any) -> str:
        moment: datetime | None = getattr(row, field)
        return _time(moment, cjk_spaced(naturaltime(moment))) if moment else "–"

    return _as_column(show, field, description)


def instant(field: str, description: str | Promise) -> Callable[[Any], str]:
    """The exact time to the second, in the reader's time zone and form: for books and logs."""

    def show(row: Any) -> str:
        moment: datetime | None = getattr(row, field)
        if moment is None:
            return "–"
        there = timezone.localtime(moment)
        return _time(moment, date_format(there, f"{get_format('DATETIME_FORMAT')}:s"))

    return _as_column(show, field, description)


def figure(field: str, description: str | Promise) -> Callable[[Any], str]:
    """A whole number with its digits in groups; it stands right (lists.css)."""

    def show(row: Any) -> str:
        number: int | None = getattr(row, field)
        return "–" if number is None else str(intcomma(number))

    _as_column(show, field, description)
    show.__name__ = f"{field}_figure"
    return show


def _time(moment: datetime, text: str) -> str:
    exact = date_format(timezone.localtime(moment), "DATETIME_FORMAT")
    return format_html(
        '<time datetime="{}" title="{}" class="moment">{}</time>', moment.isoformat(), exact, text
    )


def _as_column(show: Callable, field: str, description: str | Promise) -> Callable:
    show.short_description = description
    show.admin_order_field = field
    show.__name__ = f"{field}_column"
    return show
