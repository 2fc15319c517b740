"""Which tables the active scope means: the tenant's, or the platform's twins."""

from dataclasses import dataclass
from typing import Any, Literal

from models_registry import models as tenant_models
from models_registry.platform import models as platform_models
from tenants.context import NoTenant, current_scope

Connection = tenant_models.Connection | platform_models.Connection
ModelEndpoint = tenant_models.ModelEndpoint | platform_models.ModelEndpoint
Model = tenant_models.Model | platform_models.Model
ModelPrice = tenant_models.ModelPrice | platform_models.ModelPrice


@dataclass(frozen=True, slots=True)
class World:
    """One side's classes. Permissions are named after its app (`may("change", "model")`)."""

    origin: Literal["tenant", "platform"]
    connections: type[Any]
    models: type[Any]
    prices: type[Any]
    endpoints: type[Any]
    former_labels: type[Any]

    def may(self, action: str, noun: str) -> str:
        return f"{self.models._meta.app_label}.{action}_{noun}"


TENANT = World(
    "tenant",
    connections=tenant_models.Connection,
    models=tenant_models.Model,
    prices=tenant_models.ModelPrice,
    endpoints=tenant_models.ModelEndpoint,
    former_labels=tenant_models.FormerLabel,
)
PLATFORM = World(
    "platform",
    connections=platform_models.Connection,
    models=platform_models.Model,
    prices=platform_models.ModelPrice,
    endpoints=platform_models.ModelEndpoint,
    former_labels=platform_models.FormerLabel,
)


def active_world() -> World:
    """The tables of the active scope. Raises NoTenant outside every scope."""
    scope = current_scope()
    if scope is None:
        raise NoTenant("Connections and models belong to a tenant or to the platform.")
    return TENANT if scope.slug else PLATFORM
