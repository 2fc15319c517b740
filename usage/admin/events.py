"""Usage events: what each call used and cost, to read and to refund. What was said in it is not here."""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.formats import localize
from django.utils.html import format_html
from django.utils.timezone import localtime
from django.utils.translation import gettext, ngettext_lazy
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter, RangeDateFilter, TextFilter
from unfold.decorators import display
from unfold.paginator import InfinitePaginator

from accounts.objects import MODEL, label_objects, two_names
from accounts.selectors import name_keys, name_people, name_projects, search_keys, search_people
from administration.columns import Badge, figure, instant
from administration.confirm import confirmed
from administration.menu import MenuGroup, Place
from administration.model_admin import ReadOnlyAdmin
from administration.sites import service_admin
from foundation.amounts import AmountField, money_cell, show_exactly, show_money
from foundation.errors import Conflict
from foundation.ids import read_request_id, show_request_id
from foundation.spacing import label_value
from usage.labels import OPERATIONS, SOURCES, say_error, show_prices, show_quantities
from usage.ledger.budget_rules import ZERO
from usage.models import HourlySum, UsageEvent
from usage.selectors import list_refundable
from usage.services import refund_call

STATUS_COLOURS = {
    UsageEvent.Status.OK: "success",
    UsageEvent.Status.ERROR: "danger",
    UsageEvent.Status.CANCELLED: "warning",
    UsageEvent.Status.INTERRUPTED: "warning",
}
# column → what its subjects are called, by id
NAMES: dict[str, Callable[[Iterable[UUID]], dict[UUID, str]]] = {
    "user_id": name_people,
    "key_id": name_keys,
    "project_id": name_projects,
}
MAX_MODELS = 200


class ModelFilter(DropdownFilter):
    title = _("model")
    parameter_name = "model"

    def lookups(self, request: HttpRequest, model_admin) -> list[tuple]:
        """From the hourly sums, which are few: a model is listed an hour after its first call."""
        names = HourlySum.objects.order_by("model").values_list("model", flat=True).distinct()[:MAX_MODELS]
        found = dict.fromkeys([*names, *filter(None, [self.value()])])
        labels = label_objects(MODEL, found)
        return [(name, two_names(name, labels[name])) for name in found]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(model=self.value()) if self.value() else queryset


class UserFilter(TextFilter):
    title = _("person (name or e-mail address)")
    parameter_name = "person"

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        text = (self.value() or "").strip()
        if not text:
            return queryset
        return queryset.filter(user_id__in=search_people(text).values("pk"))


class KeyFilter(TextFilter):
    title = _("API key (name or id)")
    parameter_name = "key"

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        text = (self.value() or "").strip()
        if not text:
            return queryset
        return queryset.filter(key_id__in=search_keys(text).values("pk"))


class RefundForm(forms.Form):
    amount = AmountField(
        label=_("Amount"),
        required=False,
        label_suffix="",
        help_text=_("Of each call. Empty: all that it cost."),
    )


@admin.register(UsageEvent, site=service_admin)
class UsageEventAdmin(ReadOnlyAdmin):
    place = Place(MenuGroup.USAGE, 10, "receipt-text")
    empty_text = _("Every call of a model is booked here with what it used and cost.")
    list_display = [
        instant("created_at", _("booked at")),
        "show_model",
        "show_person",
        "show_key",
        "show_project",
        "show_tokens",
        "show_cost",
        figure("latency_ms", _("duration in ms")),
        "show_status",
    ]
    list_filter = [
        ("created_at", RangeDateFilter),
        ModelFilter,
        UserFilter,
        KeyFilter,
        ("status", ChoicesDropdownFilter),
        ("kind", ChoicesDropdownFilter),
    ]
    search_fields = ["request_id"]
    search_help_text = _("The id of a request, such as req_0199…, or of a trace")
    date_hierarchy = "created_at"
    ordering = ["-created_at", "pk"]
    paginator = InfinitePaginator
    show_full_result_count = False
    actions = ["refund"]
    actions_detail = ["refund"]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    "created_at",
                    "show_request",
                    "kind",
                    "show_status",
                    "show_error",
                    "show_person",
                    "show_key",
                    "show_project",
                    "show_source",
                    "show_operation",
                ]
            },
        ),
        (
            _("Model"),
            {
                "fields": [
                    "show_model_names",
                    "model_version",
                    "upstream_model",
                    "deployment",
                    "latency_ms",
                    "first_token_ms",
                    "trace_id",
                ]
            },
        ),
        (
            _("Bill"),
            {
                "fields": [
                    "show_quantities",
                    "show_bill",
                    "show_price",
                    "show_estimated",
                    "show_over_hold",
                    "show_attempts",
                    "show_dropped",
                ]
            },
        ),
    ]

    def get_readonly_fields(self, request: HttpRequest, obj: UsageEvent | None = None) -> list[str]:
        return [name for _title, section in self.fieldsets for name in section["fields"]]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        text = search_term.strip()
        if not text:
            return queryset, False
        try:
            return queryset.filter(request_id=read_request_id(text)), False
        except ValueError:
            return queryset.filter(trace_id=text), False

    def load_more(self, rows: list[UsageEvent]) -> None:
        attach_names(rows)

    def has_refund_permission(self, request: HttpRequest, obj: UsageEvent | None = None) -> bool:
        return request.user.has_perm("usage.add_usageevent")

    def list_fitting_actions(self, request: HttpRequest, row: UsageEvent) -> set[str]:
        is_refundable = row.kind == UsageEvent.Kind.SETTLE and list_refundable([row.request_id])
        return {"refund"} if is_refundable else set()

    def describe_rows(self, rows: list[UsageEvent]) -> list[str]:
        """By what can be given back: the bill with its correction."""
        amounts = list_refundable([row.request_id for row in rows])
        labels = label_objects(MODEL, (row.model for row in rows))
        return [
            f"{localize(localtime(row.created_at))} · {labels[row.model]} · "
            f"{show_money(amounts.get(row.request_id, ZERO), row.currency)}"
            for row in rows
        ]

    @confirmed(
        description=_("Refund"),
        icon="undo-2",
        permissions=["refund"],
        form=RefundForm,
        question=_("Give back what these calls cost?"),
        explanation=_(
            "The bill stays, and a refund is booked beside it, once and for good. Budgets get the amount "
            "back while the period of the bill lasts."
        ),
        done=ngettext_lazy("%(count)d call is refunded.", "%(count)d calls are refunded.", "count"),
    )
    def refund(self, request: HttpRequest, row: UsageEvent, amount: Decimal | None) -> None:
        if row.kind != UsageEvent.Kind.SETTLE:
            raise Conflict(_("Only a bill can be refunded, with its correction."), code="no_bill")
        refund_call(actor=request.user, request_id=row.request_id, amount=amount)

    @display(description=_("model"), ordering="model", header=True)
    def show_model(self, row: UsageEvent) -> list[str]:
        return [row.model_label, row.model if row.model_label != row.model else ""]

    @display(description=_("model"))
    def show_model_names(self, row: UsageEvent) -> str:
        return two_names(row.model, row.model_label)

    @display(description=_("request"))
    def show_request(self, row: UsageEvent) -> str:
        return show_request_id(row.request_id)

    @display(description=_("asked by way of"))
    def show_source(self, row: UsageEvent) -> str:
        return str(SOURCES.get(row.source, row.source)) or "–"

    @display(description=_("operation"))
    def show_operation(self, row: UsageEvent) -> str:
        return str(OPERATIONS.get(row.endpoint, row.endpoint)) or "–"

    @display(description=_("error"))
    def show_error(self, row: UsageEvent) -> str:
        """In words, with the code by which programs know it."""
        said = say_error(row.error_code)
        if said in ("–", row.error_code):
            return said
        return format_html('{} <small class="technical">{}</small>', said, row.error_code)

    @display(description=_("figures"))
    def show_estimated(self, row: UsageEvent) -> str:
        if row.estimated:
            return gettext("estimated: the provider did not report what was used")
        return gettext("as the provider reported them")

    @display(description=_("above its hold"))
    def show_over_hold(self, row: UsageEvent) -> str:
        if row.over_hold:
            return gettext("yes: it cost more than was set aside before the call")
        return gettext("no")

    @display(description=_("person"))
    def show_person(self, row: UsageEvent) -> str:
        return row.names["user_id"]

    @display(description=_("API key"))
    def show_key(self, row: UsageEvent) -> str:
        return row.names["key_id"]

    @display(description=_("project"))
    def show_project(self, row: UsageEvent) -> str:
        return row.names["project_id"]

    @display(description=_("tokens"))
    def show_tokens(self, row: UsageEvent) -> str:
        return str(intcomma(row.total_tokens))

    @display(description=_("cost"), ordering="cost")
    def show_cost(self, row: UsageEvent) -> str:
        return money_cell(row.cost, row.currency)

    @display(description=_("cost"))
    def show_bill(self, row: UsageEvent) -> str:
        """With all digits below, which lists tell on hover only."""
        rounded, exact = show_money(row.cost, row.currency), show_exactly(row.cost, row.currency)
        return format_html('{} <small class="technical">{}</small>', rounded, exact)

    @display(description=_("used"))
    def show_quantities(self, row: UsageEvent) -> str:
        return show_quantities(row.used) or "–"

    @display(description=_("price"))
    def show_price(self, row: UsageEvent) -> str:
        return show_prices(row.price_snapshot or {}, row.currency)

    @display(description=_("lost attempts"))
    def show_attempts(self, row: UsageEvent) -> str:
        return "; ".join(_show_attempt(one, row.currency) for one in row.attempts or []) or "–"

    @display(description=_("wishes left out"))
    def show_dropped(self, row: UsageEvent) -> str:
        return ", ".join(row.dropped_params or []) or "–"

    @display(description=_("status"), ordering="status", label=STATUS_COLOURS)
    def show_status(self, row: UsageEvent) -> Badge:
        return Badge(row.status, row.get_status_display())


def _show_attempt(lost: dict[str, Any], currency: str) -> str:
    """Its cost where it had one; events of the release before say none."""
    shown = label_value(lost["upstream_model"], f"{say_error(lost['error_code'])}, {lost['latency_ms']} ms")
    cost = Decimal(lost.get("cost", 0))
    return f"{shown}, {show_money(cost, currency)}" if cost else shown


def attach_names(events: list[UsageEvent]) -> None:
    """Give each event `names`: whose it is, as people call them. Events outlive their subjects, so an id may
    stand alone.
    """
    found: dict[str, dict[UUID, str]] = {}
    for column, name_them in NAMES.items():
        ids = {getattr(event, column) for event in events} - {None}
        found[column] = name_them(ids) if ids else {}
    labels = label_objects(MODEL, (event.model for event in events))
    for event in events:
        event.model_label = labels[event.model]
        event.names = {
            column: found[column].get(getattr(event, column), str(getattr(event, column) or "–"))
            for column in NAMES
        }
