"""Budgets: how much may be spent by whom. Those that come with the plan are only shown."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget

from accounts.selectors import count_made_keys, list_projects
from accounts.subject_choice import CONDITIONS, SubjectChoice, key_field, person_field
from administration.columns import Badge
from administration.menu import MenuGroup, Place
from administration.model_admin import AtriumModelAdmin, exists_already
from administration.sites import service_admin
from foundation.amounts import money_cell, show_money
from foundation.errors import InvalidInput
from tenants.selectors import get_currency
from usage.models import Budget
from usage.selectors.budgets import find_budget
from usage.selectors.start_page import name_subjects, used_now
from usage.services import change_budget, remove_budget, set_budget


class BudgetForm(SubjectChoice):
    """Whose budget it is, is one of three fields; the level says which."""

    project = forms.ModelChoiceField(
        label=_("Project"), required=False, queryset=list_projects(), widget=UnfoldAdminSelectWidget()
    )

    class Meta:
        model = Budget
        fields = ["level", "period", "limit", "warn_at_percent"]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if "limit" in self.fields:
            is_new = self.instance._state.adding
            text = gettext("In %(currency)s.")
            currency = get_currency() if is_new else self.instance.currency
            self.fields["limit"].help_text = text % {"currency": currency}
            if is_new:
                self.fields["period"].help_text = gettext("Days and months begin at midnight, UTC.")

    def subject_id(self) -> Any:
        """The id the service wants, or None for the organisation."""
        level, data = self.cleaned_data["level"], self.cleaned_data
        if level == Budget.Level.TENANT:
            return None
        chosen = {Budget.Level.KEY: self.chosen_key, Budget.Level.USER: self.chosen_person}
        row = chosen[level]() if level in chosen else data[level]
        if row is None:
            raise InvalidInput(_("Choose whose budget this is."), param=level)
        return row.pk


@admin.register(Budget, site=service_admin)
class BudgetAdmin(AtriumModelAdmin):
    place = Place(MenuGroup.USAGE, 20, "piggy-bank")
    empty_text = _(
        "A budget stops calls before they cost more than you want: for the organisation, a project, a person "
        "or a key."
    )
    form = BudgetForm
    list_after_template = "admin/usage/budgets_above.html"
    list_display = [
        "show_subject",
        "level",
        "period",
        "show_limit",
        "show_spent",
        "show_held",
        "show_used",
        "show_manager",
    ]
    list_filter = [
        ("level", ChoicesDropdownFilter),
        ("period", ChoicesDropdownFilter),
        ("managed_by", ChoicesDropdownFilter),
    ]
    ordering = ["level", "period", "pk"]
    readonly_fields = [
        "show_subject",
        "show_limit",
        "show_spent",
        "show_held",
        "show_used",
        "show_manager",
        "period_start",
    ]
    conditional_fields = CONDITIONS | {"project": "level == 'project'"}

    def get_fieldsets(self, request: HttpRequest, obj: Budget | None = None):
        if obj is None:
            whose = ["level", "project", person_field(request), key_field(request)]
            return [(None, {"fields": [*whose, "period", "limit", "warn_at_percent"]})]
        current: dict[str, Any] = {
            "fields": ["period_start", "show_spent", "show_held", "show_used", "show_manager"]
        }
        if _is_above(obj):
            current["description"] = render_to_string("usage/_above_limit.html")
        limit = "limit" if self.has_change_permission(request, obj) else "show_limit"
        return [
            (None, {"fields": ["show_subject", "level", "period", limit, "warn_at_percent"]}),
            (_("Current period"), current),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Budget | None = None) -> list[str]:
        return self.readonly_fields if obj is None else [*self.readonly_fields, "level", "period"]

    def has_change_permission(self, request: HttpRequest, obj: Budget | None = None) -> bool:
        return not _comes_with_plan(obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Budget | None = None) -> bool:
        return not _comes_with_plan(obj) and super().has_delete_permission(request, obj)

    def get_changelist_instance(self, request: HttpRequest):
        changelist = super().get_changelist_instance(request)
        changelist.has_above = any(map(_is_above, changelist.result_list))
        return changelist

    def load_more(self, rows: list[Budget]) -> None:
        _name_all(rows)

    def create_row(self, request: HttpRequest, form: BudgetForm) -> Budget:
        data, subject_id = form.cleaned_data, form.subject_id()
        if (row := find_budget(data["level"], subject_id, data["period"])) is not None:
            raise exists_already(row, name=show_money(row.limit, row.currency), param="level")
        row = set_budget(
            actor=request.user,
            level=data["level"],
            subject_id=subject_id,
            limit=data["limit"],
            period=data["period"],
            warn_at_percent=data["warn_at_percent"],
        )
        _warn_of_made_keys(request, row)
        return row

    def change_row(self, request: HttpRequest, row: Budget, form: BudgetForm) -> None:
        data = form.cleaned_data
        change_budget(
            actor=request.user, budget=row, limit=data["limit"], warn_at_percent=data["warn_at_percent"]
        )

    def remove_row(self, request: HttpRequest, row: Budget) -> None:
        remove_budget(actor=request.user, budget=row)

    @display(description=_("whose"), ordering="subject_id")
    def show_subject(self, row: Budget) -> str:
        return getattr(row, "subject_name", "") or row.get_level_display()

    @display(description=_("limit"), ordering="limit")
    def show_limit(self, row: Budget) -> str:
        return money_cell(row.limit, row.currency)

    @display(description=_("spent"))
    def show_spent(self, row: Budget) -> str:
        return money_cell(used_now(row) - row.held, row.currency)

    @display(description=_("held for calls under way"))
    def show_held(self, row: Budget) -> str:
        return money_cell(row.held, row.currency)

    @display(description=_("used"), label={"ok": "success", "warn": "warning", "full": "danger"})
    def show_used(self, row: Budget) -> Badge:
        percent = int(100 * used_now(row) / row.limit) if row.limit else 100
        key = "full" if percent >= 100 else "warn" if percent >= row.warn_at_percent else "ok"
        return Badge(key, f"{percent} %")

    @display(description=_("set by"), ordering="managed_by")
    def show_manager(self, row: Budget) -> str:
        return row.get_managed_by_display()


def _is_above(row: Budget) -> bool:
    return used_now(row) > row.limit


def _comes_with_plan(row: Budget | None) -> bool:
    return isinstance(row, Budget) and row.managed_by == Budget.ManagedBy.PLAN


def _name_all(rows: list[Budget]) -> None:
    names = name_subjects(rows)
    for row in rows:
        row.subject_name = names[row.pk]


def _warn_of_made_keys(request: HttpRequest, row: Budget) -> None:
    """A key with a budget makes no keys; those that it made before spend beside it."""
    count = count_made_keys(row.subject_id) if row.level == Budget.Level.KEY else 0
    if count:
        text = ngettext(
            "%(count)d key that this key has made is not bound by its budget. Revoke it, or give its person "
            "or project a budget.",
            "%(count)d keys that this key has made are not bound by its budget. Revoke them, or give their "
            "person or project a budget.",
            count,
        )
        messages.warning(request, text % {"count": count})
