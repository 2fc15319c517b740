"""Step 3: the model's name into a route. What the caller may not use looks as if it did not exist."""

from datetime import UTC, datetime
from uuid import UUID

from django.utils.translation import gettext as _

from foundation.errors import NotFound
from gateway.calls import Call, Principal
from gateway.state.snapshot import TenantSnapshot
from models_registry.routes import Route


def list_visible_routes(principal: Principal, snapshot: TenantSnapshot) -> list[Route]:
    """The models a principal may name, in the order of their names: those of its key's list, and of its
    rights of use.
    """
    allowed = principal.model_names
    return [
        route
        for name, route in sorted(snapshot.routes.items())
        if (not allowed or name in allowed) and may_use(route.model_id, principal, snapshot)
    ]


def may_use(model_id: UUID, principal: Principal, snapshot: TenantSnapshot) -> bool:
    """Whether the rights of use let it use the model."""
    grants = snapshot.grants.get(model_id)
    return grants is None or grants.permit(principal.holders)


def resolve(call: Call, snapshot: TenantSnapshot) -> None:
    """Find the route. Raises NotFound (`model_not_found`)."""
    name = call.body["model"]
    allowed = call.principal.model_names
    route = snapshot.routes.get(name) if not allowed or name in allowed else None
    if route is None or route.kind != "chat" or not may_use(route.model_id, call.principal, snapshot):
        message = _(
            "The model “%(name)s” does not exist or you have no access to it. GET /v1/models lists yours."
        ) % {"name": name[:100]}
        raise NotFound(message, code="model_not_found", param="model")
    call.route = route
    if route.channel == "deprecated":
        call.headers += deprecation_headers(route)


def deprecation_headers(route: Route) -> list[tuple[bytes, bytes]]:
    """RFC 9745 `Deprecation` and RFC 8594 `Sunset`."""
    headers = [(b"deprecation", f"@{int(datetime.now(UTC).timestamp())}".encode())]
    if route.retire_on:
        moment = datetime(route.retire_on.year, route.retire_on.month, route.retire_on.day, tzinfo=UTC)
        headers.append((b"sunset", moment.strftime("%a, %d %b %Y %H:%M:%S GMT").encode()))
    return headers
