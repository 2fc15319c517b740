"""Which models a person may choose from in a conversation that is booked on a project."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.utils.translation import get_language

from accounts.grants import list_closed_objects
from accounts.models import Project, User
from accounts.objects import MODEL
from accounts.selectors import find_auto_models
from gateway.steps.auto import list_among
from models_registry.first_models import find_first_model
from models_registry.kinds import AUTO, Channel
from models_registry.routes import Route, is_allowed, list_ways
from models_registry.selectors import find_successor, list_routes
from tenants.data_policy import DataPolicy, strictest
from tenants.doors.hosts import KnownTenant


@dataclass(frozen=True, slots=True)
class Offer:
    """The models that may be used, the first choice first, those that the data policy forbids here, and the
    names that the rights of use deny to this person. `among`: of the models those among which “auto” chooses;
    `is_listed`: the project names them, in their order.
    """

    models: list[Route]
    closed: list[Route]
    policy: str
    denied: frozenset[str]
    among: list[Route]
    is_listed: bool

    @property
    def policy_label(self) -> str:
        return str(DataPolicy(self.policy).label)

    @property
    def has_choice(self) -> bool:
        """Whether “auto” would have something to choose."""
        return len(self.among) > 1

    @property
    def names(self) -> set[str]:
        """What may be named, allowed or not."""
        auto = {AUTO} if self.has_choice else set()
        return auto | {route.name for route in (*self.models, *self.closed)}

    def is_closed(self, name: str) -> bool:
        return any(route.name == name for route in self.closed)

    def choose(self, wanted: str) -> str:
        """The wanted model if it is still there, allowed or not, else its registered successor, else "": what
        was written for one model goes to no other that nobody named. The first, if none is wanted; of
        “auto” the only one that is left.
        """
        if not wanted:
            return self.models[0].name if self.models else ""
        if wanted == AUTO and len(self.among) == 1:
            return self.among[0].name
        names = self.names
        name, passed = wanted, set()
        while (
            name and "\0" not in name and name not in names and name not in passed
        ):  # a successor may have been retired in its turn
            passed.add(name)
            name = find_successor(name)
        return name if name in names else ""


def list_offer(user: User, door: KnownTenant, project: Project) -> Offer:
    """The first is an administrator's choice, else the best one for the reader's language."""
    closed = set(list_closed_objects(MODEL, user, project.pk))
    known = list_routes(UUID(door.plan_id), door.currency)
    chat = {name: route for name, route in known.items() if route.kind == "chat"}
    routes = {name: route for name, route in chat.items() if route.model_id not in closed}
    ranked = sorted(
        (route for name, route in routes.items() if name == route.name),
        key=lambda one: (not one.is_default, _rank_for_reader(one), one.is_demo, one.label, one.name),
    )
    policy = strictest(door.data_policy, project.data_policy)
    allowed = {route.name for route in ranked if list_ways(route, route.name, routes.get, policy)}
    named = find_auto_models(project)
    among = [
        route
        for route in list_among(sorted(ranked, key=lambda one: one.name), chat, named)
        if any(is_allowed(target.endpoint, policy) for target in route.targets)
    ]
    return Offer(
        models=[route for route in ranked if route.name in allowed],
        closed=[route for route in ranked if route.name not in allowed],
        policy=policy,
        denied=frozenset(chat.keys() - routes.keys()),
        among=among,
        is_listed=bool(named),
    )


def _rank_for_reader(route: Route) -> int:
    """The house's models that speak the reader's language, then what has proven itself elsewhere, then the
    house's others; last all else: adding a model makes it nobody's choice.
    """
    if find_first_model(route) is not None:
        return 0 if route.speaks((get_language() or "en")[:2]) else 2
    return 1 if _is_proven(route) else 3


def _is_proven(route: Route) -> bool:
    """Stable, at a price that somebody entered, on a server that answered the last look at it."""
    is_priced = not route.price.is_unset
    return route.channel == Channel.STABLE and is_priced and route.targets[0].endpoint.has_answered


def find_undecided(user: User, offer: Offer) -> Route | None:
    """The model that people begin with, though nobody chose it: for those who could choose one of the
    organisation's own. The first start's choice of a model of the house is nobody's.
    """
    if not user.has_perm("models_registry.change_model"):
        return None
    routes: Iterable[Route] = (*offer.models, *offer.closed)
    has_chosen = any(route.is_default and find_first_model(route) is None for route in routes)
    if has_chosen or all(route.origin == "platform" for route in routes):
        return None
    return offer.models[0] if len(offer.models) > 1 else None
