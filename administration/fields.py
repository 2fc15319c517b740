"""Form fields that several rooms' administrations share."""

import re

from django import forms
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminTextareaWidget

from tenants.measures import MAX_COUNT, MAX_TOKENS, TOKENS, Measure


class NamesField(forms.CharField):
    """Several names in one text, one per line; commas and spaces separate too. Its value is a list without
    repeats.
    """

    def __init__(self, **kwargs) -> None:
        super().__init__(
            **{"required": False, "widget": UnfoldAdminTextareaWidget(attrs={"rows": 3}), **kwargs}
        )

    def prepare_value(self, value):
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value) -> list[str]:
        if isinstance(value, list):
            return value
        return list(dict.fromkeys(name for name in re.split(r"[\s,]+", value or "") if name))

    def has_changed(self, initial, data) -> bool:
        return self.to_python(data) != (initial or [])


def limit_field(measure: Measure) -> forms.IntegerField:
    """How much of something may be used; empty for no limit."""
    return forms.IntegerField(
        label=capfirst(measure.label),
        required=False,
        min_value=1,
        max_value=MAX_TOKENS if measure in TOKENS else MAX_COUNT,
        widget=UnfoldAdminIntegerFieldWidget(),
        help_text=_("Empty: no limit of its own."),
    )
