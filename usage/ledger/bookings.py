"""What callers hand to the ledger, and what it answers. Imports no Django.

What each call makes is not frozen, though nobody changes it: that would take four times as long to make.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from uuid import UUID

from usage.ledger.budget_rules import ZERO
from usage.pricing import Price, Usage

TENANT_SUBJECT = UUID(int=0)  # the tenant's own budgets carry this subject
INTERRUPTED = "interrupted"  # the status of the sweeper's estimates, and of nothing else
NOTHING = Usage()
LEVELS = ("tenant", "project", "user", "key")  # the order in which budgets are locked, everywhere


@dataclass(slots=True)
class CallFacts:
    """What the usage event will say of a call, known before it is made. Who is charged stands in the hold's
    subjects, so that budgets and events never disagree.
    """

    source: str = ""
    model: str = ""
    model_id: UUID | None = None
    model_version: str = ""
    deployment: str = ""
    endpoint: str = ""
    connection_id: UUID | None = None
    upstream_model: str = ""
    price: Price | None = None
    trace_id: str = ""


@dataclass(slots=True)
class HoldRequest:
    """Money to set aside before a call: the highest it can cost.

    `subjects` maps levels (`project`, `user`, `key`) to ids; every budget of these and of the tenant itself
    is asked. The commit of the hold is the dispatch mark: the caller sends next, and nothing lies between.
    """

    request_id: UUID
    amount: Decimal
    subjects: dict[str, UUID]
    input_tokens_estimate: int = 0
    facts: CallFacts = field(default_factory=CallFacts)


@dataclass(frozen=True, slots=True)
class LostAttempt:
    """One that failed before its first byte, so that another one followed. `usage` and `cost`: what its
    provider may have charged for it; nothing where that refused or was not reached.
    """

    upstream_model: str
    connection_id: UUID
    error_code: str
    latency_ms: int
    usage: Usage = NOTHING
    cost: Decimal = ZERO


def lost_cost(attempts: Iterable[LostAttempt]) -> Decimal:
    return sum((one.cost for one in attempts), ZERO)


@dataclass(frozen=True, slots=True)
class NextAttempt:
    """Another attempt at a call that is held: the whole amount that covers it and those that were lost, and
    who is asked now. Its commit is the dispatch mark of that attempt.
    """

    request_id: UUID
    amount: Decimal  # a hold of more stays as it is
    facts: CallFacts
    attempts: tuple[LostAttempt, ...]


@dataclass(slots=True)
class Settlement:
    """The bill of a call that was held. `usage` is that of the last attempt, `cost` that of all;
    `estimated` where a provider reported no usage; `answered` what is known of the candidate of the last
    attempt, where the hold may name another.
    """

    request_id: UUID
    usage: Usage
    cost: Decimal
    status: str = "ok"
    error_code: str = ""
    latency_ms: int | None = None
    first_token_ms: int | None = None
    estimated: bool = False
    answered: CallFacts | None = None
    attempts: tuple[LostAttempt, ...] = ()
    dropped_params: list[str] = field(default_factory=list)  # names of fields that were not passed on


@dataclass(frozen=True, slots=True)
class Void:
    """The end of a hold of which nothing was used."""

    request_id: UUID


Operation = HoldRequest | NextAttempt | Settlement | Void


@dataclass(frozen=True, slots=True)
class BudgetRefusal:
    """A budget that has no room for a call."""

    level: str
    period: str
    managed_by: str
    limit: Decimal
    held: Decimal
    spent: Decimal
    amount: Decimal
    currency: str
    renews_in_s: int | None  # None: this budget never renews


class Failure(Enum):
    """Why an operation came to nothing, apart from a budget."""

    UNAVAILABLE = "unavailable"  # locked, too slow, or the connection is lost
    POISONED = "poisoned"  # the database refuses this very operation
    NO_HOLD = "no_hold"  # neither a hold nor an event of this request exists


Outcome = bool | BudgetRefusal | Failure  # False: a bill that was booked before
