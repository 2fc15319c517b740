"""What the gateway keeps in memory of a model: where its calls go, its limits and its price. Frozen, without
the ORM.
"""

from dataclasses import dataclass
from datetime import date
from typing import Literal
from uuid import UUID

from foundation.egress import PRIVATE, PUBLIC, EgressPolicy
from tenants.sealing import Secret
from usage.pricing import Price


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

    @property
    def policy(self) -> EgressPolicy:
        return PRIVATE if self.allow_private else PUBLIC


@dataclass(frozen=True, slots=True)
class Route:
    """A model that may be called by its name. `price` is that of the moment the route was made; a later one
    announces itself.
    """

    name: str
    label: str
    model_id: UUID
    upstream_name: str
    endpoint: Endpoint
    kind: str
    context_window: int | None
    max_output_tokens: int | None
    default_max_output_tokens: int
    price: Price
    channel: str = "stable"
    retire_on: date | None = None
    is_demo: bool = False
    is_default: bool = False
