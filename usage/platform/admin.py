"""The system administration's sums by tenant and day. Figures only: never a prompt, a person or a model."""

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import AllValuesCheckboxFilter, RangeDateFilter
from unfold.decorators import display

from administration.columns import figure
from administration.figures import tenant_figure
from administration.menu import MenuGroup, Place
from administration.model_admin import ReadOnlyAdmin
from administration.sites import system_admin
from foundation.amounts import money_cell, show_money
from usage.labels import show_quantities
from usage.platform.models import TenantSum
from usage.platform.selectors import sum_up_month


@tenant_figure(_("calls this month"))
def calls_this_month(slugs: list[str]) -> dict[str, str]:
    return {slug: str(sum(row.calls for row in rows)) for slug, rows in sum_up_month(slugs).items()}


@tenant_figure(_("cost this month"))
def cost_this_month(slugs: list[str]) -> dict[str, str]:
    return {
        slug: ", ".join(show_money(row.cost, row.currency) for row in rows)
        for slug, rows in sum_up_month(slugs).items()
    }


@admin.register(TenantSum, site=system_admin)
class TenantSumAdmin(ReadOnlyAdmin):
    place = Place(MenuGroup.USAGE, 10, "chart-line", _("usage by tenant and day"))
    nouns = (_("row"), _("rows"))
    empty_text = _("A minute after a tenant's first call, its sums of each day appear here.")
    list_display = [
        "day",
        "slug",
        figure("calls", _("calls")),
        figure("errors", _("errors")),
        figure("tokens", _("tokens")),
        "show_others",
        "show_cost",
    ]
    list_display_links = None
    list_filter = [("day", RangeDateFilter), ("currency", AllValuesCheckboxFilter)]
    search_fields = ["slug"]
    date_hierarchy = "day"
    ordering = ["-day", "slug", "currency"]

    def has_view_permission(self, request: HttpRequest, obj: TenantSum | None = None) -> bool:
        """There is nothing behind a line."""
        return obj is None and super().has_view_permission(request, obj)

    @display(description=_("other usage"))
    def show_others(self, row: TenantSum) -> str:
        return show_quantities(row.used_beside_tokens) or "–"

    @display(description=_("cost"), ordering="cost")
    def show_cost(self, row: TenantSum) -> str:
        return money_cell(row.cost, row.currency)
