"""Step 3: the model's name into candidates: the model's own endpoints, then those of its stand-ins; of “auto”
the models of its choice (gateway.steps.auto). What the caller may not use looks as if it did not exist.
"""

from datetime import UTC, datetime

from foundation.errors import NotFound
from foundation.told import gettext as _
from gateway.calls import Call
from gateway.state.snapshot import TenantSnapshot
from gateway.steps.auto import list_auto_ways
from gateway.steps.lookup import find_route, find_ways, model_not_found, policy_refuses
from models_registry.kinds import AUTO
from models_registry.routes import Candidate, Route, Way


def resolve(call: Call, snapshot: TenantSnapshot) -> None:
    """Find the candidates. Raises NotFound (`model_not_found`), NotAllowed (`data_policy`), InvalidInput
    (`no_capable_model`).
    """
    name = call.body["model"]
    if name == AUTO:
        call.candidates = _make_candidates(list_auto_ways(call, snapshot))
    else:
        call.candidates = _list_candidates(call, name, snapshot)
    call.candidate = call.candidates[0]


def _make_candidates(ways: list[Way]) -> tuple[Candidate, ...]:
    return tuple(Candidate(way.route, target, way.asked_name) for way in ways for target in way.targets)


def _list_candidates(call: Call, name: str, snapshot: TenantSnapshot) -> tuple[Candidate, ...]:
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
    place = name, snapshot.policy_of(call.principal)
    candidates = snapshot.candidates.get(place)
    if candidates is None:
        ways = find_ways(route, name, call.principal, snapshot)
        if not ways:
            raise policy_refuses(name, [route], call.principal, snapshot)
        candidates = _make_candidates(ways)
        if not route.fallbacks:  # whether stand-ins may be called is another thing for each caller
            snapshot.candidates[place] = candidates
    if route.channel == "deprecated":
        call.headers += deprecation_headers(route)
    return candidates


def deprecation_headers(route: Route) -> list[tuple[bytes, bytes]]:
    """RFC 9745 `Deprecation` and RFC 8594 `Sunset`."""
    headers = [(b"deprecation", f"@{int(datetime.now(UTC).timestamp())}".encode())]
    if route.retire_on:
        moment = datetime(route.retire_on.year, route.retire_on.month, route.retire_on.day, tzinfo=UTC)
        headers.append((b"sunset", moment.strftime("%a, %d %b %Y %H:%M:%S GMT").encode()))
    return headers
