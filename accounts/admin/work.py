"""Background tasks: what waits, runs and failed, in a tenant or (the platform's own) in the system
administration. What they are about is named for those alone who may know it: a room says who that is
(`tenants.work.kinds`).
"""

from collections.abc import Iterable

from django.contrib import admin
from django.http import HttpRequest
from django.utils.formats import localize
from django.utils.html import format_html
from django.utils.timezone import localtime
from django.utils.translation import gettext, ngettext_lazy
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter
from unfold.decorators import display

from accounts.services import cancel_work, retry_work
from accounts.services.work import CHANGE
from administration.columns import Badge, ago
from administration.confirm import confirmed
from administration.menu import MenuGroup, Place
from administration.model_admin import ReadOnlyAdmin
from administration.sites import service_admin, system_admin
from foundation.spacing import listed
from tenants.local.models import Work
from tenants.work.kinds import list_all_kinds
from tenants.work.selectors import find_work_objects, label_kind, label_stages

COLOURS = {
    Work.State.QUEUED: "info",
    Work.State.RUNNING: "info",
    Work.State.DONE: "success",
    Work.State.FAILED: "danger",
    Work.State.CANCELLED: "warning",
}


class KindFilter(DropdownFilter):
    title = _("kind")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin) -> Iterable[tuple]:
        is_tenants = model_admin.admin_site is service_admin
        return [
            (kind.name, kind.label) for kind in list_all_kinds() if not (is_tenants and kind.is_platforms)
        ]

    def queryset(self, request: HttpRequest, queryset):
        return queryset.filter(kind=self.value()) if self.value() else queryset


@admin.register(Work, site=service_admin)
@admin.register(Work, site=system_admin)
class WorkAdmin(ReadOnlyAdmin):
    place = Place(MenuGroup.OPERATION, 10, "list-checks")
    keywords = _("queue, worker, job, failed, retry")
    empty_text = _(
        "What takes longer than a moment is done in the background, and stands here with how far it is."
    )
    list_display = [
        "show_kind",
        "show_object",
        "show_state",
        "show_progress",
        "attempts",
        "show_failure",
        ago("created_at", _("ordered")),
        ago("ended_at", _("ended")),
    ]
    list_filter = [("state", ChoicesDropdownFilter), KindFilter]
    ordering = ["-created_at", "-pk"]
    actions = ["cancel", "retry"]
    actions_detail = ["cancel", "retry"]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    "show_kind",
                    "show_object",
                    "show_state",
                    "show_progress",
                    "attempts",
                    "show_failure",
                    "created_at",
                    "started_at",
                    "heartbeat_at",
                    "ended_at",
                ]
            },
        )
    ]
    readonly_fields = fieldsets[0][1]["fields"]

    def has_change_work_permission(self, request: HttpRequest, obj: Work | None = None) -> bool:
        return request.user.has_perm(CHANGE)

    def list_fitting_actions(self, request: HttpRequest, row: Work) -> set[str]:
        if row.state in Work.ACTIVE:
            return {"cancel"} if row.cancel_wanted_at is None else set()
        return {"retry"} if row.state in (Work.State.FAILED, Work.State.CANCELLED) else set()

    def describe_rows(self, rows: list[Work]) -> list[str]:
        return [f"{label_kind(row.kind)} · {localize(localtime(row.created_at))}" for row in rows]

    @display(description=_("task"), ordering="kind")
    def show_kind(self, row: Work) -> str:
        return label_kind(row.kind)

    def get_changelist_instance(self, request: HttpRequest):
        changelist = super().get_changelist_instance(request)
        self._name(request, changelist.result_list)
        return changelist

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Work | None:
        row = super().get_object(request, object_id, from_field)
        if row is not None:
            self._name(request, [row])
            (row.shown_as,) = self.describe_rows([row])
        return row

    def _name(self, request: HttpRequest, rows: Iterable[Work]) -> None:
        """The platform's own work is about nothing that rooms of tenants name."""
        rows = list(rows)
        found = find_work_objects(request.user, rows) if self.admin_site is service_admin else {}
        for row in rows:
            row.shown_object = found.get(row.pk)

    @display(description=_("about"))
    def show_object(self, row: Work) -> str:
        shown = getattr(row, "shown_object", None)
        return format_html('<a href="{}">{}</a>', shown.url, shown.name) if shown else "–"

    @display(description=_("state"), ordering="state", label=COLOURS)
    def show_state(self, row: Work) -> Badge:
        if row.state == Work.State.RUNNING and row.cancel_wanted_at is not None:
            return Badge(Work.State.CANCELLED, gettext("is being cancelled"))
        return Badge(row.state, row.get_state_display())

    @display(description=_("progress"))
    def show_progress(self, row: Work) -> str:
        said = gettext("%(stage)s: %(done)d of %(total)d")
        stages = label_stages(row)
        return (
            listed(said % {"stage": stage, "done": done, "total": total} for stage, done, total in stages)
            or "–"
        )

    @display(description=_("reason"))
    def show_failure(self, row: Work) -> str:
        return row.failure_for_others or "–"

    @confirmed(
        description=_("Cancel task"),
        icon="ban",
        permissions=["change_work"],
        is_dangerous=True,
        question=_("Cancel these tasks?"),
        explanation=_("What runs stops within seconds. What it has finished until then stays."),
        done=ngettext_lazy("%(count)d task is cancelled.", "%(count)d tasks are cancelled.", "count"),
    )
    def cancel(self, request: HttpRequest, row: Work) -> None:
        cancel_work(actor=request.user, row=row)

    @confirmed(
        description=_("Try again"),
        icon="rotate-ccw",
        permissions=["change_work"],
        question=_("Try these tasks again?"),
        explanation=_("They wait in line like new ones."),
        done=ngettext_lazy("%(count)d task waits again.", "%(count)d tasks wait again.", "count"),
    )
    def retry(self, request: HttpRequest, row: Work) -> None:
        retry_work(actor=request.user, row=row)
