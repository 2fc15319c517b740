"""Rights of use: who may use a model, and who may not. They stand on a model's page too."""

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget

from accounts.models import Grant
from accounts.objects import MODEL, list_objects, name_objects
from accounts.roles import role_label
from accounts.services import grant, revoke_grant
from administration.columns import Badge, ago
from administration.menu import MenuGroup, Place
from administration.model_admin import AtriumModelAdmin
from administration.sites import service_admin


class RoleField(forms.ModelChoiceField):
    def label_from_instance(self, role) -> str:
        return role_label(role)


class GrantForm(forms.ModelForm):
    """One object, and one of the three fields that say who."""

    target = forms.ChoiceField(label=_("Model"), widget=UnfoldAdminSelectWidget())

    class Meta:
        model = Grant
        fields = ["effect", "role", "project", "user"]
        field_classes = {"role": RoleField}

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if "target" in self.fields:
            rows = sorted(list_objects(MODEL), key=lambda row: row.name)
            self.fields["target"].choices = [(str(row.id), row.name) for row in rows]

    def _get_validation_exclusions(self) -> set[str]:
        """The service says what is missing, and knows no doubles: a grant that stands is changed."""
        return super()._get_validation_exclusions() | {"role", "project", "user"}


@admin.register(Grant, site=service_admin)
class GrantAdmin(AtriumModelAdmin):
    place = Place(MenuGroup.MODELS, 30, "rule")
    empty_text = _(
        "Everybody may use every model. Give a role, a project or a person the right to one, and only those "
        "who have it see that model; or refuse it to somebody."
    )
    form = GrantForm
    list_display = ["show_object", "show_effect", "show_holder", ago("created_at", _("since"))]
    list_filter = [("effect", ChoicesDropdownFilter)]
    list_select_related = ["role", "project", "user"]
    autocomplete_fields = ["user"]
    fields = ["target", "effect", "role", "project", "user"]

    def get_fields(self, request: HttpRequest, obj: Grant | None = None) -> list[str]:
        return self.fields if obj is None else ["show_object", "show_holder", "effect"]

    def get_readonly_fields(self, request: HttpRequest, obj: Grant | None = None) -> list[str]:
        return [] if obj is None else ["show_object", "show_holder"]

    def get_changelist_instance(self, request: HttpRequest):
        changelist = super().get_changelist_instance(request)
        names = name_objects(MODEL)
        for row in changelist.result_list:
            row.shown_name = names.get(row.object_id, row.object_name)
        return changelist

    def create_row(self, request: HttpRequest, form: GrantForm) -> Grant:
        return grant(actor=request.user, kind=MODEL, **form.cleaned_data)

    def change_row(self, request: HttpRequest, row: Grant, form: GrantForm) -> None:
        grant(
            actor=request.user,
            kind=row.kind,
            target=row.object_id,
            effect=form.cleaned_data["effect"],
            role=row.role,
            project=row.project,
            user=row.user,
        )

    def remove_row(self, request: HttpRequest, row: Grant) -> None:
        revoke_grant(actor=request.user, grant=row)

    @display(description=_("model"), ordering="object_name")
    def show_object(self, row: Grant) -> str:
        return getattr(row, "shown_name", row.object_name)

    @display(description=_("effect"), ordering="effect", label={"allow": "success", "deny": "danger"})
    def show_effect(self, row: Grant) -> Badge:
        return Badge(row.effect, row.get_effect_display())

    @display(description=_("who"))
    def show_holder(self, row: Grant) -> str:
        if row.role is not None:
            return f"{row._meta.get_field('role').verbose_name}: {role_label(row.role)}"
        holder = "project" if row.project is not None else "user"
        return f"{row._meta.get_field(holder).verbose_name}: {getattr(row, holder)}"
