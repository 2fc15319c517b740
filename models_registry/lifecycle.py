"""The policy of a model's life: stable for at least 6 months, retirement announced at least 3 months ahead.
A model that was fetched begins as experimental: that somebody may rely on it is for somebody to say.
"""

import calendar
from datetime import date

from django.core.exceptions import ValidationError
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from models_registry.kinds import Channel

STABLE_MONTHS = 6
NOTICE_MONTHS = 3
_PROMISED = {Channel.STABLE, Channel.DEPRECATED}  # what people may have built on


def add_months(day: date, months: int) -> date:
    """The same day so many months later, or the last day of a shorter month."""
    year, month = divmod(day.month - 1 + months, 12)
    year, month = day.year + year, month + 1
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))


def earliest_retirement(stable_since: date | None, today: date) -> date:
    """The first day on which a promised model may be retired, if that is announced today."""
    notice = add_months(today, NOTICE_MONTHS)
    return max(notice, add_months(stable_since, STABLE_MONTHS)) if stable_since else notice


def announces_end(was: str | None, becomes: str, old_date: date | None, new_date: date | None) -> bool:
    """Whether a change sets the day on which a promised model ends: by the date alone, or by the date and
    “retired” in one go. The model is deprecated until then.
    """
    if new_date is None or new_date == old_date:
        return False
    return becomes == Channel.STABLE or (was in _PROMISED and becomes == Channel.RETIRED)


def check_life(
    *,
    was: str | None,
    becomes: str,
    old_date: date | None,
    new_date: date | None,
    stable_since: date | None,
    today: date,
) -> None:
    """Raise ValidationError if this change breaks the policy. `was` is None for a new model;
    `stable_since` is that after the change.
    """
    if was in _PROMISED and becomes == Channel.EXPERIMENTAL:
        raise ValidationError(
            {
                "channel": _(
                    "A stable model does not become experimental again. Announce its retirement instead."
                )
            }
        )
    if was in _PROMISED and becomes == Channel.RETIRED and (old_date is None or old_date > today):
        raise ValidationError(
            {"channel": _("A model is retired on the day that was announced. Set “retires on” first.")}
        )
    if new_date is None or becomes not in _PROMISED or (was is None and becomes == Channel.DEPRECATED):
        return
    is_later_or_same = old_date is not None and new_date >= old_date
    earliest = earliest_retirement(stable_since, today)
    if new_date < earliest and not (was in _PROMISED and is_later_or_same):
        message = _(
            "A stable model stays for at least 6 months, and its end is announced at least 3 months ahead: "
            "not before %(day)s."
        )
        raise ValidationError({"retire_on": message % {"day": date_format(earliest, "DATE_FORMAT")}})
