"""Form fields that several rooms' administrations share."""

import re
from typing import Any

from django import forms
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
)

from tenants.measures import MAX_COUNT, MAX_TOKENS, TOKENS, Measure, say_range


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


def limit_field(measure: Measure, **kwargs: Any) -> forms.IntegerField:
    """How much of something may be used; empty for no limit."""
    most = MAX_TOKENS if measure in TOKENS else MAX_COUNT
    outside = say_range(most)
    return forms.IntegerField(
        label=capfirst(measure.label),
        required=False,
        min_value=1,
        max_value=most,
        error_messages={"min_value": outside, "max_value": outside},
        **{
            "widget": UnfoldAdminIntegerFieldWidget(),
            "help_text": _("Empty: no limit of its own."),
            **kwargs,
        },
    )


class RowOfSelects(forms.Widget):
    """Several choices in order, one select each, and always `empty` more."""

    def __init__(self, empty: int = 1) -> None:
        super().__init__()
        self.empty = empty
        self.choices: list[tuple[str, str]] = []  # (value, what people call it)

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[str]:
        return data.getlist(name)

    def render(self, name: str, value: Any, attrs: dict | None = None, renderer: Any = None) -> SafeString:
        select, first = UnfoldAdminSelectWidget(choices=self.choices), (attrs or {}).get("id", name)
        rows = []
        for number, chosen in enumerate([*(value or []), *[""] * self.empty]):
            own = {"id": first}  # the field's label is the first one's
            if number:
                said = gettext("Choice %(number)d") % {"number": number + 1}
                own = {"id": f"{first}_{number}", "aria-label": said}
            rows.append((select.render(name, chosen, own, renderer),))
        return format_html('<ol class="row-of-selects">{}</ol>', format_html_join("", "<li>{}</li>", rows))


class ChosenNamesField(NamesField):
    """Names out of those that there are, in order. What is stored and exists no more stays choosable, and
    says so; what may be written is for the service to say.
    """

    def __init__(self, *, empty: int = 1, **kwargs) -> None:
        super().__init__(widget=RowOfSelects(empty), **kwargs)

    def offer(self, names: dict[str, str], stored: list[str]) -> None:
        self.widget.choices = choices_of(names, stored)

    def prepare_value(self, value):
        return value

    def to_python(self, value) -> list[str]:
        return list(dict.fromkeys(name for name in value or [] if name))


class ChosenNameField(forms.CharField):
    """The same for one name."""

    def __init__(self, **kwargs) -> None:
        super().__init__(**{"required": False, "widget": UnfoldAdminSelectWidget(), **kwargs})

    def offer(self, names: dict[str, str], stored: list[str]) -> None:
        self.widget.choices = choices_of(names, stored)


def choices_of(names: dict[str, str], stored: list[str]) -> list[tuple[str, str]]:
    """For a select: nothing, each name with what people call it, and what is stored but gone."""
    gone = [(name, gettext("%(name)s (does not exist any more)") % {"name": name}) for name in stored]
    return [("", "–"), *names.items(), *(pair for pair in gone if pair[0] not in names)]
