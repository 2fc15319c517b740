"""A key as a field of a form in the administration: found by name and hint, as in the list of keys. Who may
not see that list types the key's id, which its person can tell.
"""

from django import forms
from django.contrib.admin.widgets import AutocompleteSelect
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.models import ApiKey, Limit
from accounts.selectors import find_key
from administration.sites import service_admin
from foundation.errors import InvalidInput

LIST, ID = "key", "key_name"


def key_field(request: HttpRequest) -> str:
    """The one of the two fields that this person gets."""
    return LIST if request.user.has_perm("accounts.view_apikey") else ID


class KeyChoice(forms.ModelForm):
    """Fields of both kinds: a page shows one (`key_field`), and its form has no other."""

    key = forms.ModelChoiceField(
        label=_("API key"),
        required=False,
        queryset=ApiKey.objects.all(),
        widget=AutocompleteSelect(Limit._meta.get_field("key"), service_admin),
    )
    key_name = forms.CharField(
        label=_("API key"),
        required=False,
        max_length=8,
        widget=UnfoldAdminTextInputWidget(),
        help_text=_("Its id: the 8 characters in the list of keys."),
    )

    def chosen_key(self) -> ApiKey | None:
        """None: none is chosen. Raises InvalidInput for an id that is of no key."""
        if ID not in self.fields:
            return self.cleaned_data[LIST]
        row = find_key(self.cleaned_data[ID].strip())
        if row is None:
            raise InvalidInput(_("There is no API key with this id."), param=ID)
        return row
