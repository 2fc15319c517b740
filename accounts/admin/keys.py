"""A tenant's API keys: made here, shown once, limited, revoked. The digest is never shown."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, ngettext_lazy
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import AutocompleteSelectFilter, RelatedDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from accounts.admin.makers import name_makers
from accounts.limit_fields import LimitFields, LimitsAdmin
from accounts.models import ApiKey, Limit
from accounts.services import create_api_key, revoke_api_key, update_api_key
from accounts.shown_once import keep_new_key, take_new_key
from administration.columns import Badge, ago
from administration.confirm import confirmed
from administration.fields import NamesField
from administration.menu import MenuGroup, Place
from administration.model_admin import AtriumModelAdmin
from administration.sites import service_admin
from foundation.spacing import listed
from tenants.measures import Measure

USABLE, EXPIRED, REVOKED = "usable", "expired", "revoked"


class KeyForm(LimitFields):
    scopes = forms.MultipleChoiceField(
        label=_("Scopes"),
        choices=ApiKey.Scope.choices,
        initial=[ApiKey.Scope.INFERENCE],
        widget=UnfoldAdminCheckboxSelectMultipleWidget(),
        help_text=_("What the key opens. It cannot be changed later."),
    )
    model_names = NamesField(
        label=_("Models"), help_text=_("The names of the models this key may call, one per line. Empty: all.")
    )

    class Meta:
        model = ApiKey
        fields = ["name", "user", "project", "scopes", "model_names", "expires_at"]


class StateFilter(admin.SimpleListFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin) -> list[tuple]:
        return [(USABLE, _("usable")), (EXPIRED, _("expired")), (REVOKED, _("revoked"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        now = timezone.now()
        if self.value() == USABLE:
            return queryset.filter(revoked_at=None).exclude(expires_at__lte=now)
        if self.value() == EXPIRED:
            return queryset.filter(revoked_at=None, expires_at__lte=now)
        return queryset.exclude(revoked_at=None) if self.value() == REVOKED else queryset


@admin.register(ApiKey, site=service_admin)
class ApiKeyAdmin(LimitsAdmin, AtriumModelAdmin):
    limit_level = Limit.Level.KEY
    place = Place(MenuGroup.PEOPLE, 40, "key-round")
    in_palette = True
    empty_text = _("An API key lets a program call models, or manage this service, in a person's name.")
    form = KeyForm
    list_display = [
        "show_key",
        "user",
        "project",
        "show_maker",
        "show_state",
        "show_scopes",
        ago("last_used_at", _("last used")),
        ago("expires_at", _("expires")),
    ]
    list_filter = [StateFilter, ("user", AutocompleteSelectFilter), ("project", RelatedDropdownFilter)]
    search_fields = ["name", "key_id", "user__name", "user__email"]
    list_select_related = ["user", "project"]
    autocomplete_fields = ["user"]
    readonly_fields = ["key_id", "show_state", "show_scopes", "last_used_at", "created_at", "show_maker"]
    actions = ["revoke"]
    actions_detail = ["revoke"]

    def get_fieldsets(self, request: HttpRequest, obj: ApiKey | None = None):
        limits = (_("Limits"), {"fields": ["model_names", *Measure.values, "expires_at"]})
        if obj is None:
            return [(None, {"fields": ["name", "user", "project", "scopes"]}), limits]
        return [
            (
                None,
                {
                    "fields": [
                        "name",
                        "key_id",
                        "user",
                        "project",
                        "show_scopes",
                        "show_state",
                        "last_used_at",
                        "created_at",
                        "show_maker",
                    ]
                },
            ),
            limits,
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> list[str]:
        return self.readonly_fields if obj is None else [*self.readonly_fields, "user"]

    def load_more(self, rows: list[Any]) -> None:
        names = name_makers(rows)
        for row in rows:
            row.made_by = names.get(row.pk, "–")

    def has_change_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        is_final = isinstance(obj, ApiKey) and obj.revoked_at is not None
        return not is_final and super().has_change_permission(request, obj)

    def create_row(self, request: HttpRequest, form: KeyForm) -> ApiKey:
        row, text = create_api_key(actor=request.user, **form.without_limits())
        self.save_limits(request, row.pk, form)
        request.new_key_text = text
        return row

    def change_row(self, request: HttpRequest, row: ApiKey, form: KeyForm) -> None:
        changes = form.without_limits()
        update_api_key(
            actor=request.user,
            key=row,
            **{name: value for name, value in changes.items() if name in form.changed_data},
        )
        self.save_limits(request, row.pk, form)

    def response_add(
        self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None
    ) -> HttpResponse:
        keep_new_key(request, obj, request.new_key_text)
        return HttpResponseRedirect(reverse("service:accounts_apikey_change", args=[obj.pk]))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict | None = None
    ) -> HttpResponse:
        """The first look at a new key is the only page that ever shows it."""
        new = take_new_key(request, object_id) if request.method == "GET" else None
        if new is None:
            return super().change_view(request, object_id, form_url, extra_context)
        context = self.admin_site.each_context(request) | {
            "title": gettext("The new key"),
            "key": self.get_object(request, object_id),
            "text": new[1],
            "opts": self.model._meta,
            "media": self.media,
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/accounts/apikey_created.html", context)

    @display(description=_("key"), ordering="name", header=True)
    def show_key(self, row: ApiKey) -> list[str]:
        return [row.name, f"…{row.key_id}…"]

    def name_choice(self, row: ApiKey) -> str:
        return row.name_with_owner

    @display(description=_("state"), label={USABLE: "success", EXPIRED: "warning", REVOKED: "danger"})
    def show_state(self, row: ApiKey) -> Badge:
        if row.revoked_at:
            return Badge(REVOKED, gettext("revoked"))
        return Badge(EXPIRED, gettext("expired")) if row.is_expired else Badge(USABLE, gettext("usable"))

    @display(description=_("made by"))
    def show_maker(self, row: ApiKey) -> str:
        return row.made_by

    @display(description=_("scopes"))
    def show_scopes(self, row: ApiKey) -> str:
        return listed(row.scope_labels)

    def list_fitting_actions(self, request: HttpRequest, row: ApiKey) -> set[str]:
        return {"revoke"} if row.revoked_at is None else set()

    @confirmed(
        description=_("Revoke"),
        icon="ban",
        is_dangerous=True,
        question=_("Revoke these keys?"),
        explanation=_(
            "Programs that use them are refused within a second. A revoked key never works again; make a new "
            "one instead."
        ),
        done=ngettext_lazy("%(count)d key is revoked.", "%(count)d keys are revoked.", "count"),
    )
    def revoke(self, request: HttpRequest, row: ApiKey) -> None:
        revoke_api_key(actor=request.user, key=row)
