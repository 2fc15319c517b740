"""Rights of use: who may use a model or a collection, and who may not. They stand on their pages, too."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.forms.widgets import Script
from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget

from accounts.grant_fields import load_grants_of
from accounts.models import Grant
from accounts.objects import MODEL, list_objects, name_objects
from accounts.reach import name_holder, say_who, with_one_more
from accounts.roles import role_label
from accounts.services import grant, revoke_grant
from administration.columns import Badge, ago
from administration.menu import MenuGroup, Place
from administration.model_admin import AtriumModelAdmin, exists_already
from administration.sites import service_admin
from foundation.errors import InvalidInput

HOLDERS = ("role", "project", "user")


def _name_of(row: Grant) -> str:
    return name_objects(row.kind).get(row.object_id, row.object_name)


class RoleField(forms.ModelChoiceField):
    def label_from_instance(self, role) -> str:
        return role_label(role)


class GrantForm(forms.ModelForm):
    """One object, and who: of what sort, and which one. Choices of other sorts count for nothing."""

    target = forms.ChoiceField(label=_("Model"), widget=UnfoldAdminSelectWidget())
    holder = forms.ChoiceField(
        label=_("Who"),
        choices=[("role", _("a role")), ("project", _("a project")), ("user", _("a person"))],
        initial="role",
        widget=UnfoldAdminSelectWidget(),
    )

    class Meta:
        model = Grant
        fields = ["effect", "role", "project", "user"]
        field_classes = {"role": RoleField}

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if "target" in self.fields:
            rows = sorted(list_objects(MODEL), key=lambda row: str(row).lower())
            choices = [("", gettext("Choose a model")), *((str(row.id), str(row)) for row in rows)]
            self.fields["target"].choices = choices

    def _get_validation_exclusions(self) -> set[str]:
        """The service says what is missing, and knows no doubles: a grant that stands is changed."""
        return super()._get_validation_exclusions() | set(HOLDERS)

    def who(self) -> dict[str, Any]:
        """The one holder, as the service takes it. Raises InvalidInput."""
        name = self.cleaned_data["holder"]
        if self.cleaned_data[name] is None:
            raise InvalidInput(_("Choose whom this is about."), param=name)
        return {name: self.cleaned_data[name]}


@admin.register(Grant, site=service_admin)
class GrantAdmin(AtriumModelAdmin):
    place = Place(MenuGroup.MODELS, 30, "list-checks")
    empty_text = _(
        "Everybody may use every model and every shared collection. Give a role, a project or a person the "
        "right to one, and only those who have it see it; or refuse it to somebody. Rights to a collection "
        "are given on its own page."
    )
    form = GrantForm
    list_display = ["show_object", "show_effect", "show_holder", ago("created_at", _("since"))]
    list_filter = [("effect", ChoicesDropdownFilter)]
    list_select_related = ["role", "project", "user"]
    autocomplete_fields = ["user"]
    delete_confirmation_template = "admin/accounts/grant_delete.html"
    delete_selected_confirmation_template = "admin/accounts/grant_delete_selected.html"
    conditional_fields = {name: f"holder == '{name}'" for name in HOLDERS}
    fields = ["target", "effect", "holder", *HOLDERS, "show_reach"]

    class Media:
        js = [Script("js/admin-reach.js", type="module")]

    def get_fields(self, request: HttpRequest, obj: Grant | None = None) -> list[str]:
        return self.fields if obj is None else ["show_object", "show_holder", "effect", "show_reach"]

    def get_readonly_fields(self, request: HttpRequest, obj: Grant | None = None) -> list[str]:
        return ["show_reach"] if obj is None else ["show_object", "show_holder", "show_reach"]

    def get_urls(self) -> list:
        view = self.admin_site.admin_view(self.reach_view)
        return [path("reach/", view, name="accounts_grant_reach"), *super().get_urls()]

    def reach_view(self, request: HttpRequest) -> HttpResponse:
        """One sentence: who may use what is chosen in the form, once it is saved as it stands."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        kind = request.GET.get("kind") or MODEL
        found = {str(row.id): row for row in list_objects(kind)}.get(request.GET.get("target", ""))
        if found is None:
            return HttpResponse(gettext("Choose a model."), content_type="text/plain")
        rows = load_grants_of(kind, found.id)
        holder, effect = self._asked(request), request.GET.get("effect", "")
        if holder and effect in Grant.Effect.values:
            rows = with_one_more(rows, effect, holder)
            text = gettext("After saving: %(who)s") % {"who": say_who(str(found), rows)}
        else:
            text = gettext("At present: %(who)s") % {"who": say_who(str(found), rows)}
        return HttpResponse(text, content_type="text/plain")

    def _asked(self, request: HttpRequest) -> dict[str, Any]:
        """The holder that the form names so far."""
        name = request.GET.get("holder", "")
        if name not in HOLDERS:
            return {}
        try:
            row = Grant._meta.get_field(name).related_model._default_manager.filter(
                pk=request.GET.get(name) or None
            )
            return {name: row.get()}
        except (ValueError, ValidationError, ObjectDoesNotExist):
            return {}

    def get_changelist_instance(self, request: HttpRequest):
        changelist = super().get_changelist_instance(request)
        names = {kind: name_objects(kind) for kind in {row.kind for row in changelist.result_list}}
        for row in changelist.result_list:
            row.shown_name = names[row.kind].get(row.object_id, row.object_name)
        return changelist

    def create_row(self, request: HttpRequest, form: GrantForm) -> Grant:
        data, who = form.cleaned_data, form.who()
        if found := Grant.objects.filter(kind=MODEL, object_id=data["target"], **who).first():
            raise exists_already(found, name=str(found), param=next(iter(who)))
        row = grant(actor=request.user, kind=MODEL, target=data["target"], effect=data["effect"], **who)
        messages.info(request, self._say(row))
        return row

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

    def get_deleted_objects(self, objs: Iterable[Grant], request: HttpRequest) -> tuple:
        """For both pages that ask before anything is deleted."""
        request.reach_afterwards = self._say_without(list(objs))
        return super().get_deleted_objects(objs, request)

    def delete_model(self, request: HttpRequest, obj: Grant) -> None:
        super().delete_model(request, obj)
        messages.info(request, self._say(obj))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Grant]) -> None:
        rows = {row.object_id: row for row in queryset}
        super().delete_queryset(request, queryset)
        for row in rows.values():
            messages.info(request, self._say(row))

    def _say_without(self, gone: list[Grant]) -> list[str]:
        """One sentence for each object: who may use it once these rights are gone."""
        pks = {row.pk for row in gone}
        texts = []
        for one in {row.object_id: row for row in gone}.values():
            kept = [row for row in load_grants_of(one.kind, one.object_id) if row.pk not in pks]
            who = say_who(_name_of(one), kept)
            texts.append(gettext("After deleting: %(who)s") % {"who": who})
        return texts

    def _say(self, row: Grant) -> str:
        return say_who(_name_of(row), load_grants_of(row.kind, row.object_id))

    @display(description=_("result"))
    def show_reach(self, row: Grant) -> str:
        text = gettext("Choose a model.") if row._state.adding else self._say(row)
        fixed = {name: getattr(row, f"{name}_id") for name in HOLDERS if getattr(row, f"{name}_id")}
        query = (
            {"target": row.object_id, "kind": row.kind, "holder": next(iter(fixed), ""), **fixed}
            if fixed
            else {}
        )
        return format_html(
            '<output class="reach" data-url="{}?{}">{}</output>',
            reverse("service:accounts_grant_reach"),
            urlencode(query),
            text,
        )

    @display(description=_("model or collection"), ordering="object_name")
    def show_object(self, row: Grant) -> str:
        return row.shown_name if hasattr(row, "shown_name") else _name_of(row)

    @display(description=_("effect"), ordering="effect", label={"allow": "success", "deny": "danger"})
    def show_effect(self, row: Grant) -> Badge:
        return Badge(row.effect, row.get_effect_display())

    @display(description=_("who"))
    def show_holder(self, row: Grant) -> str:
        return capfirst(name_holder(row))
