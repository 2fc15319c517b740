"""The tenant administration's own connections and models."""

from django.contrib import admin
from django.http import HttpRequest

from administration.sites import service_admin
from models_registry.admin.connections import ConnectionAdminBase
from models_registry.admin.models import ModelAdminBase, PriceInline
from models_registry.kinds import ModelKind
from models_registry.models import Connection, Model, ModelPrice
from models_registry.selectors import list_routes


@admin.register(Connection, site=service_admin)
class ConnectionAdmin(ConnectionAdminBase):
    pass


class TenantPriceInline(PriceInline):
    """In the tenant's own currency, which is not asked for."""

    model = ModelPrice
    terms = ("valid_from",)


@admin.register(Model, site=service_admin)
class ModelAdmin(ModelAdminBase):
    price_inline = TenantPriceInline
    also_rights = (ModelPrice,)
    list_after_template = "admin/models_registry/offered_models.html"

    def changelist_view(self, request: HttpRequest, extra_context: dict | None = None):
        """Below the tenant's own models: those that the platform offers it."""
        routes = list_routes(request.tenant.plan_id, request.tenant.currency)
        offered = [
            (route, ModelKind(route.kind).label)
            for _name, route in sorted(routes.items())
            if route.origin == "platform"
        ]
        return super().changelist_view(request, {"offered": offered} | (extra_context or {}))
