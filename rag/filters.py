"""What narrows the list of documents and orders it: all of it stands in the address."""

from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.text import capfirst
from django.utils.translation import gettext, pgettext
from django.utils.translation import gettext_lazy as _

from foundation.spacing import label_value
from rag.listing import SORTS
from rag.models import Document

MAX_QUERY = 200


class DocumentFilter(forms.Form):
    """The fields of components/_filter_bar.html. What is asked for beyond its choices is ignored."""

    fields: dict[str, Any]
    q = forms.CharField(
        label=_("Search"),
        required=False,
        widget=forms.TextInput(
            attrs={
                "type": "search",
                "maxlength": MAX_QUERY,
                "autocomplete": "off",
                "placeholder": _("Search by title or file name"),
            }
        ),
    )
    state = forms.ChoiceField(label=_("State"), required=False)
    source = forms.ChoiceField(label=_("Source"), required=False)
    sort = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, given: QueryDict) -> None:
        choices = {
            "state": [(value, capfirst(str(label))) for value, label in Document.State.choices],
            "source": [(value, capfirst(str(label))) for value, label in Document.Source.choices],
        }
        data = {"q": " ".join(given.get("q", "").split())[:MAX_QUERY], "sort": given.get("sort", "")}
        if data["sort"].removeprefix("-") not in SORTS:
            data["sort"] = ""
        for name, offered in choices.items():
            value = given.get(name, "")
            data[name] = value if value in dict(offered) else ""
        super().__init__(data, auto_id="filter_%s")
        self._labels = {name: dict(offered) for name, offered in choices.items()}
        for name, offered in choices.items():
            self.fields[name].choices = [("", pgettext("filter", "all")), *offered]

    @property
    def is_narrowed(self) -> bool:
        return any(self.data[name] for name in ("q", "state", "source"))

    def list_applied(self, given: QueryDict) -> list[dict[str, str]]:
        """What is in force, in words, each with the address of the same list without it."""
        applied = []
        for name in ("q", "state", "source"):
            if not (value := self.data[name]):
                continue
            if name in self._labels:
                label = label_value(self.fields[name].label, self._labels[name][value])
            else:
                label = gettext("Search: “%(words)s”") % {"words": value}
            applied.append({"label": label, "url": address(given, without=(name, "page"))})
        return applied


def address(given: QueryDict, *, without: tuple[str, ...]) -> str:
    """The same list, less these parts of its address."""
    rest = given.copy()
    for name in without:
        rest.pop(name, None)
    return f"?{rest.urlencode()}"
