"""The shape of what a person may change about themselves and their keys."""

import zoneinfo
from datetime import UTC, datetime, time

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from accounts.models import ApiKey, User


def list_time_zones() -> list[tuple[str, str]]:
    return [(zone, zone.replace("_", " ")) for zone in sorted(zoneinfo.available_timezones()) if "/" in zone or zone == "UTC"]


class ProfileForm(forms.ModelForm):
    """Name, language, appearance and time zone."""

    language = forms.ChoiceField(label=_("Language"), required=False, choices=[("", _("Language of the browser")), *settings.LANGUAGES])
    time_zone = forms.ChoiceField(label=_("Time zone"), choices=list_time_zones)

    class Meta:
        model = User
        fields = ["name", "language", "theme", "time_zone"]


class ApiKeyForm(forms.Form):
    """A new key for oneself. Empty limits mean none."""

    name = forms.CharField(label=_("Name"), max_length=120)
    scopes = forms.MultipleChoiceField(label=_("Scopes"), choices=ApiKey.Scope.choices, initial=[ApiKey.Scope.INFERENCE], widget=forms.CheckboxSelectMultiple)
    requests_per_minute = forms.IntegerField(label=_("Requests per minute"), min_value=1, required=False)
    expires_on = forms.DateField(label=_("Expires on"), required=False, widget=forms.DateInput(attrs={"type": "date"}))

    def cleaned_arguments(self) -> dict:
        """What `create_api_key` takes; a key expires at the end of its last day, UTC."""
        data = dict(self.cleaned_data)
        day = data.pop("expires_on")
        data["expires_at"] = datetime.combine(day, time.max, UTC) if day else None
        return data
