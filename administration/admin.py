"""The system administration's tenants, hosts and plans. Making a tenant is a worker's task; this page says
how far it is.
"""

from collections.abc import Callable

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.humanize.templatetags.humanize import intcomma
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from administration.columns import Badge, ago
from administration.confirm import both_ways, confirmed
from administration.fields import limit_field
from administration.figures import list_columns, load_figures
from administration.history import name_objects
from administration.menu import MenuGroup, Place
from administration.model_admin import AtriumModelAdmin, ReadOnlyInline
from administration.sites import system_admin
from foundation.amounts import money_cell
from tenants.links import base_url
from tenants.measures import Measure
from tenants.models import Domain, Plan, PlanLimit, Tenant
from tenants.provisioning.domains import add_domain, remove_domain, set_primary_domain
from tenants.provisioning.orders import order_tenant, retry_setup
from tenants.provisioning.plans import create_plan, set_plan, update_tenant
from tenants.provisioning.services import set_tenant_status

STATUS_COLOURS = {
    Tenant.Status.ACTIVE: "success",
    Tenant.Status.SUSPENDED: "warning",
    Tenant.Status.PROVISIONING: "info",
    Tenant.Status.FAILED: "danger",
}
FITTING = {
    Tenant.Status.ACTIVE: "suspend",
    Tenant.Status.SUSPENDED: "resume",
    Tenant.Status.FAILED: "retry",
    Tenant.Status.PROVISIONING: "retry",
}
CHANGED = ("name", "plan", "language", "data_policy", "contact_email")


class TenantForm(forms.ModelForm):
    """A tenant as an operator orders it. The host is a row of its own."""

    host = forms.CharField(
        label=_("Host"),
        required=False,
        max_length=253,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "chat.example.org"}),
        help_text=_(
            "The name under which its people reach it. Empty: the slug followed by .localhost, for trying "
            "out."
        ),
    )
    language = forms.ChoiceField(
        label=_("Language"), choices=settings.LANGUAGES, widget=UnfoldAdminSelectWidget()
    )

    class Meta:
        model = Tenant
        fields = ["slug", "name", "plan", "currency", "language", "data_policy", "contact_email"]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if "contact_email" in self.fields:  # those made by a command or at the first start have none
            self.fields["contact_email"].required = (
                self.instance._state.adding or self.instance.contact_email != ""
            )


class DomainInline(ReadOnlyInline):
    model = Domain
    fields = ["domain", "is_primary"]
    verbose_name_plural = _("Hosts")


def _set_suspended(request: HttpRequest, row: Tenant, is_suspended: bool) -> None:
    set_tenant_status(slug=row.slug, status=Tenant.Status.SUSPENDED if is_suspended else Tenant.Status.ACTIVE)


@admin.register(Tenant, site=system_admin)
class TenantAdmin(AtriumModelAdmin):
    place = Place(MenuGroup.TENANTS, 10, "building-2")
    in_palette = True
    empty_text = _(
        "Each organisation that uses this installation is a tenant with data of its own. Add the first one."
    )
    form = TenantForm
    list_display = ["show_name", "show_status", "plan", "show_hosts"]
    list_filter = ["status", "plan", "currency"]
    search_fields = ["slug", "name", "domains__domain", "contact_email"]
    list_select_related = ["plan"]
    change_form_outer_before_template = "admin/tenants/state.html"
    readonly_fields = ["show_status", "created_at"]
    actions = ["suspend", "resume", "retry"]
    actions_detail = ["suspend", "resume", "retry"]

    def get_queryset(self, request: HttpRequest):
        return super().get_queryset(request).prefetch_related("domains")

    def get_list_display(self, request: HttpRequest) -> list:
        return [*super().get_list_display(request), *list_columns(), ago("created_at", _("added"))]

    def get_changelist_instance(self, request: HttpRequest):
        changelist = super().get_changelist_instance(request)
        load_figures(list(changelist.result_list))
        return changelist

    def get_fieldsets(self, request: HttpRequest, obj: Tenant | None = None):
        if obj is None:
            return [
                (None, {"fields": ["name", "slug", "host", "contact_email"]}),
                (_("What it may use"), {"fields": ["plan", "currency", "language", "data_policy"]}),
            ]
        return [
            (
                None,
                {
                    "fields": [
                        "name",
                        "slug",
                        "contact_email",
                        "plan",
                        "currency",
                        "language",
                        "data_policy",
                        "show_status",
                        "created_at",
                    ]
                },
            )
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Tenant | None = None) -> list[str]:
        return self.readonly_fields if obj is None else [*self.readonly_fields, "slug", "currency"]

    def get_inlines(self, request: HttpRequest, obj: Tenant | None) -> list:
        return [DomainInline] if obj else []

    def create_row(self, request: HttpRequest, form: TenantForm) -> Tenant:
        data = dict(form.cleaned_data)
        return order_tenant(**data | {"plan": data["plan"].name})

    def change_row(self, request: HttpRequest, row: Tenant, form: TenantForm) -> None:
        update_tenant(
            slug=row.slug,
            **{name: form.cleaned_data[name] for name in CHANGED},
        )

    def response_post_save_add(self, request: HttpRequest, obj: Tenant) -> HttpResponse:
        """To the tenant's own page, which says how far the set-up is."""
        return HttpResponseRedirect(reverse("system:tenants_tenant_change", args=[obj.pk]))

    @display(description=_("tenant"), ordering="name", header=True)
    def show_name(self, row: Tenant) -> list[str]:
        return [row.name, row.slug]

    @display(description=_("status"), ordering="status", label=STATUS_COLOURS)
    def show_status(self, row: Tenant) -> Badge:
        return Badge(row.status, row.get_status_display())

    @display(description=_("hosts"))
    def show_hosts(self, row: Tenant) -> str:
        return ", ".join(domain.domain for domain in row.domains.all())

    suspend, resume = both_ways(
        _set_suspended,
        suspend=confirmed(
            description=_("Suspend"),
            icon="circle-pause",
            is_dangerous=True,
            question=_("Suspend access to these tenants?"),
            explanation=_(
                "Nobody gets in any more, neither people nor programs; calls under way are finished. All "
                "data stays, and you can resume at any time."
            ),
            done=ngettext_lazy("%(count)d tenant is suspended.", "%(count)d tenants are suspended.", "count"),
        ),
        resume=confirmed(
            description=_("Resume"),
            icon="circle-play",
            question=_("Give these tenants access again?"),
            explanation=_("People and programs get in within a second."),
            done=ngettext_lazy("%(count)d tenant is active.", "%(count)d tenants are active.", "count"),
        ),
    )

    @confirmed(
        description=_("Set up again"),
        icon="rotate-ccw",
        question=_("Try the set-up of these tenants again?"),
        explanation=_("A worker makes what is missing. What was made already stays."),
        done=ngettext_lazy(
            "%(count)d tenant is being set up.", "%(count)d tenants are being set up.", "count"
        ),
    )
    def retry(self, request: HttpRequest, row: Tenant) -> None:
        retry_setup(slug=row.slug)

    def list_fitting_actions(self, request: HttpRequest, row: Tenant) -> set[str]:
        return {FITTING[Tenant.Status(row.status)]}

    def render_change_form(self, request, context, add=False, change=False, form_url="", obj=None):
        context["tenant_address"] = base_url(obj.slug) if obj else ""
        return super().render_change_form(request, context, add, change, form_url, obj)


@admin.register(Domain, site=system_admin)
class DomainAdmin(AtriumModelAdmin):
    place = Place(MenuGroup.TENANTS, 20, "globe")
    nouns = (_("host"), _("hosts"))
    in_palette = True
    empty_text = _("A host is a name such as chat.example.org that leads to a tenant.")
    list_display = ["domain", "tenant", "show_primary"]
    list_filter = [("is_primary", admin.BooleanFieldListFilter)]
    search_fields = ["domain", "tenant__slug", "tenant__name"]
    list_select_related = ["tenant"]
    autocomplete_fields = ["tenant"]
    fields = ["domain", "tenant", "is_primary"]
    actions = ["make_primary"]
    actions_detail = ["make_primary"]

    def has_change_permission(self, request: HttpRequest, obj: Domain | None = None) -> bool:
        """A host is added or removed, not changed: links that were sent would lead elsewhere."""
        return False

    def has_primary_permission(self, request: HttpRequest, obj: Domain | None = None) -> bool:
        return request.user.has_perm("tenants.change_domain")

    def create_row(self, request: HttpRequest, form: forms.ModelForm) -> Domain:
        data = form.cleaned_data
        return add_domain(slug=data["tenant"].slug, host=data["domain"], is_primary=data["is_primary"])

    def remove_row(self, request: HttpRequest, row: Domain) -> None:
        remove_domain(domain=row)

    @display(description=_("in mails"), ordering="is_primary", boolean=True)
    def show_primary(self, row: Domain) -> bool:
        return row.is_primary

    @confirmed(
        description=_("Use in mails"),
        icon="mail",
        permissions=("primary",),
        question=_("Let links in mails lead to these hosts?"),
        explanation=_("Each tenant has one such host; the one so far loses the mark."),
        done=ngettext_lazy("%(count)d host is used in mails.", "%(count)d hosts are used in mails.", "count"),
    )
    def make_primary(self, request: HttpRequest, row: Domain) -> None:
        set_primary_domain(domain=row)


class PlanForm(forms.ModelForm):
    requests_per_minute = limit_field(Measure.REQUESTS_PER_MINUTE)
    tokens_per_minute = limit_field(Measure.TOKENS_PER_MINUTE)
    tokens_per_day = limit_field(Measure.TOKENS_PER_DAY)
    calls_at_once = limit_field(Measure.CALLS_AT_ONCE)

    class Meta:
        model = Plan
        fields = ["label", "name", "monthly_budget", "storage_bytes", "largest_file_bytes"]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            for name in set(Measure.values) & self.fields.keys():
                self.fields[name].initial = getattr(self.instance, name)


def _limit_column(measure: Measure) -> Callable[[Plan], str | None]:
    @display(description=measure.label, empty_value=_("unlimited"))
    def show(row: Plan) -> str | None:
        amount = getattr(row, measure)
        return None if amount is None else str(intcomma(amount))

    show.__name__ = f"show_{measure}"
    return show


name_objects(PlanLimit, from_kept=PlanLimit.name_kept)


@admin.register(Plan, site=system_admin)
class PlanAdmin(AtriumModelAdmin):
    place = Place(MenuGroup.TENANTS, 30, "tag")
    empty_text = _("A plan says how much a tenant may use.")
    list_display = ["label", "name", *map(_limit_column, Measure), "show_budget"]
    search_fields = ["name", "label"]
    form = PlanForm
    fields = ["label", "name", *Measure.values, "monthly_budget", "storage_bytes", "largest_file_bytes"]

    def get_queryset(self, request: HttpRequest):
        return super().get_queryset(request).prefetch_related("limits")

    def get_readonly_fields(self, request: HttpRequest, obj: Plan | None = None) -> list[str]:
        return [] if obj is None else ["name"]

    def create_row(self, request: HttpRequest, form: forms.ModelForm) -> Plan:
        return create_plan(**form.cleaned_data)

    def change_row(self, request: HttpRequest, row: Plan, form: forms.ModelForm) -> None:
        set_plan(
            name=row.name, **{name: value for name, value in form.cleaned_data.items() if name != "name"}
        )

    @display(description=_("monthly budget"), ordering="monthly_budget", empty_value=_("unlimited"))
    def show_budget(self, row: Plan) -> str | None:
        return money_cell(row.monthly_budget) if row.monthly_budget is not None else None
