"""What a caller may call, and where its data may go: asked by the steps, by `/v1/models` and by rooms."""

from collections.abc import Collection
from functools import partial
from uuid import UUID

from foundation.errors import NotAllowed, NotFound
from foundation.told import gettext as _
from gateway.calls import Principal
from gateway.state.snapshot import TenantSnapshot
from models_registry.routes import Route, Way, list_ways
from tenants.data_policy import DataPolicy, strictest


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


def policy_refuses(
    name: str, routes: Collection[Route], principal: Principal, snapshot: TenantSnapshot
) -> NotAllowed:
    """Why none of these models, which were asked for by this name, may answer: which policy it is, and
    whose.
    """
    find = partial(find_route, principal=principal, snapshot=snapshot)
    ours, theirs = snapshot.data_policy, snapshot.project_policies.get(principal.project_id, "")
    of_documents = principal.data_policy

    def is_closed(policy: str) -> bool:
        return not any(list_ways(route, route.name, find, policy) for route in routes)

    if of_documents and not is_closed(strictest(ours, theirs)):
        whose = _("The data policy of these documents (%(policy)s)") % {
            "policy": DataPolicy(of_documents).label
        }
    elif is_closed(ours):
        whose = _("The data policy of your organisation (%(policy)s)") % {"policy": DataPolicy(ours).label}
    elif is_closed(theirs):
        whose = _("The data policy of this project (%(policy)s)") % {"policy": DataPolicy(theirs).label}
    else:
        whose = _("The data policies of your organisation (%(ours)s) and of this project (%(theirs)s)") % {
            "ours": DataPolicy(ours).label,
            "theirs": DataPolicy(theirs).label,
        }
    message = _(
        "%(whose)s: no data may go to where “%(name)s” runs. Choose a model that runs where that is allowed."
    ) % {"whose": whose, "name": name[:100]}
    return NotAllowed(message, code="data_policy", param="model")
