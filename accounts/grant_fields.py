"""Who may use an object, as fields of its page in the administration."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib.admin.widgets import AutocompleteSelectMultiple
from django.contrib.auth.models import Group
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from accounts.models import ApiKey, Grant, Project, User
from accounts.reach import say_who
from accounts.roles import role_label
from accounts.services import grant, revoke_grant
from administration.sites import service_admin
from foundation.spacing import listed

# field → the column of the holder, and the effect
FIELDS = {
    "open_to_roles": ("role", Grant.Effect.ALLOW),
    "open_to_projects": ("project", Grant.Effect.ALLOW),
    "open_to_people": ("user", Grant.Effect.ALLOW),
    "closed_to_people": ("user", Grant.Effect.DENY),
}


class RolesField(forms.ModelMultipleChoiceField):
    def label_from_instance(self, role: Group) -> str:
        return role_label(role)


def _people_field(label: Any) -> forms.ModelMultipleChoiceField:
    return forms.ModelMultipleChoiceField(
        label=label,
        required=False,
        queryset=User.objects.all(),
        widget=AutocompleteSelectMultiple(ApiKey._meta.get_field("user"), service_admin),
    )


class GrantFields(forms.ModelForm):
    """Shows the grants that the page's ModelAdmin has loaded."""

    open_to_roles = RolesField(
        label=_("Roles"),
        required=False,
        queryset=Group.objects.order_by("name"),
        widget=UnfoldAdminCheckboxSelectMultipleWidget(),
        help_text=_("Nobody chosen, here and below: everybody may use it."),
    )
    open_to_projects = forms.ModelMultipleChoiceField(
        label=_("Projects"),
        required=False,
        queryset=Project.objects.all(),
        widget=UnfoldAdminCheckboxSelectMultipleWidget(),
    )
    open_to_people = _people_field(_("People"))
    closed_to_people = _people_field(_("Not these people, whatever else allows it"))

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        for name in FIELDS.keys() & self.fields.keys():
            rows = list_holders(getattr(self.instance, "own_grants", []), name)
            self.fields[name].initial = [holder.pk for holder in rows]


def list_holders(grants: list[Grant], name: str) -> list[Any]:
    """The roles, projects or people that one of the fields names."""
    column, effect = FIELDS[name]
    rows = [getattr(row, column) for row in grants if row.effect == effect]
    return [holder for holder in rows if holder is not None]


def load_grants_of(kind: str, object_id: UUID) -> list[Grant]:
    rows = Grant.objects.filter(kind=kind, object_id=object_id)
    return list(rows.select_related("role", "project", "user"))


def save_grants(actor: Any, kind: str, object_id: UUID, form: GrantFields) -> None:
    """Give and take back what somebody changed in the form."""
    for name in [name for name in form.changed_data if name in FIELDS]:
        column, effect = FIELDS[name]
        wanted = {holder.pk: holder for holder in form.cleaned_data[name]}
        for row in load_grants_of(kind, object_id):
            if row.effect == effect and (holder_id := getattr(row, f"{column}_id")) is not None:
                if holder_id not in wanted:
                    revoke_grant(actor=actor, grant=row)
                wanted.pop(holder_id, None)
        for holder in wanted.values():
            grant(actor=actor, kind=kind, target=object_id, effect=effect, **{column: holder})


class GrantsAdmin:
    """For a ModelAdmin whose form is a GrantFields. It shows `show_reach` as a field to read."""

    grants_fieldset = (_("Who may use it"), {"fields": ["show_reach", *FIELDS]})

    @display(description=_("at present"))
    def show_reach(self, row: Any) -> str:
        return say_who(str(row), row.own_grants)

    # the form's fields, for those who may only look

    @display(description=_("roles"))
    def open_to_roles(self, row: Any) -> str:
        return listed(role_label(role) for role in list_holders(row.own_grants, "open_to_roles"))

    @display(description=_("projects"))
    def open_to_projects(self, row: Any) -> str:
        return listed(map(str, list_holders(row.own_grants, "open_to_projects")))

    @display(description=_("people"))
    def open_to_people(self, row: Any) -> str:
        return listed(map(str, list_holders(row.own_grants, "open_to_people")))

    @display(description=_("not these people"))
    def closed_to_people(self, row: Any) -> str:
        return listed(map(str, list_holders(row.own_grants, "closed_to_people")))
