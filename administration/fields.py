"""Form fields that several rooms' administrations share."""

import re

from django import forms
from unfold.widgets import UnfoldAdminTextareaWidget


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
