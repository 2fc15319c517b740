"""The start pages' cards about connections and models: what needs somebody's attention."""

from datetime import timedelta
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from administration.start_page import card
from models_registry.selectors import label_models, list_leaving_models, list_used_connections

NOTICE = timedelta(days=90)
LIMIT = 6


def _attention(site: str, list_url: str) -> dict[str, Any]:
    connections = list_used_connections()
    leaving = list_leaving_models(NOTICE, LIMIT)
    labels = label_models(row.successor for row in leaving if row.successor)
    return {
        "connections": connections,
        "unchecked": sum(row.last_checked_at is None for row in connections),
        "broken": [row for row in connections if row.last_error][:LIMIT],
        "leaving": [(row, labels.get(row.successor, "")) for row in leaving],
        "connections_url": reverse(f"{site}:{list_url}_changelist"),
    }


@card(
    site="service",
    order=70,
    permission="models_registry.view_connection",
    template="admin/cards/connections.html",
)
def own_connections(request: HttpRequest) -> dict[str, Any]:
    return _attention("service", "models_registry_connection")


@card(
    site="system",
    order=50,
    permission="registry_platform.view_connection",
    template="admin/cards/connections.html",
)
def platform_connections(request: HttpRequest) -> dict[str, Any]:
    return _attention("system", "registry_platform_connection")
