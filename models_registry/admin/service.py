"""The tenant administration's own connections and models."""

from django.contrib import admin
from django.http import HttpRequest

from accounts.grant_fields import GrantFields, GrantsAdmin, load_grants_of, save_grants
from accounts.limit_fields import LimitFields, LimitsAdmin
from accounts.models import Limit
from accounts.objects import MODEL
from administration.sites import service_admin
from models_registry.admin.connections import ConnectionAdminBase
from models_registry.admin.endpoints import EndpointInline
from models_registry.admin.model_form import ModelForm
from models_registry.admin.models import ModelAdminBase
from models_registry.admin.prices import PriceInline
from models_registry.kinds import ModelKind
from models_registry.models import Connection, Model, ModelEndpoint, ModelPrice
from models_registry.offered import say_price_of
from models_registry.selectors import list_hidden, list_offered


@admin.register(Connection, site=service_admin)
class ConnectionAdmin(ConnectionAdminBase):
    pass


class TenantPriceInline(PriceInline):
    """In the tenant's own currency, which is not asked for."""

    model = ModelPrice
    terms = ("valid_from",)


class TenantEndpointInline(EndpointInline):
    model = ModelEndpoint


class TenantModelForm(LimitFields, GrantFields, ModelForm):
    pass


@admin.register(Model, site=service_admin)
class ModelAdmin(LimitsAdmin, GrantsAdmin, ModelAdminBase):
    limit_level = Limit.Level.MODEL
    form = TenantModelForm
    price_inline = TenantPriceInline
    endpoint_inline = TenantEndpointInline
    also_rights = (ModelPrice,)
    readonly_fields = [*ModelAdminBase.readonly_fields, "show_reach"]
    list_after_template = "admin/models_registry/offered_models.html"

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None):
        row = super().get_object(request, object_id, from_field)
        if row is not None:
            row.own_grants = load_grants_of(MODEL, row.pk)
        return row

    def get_fieldsets_of_use(self, obj: Model | None) -> list:
        return [] if obj is None else [self.grants_fieldset, self.limits_fieldset]

    def change_row(self, request: HttpRequest, row: Model, form: TenantModelForm) -> None:
        super().change_row(request, row, form)
        save_grants(request.user, MODEL, row.pk, form)
        self.save_limits(request, row.pk, form)

    def changelist_view(self, request: HttpRequest, extra_context: dict | None = None):
        """Below the tenant's own models: those that the platform offers it, and those that it would."""
        terms = request.tenant.plan_id, request.tenant.currency
        routes = list_offered(*terms)
        offered = [
            (route, ModelKind(route.kind).label, say_price_of(route))
            for route in routes
            if route.origin == "platform"
        ]
        more = {"offered": offered, "hidden": list_hidden(*terms)}
        return super().changelist_view(request, more | (extra_context or {}))
