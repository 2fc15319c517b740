"""What narrows the catalogue and orders it: all of it stands in the address."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.text import capfirst
from django.utils.translation import gettext, pgettext
from django.utils.translation import gettext_lazy as _

from foundation.spacing import label_value
from models_registry.kinds import ABILITIES, Location, ModelKind
from models_registry.languages import name_language
from models_registry.offered import Entry

MAX_QUERY = 200
Choices = list[tuple[str, str]]


def _price_of(entry: Entry) -> Any:
    """What is read and written once."""
    price = entry.route.price
    return None if price.is_unset else (price.input or 0) + (price.output or 0)


# what is None comes last, upwards and downwards
SORTS: dict[str, Callable[[Entry], Any]] = {
    "context": lambda one: one.route.context_window,
    "price": _price_of,
    "first": lambda one: one.speed.first_token_ms,
    "speed": lambda one: one.speed.tokens_per_s,
}
NEED_SPEEDS = ("first", "speed")


class CatalogueFilter(forms.Form):
    """The fields of components/_filter_bar.html, with the values that lead to something among the entries.
    What is asked for beyond them is ignored. A model of which nobody said what it can, or in which languages
    it answers, is found without that filter alone.
    """

    q = forms.CharField(
        label=_("Search"),
        required=False,
        widget=forms.TextInput(
            attrs={
                "type": "search",
                "maxlength": MAX_QUERY,
                "autocomplete": "off",
                "placeholder": _("Search by name or purpose"),
            }
        ),
    )
    kind = forms.ChoiceField(label=_("Kind"), required=False)
    can = forms.ChoiceField(label=_("Ability"), required=False)
    language = forms.ChoiceField(label=_("Language"), required=False)
    place = forms.ChoiceField(label=_("Location"), required=False)
    sort = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, given: QueryDict, entries: Sequence[Entry]) -> None:
        choices = _list_choices(entries)
        data = {"q": " ".join(given.get("q", "").split())[:MAX_QUERY], "sort": given.get("sort", "")}
        if data["sort"].removeprefix("-") not in SORTS and data["sort"] != "-name":
            data["sort"] = ""
        for name, (_all, offered) in choices.items():
            value = given.get(name, "")
            data[name] = value if value in dict(offered) else ""
        super().__init__(data, auto_id="filter_%s")
        self.labels = {name: dict(offered) for name, (_all, offered) in choices.items()}
        for name, (all_of_them, offered) in choices.items():
            field = self.fields[name]
            if offered and isinstance(field, forms.ChoiceField):
                field.choices = [("", all_of_them), *offered]
            else:
                del self.fields[name]

    def find(self, entries: Iterable[Entry]) -> list[Entry]:
        """Those that fit, in the order they came in."""
        kind, can, language, place = (self.data[name] for name in ("kind", "can", "language", "place"))
        return [
            one
            for one in entries
            if _matches(one, self.data["q"])
            and kind in ("", one.route.kind)
            and can in ("", *one.row.capabilities)
            and language in ("", *one.row.languages)
            and place in ("", *(endpoint.location for endpoint in one.endpoints))
        ]

    @property
    def needs_speeds(self) -> bool:
        return self.data["sort"].removeprefix("-") in NEED_SPEEDS

    def sort_entries(self, entries: list[Entry]) -> list[Entry]:
        """`entries` are in the order of their names."""
        key, is_down = self.data["sort"].removeprefix("-"), self.data["sort"].startswith("-")
        if key not in SORTS:
            return entries[::-1] if is_down else entries
        value_of = SORTS[key]
        known = [one for one in entries if value_of(one) is not None]
        return sorted(known, key=value_of, reverse=is_down) + [
            one for one in entries if value_of(one) is None
        ]

    def list_applied(self, given: QueryDict) -> list[dict[str, str]]:
        """What is in force, in words, each with the address of the same list without it."""
        applied = []
        for name, field in self.fields.items():
            if name == "sort" or not (value := self.data[name]):
                continue
            if name in self.labels:
                label = label_value(field.label, self.labels[name][value])
            else:
                label = gettext("Search: “%(words)s”") % {"words": value}
            applied.append({"label": label, "url": _address(given, without=(name, "page"))})
        return applied

    def clear_url(self, given: QueryDict) -> str:
        return _address(given, without=(*self.fields, "page"), but="sort")


def _address(given: QueryDict, *, without: Iterable[str], but: str = "") -> str:
    rest = given.copy()
    for name in without:
        if name != but:
            rest.pop(name, None)
    return f"?{rest.urlencode()}"


def _list_choices(entries: Sequence[Entry]) -> dict[str, tuple[str, Choices]]:
    """By field: what its first line says, and the values that lead to something."""
    kinds = {one.route.kind for one in entries}
    places = {endpoint.location for one in entries for endpoint in one.endpoints} - {""}
    words = {word for one in entries for word in one.row.capabilities}
    abilities = [(word, str(ABILITIES.get(word, word))) for word in words]
    codes = {code for one in entries for code in one.row.languages}
    languages = [(code, name_language(code)) for code in codes]
    return {
        "kind": (pgettext("filter", "all"), _pick(ModelKind.choices, kinds)),
        "can": (pgettext("filter", "any"), _by_label(abilities)),
        "language": (pgettext("filter", "any"), _by_label(languages)),
        "place": (pgettext("filter", "any"), _pick(Location.choices, places)),
    }


def _by_label(choices: Choices) -> Choices:
    return sorted(choices, key=lambda one: one[1].casefold())


def _pick(known: Iterable[tuple[str, Any]], found: set[str]) -> Choices:
    return [(value, capfirst(str(label))) for value, label in known if value in found]


def _matches(entry: Entry, query: str) -> bool:
    texts = (entry.route.name, entry.route.label, entry.notes, entry.row.licence, *entry.row.aliases)
    return all(any(word in text.casefold() for text in texts) for word in query.casefold().split())
