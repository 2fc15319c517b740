"""A tenant's projects with their members."""

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from accounts.limit_fields import LimitFields, LimitsAdmin
from accounts.models import Limit, Project, ProjectMembership
from accounts.services import (
    create_project,
    delete_project,
    remove_project_member,
    rename_project,
    set_auto_models,
    set_data_policy,
    set_project_member,
)
from administration.columns import ago
from administration.fields import NamesField
from administration.menu import MenuGroup, Place
from administration.model_admin import AtriumModelAdmin, Inline
from administration.sites import service_admin


class ProjectForm(LimitFields):
    auto_models = NamesField(
        label=_("Models for “auto”"),
        help_text=_(
            "Among which “auto” chooses, one per line: the first that can do what a call asks for. Empty: as "
            "in the default project, and where that names none, the cheapest."
        ),
    )

    class Meta:
        model = Project
        fields = ["name", "data_policy", "auto_models"]


class MemberInline(Inline):
    model = ProjectMembership
    fields = ["user", "role"]
    autocomplete_fields = ["user"]
    verbose_name_plural = _("Members")

    def get_queryset(self, request: HttpRequest):
        return super().get_queryset(request).select_related("user", "project")

    def has_add_permission(self, request: HttpRequest, obj: Project | None = None) -> bool:
        return request.user.has_perm("accounts.change_project")

    has_change_permission = has_delete_permission = has_add_permission


@admin.register(Project, site=service_admin)
class ProjectAdmin(LimitsAdmin, AtriumModelAdmin):
    limit_level = Limit.Level.PROJECT
    form = ProjectForm
    place = Place(MenuGroup.PEOPLE, 30, "folder")
    in_palette = True
    empty_text = _("A project gathers usage, budgets and keys of those who work on one thing.")
    list_display = ["show_name", "is_default", "show_members", "show_keys", ago("created_at", _("added"))]
    search_fields = ["name"]
    inlines = [MemberInline]

    def get_queryset(self, request: HttpRequest):
        return super().get_queryset(request).prefetch_related("memberships", "api_keys")

    def get_fieldsets(self, request: HttpRequest, obj: Project | None = None):
        named = (None, {"fields": ["name", "data_policy", "auto_models"]})
        return [named] if obj is None else [named, self.limits_fieldset]

    def create_row(self, request: HttpRequest, form: forms.ModelForm) -> Project:
        project = create_project(actor=request.user, name=form.cleaned_data["name"])
        if form.cleaned_data["data_policy"]:
            set_data_policy(actor=request.user, project=project, data_policy=form.cleaned_data["data_policy"])
        if form.cleaned_data["auto_models"]:
            set_auto_models(actor=request.user, project=project, names=form.cleaned_data["auto_models"])
        return project

    def change_row(self, request: HttpRequest, row: Project, form: ProjectForm) -> None:
        if "name" in form.changed_data:
            rename_project(actor=request.user, project=row, name=form.cleaned_data["name"])
        if "data_policy" in form.changed_data:
            set_data_policy(actor=request.user, project=row, data_policy=form.cleaned_data["data_policy"])
        if "auto_models" in form.changed_data:
            set_auto_models(actor=request.user, project=row, names=form.cleaned_data["auto_models"])
        self.save_limits(request, row.pk, form)

    def remove_row(self, request: HttpRequest, row: Project) -> None:
        delete_project(actor=request.user, project=row)

    def save_formset(self, request: HttpRequest, form: forms.ModelForm, formset, change: bool) -> None:
        for member in formset.deleted_forms:
            if member.instance.pk:
                remove_project_member(actor=request.user, membership=member.instance)
        for member in formset.forms:
            if member.has_changed() and member not in formset.deleted_forms and member.cleaned_data:
                self._save_member(request, form.instance, member)

    def _save_member(self, request: HttpRequest, project: Project, member: forms.ModelForm) -> None:
        if "user" in member.changed_data and "user" in member.initial:
            remove_project_member(
                actor=request.user,
                membership=ProjectMembership.objects.get(project=project, user=member.initial["user"]),
            )
        set_project_member(
            actor=request.user,
            project=project,
            user=member.cleaned_data["user"],
            role=member.cleaned_data["role"],
        )

    @display(description=_("name"), ordering="name")
    def show_name(self, row: Project) -> str:
        return str(row)

    @display(description=_("members"))
    def show_members(self, row: Project) -> int:
        return len(row.memberships.all())

    @display(description=_("API keys"))
    def show_keys(self, row: Project) -> int:
        return len(row.api_keys.all())
