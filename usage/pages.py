"""What the pages of usage show, put together from the selectors."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, cast

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.limit_use import FREED, count_used
from accounts.models import Limit, User
from accounts.objects import MODEL, label_objects
from accounts.selectors import list_own_limits
from foundation.amounts import money, money_cell, show_exactly, show_money
from foundation.spacing import label_value
from tenants.measures import say_use
from usage.charts import Bar, BarChart, FiguresTable, Series, round_up
from usage.selectors import BudgetState, UsageRow, list_binding_budgets, own_usage

PERIODS = (7, 30, 90)
DEFAULT_PERIOD = 30


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the page's tables and one bar of its chart: tokens read and written, cached and reasoning
    ones included.
    """

    date: date | None
    calls: int
    input_tokens: int
    output_tokens: int
    cost: Decimal

    @property
    def is_used(self) -> bool:
        return bool(self.calls or self.cost)  # refunds alone have no calls

    def say(self, subject: str, show: Callable[[Decimal], str]) -> tuple[str, ...]:
        """Its line of a table."""
        counts = (self.calls, self.input_tokens, self.output_tokens)
        return (subject, *map(intcomma, counts), show(self.cost))


@dataclass(frozen=True, slots=True)
class Bound:
    """A budget or a limit of the person's or of one of their keys: what is left or used of it, and when it
    is free again.
    """

    label: str
    text: str
    freed: str
    percent: int
    is_of_plan: bool = False
    is_above: bool = False


def my_usage_context(user: User, wanted_days: str, is_exact: bool) -> dict[str, Any]:
    """The variables of usage/my_usage.html. An unknown period is the default one. With `is_exact` each amount
    has all its digits.
    """
    period = int(wanted_days) if wanted_days in map(str, PERIODS) else DEFAULT_PERIOD
    usage = own_usage(user, period)
    labels = label_objects(MODEL, (row.label for row in usage.models))

    def show(cost: Decimal) -> str:
        return (show_exactly if is_exact else money_cell)(cost, usage.currency)

    models = [(labels[row.label], _line(row)) for row in usage.models]
    return {
        "periods": [_period(count, count == period) for count in PERIODS],
        "period": period,
        "is_exact": is_exact,
        "total": _line(usage.total),
        "spent_in_all": (show_exactly if is_exact else money)(usage.total.cost, usage.currency),
        "chart": _chart([_line(row) for row in usage.days], show),
        "models": FiguresTable(
            _head(_("Model")), [line.say(label, show) for label, line in models if line.is_used]
        ),
        "budgets": [
            _budget_line(state, show_exactly if is_exact else show_money)
            for state in list_binding_budgets(user)
        ],
        "limits": _list_limits(user),
        "place": "usage",
    }


def _budget_line(state: BudgetState, show: Callable[[Decimal, str], str]) -> Bound:
    """What is used and left of it; what is held for calls under way counts as used."""
    limit = show(state.limit, state.currency)
    if not state.is_open:
        text = _("%(percent)d%% used") % {"percent": state.percent}
    elif state.is_above:
        above = show(state.used - state.limit, state.currency)
        text = _("%(amount)s above the limit of %(limit)s") % {"amount": above, "limit": limit}
    else:
        shown = {"used": show(state.used, state.currency), "left": show(state.remaining, state.currency)}
        text = _("%(used)s of %(limit)s used, %(left)s left") % {"limit": limit, **shown}
    freed = ""
    if state.resets_on:
        freed = _("Begins anew on %(day)s.") % {"day": date_format(state.resets_on)}
    return Bound(state.label, text, freed, state.percent, state.is_of_plan, state.is_above)


def _list_limits(user: User) -> list[Bound]:
    rows = list(list_own_limits(user))
    used = count_used(rows)
    return [_limit_line(row, used[row.pk]) for row in rows]


def _limit_line(row: Limit, used: int) -> Bound:
    """The person's own stand without a name, those of a key with the key's."""
    return Bound(
        label=str(row.key) if row.key is not None else _("You, with all your keys"),
        text=say_use(row.measure, used, row.amount),
        freed=_("Free again %(when)s.") % {"when": FREED[row.measure]},
        percent=min(100, 100 * used // row.amount),
    )


def _head(subject: str) -> list[str]:
    return [subject, _("Calls"), _("Input tokens"), _("Output tokens"), _("Cost")]


def _chart(days: list[Line], show: Callable[[Decimal], str]) -> BarChart:
    top = round_up(max(line.input_tokens + line.output_tokens for line in days))
    return BarChart(
        key="chart",
        description=_("Bars: tokens per day. The figures are in the table below."),
        top=top,
        ticks=[intcomma(top), intcomma(top // 2), "0"],
        bars=[_bar(line, show) for line in days],
        series=[Series("series-2", _("Output tokens")), Series("series-1", _("Input tokens"))],
        head=_head(_("Day")),
    )


def _bar(line: Line, show: Callable[[Decimal], str]) -> Bar:
    day = cast(date, line.date)
    figures = {"read": intcomma(line.input_tokens), "written": intcomma(line.output_tokens)}
    text = _("Input tokens: %(read)s, output tokens: %(written)s") % figures
    return Bar(
        name=date_format(day, "MONTH_DAY_FORMAT"),
        title=label_value(date_format(day), text) if line.calls else "",
        values=(line.output_tokens, line.input_tokens),
        cells=line.say(date_format(day), show) if line.is_used else (),
    )


def _period(days: int, is_current: bool) -> dict[str, Any]:
    return {
        "days": days,
        "label": ngettext("%(days)d day", "%(days)d days", days) % {"days": days},
        "is_current": is_current,
    }


def _line(row: UsageRow) -> Line:
    return Line(
        date=row.key if isinstance(row.key, date) else None,
        calls=row.calls,
        input_tokens=row.tokens_read,
        output_tokens=row.tokens_written,
        cost=row.cost,
    )
