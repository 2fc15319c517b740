"""The catalogue that people see: the models they may use, what each is, what it costs and how it does."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from datetime import date
from functools import partial
from uuid import UUID

from django.db.models import TextChoices
from django.utils.functional import cached_property
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from accounts.grants import Holder, holders_of, load_grants
from accounts.models import Project, User
from accounts.objects import MODEL
from accounts.selectors import list_member_projects
from models_registry.first_models import say_notes
from models_registry.kinds import ABILITIES, Location, ModelKind, list_priced_classes
from models_registry.languages import name_languages
from models_registry.routes import Endpoint, Route, list_ways
from models_registry.selectors import list_routes
from models_registry.worlds import PLATFORM, World, active_world
from tenants.context import platform
from tenants.data_policy import DataPolicy, strictest
from tenants.doors.hosts import KnownTenant
from usage.labels import say_price
from usage.selectors import Speed, measure_models

NOT_MEASURED = Speed()
FindRoute = Callable[[str], Route | None]


class Health(TextChoices):
    """What the last calls say, else the last look at the connections. The values are the states of
    components/_status.html.
    """

    GOOD = "good", _("Answers")
    UNSTEADY = "warn", _("Fails at times")
    DOWN = "bad", _("Does not answer")
    UNKNOWN = "off", _("Not asked yet")


@dataclass(frozen=True, slots=True)
class Facts:
    """What the table knows of a model beside its route, column by column."""

    notes: str
    licence: str
    aliases: list[str]
    capabilities: list[str]
    languages: list[str]
    stable_since: date | None
    retire_on: date | None
    successor: str


@dataclass(frozen=True)
class Entry:
    """A model of the catalogue. `policies`: the data policies that forbid it, each once, if none of the
    projects where the person may use it has another. `speed`: empty until it was measured.
    """

    route: Route
    row: Facts
    speed: Speed = NOT_MEASURED
    policies: tuple[str, ...] = ()

    @property
    def notes(self) -> str:
        return say_notes(self.route, self.row.notes)

    @property
    def kind_text(self) -> str:
        return str(ModelKind(self.route.kind).label)

    @property
    def policies_text(self) -> str:
        return "; ".join(str(DataPolicy(policy).label) for policy in self.policies)

    @property
    def abilities(self) -> list[str]:
        return [str(ABILITIES.get(word, word)) for word in self.row.capabilities]

    @property
    def languages(self) -> list[str]:
        return name_languages(self.row.languages)

    @property
    def endpoints(self) -> list[Endpoint]:
        return [target.endpoint for target in self.route.targets]

    @property
    def places(self) -> list[str]:
        """Where its answers are made, each place once."""
        found = dict.fromkeys(endpoint.location for endpoint in self.endpoints)
        return [str(Location(place).label) for place in found]

    @cached_property
    def health(self) -> Health:
        return judge(self.speed, self.endpoints)

    @property
    def price_text(self) -> str:
        return say_price_of(self.route)

    @property
    def first_token_s(self) -> float | None:
        first_ms = self.speed.first_token_ms
        return None if first_ms is None else first_ms / 1000


def say_price_of(route: Route) -> str:
    """In words; what a model of its kind never writes is left out."""
    return capfirst(say_price(route.price, "output" in list_priced_classes(route.kind, ())))


def judge(speed: Speed, endpoints: Iterable[Endpoint]) -> Health:
    """Whoever answered the last calls is well, whatever a look at the catalogue said."""
    if speed.calls:
        if speed.failures == 0:
            return Health.GOOD
        return Health.DOWN if speed.failures == speed.calls else Health.UNSTEADY
    return Health.GOOD if any(one.has_answered for one in endpoints) else Health.UNKNOWN


def list_catalogue(user: User, door: KnownTenant) -> list[Entry]:
    """The models that a person may use in one project or another, by label; their speeds are not measured."""
    routes = list_routes(UUID(door.plan_id), door.currency)
    named = {name: route for name, route in routes.items() if name == route.name}
    work = _list_work(user, door, routes)
    facts = _facts_of(named.values())
    entries = []
    for name, route in named.items():
        open_to = [(find, policy) for find, policy in work if find(name) is not None]
        if not open_to or route.model_id not in facts:
            continue
        is_allowed = any(list_ways(route, name, find, policy) for find, policy in open_to)
        policies = () if is_allowed else tuple(dict.fromkeys(policy for _find, policy in open_to))
        entries.append(Entry(route=route, row=facts[route.model_id], policies=policies))
    return sorted(entries, key=lambda one: (one.route.label or one.route.name).casefold())


def measure(entries: Iterable[Entry]) -> list[Entry]:
    """The same with their speeds."""
    found = list(entries)
    speeds = measure_models(one.route.name for one in found)
    return [replace(one, speed=speeds.get(one.route.name, one.speed)) for one in found]


def find_entry(user: User, door: KnownTenant, model_id: UUID) -> Entry | None:
    """One of them, measured."""
    found = [one for one in list_catalogue(user, door) if one.route.model_id == model_id]
    return next(iter(measure(found)), None)


def _list_work(user: User, door: KnownTenant, routes: dict[str, Route]) -> list[tuple[FindRoute, str]]:
    """Of each project that a person works on: what finds the models that they may use there, as a call finds
    its stand-ins, and where its data may go.
    """
    grants = load_grants(MODEL)
    groups = list(user.groups.values_list("pk", flat=True))
    projects: list[Project] = list(list_member_projects(user))

    def find(holders: frozenset[Holder], name: str) -> Route | None:
        route = routes.get(name)
        granted = grants.get(route.model_id) if route else None
        return route if granted is None or granted.permit(holders) else None

    return [
        (
            partial(find, holders_of(user.pk, groups, project.pk)),
            strictest(door.data_policy, project.data_policy),
        )
        for project in projects
    ]


def _facts_of(routes: Iterable[Route]) -> dict[UUID, Facts]:
    """By id: of the tenant's own models, and of the platform's."""
    ids: dict[str, list[UUID]] = {"tenant": [], "platform": []}
    for route in routes:
        ids[route.origin].append(route.model_id)
    found = _read_facts(active_world(), ids["tenant"])
    if ids["platform"]:
        with platform():
            found |= _read_facts(PLATFORM, ids["platform"])
    return found


def _read_facts(world: World, ids: list[UUID]) -> dict[UUID, Facts]:
    rows = world.models.objects.filter(pk__in=ids).order_by()
    names = [field.name for field in fields(Facts)]
    return {key: Facts(*values) for key, *values in rows.values_list("pk", *names)}
