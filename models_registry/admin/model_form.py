"""The form of a model, as both administrations ask for it."""

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldBooleanSwitchWidget

from accounts.objects import two_names
from administration.fields import ChosenNameField, ChosenNamesField, NamesField
from models_registry.base import LANGUAGES_HELP, STAND_INS_HELP
from models_registry.languages import list_names
from models_registry.selectors import list_seen_models


class ModelForm(forms.ModelForm):
    capabilities = NamesField(
        label=_("Capabilities"),
        help_text=_(
            "Short words, one per line, such as tools or vision. “json_schema”: the model keeps the schema "
            "of an answer by itself; else it is asked in words, and its answer is checked."
        ),
    )
    languages = ChosenNamesField(label=_("Languages"), help_text=LANGUAGES_HELP, empty=4)
    aliases = NamesField(
        label=_("Other names"), help_text=_("Under which it can be called too, one per line.")
    )
    fallbacks = ChosenNamesField(label=_("Stand-ins"), help_text=STAND_INS_HELP)
    is_free = forms.BooleanField(
        label=_("Free of charge"),
        required=False,
        widget=UnfoldBooleanSwitchWidget(),
        help_text=_(
            "Ticked: its price is 0; people may use it at once, and no budget stops its calls. Otherwise it "
            "stays switched off until you enter its price."
        ),
    )
    successor = ChosenNameField(
        label=_("Successor"), help_text=_("The model to use instead once this one is retired.")
    )

    class Meta:
        fields = [
            "name",
            "label",
            "connection",
            "upstream_name",
            "weight",
            "aliases",
            "fallbacks",
            "kind",
            "is_enabled",
            "is_default",
            "context_window",
            "max_output_tokens",
            "default_max_output_tokens",
            "capabilities",
            "languages",
            "licence",
            "channel",
            "retire_on",
            "successor",
            "notes",
        ]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            self.fields.pop("is_free", None)
        if "upstream_name" in self.fields:
            self.fields["upstream_name"].required = False
            self.fields["upstream_name"].help_text = _("Empty: the same as the name.")
        if "languages" in self.fields:
            self.fields["languages"].offer(list_names(), self.instance.languages)
        if {"fallbacks", "successor"} & self.fields.keys():
            self._offer_others()

    def _offer_others(self) -> None:
        """The other models, those that do the same; all, as long as nobody knows what this one does."""
        row = self.instance
        others = sorted(list_seen_models(), key=lambda other: other.name)
        names = {
            other.name: two_names(other.name, other.label)
            for other in others
            if other.pk != row.pk and (row._state.adding or other.kind == row.kind)
        }
        aliases = {alias: other.name for other in others for alias in other.aliases}
        for field, stored in (("fallbacks", row.fallbacks), ("successor", [row.successor])):
            if field in self.fields:
                called = {name: names[aliases[name]] for name in stored if aliases.get(name) in names}
                self.fields[field].offer(names | called, [name for name in stored if name])

    def _get_validation_exclusions(self) -> set[str]:
        """The service takes the mark from the model that had it, so two defaults are no mistake of the
        form.
        """
        return super()._get_validation_exclusions() | {"is_default"}
