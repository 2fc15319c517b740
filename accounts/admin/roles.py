"""A tenant's roles, with their rights as a table."""

from django import forms
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from accounts.admin.rights import RightsWidget, describe_rights, list_rights
from accounts.roles import OWNER, ROLES, role_label
from accounts.services import create_role, delete_role, update_role
from administration.menu import MenuGroup, Place
from administration.model_admin import AtriumModelAdmin
from administration.sites import service_admin


class RoleForm(forms.ModelForm):
    rights = forms.ModelMultipleChoiceField(
        label=_("Rights"), required=False, queryset=Permission.objects.none(), widget=RightsWidget()
    )

    class Meta:
        model = Group
        fields = ["name"]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if "rights" in self.fields:
            self.fields["rights"].queryset = list_rights()
            if self.instance.pk:
                self.fields["rights"].initial = list(self.instance.permissions.values_list("pk", flat=True))


@admin.register(Group, site=service_admin)
class RoleAdmin(AtriumModelAdmin):
    place = Place(MenuGroup.PEOPLE, 20, "id-card")
    nouns = (_("role"), _("roles"))
    empty_text = _("A role says what its people may do.")
    form = RoleForm
    list_display = ["show_name", "show_people", "show_rights"]
    search_fields = ["name"]
    readonly_fields = ["show_name"]
    ordering = ["name"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        return (
            super()
            .get_queryset(request)
            .prefetch_related("user_set", Prefetch("permissions", list_rights(), to_attr="shown_rights"))
        )

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        is_fixed = isinstance(obj, Group) and obj.name == OWNER
        return not is_fixed and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        is_fixed = isinstance(obj, Group) and obj.name in ROLES
        return not is_fixed and super().has_delete_permission(request, obj)

    def get_fields(self, request: HttpRequest, obj: Group | None = None) -> list[str]:
        """The roles that every organisation starts with keep their names, which are shown as people call
        them.
        """
        return ["show_name" if obj is not None and obj.name in ROLES else "name", "rights"]

    def create_row(self, request: HttpRequest, form: RoleForm) -> Group:
        return create_role(
            actor=request.user, name=form.cleaned_data["name"], permissions=form.cleaned_data["rights"]
        )

    def change_row(self, request: HttpRequest, row: Group, form: RoleForm) -> None:
        unseen = row.permissions.exclude(pk__in=list_rights())
        update_role(
            actor=request.user,
            role=row,
            name=form.cleaned_data.get("name", row.name),
            permissions=[*form.cleaned_data["rights"], *unseen],
        )

    def remove_row(self, request: HttpRequest, row: Group) -> None:
        delete_role(actor=request.user, role=row)

    def render_change_form(self, request, context, add=False, change=False, form_url="", obj=None):
        response = super().render_change_form(request, context, add, change, form_url, obj)
        if obj is not None:
            response.context_data |= {"original": _labelled(obj), "subtitle": role_label(obj)}
        return response

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict | None = None
    ) -> HttpResponse:
        response = super().history_view(request, object_id, extra_context)
        response.context_data["original"] = _labelled(response.context_data["original"])
        return response

    @display(description=_("name"), ordering="name")
    def show_name(self, row: Group) -> str:
        return role_label(row)

    @display(description=_("people"))
    def show_people(self, row: Group) -> int:
        return len(row.user_set.all())

    @display(description=_("rights"))
    def show_rights(self, row: Group) -> int:
        return len(row.shown_rights)

    @display(description=_("rights"))
    def rights(self, row: Group) -> str:
        """The form's field, for those who may only look."""
        return describe_rights(row.shown_rights)


def _labelled(role: Group) -> Group:
    """The role for a page's titles, which call it as the lists do."""
    return Group(pk=role.pk, name=role_label(role))
