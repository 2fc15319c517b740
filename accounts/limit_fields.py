"""The four limits of an object as fields of its page in the administration."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from accounts.limit_use import FREED, count_used
from accounts.models import Limit
from accounts.services import set_limits
from administration.fields import limit_field
from tenants.measures import Measure, say_use


class LimitFields(forms.ModelForm):
    """Shows the limits that the page's ModelAdmin has loaded, and knows which of them somebody changed."""

    requests_per_minute = limit_field(Measure.REQUESTS_PER_MINUTE)
    tokens_per_minute = limit_field(Measure.TOKENS_PER_MINUTE)
    tokens_per_day = limit_field(Measure.TOKENS_PER_DAY)
    calls_at_once = limit_field(Measure.CALLS_AT_ONCE)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        for measure, amount in getattr(self.instance, "own_limits", {}).items():
            if measure in self.fields:
                self.fields[measure].initial = amount
                self.fields[measure].help_text = self._say_used(measure)

    def _say_used(self, measure: str) -> str:
        text = gettext("%(used)s used; is free again %(when)s. Empty: no limit of its own.")
        used = self.instance.used_of_limits.get(measure, 0)
        return text % {"used": intcomma(used), "when": FREED[measure]}

    def without_limits(self) -> dict[str, Any]:
        return {name: value for name, value in self.cleaned_data.items() if name not in Measure.values}

    def changed_limits(self) -> dict[str, int | None]:
        return {name: self.cleaned_data[name] for name in self.changed_data if name in Measure.values}


class LimitsAdmin:
    """For a ModelAdmin whose form is a LimitFields."""

    limit_level: Limit.Level
    limits_fieldset = (_("Limits"), {"fields": list(Measure.values)})

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Model | None:
        row = super().get_object(request, object_id, from_field)  # type: ignore[misc]
        if row is not None:
            column = "model_id" if self.limit_level == Limit.Level.MODEL else f"{self.limit_level}_id"
            rows = list(Limit.objects.filter(level=self.limit_level, **{column: row.pk}))
            used = count_used(rows)
            row.own_limits = {limit.measure: limit.amount for limit in rows}
            row.used_of_limits = {limit.measure: used.get(limit.pk, 0) for limit in rows}
        return row

    def save_limits(self, request: Any, subject_id: UUID, form: LimitFields) -> None:
        if changes := form.changed_limits():
            set_limits(actor=request.user, level=self.limit_level, subject_id=subject_id, amounts=changes)

    # the form's fields, for those who may only look
    @display(description=Measure.REQUESTS_PER_MINUTE.label)
    def requests_per_minute(self, row: Any) -> str:
        return _show(row, Measure.REQUESTS_PER_MINUTE)

    @display(description=Measure.TOKENS_PER_MINUTE.label)
    def tokens_per_minute(self, row: Any) -> str:
        return _show(row, Measure.TOKENS_PER_MINUTE)

    @display(description=Measure.TOKENS_PER_DAY.label)
    def tokens_per_day(self, row: Any) -> str:
        return _show(row, Measure.TOKENS_PER_DAY)

    @display(description=Measure.CALLS_AT_ONCE.label)
    def calls_at_once(self, row: Any) -> str:
        return _show(row, Measure.CALLS_AT_ONCE)


def _show(row: Any, measure: Measure) -> str:
    if measure not in row.own_limits:
        return "–"
    return say_use(measure, row.used_of_limits.get(measure, 0), row.own_limits[measure])
