"""The shape of what a person may change about themselves and their keys."""

import zoneinfo
from datetime import date, datetime, time
from typing import Any

from django import forms
from django.conf import settings
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.models import ApiKey, User
from foundation.refusals import Refusal, texts_by_field


def list_time_zones() -> list[tuple[str, str | Promise]]:
    zones = [
        (zone, zone.replace("_", " "))
        for zone in sorted(zoneinfo.available_timezones())
        if "/" in zone or zone == "UTC"
    ]
    return [("", _("Time zone of the browser, from the next log-in on")), *zones]


class ProfileForm(forms.ModelForm):
    """Name, language, appearance and time zone."""

    language = forms.ChoiceField(
        label=_("Language"), required=False, choices=[("", _("Language of the browser")), *settings.LANGUAGES]
    )
    time_zone = forms.ChoiceField(label=_("Time zone"), required=False, choices=list_time_zones)

    class Meta:
        model = User
        fields = ["name", "language", "theme", "time_zone"]


class ApiKeyForm(forms.Form):
    """A new key for oneself. Empty limits mean none."""

    fields: dict[str, Any]
    name = forms.CharField(label=_("Name"), max_length=120)
    scopes = forms.MultipleChoiceField(
        label=_("Scopes"), initial=[ApiKey.Scope.INFERENCE], widget=forms.CheckboxSelectMultiple
    )
    requests_per_minute = forms.IntegerField(
        label=_("Requests per minute"), min_value=1, max_value=2_000_000_000, required=False
    )
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

    def clean_expires_on(self) -> date | None:
        day = self.cleaned_data["expires_on"]
        if day is not None and day < timezone.localdate():
            raise forms.ValidationError(_("The expiry lies in the past."))
        return day

    def cleaned_arguments(self) -> dict:
        """What `create_api_key` takes; a key expires at the end of its
        last day, in the person's time zone.
        """
        data = dict(self.cleaned_data)
        day = data.pop("expires_on")
        data["expires_at"] = datetime.combine(day, time.max, timezone.get_current_timezone()) if day else None
        return data

    def add_refusal(self, refusal: Refusal) -> None:
        """Show what the service refused, each text at its field."""
        for name, texts in texts_by_field(refusal).items():
            field = "expires_on" if name == "expires_at" else name
            self.add_error(field if field in self.fields else None, texts)
