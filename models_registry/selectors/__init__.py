"""Every read of this room that has a rule, by noun. All work on the active scope."""

from models_registry.selectors.objects import (
    find_successor,
    get_visible_connection,
    get_visible_model,
    label_models,
    list_inherited_models,
    list_leaving_models,
    list_preparing_models,
    list_seen_models,
    list_used_connections,
    list_visible_connections,
    list_visible_models,
)
from models_registry.selectors.references import (
    get_models_by_name,
    list_unasked_stand_ins,
)
from models_registry.selectors.routes import (
    list_current_prices,
    list_hidden,
    list_offered,
    list_routes,
    list_tenants_left_out,
    list_unpriced,
    names_of,
)

__all__ = [
    "find_successor",
    "get_models_by_name",
    "get_visible_connection",
    "get_visible_model",
    "label_models",
    "list_current_prices",
    "list_hidden",
    "list_inherited_models",
    "list_leaving_models",
    "list_offered",
    "list_preparing_models",
    "list_routes",
    "list_seen_models",
    "list_tenants_left_out",
    "list_unasked_stand_ins",
    "list_unpriced",
    "list_used_connections",
    "list_visible_connections",
    "list_visible_models",
    "names_of",
]
