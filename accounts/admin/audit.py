"""The audit log, on both sites: who changed what. Nobody changes it, the database refuses it too."""

from auditlog.models import LogEntry
from django.contrib import admin
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesDropdownFilter, RangeDateFilter
from unfold.decorators import display
from unfold.paginator import InfinitePaginator

from administration.columns import Badge, TwoLines, instant
from administration.history import ACTIONS, actor_of, list_changes, list_fields, model_of, name_entry
from administration.menu import MenuGroup, Place
from administration.model_admin import ReadOnlyAdmin
from administration.sites import service_admin, system_admin
from foundation.spacing import listed

COLOURS = {
    LogEntry.Action.CREATE: "success",
    LogEntry.Action.UPDATE: "info",
    LogEntry.Action.DELETE: "danger",
}


class KindFilter(admin.SimpleListFilter):
    """By kind of object; only kinds that the running code knows and keeps a history of."""

    title = _("kind of object")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin) -> list[tuple]:
        from auditlog.registry import auditlog

        types = ContentType.objects.get_for_models(*auditlog.get_models())
        kept = model_admin.admin_site._registry
        return sorted(
            (
                (str(row.pk), capfirst(str(kept[model].opts.verbose_name)))
                for model, row in types.items()
                if model in kept
            ),
            key=lambda pair: pair[1],
        )

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        known = {kind for kind, _label in self.lookup_choices}
        return queryset.filter(content_type_id=self.value()) if self.value() in known else queryset


@admin.register(LogEntry, site=service_admin)
@admin.register(LogEntry, site=system_admin)
class LogEntryAdmin(ReadOnlyAdmin):
    place = Place(MenuGroup.SECURITY, 20, "history", _("audit log"))
    empty_text = _("Every change to people, keys, models, budgets and settings is kept here.")
    list_display = [
        instant("timestamp", _("when")),
        "show_actor",
        "show_action",
        "show_object",
        "show_fields",
    ]
    list_filter = [
        ("timestamp", RangeDateFilter),
        ("action", ChoicesDropdownFilter),
        KindFilter,
        ("actor", AutocompleteSelectFilter),
    ]
    search_fields = ["object_repr", "actor_email"]
    list_select_related = ["actor", "content_type"]
    date_hierarchy = "timestamp"
    ordering = ["-timestamp", "-pk"]
    paginator = InfinitePaginator
    show_full_result_count = False
    fields = readonly_fields = [
        "timestamp",
        "show_actor",
        "show_action",
        "show_object",
        "show_changes",
        "remote_addr",
    ]

    @display(description=_("who"), ordering="actor__name")
    def show_actor(self, entry: LogEntry) -> str:
        return actor_of(entry)

    @display(description=_("what"), ordering="action", label=COLOURS)
    def show_action(self, entry: LogEntry) -> Badge:
        return Badge(entry.action, ACTIONS[entry.action])

    @display(description=_("object"), header=True)
    def show_object(self, entry: LogEntry) -> list[str]:
        model = model_of(entry)
        name, noun = name_entry(entry), capfirst(self._noun(entry, model))
        return TwoLines([noun, name] if noun and name == str(entry.object_pk) else [name, noun])

    def _noun(self, entry: LogEntry, model: type[Model] | None) -> str:
        """What the kind of object is called here."""
        if model in self.admin_site._registry:
            return str(self.admin_site._registry[model].opts.verbose_name)
        return str(entry.content_type.name) if entry.content_type_id else ""

    @display(description=_("fields"))
    def show_fields(self, entry: LogEntry) -> str:
        return listed(list_fields(entry)) or "–"

    @display(description=_("changes"))
    def show_changes(self, entry: LogEntry) -> str:
        return render_to_string("admin/_changes.html", {"changes": list_changes([entry])[0]})

    def history_view(self, request: HttpRequest, object_id: str, extra_context: dict | None = None):
        return self.change_view(request, object_id)
