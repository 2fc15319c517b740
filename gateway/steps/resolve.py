"""Step 3: the model's name into candidates, in the order in which they are tried. What the caller may not use
looks as if it did not exist.
"""

import random
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

from foundation.errors import NotAllowed, NotFound
from foundation.told import gettext as _
from gateway.calls import Call, Principal
from gateway.state.snapshot import TenantSnapshot
from models_registry.routes import Candidate, Route, Target, Way, list_ways
from tenants.data_policy import DataPolicy

MAX_ATTEMPTS = 6  # of one call
MAX_STAND_INS = 3  # of these, if the model has more endpoints than are left


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
        for target in shuffle(way.targets)
    ]
    if not candidates:
        raise _policy_refuses(route, snapshot.policy_of(call.principal))
    call.candidates = _shorten(candidates, route)
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


def _shorten(candidates: list[Candidate], route: Route) -> list[Candidate]:
    """No more than are tried; stand-ins keep their places, however many endpoints the model has itself."""
    own = [one for one in candidates if one.route is route]
    others = candidates[len(own) :][:MAX_STAND_INS]
    return [*own[: MAX_ATTEMPTS - len(others)], *others]


def shuffle(targets: Iterable[Target]) -> list[Target]:
    """In random order, the heavier ones earlier: the first is each with the share of its weight (Efraimidis
    and Spirakis 2006, weighted random sampling). Weight 0 comes last.
    """
    targets = list(targets)
    if len(targets) < 2:
        return targets
    keys = [
        random.random() ** (1 / target.weight) if target.weight else -1.0  # noqa: S311
        for target in targets
    ]
    order = sorted(range(len(targets)), key=keys.__getitem__, reverse=True)
    return [targets[position] for position in order]


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
