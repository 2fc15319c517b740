"""The start pages' cards about connections and models: what needs somebody's attention."""

from datetime import timedelta
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from administration.start_page import card
from models_registry.kinds import Channel
from models_registry.worlds import active_world

NOTICE = timedelta(days=90)
LIMIT = 6


def _attention(site: str, list_url: str) -> dict[str, Any]:
    world, today = active_world(), timezone.now().date()
    broken = world.connections.objects.filter(is_enabled=True).exclude(last_error="")[:LIMIT]
    leaving = (
        world.models.objects.filter(retire_on__gte=today, retire_on__lte=today + NOTICE)
        .exclude(channel=Channel.RETIRED)
        .order_by("retire_on")[:LIMIT]
    )
    return {
        "broken": list(broken),
        "leaving": list(leaving),
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
