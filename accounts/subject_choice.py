"""A key and a person as fields of a form in the administration: found by name, as in their lists. Who may not
see the list of keys types a key's id, which its person can tell; who may not see people types an address.
"""

from django import forms
from django.contrib.admin.widgets import AutocompleteSelect
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminEmailInputWidget, UnfoldAdminTextInputWidget

from accounts.models import ApiKey, Limit, User
from accounts.selectors import find_key, get_user_by_email, list_people
from administration.sites import service_admin
from foundation.errors import InvalidInput, NotFound

KEY_FIELD, KEY_ID_FIELD = "key", "key_name"
PERSON_FIELD, ADDRESS_FIELD = "user", "user_email"
# when they are shown (a ModelAdmin's `conditional_fields`)
CONDITIONS = dict.fromkeys((KEY_FIELD, KEY_ID_FIELD), "level == 'key'") | dict.fromkeys(
    (PERSON_FIELD, ADDRESS_FIELD), "level == 'user'"
)


def key_field(request: HttpRequest) -> str:
    """The one of the two fields that this person gets."""
    return KEY_FIELD if request.user.has_perm("accounts.view_apikey") else KEY_ID_FIELD


def person_field(request: HttpRequest) -> str:
    """The same for people: the search for one answers only those who may see them."""
    return PERSON_FIELD if request.user.has_perm("accounts.view_user") else ADDRESS_FIELD


class KeyChoiceField(forms.ModelChoiceField):
    def label_from_instance(self, key: ApiKey) -> str:
        return key.name_with_owner


class SubjectChoice(forms.ModelForm):
    """Fields of both kinds: a page shows one of each (`key_field`, `person_field`), and its form has no
    other.
    """

    key = KeyChoiceField(
        label=_("API key"),
        required=False,
        queryset=ApiKey.objects.select_related("user"),
        widget=AutocompleteSelect(Limit._meta.get_field("key"), service_admin),
    )
    key_name = forms.CharField(
        label=_("API key"),
        required=False,
        max_length=8,
        widget=UnfoldAdminTextInputWidget(),
        help_text=_("Its id: the 8 characters in the list of keys."),
    )
    user = forms.ModelChoiceField(
        label=_("Person"),
        required=False,
        queryset=list_people(),
        widget=AutocompleteSelect(Limit._meta.get_field("user"), service_admin),
    )
    user_email = forms.EmailField(
        label=_("Person"),
        required=False,
        widget=UnfoldAdminEmailInputWidget(),
        help_text=_("Their e-mail address."),
    )

    def chosen_key(self) -> ApiKey | None:
        """None: none is chosen. Raises InvalidInput for an id that is of no key."""
        if KEY_ID_FIELD not in self.fields:
            return self.cleaned_data[KEY_FIELD]
        row = find_key(self.cleaned_data[KEY_ID_FIELD].strip())
        if row is None:
            raise InvalidInput(_("There is no API key with this id."), param=KEY_ID_FIELD)
        return row

    def chosen_person(self) -> User | None:
        """None: nobody is chosen. Raises InvalidInput for an address that is nobody's."""
        if ADDRESS_FIELD not in self.fields:
            return self.cleaned_data[PERSON_FIELD]
        if not self.cleaned_data[ADDRESS_FIELD]:
            return None
        try:
            return get_user_by_email(self.cleaned_data[ADDRESS_FIELD])
        except NotFound as exc:
            raise InvalidInput(exc.message, param=ADDRESS_FIELD) from None
