"""What the gateway keeps in memory of a model: where its calls may go, its limits and its price. Frozen, but
for what each call makes anew; without the ORM. And the one rule by which a call finds its ways there.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal
from uuid import UUID

from foundation.egress import PRIVATE, PUBLIC, EgressPolicy
from models_registry.kinds import ModelKind
from models_registry.providers.openai_compatible import OpenAICompatible
from models_registry.providers.table import find_provider
from tenants.data_policy import DataPolicy, forbids_storage, place_of
from tenants.sealing import Secret
from usage.pricing import Price

# others: everywhere
ALLOWED_PLACES: dict[str, tuple[str, ...]] = {DataPolicy.EU: ("local", "eu"), DataPolicy.LOCAL: ("local",)}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A connection, opened. `base_url` was checked when the route was made, so the session of `policy` may
    call it.
    """

    id: UUID
    origin: Literal["tenant", "platform"]
    kind: str
    base_url: str  # without a slash at its end
    secret: Secret | None = None
    allow_private: bool = False
    connect_timeout_s: float = 5.0
    first_byte_timeout_s: float = 120.0
    idle_timeout_s: float = 30.0
    total_timeout_s: float = 1_800.0
    token_limit_name: str = ""  # empty: what its provider usually takes
    location: str = ""
    no_storage: bool = False  # its provider has agreed to keep nothing
    has_answered: bool = field(default=False, compare=False)  # the last look at it; no change of its own
    provider: OpenAICompatible = field(init=False, repr=False, compare=False)  # of its kind

    def __post_init__(self) -> None:
        object.__setattr__(self, "provider", find_provider(self.kind))

    @property
    def policy(self) -> EgressPolicy:
        return PRIVATE if self.allow_private else PUBLIC


@dataclass(frozen=True, slots=True)
class Target:
    """An endpoint that has a model, and the model's name there. Of two, one of weight 3 gets three times the
    calls of one of weight 1.
    """

    endpoint: Endpoint
    upstream_name: str
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Route:
    """A model that may be called by its name. `price` is that of the moment the route was made; a later one
    announces itself.
    """

    name: str
    label: str
    model_id: UUID
    targets: tuple[Target, ...]
    kind: str
    context_window: int | None
    max_output_tokens: int | None
    default_max_output_tokens: int
    price: Price
    channel: str = "stable"
    retire_on: date | None = None
    is_demo: bool = False
    is_default: bool = False
    capabilities: frozenset[str] = frozenset()
    fallbacks: tuple[str, ...] = ()  # names or aliases of models that answer where none of the targets does
    created_at: datetime | None = None
    languages: tuple[str, ...] = ()  # it answers in these alone (models_registry.languages); none: no word

    @property
    def origin(self) -> Literal["tenant", "platform"]:
        return self.targets[0].endpoint.origin

    def speaks(self, language: str) -> bool:
        """Whether questions in a language are for it; "" is one that nobody knows."""
        return not self.languages or language in self.languages


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to answer a call: a model at one of its endpoints. `asked_name`: its own name or alias that led
    there.
    """

    route: Route
    target: Target
    asked_name: str

    @property
    def endpoint(self) -> Endpoint:
        return self.target.endpoint

    @property
    def upstream_name(self) -> str:
        return self.target.upstream_name

    @property
    def provider(self) -> OpenAICompatible:
        return self.target.endpoint.provider


@dataclass(slots=True, unsafe_hash=True)
class Way:
    """A model that may answer a call, where its data may go; `asked_name` as in Candidate."""

    route: Route
    asked_name: str
    targets: tuple[Target, ...]


def list_ways(
    route: Route, asked_name: str, find_route: Callable[[str], Route | None], policy: str
) -> list[Way]:
    """The model itself, then those that stand in for it, as far as the policy leaves them endpoints; none for
    embeddings, of which a row may still name some (models_registry.services.references).
    `find_route`: the model of a name or alias, if the caller may use it.
    """
    named = {route.name: (route, asked_name)}
    for name in () if route.kind == ModelKind.EMBEDDING else route.fallbacks:
        other = find_route(name)
        if other is not None and other.kind == route.kind:
            named.setdefault(other.name, (other, name))
    ways = [
        Way(one, name, tuple(target for target in one.targets if is_allowed(target.endpoint, policy)))
        for one, name in named.values()
    ]
    return [way for way in ways if way.targets]


def is_allowed(endpoint: Endpoint, policy: str) -> bool:
    """Whether a policy lets data go there. What nobody knows of a place is no promise."""
    if not policy:
        return True
    if forbids_storage(policy) and not endpoint.no_storage:
        return False
    allowed = ALLOWED_PLACES.get(place_of(policy))
    return allowed is None or endpoint.location in allowed
