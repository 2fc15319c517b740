"""Step 3: the model's name into candidates: the model's own endpoints, then those of its stand-ins. What the
caller may not use looks as if it did not exist.
"""

from datetime import UTC, datetime
from functools import partial
from uuid import UUID

from django.utils.translation import gettext as _

from foundation.errors import NotAllowed, NotFound
from gateway.calls import Call, Principal
from gateway.state.snapshot import TenantSnapshot
from models_registry.routes import Candidate, Route, Way, list_ways
from tenants.data_policy import DataPolicy


def list_visible_routes(principal: Principal, snapshot: TenantSnapshot) -> list[Route]:
    """The models a principal may name, in the order of their names; no aliases."""
    named = (route for name, route in sorted(snapshot.routes.items()) if name == route.name)
    return [route for route in named if may_call(route, route.name, principal, snapshot)]


def may_call(route: Route, asked: str, principal: Principal, snapshot: TenantSnapshot) -> bool:
    """By the list of its key, which may name the model or the alias that was asked for, and by the rights of
    use.
    """
    allowed = principal.model_names
    is_named = not allowed or route.name in allowed or asked in allowed
    return is_named and may_use(route.model_id, principal, snapshot)


def find_route(name: str, principal: Principal, snapshot: TenantSnapshot) -> Route | None:
    """The model of this name or alias, if the principal may call it."""
    route = snapshot.routes.get(name)
    return route if route is not None and may_call(route, name, principal, snapshot) else None


def may_use(model_id: UUID, principal: Principal, snapshot: TenantSnapshot) -> bool:
    """Whether the rights of use let it use the model."""
    grants = snapshot.grants.get(model_id)
    return grants is None or grants.permit(principal.holders)


def resolve(call: Call, snapshot: TenantSnapshot) -> None:
    """Find the candidates. Raises NotFound (`model_not_found`), NotAllowed (`data_policy`)."""
    name = call.body["model"]
    route = find_route(name, call.principal, snapshot)
    if route is None:
        raise model_not_found(name)
    if route.kind != call.operation.model_kind:
        message = _("“%(name)s” is no model for %(operation)s: it is of the kind “%(kind)s”.") % {
            "name": name[:100],
            "operation": call.operation.name,
            "kind": route.kind,
        }
        raise NotFound(message, code="model_not_found", param="model")
    candidates = [
        Candidate(way.route, target, way.asked_name)
        for way in find_ways(route, name, call.principal, snapshot)
        for target in way.targets
    ]
    if not candidates:
        raise _policy_refuses(route, snapshot.policy_of(call.principal))
    call.candidates = candidates
    call.candidate = candidates[0]
    if route.channel == "deprecated":
        call.headers += deprecation_headers(route)


def model_not_found(name: str) -> NotFound:
    message = _(
        "The model “%(name)s” does not exist or you have no access to it. GET /v1/models lists yours."
    ) % {"name": name[:100]}
    return NotFound(message, code="model_not_found", param="model")


def find_ways(route: Route, asked: str, principal: Principal, snapshot: TenantSnapshot) -> list[Way]:
    """Those of the model and of its stand-ins, as far as the caller may use them and the policy lets data go
    there.
    """
    find = partial(find_route, principal=principal, snapshot=snapshot)
    return list_ways(route, asked, find, snapshot.policy_of(principal))


def _policy_refuses(route: Route, policy: str) -> NotAllowed:
    message = _(
        "The data policy of your organisation or project (%(policy)s) lets no data go to where “%(name)s” "
        "runs. Choose a model that runs where the policy allows."
    ) % {"policy": DataPolicy(policy).label, "name": route.name}
    return NotAllowed(message, code="data_policy", param="model")


def deprecation_headers(route: Route) -> list[tuple[bytes, bytes]]:
    """RFC 9745 `Deprecation` and RFC 8594 `Sunset`."""
    headers = [(b"deprecation", f"@{int(datetime.now(UTC).timestamp())}".encode())]
    if route.retire_on:
        moment = datetime(route.retire_on.year, route.retire_on.month, route.retire_on.day, tzinfo=UTC)
        headers.append((b"sunset", moment.strftime("%a, %d %b %Y %H:%M:%S GMT").encode()))
    return headers
