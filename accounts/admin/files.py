"""The files that people brought: whose, for what, how large. What they are called and hold is theirs."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import AutocompleteSelectFilter, RangeDateFilter
from unfold.decorators import display

from administration.columns import ago
from administration.menu import MenuGroup, Place
from administration.model_admin import ListOnlyAdmin
from administration.sites import service_admin
from tenants.files.limits import say_size
from tenants.files.models import File
from tenants.files.purposes import name_purpose


@admin.register(File, site=service_admin)
class FileAdmin(ListOnlyAdmin):
    place = Place(MenuGroup.USAGE, 40, "folder")
    empty_text = _(
        "Once people and programs bring files, you see here whose they are and how large. What they are "
        "called and hold is theirs: neither names nor contents are shown."
    )
    list_display = [
        "show_person",
        "show_purpose",
        "sniffed_type",
        "show_size",
        ago("created_at", _("added")),
        ago("expires_at", _("expires")),
    ]
    list_filter = [("created_at", RangeDateFilter), ("owner", AutocompleteSelectFilter)]
    search_fields = ["owner__name", "owner__email", "sniffed_type"]
    list_select_related = ["owner"]
    ordering = ["-created_at", "-pk"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[File]:
        return super().get_queryset(request).defer("name")

    @display(description=_("person"), ordering="owner__name", header=True)
    def show_person(self, row: File) -> list[str]:
        return [row.owner.name, row.owner.email] if row.owner else [str(_("the organisation")), ""]

    @display(description=_("purpose"), ordering="purpose")
    def show_purpose(self, row: File) -> str:
        return name_purpose(row.purpose)

    @display(description=_("size"), ordering="size_bytes")
    def show_size(self, row: File) -> str:
        return say_size(row.size_bytes)
