"""The shape of what a person may change about themselves and their keys."""

from datetime import date, datetime, time
from typing import Any

from django import forms
from django.conf import settings
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from accounts.models import ApiKey, User
from administration.fields import limit_field
from foundation.refusals import Refusal, texts_by_field
from foundation.time_zones import list_time_zones
from tenants.measures import Measure

MODELS_WITHOUT_SEARCH = 8  # so many are seen at a glance


def time_zone_choices() -> list[tuple[str, str | Promise]]:
    zones = [
        (zone, zone.replace("_", " ")) for zone in sorted(list_time_zones()) if "/" in zone or zone == "UTC"
    ]
    return [("", _("Time zone of the browser, from the next log-in on")), *zones]


class ProfileForm(forms.ModelForm):
    """Name, language, appearance and time zone."""

    fields: dict[str, Any]
    language = forms.ChoiceField(
        label=_("Language"), required=False, choices=[("", _("Language of the browser")), *settings.LANGUAGES]
    )
    time_zone = forms.ChoiceField(
        label=_("Time zone"),
        required=False,
        choices=time_zone_choices,
        widget=forms.Select(attrs={"translate": "no"}),  # names of places
    )

    class Meta:
        model = User
        fields = ["name", "language", "theme", "time_zone"]

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.fields["theme"].choices = [(value, capfirst(label)) for value, label in User.Theme.choices]


def own_limit_field(measure: Measure) -> forms.IntegerField:
    return limit_field(measure, widget=forms.NumberInput(), help_text="")


class ApiKeyForm(forms.Form):
    """A new key for oneself. Empty limits mean none."""

    fields: dict[str, Any]
    name = forms.CharField(label=_("Name"), max_length=120)
    scopes = forms.MultipleChoiceField(
        label=_("Scopes"), initial=[ApiKey.Scope.INFERENCE], widget=forms.CheckboxSelectMultiple
    )
    requests_per_minute = own_limit_field(Measure.REQUESTS_PER_MINUTE)
    tokens_per_minute = own_limit_field(Measure.TOKENS_PER_MINUTE)
    tokens_per_day = own_limit_field(Measure.TOKENS_PER_DAY)
    calls_at_once = own_limit_field(Measure.CALLS_AT_ONCE)
    expires_on = forms.DateField(
        label=_("Expires on"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text=_("The key's last day."),
    )
    model_names = forms.MultipleChoiceField(
        label=_("Models"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Which models the key may call. None chosen: all."),
    )

    def __init__(self, *args, scopes: list[tuple[str, str | Promise]], models: list[str], **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.fields["scopes"].choices = scopes
        self.fields["model_names"].choices = [(name, name) for name in models]
        if not models:
            del self.fields["model_names"]

    @property
    def limit_fields(self) -> list[forms.BoundField]:
        return [self[measure] for measure in Measure.values]

    @property
    def has_model_search(self) -> bool:
        return len(self.fields["model_names"].choices) > MODELS_WITHOUT_SEARCH

    def clean_expires_on(self) -> date | None:
        day = self.cleaned_data["expires_on"]
        if day is not None and day < timezone.localdate():
            raise forms.ValidationError(_("The expiry lies in the past."))
        return day

    def cleaned_arguments(self) -> dict:
        """What `create_api_key` takes; a key expires at the end of its
        last day, in the person's time zone.
        """
        given = self.cleaned_data
        data = {name: value for name, value in given.items() if name not in Measure.values}
        data["limits"] = {name: given[name] for name in Measure.values}
        day = data.pop("expires_on")
        data["expires_at"] = datetime.combine(day, time.max, timezone.get_current_timezone()) if day else None
        return data

    def add_refusal(self, refusal: Refusal) -> None:
        """Show what the service refused, each text at its field."""
        for name, texts in texts_by_field(refusal).items():
            field = "expires_on" if name == "expires_at" else name
            self.add_error(field if field in self.fields else None, texts)
