"""Limits of requests, tokens and calls at once: of the organisation, and everybody's in one list. Those of a
person, a project, a key or a model stand on their pages too; those of the plan are only shown.
"""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.humanize.templatetags.humanize import intcomma
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget

from accounts.limit_use import FREED, count_used
from accounts.models import Limit
from accounts.objects import MODEL, list_objects, name_objects
from accounts.selectors import find_limit
from accounts.services import change_limit, remove_limit, set_limit
from accounts.subject_choice import CONDITIONS, SubjectChoice, key_field, person_field
from administration.columns import Badge
from administration.menu import MenuGroup, Place
from administration.model_admin import AtriumModelAdmin, exists_already
from administration.sites import service_admin
from tenants.measures import MAX_COUNT, MAX_TOKENS, TOKENS, say_limit, say_use
from tenants.selectors import get_plan_limits

WARN_AT = 0.8  # of a limit


class LimitForm(SubjectChoice):
    """Whose limit it is, is one of four fields; the level says which."""

    target = forms.ChoiceField(label=_("Model"), required=False, widget=UnfoldAdminSelectWidget())
    amount = forms.IntegerField(label=_("Limit"), widget=UnfoldAdminIntegerFieldWidget(attrs={"min": 1}))

    class Meta:
        model = Limit
        fields = ["level", "project", "measure", "amount"]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if "target" in self.fields:
            rows = sorted(list_objects(MODEL), key=lambda row: str(row).lower())
            self.fields["target"].choices = [("", "–"), *((str(row.id), str(row)) for row in rows)]

    def _get_validation_exclusions(self) -> set[str]:
        """The service says what is missing, and knows no doubles: a limit that stands is changed."""
        return super()._get_validation_exclusions() | {"level", "project"}

    def clean_amount(self) -> int:
        """Told here, at its field: the row's own check names it after the measure."""
        amount = self.cleaned_data["amount"]
        measure = self.cleaned_data.get("measure") or self.instance.measure
        most = MAX_TOKENS if measure in TOKENS else MAX_COUNT
        if not 1 <= amount <= most:
            raise ValidationError(
                gettext("A limit is a number from 1 to %(most)s.") % {"most": intcomma(most)}
            )
        return amount

    def subject_id(self) -> Any:
        """The id the service wants, or None for the organisation."""
        level, data = self.cleaned_data["level"], self.cleaned_data
        if level == Limit.Level.TENANT:
            return None
        if level == Limit.Level.MODEL:
            return data["target"] or None
        chosen = {Limit.Level.KEY: self.chosen_key, Limit.Level.USER: self.chosen_person}
        row = chosen[level]() if level in chosen else data[level]
        return row.pk if row is not None else None


@admin.register(Limit, site=service_admin)
class LimitAdmin(AtriumModelAdmin):
    place = Place(MenuGroup.USAGE, 30, "gauge")
    empty_text = _(
        "A limit bounds how many requests, tokens or calls at once the organisation, a project, a person, a "
        "key or the callers of a model may have."
    )
    form = LimitForm
    list_display = ["show_subject", "level", "show_limit", "show_count"]
    list_filter = [("level", ChoicesDropdownFilter), ("measure", ChoicesDropdownFilter)]
    list_select_related = ["project", "user", "key__user"]
    conditional_fields = CONDITIONS | {"project": "level == 'project'", "target": "level == 'model'"}
    list_after_template = "admin/accounts/plan_limits.html"

    def get_fields(self, request: HttpRequest, obj: Limit | None = None) -> list[str]:
        if obj is None:
            whose = ["level", "project", person_field(request), key_field(request), "target"]
            return [*whose, "measure", "amount"]
        return ["show_subject", "level", "measure", "amount", "show_used", "show_freed"]

    def get_readonly_fields(self, request: HttpRequest, obj: Limit | None = None) -> list[str]:
        return [] if obj is None else ["show_subject", "level", "measure", "show_used", "show_freed"]

    def changelist_view(self, request: HttpRequest, extra_context: dict | None = None):
        """Below the organisation's own limits: what frees them, and those of its plan."""
        rows = [say_limit(measure, amount) for measure, amount in sorted(get_plan_limits().items())]
        context = {"plan_limits": rows, "has_limits": Limit.objects.exists()}
        return super().changelist_view(request, context | (extra_context or {}))

    def create_row(self, request: HttpRequest, form: LimitForm) -> Limit:
        data, subject_id = form.cleaned_data, form.subject_id()
        if row := find_limit(data["level"], subject_id, data["measure"]):
            raise exists_already(row, name=say_limit(row.measure, row.amount), param="measure")
        return set_limit(
            actor=request.user,
            level=data["level"],
            subject_id=subject_id,
            measure=data["measure"],
            amount=data["amount"],
        )

    def change_row(self, request: HttpRequest, row: Limit, form: LimitForm) -> None:
        change_limit(actor=request.user, limit=row, amount=form.cleaned_data["amount"])

    def remove_row(self, request: HttpRequest, row: Limit) -> None:
        remove_limit(actor=request.user, limit=row)

    def load_more(self, rows: list[Limit]) -> None:
        _look_up(rows)

    @display(description=_("whose"))
    def show_subject(self, row: Limit) -> str:
        if row.level == Limit.Level.MODEL:
            return row.model_name or str(row.model_id)
        if row.key:
            return row.key.name_with_owner
        return str(row.project or row.user or row.get_level_display())

    @display(description=_("limit"), ordering="amount")
    def show_limit(self, row: Limit) -> str:
        return say_limit(row.measure, row.amount)

    @display(description=_("used"))
    def show_used(self, row: Limit) -> str:
        return say_use(row.measure, row.used, row.amount)

    @display(description=_("used"), label={"ok": "success", "warn": "warning", "full": "danger"})
    def show_count(self, row: Limit) -> Badge:
        """Beside the limit, which says of what."""
        share = row.used / row.amount
        key = "full" if share >= 1 else "warn" if share >= WARN_AT else "ok"
        return Badge(key, intcomma(row.used))

    @display(description=_("is free again"))
    def show_freed(self, row: Limit) -> str:
        return str(FREED[row.measure])


def _look_up(rows: list[Limit]) -> None:
    """Give each limit what people call its model, and how much of it is used."""
    names, used = name_objects(MODEL), count_used(rows)
    for row in rows:
        row.model_name = names.get(row.model_id, "")
        row.used = used.get(row.pk, 0)
