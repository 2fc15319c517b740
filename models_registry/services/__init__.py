"""Every write of this room. All functions work on the active scope's tables: a tenant's own, or the
platform's.
"""

from models_registry.services.catalogue import SyncReport, sync_catalogue
from models_registry.services.connections import (
    ConnectionTest,
    add_connection,
    remove_connection,
    test_connection,
    update_connection,
)
from models_registry.services.endpoints import EndpointSpec, set_endpoints
from models_registry.services.models import add_model, remove_model, set_model
from models_registry.services.prices import set_free, set_model_price, take_listed_price

__all__ = [
    "ConnectionTest",
    "EndpointSpec",
    "SyncReport",
    "add_connection",
    "add_model",
    "remove_connection",
    "remove_model",
    "set_endpoints",
    "set_free",
    "set_model",
    "set_model_price",
    "sync_catalogue",
    "take_listed_price",
    "test_connection",
    "update_connection",
]
